//! What the ledger is told, as plain values: they are appended to the tail as they are, and moved into tables
//! later. Text is borrowed where an entry is made and owned where it is read. Must not know files or tables.
//!
//! Instants are Unix milliseconds UTC by the corrected clock, days are numbers of days since 1970-01-01, and words
//! (verdict, certainty, reason ...) are those of the public contract.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// One thing to keep.
///
/// The order of the variants is the format of the tail: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry<'a> {
    /// A call was settled.
    #[serde(borrow)]
    Settled(SettledCall<'a>),
    /// Calls under way may take at most this; it holds until the next such entry of the same totals.
    Open(OpenCalls<'a>),
    /// Two names turned out to be one organization, known as the first from now on.
    Alias {
        /// The name that stays.
        organization: Cow<'a, str>,
        /// The name that is added to it.
        name: Cow<'a, str>,
    },
    /// An operator stated a day's total.
    Stated(Stated<'a>),
    /// Something is known better than when it was settled.
    Adjusted(Adjustment<'a>),
    /// Settlements that could not be kept: their tokens are slack.
    Lost {
        /// The organization's name.
        organization: Cow<'a, str>,
        /// The model group's name; empty: every group.
        group: Cow<'a, str>,
        /// The day.
        day: i32,
        /// How many settlements.
        calls: u64,
        /// Their tokens at most; `None`: without limit.
        tokens: Option<u64>,
    },
    /// The program stopped with nothing under way: no call is open any more.
    Stopped,
}

/// A settled call: a row of the table `settlements`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a column, independent of the others"
)]
pub struct SettledCall<'a> {
    /// Our id (`x-tollfree-call`).
    #[serde(borrow)]
    pub call: Cow<'a, str>,
    /// OpenAI's id of the response object.
    pub response_id: Option<Cow<'a, str>>,
    /// OpenAI's `x-request-id`.
    pub request_id: Option<Cow<'a, str>>,
    /// When the call arrived.
    pub began_at: i64,
    /// When its usage arrived.
    pub settled_at: i64,
    /// The UTC day it counts on.
    pub day: i32,
    /// Whose call it is; `unknown` where nobody named it.
    pub organization: Cow<'a, str>,
    /// The project, where named.
    pub project: Option<Cow<'a, str>>,
    /// Keyed hash of the credential.
    pub key_hash: Option<[u8; 16]>,
    /// Short label of the endpoint.
    pub endpoint: Cow<'a, str>,
    /// The model asked for.
    pub model_asked: Option<Cow<'a, str>>,
    /// The model that answered.
    pub model: Option<Cow<'a, str>>,
    /// The service tier it was served in, as far as known.
    pub service_tier: Option<Cow<'a, str>>,
    /// Its head left before it was settled.
    pub stream: bool,
    /// HTTP status of OpenAI's answer; 0: none came.
    pub status: u16,
    /// The client's `user-agent`, at most 256 bytes.
    pub client: Option<Cow<'a, str>>,
    /// The model group.
    pub group: Option<Cow<'a, str>>,
    /// Its tokens; `None`: never known.
    pub usage: Option<Tokens>,
    /// What it took of the running total: before, after.
    pub span: Option<(u64, u64)>,
    /// Counted among the calls that fit, for the other reading of the rule.
    pub fitted: bool,
    /// What it may have taken uncounted.
    pub slack: Option<Slack<'a>>,
    /// The day's allowance.
    pub allowance: Option<u64>,
    /// What remained of it after the call.
    pub remaining: Option<u64>,
    /// `free`, `billed`, `unknown`.
    pub verdict: Cow<'a, str>,
    /// `confirmed`, `final`, `assumed`, `estimated`.
    pub certainty: Option<Cow<'a, str>>,
    /// Comma list of what the verdict assumes; empty: nothing.
    pub assumes: Cow<'a, str>,
    /// Why.
    pub reason: Cow<'a, str>,
    /// Our own verdict before OpenAI's word.
    pub ours: Cow<'a, str>,
    /// OpenAI's own word: `openai`, `developer`.
    pub payer: Option<Cow<'a, str>>,
    /// The two readings of the rule differ.
    pub disputed: bool,
    /// It may count on another day: it began there, or ended within seconds of it.
    pub straddles: bool,
    /// List price if billed, 0 if free, in picodollars (1e-12 USD).
    pub cost: Option<u64>,
    /// List price if free, 0 if billed, in picodollars.
    pub saved: Option<u64>,
    /// The caller was shown group, allowance and remaining, and may be shown them again.
    pub standing_shown: bool,
}

/// Tokens of a call as reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// All input.
    pub input: u64,
    /// Input read from the cache, inside `input`.
    pub cached_input: u64,
    /// Input written to the cache, inside `input`.
    pub cache_write: u64,
    /// All output.
    pub output: u64,
    /// Output spent on reasoning, inside `output`.
    pub reasoning: u64,
}

/// Tokens that may have been taken uncounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slack<'a> {
    /// What left them uncounted: a word of the contract's assumptions, such as `unknown-calls`.
    pub source: Cow<'a, str>,
    /// The most; `None`: without limit.
    pub at_most: Option<u64>,
    /// It may have been any group of the organization, not only the call's.
    pub any_group: bool,
}

/// What the calls under way of one organization, group and day may take together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCalls<'a> {
    /// The organization's name when its day began: where it turns out to be another one, each goes on under its own.
    pub organization: Cow<'a, str>,
    /// The model group's name.
    pub group: Cow<'a, str>,
    /// The day.
    pub day: i32,
    /// Grows with each entry of the same totals (wrapping): entries may be kept out of order, the latest number
    /// holds.
    pub version: u32,
    /// The most; `None`: without limit. `Some(0)`: nothing is under way.
    pub at_most: Option<u64>,
}

/// A day's total as an operator read it on OpenAI's dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated<'a> {
    /// The organization's name.
    pub organization: Cow<'a, str>,
    /// The model group's name.
    pub group: Cow<'a, str>,
    /// The day.
    pub day: i32,
    /// When it was stated.
    pub at: i64,
    /// The total stated, in tokens.
    pub tokens: u64,
    /// What that changed of the running total.
    pub change: i64,
}

/// A settled call is known better: a new row adjusts the old one, totals change for later calls only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adjustment<'a> {
    /// The new row; its span is empty, its tokens are those now known.
    #[serde(borrow)]
    pub row: SettledCall<'a>,
    /// The call whose row it adjusts.
    pub adjusts: Cow<'a, str>,
    /// Change of the running total.
    pub change: i64,
    /// Change of the other reading's total.
    pub fitted_change: i64,
    /// The greatest allowance that the total was past before it was lowered.
    pub was_past: Option<u64>,
}
