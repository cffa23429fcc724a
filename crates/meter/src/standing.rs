//! How an organization stands with one group today, as plain values to show, to keep and to restore. Must not
//! know atomics.

use crate::assumptions::Assumptions;
use crate::slack::SlackSource;

/// The slack of a day at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlackNow {
    /// Tokens that may have been taken uncounted, from the sources that have a bound.
    pub tokens: u64,
    /// Every source that is not zero.
    pub sources: Assumptions,
    /// Those among them that have no bound.
    pub without_limit: Assumptions,
}

/// The forecasts of calls under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forecasts {
    /// Tokens the bounded ones may take together.
    pub tokens: u64,
    /// How many have a bound.
    pub bounded: u64,
    /// How many have none.
    pub unbounded: u64,
    /// Tokens they are forecast to take together, as far as a forecast of them is made.
    pub likely: u64,
    /// Of how many none is made.
    pub unforeseen: u64,
}

impl Forecasts {
    /// How many calls are under way.
    #[must_use]
    pub fn calls(self) -> u64 {
        self.bounded.saturating_add(self.unbounded)
    }
}

/// Allowance and running total of one organization, group and day at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Tokens free this day.
    pub allowance: u64,
    /// Tokens of every eligible call.
    pub taken: u64,
    /// Tokens of the calls that fitted into the allowance: the other reading of the rule.
    pub fitted: u64,
    /// What remains by the configured reading, never below 0. At 0 no call of a token or more can be free any more.
    pub remaining: u64,
    /// Nothing remains although the totals leave something: `OpenAI` billed so many calls in a row that we held free
    /// that all are billed until 00:00 UTC, or until it says again that it pays.
    pub payer_says_billed: bool,
    /// What may have been taken uncounted; outside usage included where it is not ruled out.
    pub slack: SlackNow,
    /// Calls under way.
    pub in_flight: Forecasts,
    /// How often in a row `OpenAI` billed what we held free.
    pub contradictions: u32,
}

/// What was known of a day when the program last ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Tokens of every eligible call.
    pub taken: u64,
    /// Tokens of the calls that fitted.
    pub fitted: u64,
    /// The greatest allowance the day was past before a correction lowered its total, if any.
    pub was_past: Option<u64>,
    /// How often in a row `OpenAI` billed what we held free.
    pub contradictions: u32,
    /// What may have been taken uncounted: at most so many tokens; `None`: without limit.
    pub slack: Vec<(SlackSource, Option<u64>)>,
}
