//! What comes back of a settled call, and what may be said at the head of a stream: plain values. Must not know
//! how they are found or where they go.

use crate::assumptions::Assumptions;
use crate::day::Day;
use crate::model_group::GroupId;
use crate::price::Dollars;
use crate::reason::Reason;
use crate::running_total::Span;
use crate::slack::SlackSource;
use crate::usage::{Payer, Usage};
use crate::verdict::{Certainty, Verdict};

/// A settled call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a column of the ledger, independent of the others"
)]
pub struct Settlement {
    /// The UTC day it counts on.
    pub day: Day,
    /// The group its model is listed in, or may belong to.
    pub group: Option<GroupId>,
    /// Its tokens; `None` where they never came.
    pub usage: Option<Usage>,
    /// What it took of the running total; `None` for a call that takes nothing of it.
    pub span: Option<Span>,
    /// Whether it was counted among the calls that fit, for the other reading of the rule.
    pub fitted: bool,
    /// The most it may have taken uncounted and so put into the group's slack: `Some(0)` nothing, `None` without
    /// limit.
    pub slack: Option<u64>,
    /// Whose slack that is.
    pub slack_source: SlackSource,
    /// It went into every group's slack.
    pub slack_in_every_group: bool,
    /// Free, billed or unknown.
    pub verdict: Verdict,
    /// How surely; `None` for `unknown`.
    pub certainty: Option<Certainty>,
    /// What the verdict assumes.
    pub assumes: Assumptions,
    /// Why.
    pub reason: Reason,
    /// Our own verdict, before `OpenAI`'s word.
    pub ours: Verdict,
    /// `OpenAI`'s own word, where there is one.
    pub payer: Option<Payer>,
    /// Whether that word contradicts ours.
    pub payer_differs: bool,
    /// The alarm: `OpenAI` paid for a model that is not on the list.
    pub unlisted_but_free: bool,
    /// Whether the two readings of the rule differ on this call.
    pub disputed: bool,
    /// Whether it may count on another day: it began there, or midnight was too near for a clock to tell.
    pub straddles: bool,
    /// The day's allowance of that organization and group.
    pub allowance: Option<u64>,
    /// What remains of it after this call by the configured reading, never below 0.
    pub remaining: Option<u64>,
    /// List price if billed, 0 if free; `None` where no price is known.
    pub cost: Option<Dollars>,
    /// List price if free, 0 if billed; `None` where no price is known.
    pub saved: Option<Dollars>,
}

/// What the head of a stream may honestly say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Free, billed or pending.
    pub verdict: Verdict,
    /// `expected`, or `None` for `pending`.
    pub certainty: Option<Certainty>,
    /// What the verdict assumes.
    pub assumes: Assumptions,
    /// Why; `None` for `pending`.
    pub reason: Option<Reason>,
    /// The group the model is expected to be in.
    pub group: Option<GroupId>,
    /// The day's allowance of that organization and group.
    pub allowance: Option<u64>,
    /// What remains of it before this call by the configured reading, never below 0.
    pub remaining: Option<u64>,
}
