//! How organizations stand now, as JSON says it to programs: the shape of `GET /api/v1/standing`. Must not know how
//! it is asked for, nor how a total is kept.

use meter::SlackNow;
use proxy::SharingNow;
use serde::{Deserialize, Serialize};

/// The version of the shapes in this crate.
pub const SCHEMA: u32 = 1;

/// Everything that stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standings {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The proxy that says so.
    pub proxy: ProxyNow,
    /// The UTC day, `2026-11-21`.
    pub day: String,
    /// When the allowances are given anew: the next 00:00 UTC, RFC 3339.
    pub reset: String,
    /// What is added to this machine's clock to agree with OpenAI's; 0 while it does.
    #[serde(default)]
    pub clock_correction_milliseconds: i64,
    /// By name.
    pub organizations: Vec<OrganizationStanding>,
    /// How totals are shared with other replicas; `null` where they are not.
    #[serde(default)]
    pub sharing: Option<Sharing>,
    /// Why the ledger is behind, and what to do; `null` while it is not, or none is kept.
    #[serde(default)]
    pub ledger_notice: Option<String>,
    /// Everything that does not work, one line each, with what to do: the notices of `/healthz`.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// How totals are shared with other replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// False: free verdicts assume `shared-totals`, since what others took is not known now.
    pub in_step: bool,
    /// Replicas that share, this one included; as last heard.
    pub replicas: u64,
    /// Replicas that fell silent today, or within the last hour, and are not back.
    pub missing_replicas: u64,
}

/// The running proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyNow {
    /// Its process id.
    pub pid: u32,
    /// Where it listens, `127.0.0.1:8800`.
    pub address: String,
    /// Where its page, metrics and health are, `127.0.0.1:8801`; `null` where there are none.
    #[serde(default)]
    pub page: Option<String>,
}

/// How one organization stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationStanding {
    /// Its name; `unknown` for calls whose organization is not known.
    pub organization: String,
    /// OpenAI's usage tier that gives its allowances, 1 to 5.
    pub usage_tier: u8,
    /// False: nobody declared it, so the lowest is taken.
    pub usage_tier_declared: bool,
    /// In the offer's order.
    pub groups: Vec<GroupStanding>,
}

/// How one organization stands with one model group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStanding {
    /// The group's name.
    pub group: String,
    /// Tokens free this day.
    pub allowance_tokens: u64,
    /// Tokens of every eligible call: the running total.
    pub taken_tokens: u64,
    /// Allowance less running total, never below 0; 0 once the allowance is spent, or OpenAI bills the group.
    pub remaining_tokens: u64,
    /// Nothing remains although the running total leaves something: OpenAI bills this group until 00:00 UTC.
    #[serde(default)]
    pub payer_says_billed: bool,
    /// The largest call that is still free: what remains less what the calls in flight may take.
    pub largest_free_call_tokens: u64,
    /// Both are at most so much: tokens may have been taken uncounted, or a call in flight has no bound.
    pub at_most: bool,
    /// Tokens that may have been taken uncounted.
    pub slack: SlackStanding,
    /// Calls under way.
    pub in_flight: InFlight,
}

/// Tokens that may have been taken uncounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlackStanding {
    /// At most so many, from the sources that have a limit.
    pub tokens: u64,
    /// Some source has no limit.
    pub without_limit: bool,
    /// What left them uncounted, in the words of the tag that says what a verdict assumes.
    pub sources: Vec<String>,
}

/// Calls under way and what they may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// How many.
    pub calls: u64,
    /// What those with a bound may take together.
    pub tokens: u64,
    /// How many of them have none.
    pub unbounded: u64,
}

impl GroupStanding {
    /// As the proxy has it.
    #[must_use]
    pub fn of(group: &proxy::GroupStanding) -> Self {
        let standing = &group.standing;
        let in_flight = standing.in_flight;
        Self {
            group: group.group.clone(),
            allowance_tokens: standing.allowance,
            taken_tokens: standing.taken,
            remaining_tokens: standing.remaining,
            payer_says_billed: standing.payer_says_billed,
            largest_free_call_tokens: group.largest_free_call(),
            at_most: group.is_at_most(),
            slack: SlackStanding::of(&standing.slack),
            in_flight: InFlight {
                calls: in_flight.calls(),
                tokens: in_flight.tokens,
                unbounded: in_flight.unbounded,
            },
        }
    }
}

impl Sharing {
    /// As the proxy has it.
    #[must_use]
    pub fn of(sharing: &SharingNow) -> Self {
        Self {
            in_step: sharing.is_in_step,
            replicas: sharing.replicas,
            missing_replicas: sharing.missing,
        }
    }

    /// One line for people: how many share, and whether this one is in step.
    #[must_use]
    pub fn line(&self) -> String {
        let replicas = match self.replicas {
            1 => "1 replica shares".to_owned(),
            many => format!("{many} replicas share"),
        };
        match (self.in_step, self.missing_replicas) {
            (true, _) => format!("{replicas} these totals, in step"),
            (false, 0) => {
                "these totals are shared, but what other replicas take is not known now".to_owned()
            }
            (false, missing) => format!("{replicas} these totals, {missing} fell silent"),
        }
    }
}

impl SlackStanding {
    fn of(slack: &SlackNow) -> Self {
        Self {
            tokens: slack.tokens,
            without_limit: !slack.without_limit.is_empty(),
            sources: slack
                .sources
                .iter()
                .map(|source| source.as_str().to_owned())
                .collect(),
        }
    }
}

impl InFlight {
    /// Whether any call is under way.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.calls > 0
    }
}
