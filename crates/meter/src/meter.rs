//! The meter: organizations and their totals, and how it learns names. What is done with them stands beside it:
//! `settle` (calls that ended), `forecast` (heads of streams), `correction` (all else). Must not know sockets,
//! formats, clocks or where settlements go.

use crate::habits::Habits;
use crate::organization::{Organization, Organizations};
use crate::rules::Rules;
use crate::totals::Totals;

/// What every organization has taken of its allowances, and the rule by which the next call is free or billed.
///
/// All methods can be called from any thread; settling never waits.
pub struct Meter {
    pub(crate) organizations: Organizations,
    pub(crate) totals: Totals,
    pub(crate) habits: Habits,
}

impl Meter {
    /// A meter that counts since this instant (seconds since 1970-01-01 UTC). What was taken before it on the
    /// same UTC day is not known, unless it is 00:00:00 exactly.
    #[must_use]
    pub fn new(counting_since: i64) -> Self {
        Self {
            organizations: Organizations::new(),
            totals: Totals::new(counting_since),
            habits: Habits::default(),
        }
    }

    /// The organizations seen so far.
    #[must_use]
    pub fn organizations(&self) -> &Organizations {
        &self.organizations
    }

    /// Learns that `id` is another name of an organization (a slug and an `org-...` id seen on one 2xx
    /// exchange). Totals kept under either name are merged by addition; what was declared under either holds.
    /// Calls settled before keep their verdicts, so the two may together have been given more than one allowance.
    ///
    /// The organization `unknown` takes no other name, and a name past [`Organizations::MOST`] is not learned. Says
    /// whether it was new.
    pub fn learn_alias(&self, organization: &Organization, id: &str) -> bool {
        self.organizations.join(organization, id, |former| {
            self.totals.merge(former, organization);
        })
    }

    /// Learns every declared organization's aliases. Call it once for each new [`Rules`], before they are used. Gives
    /// those that were new, each with its organization.
    pub fn learn_declared<'r>(&self, rules: &'r Rules) -> Vec<(Organization, &'r str)> {
        let mut learned = Vec::new();
        for declared in rules.declared() {
            let Some(organization) = self.organizations.named(&declared.name) else {
                continue;
            };
            for alias in &declared.aliases {
                if self.learn_alias(&organization, alias) {
                    learned.push((organization.clone(), &**alias));
                }
            }
        }
        learned
    }
}
