//! How every organization stands today, and a total that an operator states: what people ask beside the calls.
//! Must not know how it is asked or shown.

use std::fmt;

use ledger::{Entry, Restored, Stated};
use meter::{Day, Meter, Organization, Rules, Standing};

use crate::proxy::Shared;
use crate::restore::restore_totals;

/// Groups that a notice names.
const MOST_NAMED: usize = 3;

/// How one organization stands today.
#[derive(Clone, Debug)]
pub struct OrganizationStanding {
    /// The name it was first seen under; `unknown` for calls that nobody named.
    pub name: String,
    /// The day that this speaks of.
    pub day: Day,
    /// Its usage tier, 1 to 5.
    pub usage_tier: u8,
    /// The usage tier was declared, not taken to be the lowest.
    pub is_declared: bool,
    /// Each model group of the offer.
    pub groups: Vec<GroupStanding>,
}

/// How it stands with one model group.
#[derive(Clone, Debug)]
pub struct GroupStanding {
    /// The group's name.
    pub group: String,
    /// The numbers.
    pub standing: Standing,
}

impl GroupStanding {
    /// The largest call that is still free: what remains without what the calls under way may take. An upper bound
    /// where [`is_at_most`](Self::is_at_most).
    #[must_use]
    pub fn largest_free_call(&self) -> u64 {
        let Standing {
            remaining,
            in_flight,
            ..
        } = self.standing;
        remaining.saturating_sub(in_flight.tokens)
    }

    /// Whether more may have been taken than was counted, or may be taken than is known.
    #[must_use]
    pub fn is_at_most(&self) -> bool {
        let Standing {
            slack, in_flight, ..
        } = self.standing;
        slack.tokens > 0 || !slack.without_limit.is_empty() || in_flight.unbounded > 0
    }

    fn is_untouched(&self) -> bool {
        let Standing {
            taken, in_flight, ..
        } = self.standing;
        taken == 0 && in_flight.tokens == 0 && in_flight.unbounded == 0
    }
}

/// What people are told of groups that `OpenAI` bills although their totals leave something, the same words everywhere;
/// each is named by its organization and its own name. Nothing where there is none.
pub fn payer_says_billed<'a>(
    groups: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Option<String> {
    let mut groups = groups.into_iter();
    let mut named: Vec<String> = groups
        .by_ref()
        .take(MOST_NAMED)
        .map(|(organization, group)| format!("group {group} of {organization}"))
        .collect();
    let further = groups.count();
    if further > 0 {
        named.push(format!("{further} more"));
    }
    (!named.is_empty()).then(|| {
        format!(
            "OpenAI bills {} until 00:00 UTC, though the allowance is not spent: it said so of several calls in a row. \
             help: see under Settings > Data controls on platform.openai.com that the organization is enrolled and the \
             project shares",
            named.join(", ")
        )
    })
}

/// What a stated total changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatedTotal {
    /// The day it was stated for: today, UTC.
    pub day: Day,
    /// The running total before, in tokens.
    pub before: u64,
    /// The total now, as stated.
    pub tokens: u64,
    /// It is in the ledger, and holds after a restart.
    pub recorded: bool,
}

/// A total that cannot be stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStated {
    /// No call of this organization was seen and it is not declared, as others are.
    NoSuchOrganization {
        /// Its name.
        name: String,
        /// The names that are known.
        known: Vec<String>,
    },
    /// The offer has no such group.
    NoSuchGroup {
        /// Its name.
        name: String,
        /// Those it has.
        known: Vec<String>,
    },
}

impl fmt::Display for NotStated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotStated::NoSuchOrganization { name, known } if known.is_empty() => {
                write!(f, "no organization can be named {name}")
            }
            NotStated::NoSuchOrganization { name, known } => {
                write!(
                    f,
                    "no organization {name}. help: known are {}",
                    known.join(", ")
                )
            }
            NotStated::NoSuchGroup { name, known } => {
                write!(f, "no group {name}. help: known are {}", known.join(", "))
            }
        }
    }
}

impl std::error::Error for NotStated {}

