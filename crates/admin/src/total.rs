//! A day's total as an operator states it: the shapes of `POST /api/v1/totals`. Must not know how it is asked for.

use serde::{Deserialize, Serialize};

/// What is stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateTotal {
    /// The organization's name; it may be left out where only one is known.
    pub organization: Option<String>,
    /// The model group's name.
    pub group: String,
    /// Today's total as read on OpenAI's dashboard, in tokens; at most [`meter::Meter::MOST_STATED`].
    pub tokens: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedTotal {
    /// [`SCHEMA`](crate::SCHEMA).
    pub schema: u32,
    /// The organization's name.
    pub organization: String,
    /// The model group's name.
    pub group: String,
    /// The UTC day it holds for, `2026-11-21`.
    pub day: String,
    /// The running total before, in tokens.
    pub before_tokens: u64,
    /// The running total now.
    pub tokens: u64,
    /// It is in the ledger, and holds after a restart.
    pub recorded: bool,
}
