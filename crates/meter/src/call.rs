//! What the meter is told about a call: when it ended with usage, when it ended without, when its answer's head
//! came. Instants are seconds since 1970-01-01 UTC. Must not know how any of it was read.

use crate::in_flight::InFlight;
use crate::organization::Organization;
use crate::reason::Reason;
use crate::usage::{Payer, Usage};

/// Where a call's usage comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// `OpenAI` reported it.
    Reported,
    /// It was estimated from what was seen: a lower bound.
    Estimated {
        /// The most the call can have taken; `None`: nothing bounds it.
        at_most: Option<u64>,
    },
}

/// A call that ended with usage.
#[derive(Clone, Copy, Debug)]
pub struct FinishedCall<'a> {
    /// Whose call it is.
    pub organization: &'a Organization,
    /// The project (`proj_...`), where the answer named one.
    pub project: Option<&'a str>,
    /// The model that answered; the request's where the answer names none.
    pub model: Option<&'a str>,
    /// The model is the request's word.
    pub model_is_asked: bool,
    /// The service tier it was served in, as the answer says; missing or null is `default`.
    pub service_tier: Option<&'a str>,
    /// `OpenAI`'s own word on who pays, where the answer has it.
    pub payer: Option<Payer>,
    /// Whether a hosted tool (web search, file search, code interpreter...) ran.
    pub hosted_tool: bool,
    /// Its tokens.
    pub usage: Usage,
    /// Where the tokens come from.
    pub evidence: Evidence,
    /// When the call began.
    pub began: i64,
    /// When its usage arrived: decides the day.
    pub at: i64,
}

/// A metered call that ended without usage.
#[derive(Clone, Copy, Debug)]
pub struct MissingCall<'a> {
    /// Whose call it is.
    pub organization: &'a Organization,
    /// The project, where the answer named one.
    pub project: Option<&'a str>,
    /// The model that answered, else the one the request asked for.
    pub model: Option<&'a str>,
    /// The service tier the request asked for; missing or `auto` is `default`.
    pub service_tier: Option<&'a str>,
    /// Whether a hosted tool ran or could have run.
    pub hosted_tool: bool,
    /// How many choices the request asked for (`n`, `best_of`), at least 1.
    pub choices: u64,
    /// The most the call can have taken, where its request bounds it.
    pub at_most: Option<u64>,
    /// Why there is no usage.
    pub why: Reason,
    /// When the call began.
    pub began: i64,
    /// When it ended: decides the day.
    pub at: i64,
}

/// A call whose usage is not known yet: about to be sent, or its answer under way.
#[derive(Clone, Copy, Debug)]
pub struct CallAhead<'a> {
    /// Whose call it is.
    pub organization: &'a Organization,
    /// The project, where the answer named one.
    pub project: Option<&'a str>,
    /// The model the request asked for.
    pub model: Option<&'a str>,
    /// The service tier the request asked for; missing or `auto` is `default`.
    pub service_tier: Option<&'a str>,
    /// Whether the request offers hosted tools.
    pub hosted_tool: bool,
    /// What kind of call it is, as a label of a closed set: calls of one kind and model are forecast by each other.
    pub kind: &'static str,
    /// The most tokens the call can take, as its request bounds it; `None`: nothing does.
    pub bound: Option<u64>,
    /// This call's own forecast, if it was begun: it is not held against itself.
    pub own: Option<&'a InFlight>,
    /// Now.
    pub at: i64,
}