/// How every organization stood when the program stopped, as a start would find it at `now` (Unix seconds): the same
/// numbers that the running proxy would give.
#[must_use]
pub fn standings_of(restored: &Restored, rules: &Rules, now: i64) -> Vec<OrganizationStanding> {
    let meter = Meter::new(restored.began_at.div_euclid(1000));
    meter.learn_declared(rules);
    restore_totals(restored, &meter, rules);
    standings(&meter, rules, Day::at(now))
}

/// Every organization that was seen today or is declared, by name; `unknown` last and only if it was seen.
fn standings(meter: &Meter, rules: &Rules, day: Day) -> Vec<OrganizationStanding> {
    let mut organizations = meter.organizations().all();
    organizations.sort_by(|one, other| one.name().cmp(other.name()));
    let mut standings: Vec<_> = organizations
        .iter()
        .map(|organization| standing_of(meter, rules, organization, day))
        .collect();
    let unknown = standing_of(meter, rules, &meter.organizations().unknown(), day);
    if !unknown.groups.iter().all(GroupStanding::is_untouched) {
        standings.push(unknown);
    }
    standings
}

fn standing_of(
    meter: &Meter,
    rules: &Rules,
    organization: &Organization,
    day: Day,
) -> OrganizationStanding {
    let groups = rules.offer().groups().map(|(id, group)| GroupStanding {
        group: group.name.to_string(),
        standing: meter.standing(rules, organization, id, day),
    });
    let declared = rules.terms(organization).usage_tier;
    OrganizationStanding {
        name: organization.name().to_owned(),
        day,
        usage_tier: declared.map_or(1, meter::UsageTier::get),
        is_declared: declared.is_some(),
        groups: groups.collect(),
    }
}

impl Shared {
    /// What people are told of groups that `OpenAI` bills although their totals leave something.
    pub(crate) fn payer_says_billed(&self) -> Option<String> {
        let standings = self.standings();
        let groups = standings.iter().flat_map(|one| {
            let billed = |group: &&GroupStanding| group.standing.payer_says_billed;
            let groups = one.groups.iter().filter(billed);
            groups.map(|group| (one.name.as_str(), group.group.as_str()))
        });
        payer_says_billed(groups)
    }

    /// How all stand now.
    pub(crate) fn standings(&self) -> Vec<OrganizationStanding> {
        standings(&self.meter, &self.rules.load(), Day::at(self.clock.now()))
    }

    /// The organization of that name. Before the first call of any there is none that it could be mistaken for.
    fn stated_for(&self, name: &str) -> Result<Organization, NotStated> {
        let organizations = self.meter.organizations();
        if let Some(found) = organizations.find(name) {
            return Ok(found);
        }
        let mut known: Vec<_> = organizations
            .all()
            .iter()
            .map(|one| one.name().to_owned())
            .collect();
        known.sort();
        let new = known.is_empty().then(|| organizations.named(name));
        new.flatten().ok_or_else(|| NotStated::NoSuchOrganization {
            name: name.to_owned(),
            known,
        })
    }

    /// States today's total as read on OpenAI's dashboard.
    pub(crate) async fn state_total(
        &self,
        organization: &str,
        group: &str,
        tokens: u64,
    ) -> Result<StatedTotal, NotStated> {
        let organization = self.stated_for(organization)?;
        let commit = {
            let rules = self.rules.load();
            let id = rules.offer().group_named(group).ok_or_else(|| {
                let names = rules
                    .offer()
                    .groups()
                    .map(|(_, group)| group.name.to_string());
                NotStated::NoSuchGroup {
                    name: group.to_owned(),
                    known: names.collect(),
                }
            })?;
            let at = self.clock.now_milliseconds();
            let day = Day::at(at.div_euclid(1000));
            let change = self.meter.state_total(&organization, id, day, tokens);
            // The ledger keeps what of it was taken here.
            let mut here = tokens;
            if let Some(share) = self.share.get() {
                share.stated(&organization, id, day);
                here = self.meter.portion(&organization, id, day).fitted;
            }
            let commit = self.outbox.keep(&[Entry::Stated(Stated {
                organization: organization.name().into(),
                group: group.into(),
                day: day.number(),
                at,
                tokens: here,
                change,
            })]);
            (day, change, commit)
        };
        let (day, change, mut commit) = commit;
        Ok(StatedTotal {
            day,
            before: tokens.saturating_add_signed(change.saturating_neg()),
            tokens,
            recorded: commit.recorded().await,
        })
    }
}
