//! The tags: what tollfree says of a call, as `x-tollfree-*` headers and as the look-up's JSON. The only place
//! that knows their names. One function lists them, so that a header, a stream's head and the look-up cannot
//! differ.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use bytes::{BufMut, BytesMut};
use http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, HeaderName, HeaderValue};
use http::response;
use meter::{Assumptions, Certainty, Day, Dollars, Reason, Usage, Verdict};
use net::Lines;
use serde::ser::{SerializeMap, Serializer};

use crate::call_id::CallId;

/// What each of our headers begins with; such a header is never accepted from either side.
pub(crate) const PREFIX: &str = "x-tollfree-";

/// The header with the call's id, by which anybody who holds an answer can look its call up.
pub const CALL_HEADER: &str = "x-tollfree-call";

macro_rules! names {
    ($($name:ident = $text:expr),* $(,)?) => {
        $(const $name: HeaderName = HeaderName::from_static($text);)*
        /// All our names, as `access-control-expose-headers` lists them.
        const EXPOSED: &[&str] = &[$($text),*];
    };
}

names! {
    CALL = CALL_HEADER,
    VERDICT = "x-tollfree-verdict",
    CERTAINTY = "x-tollfree-certainty",
    ASSUMES = "x-tollfree-assumes",
    REASON = "x-tollfree-reason",
    GROUP = "x-tollfree-group",
    TOKENS = "x-tollfree-tokens",
    INPUT_TOKENS = "x-tollfree-input-tokens",
    OUTPUT_TOKENS = "x-tollfree-output-tokens",
    ALLOWANCE_TOKENS = "x-tollfree-allowance-tokens",
    REMAINING_TOKENS = "x-tollfree-remaining-tokens",
    RESET = "x-tollfree-reset",
    RESET_SECONDS = "x-tollfree-reset-seconds",
    COST_USD = "x-tollfree-cost-usd",
    SAVED_USD = "x-tollfree-saved-usd",
    DISPUTED = "x-tollfree-disputed",
    RECORDED = "x-tollfree-recorded",
}

/// The same as one line.
static EXPOSED_LINE: LazyLock<String> = LazyLock::new(|| EXPOSED.join(", "));

/// Room for all tags of a call.
const LINES_BYTES: usize = 768;

/// Everything said of one call; what is not known is `None` and then left out.
#[derive(Clone, Debug)]
pub(crate) struct Tags {
    /// Our id of the call.
    pub(crate) call: CallId,
    /// Free, billed, or why neither can be said.
    pub(crate) verdict: Verdict,
    /// How surely the verdict is known.
    pub(crate) certainty: Option<Certainty>,
    /// What the verdict takes for granted.
    pub(crate) assumes: Assumptions,
    /// Why it is so.
    pub(crate) reason: Option<Reason>,
    /// Tokens of this call.
    pub(crate) usage: Option<Usage>,
    /// What the organization's group has; only for those who may know.
    pub(crate) allowance: Option<Allowance>,
    /// List price in dollars of a billed call, 0 of a free one.
    pub(crate) cost: Option<Dollars>,
    /// List price in dollars of a free call, 0 of a billed one.
    pub(crate) saved: Option<Dollars>,
    /// The two readings of the rule differ.
    pub(crate) disputed: bool,
    /// The settlement was in the ledger when the answer's last bytes left, or there is none to be in.
    pub(crate) recorded: bool,
}

/// The standing of a model group as the tags show it.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    /// The group's name in the offer.
    pub(crate) group: Arc<str>,
    /// Tokens free a day.
    pub(crate) tokens: u64,
    /// Tokens left after this call; at a stream's head before it.
    pub(crate) remaining: u64,
    /// Unix seconds of the next 00:00 UTC.
    pub(crate) reset: i64,
    /// Unix seconds of the moment the tags speak of.
    pub(crate) now: i64,
}

/// The value of one tag.
enum Value<'t> {
    Word(&'static str),
    Text(&'t str),
    Midnight(i64),
    Count(u64),
    Set(Assumptions),
    Flag(bool),
    Dollars(Dollars),
}

impl Value<'_> {
    /// Writes the value as a header shows it.
    fn append_to(&self, text: &mut BytesMut) {
        match self {
            Value::Word(word) | Value::Text(word) => text.put_slice(word.as_bytes()),
            Value::Count(count) => {
                text.put_slice(itoa::Buffer::new().format(*count).as_bytes());
            }
            Value::Flag(true) => text.put_slice(b"true"),
            Value::Flag(false) => text.put_slice(b"false"),
            // Writing to memory that grows does not fail.
            Value::Midnight(instant) => drop(write!(text, "{}T00:00:00Z", Day::at(*instant))),
            Value::Set(set) => drop(write!(text, "{set}")),
            Value::Dollars(dollars) => drop(write!(text, "{dollars}")),
        }
    }
}

impl Tags {
    /// Only the call's id, a verdict and a reason: all that a stranger may learn.
    #[must_use]
    pub(crate) fn bare(call: CallId, verdict: Verdict, reason: Reason) -> Tags {
        Tags {
            call,
            verdict,
            certainty: None,
            assumes: Assumptions::default(),
            reason: Some(reason),
            usage: None,
            allowance: None,
            cost: None,
            saved: None,
            disputed: false,
            recorded: true,
        }
    }

    /// The same, told at this moment in Unix seconds: what was settled stays, only the time until midnight goes on.
    pub(crate) fn at(mut self, now: i64) -> Tags {
        if let Some(allowance) = &mut self.allowance {
            allowance.now = now;
        }
        self
    }

    /// Lists what is known, in the contract's order.
    fn each<'t>(&'t self, tag: &mut impl FnMut(&HeaderName, Value<'t>)) {
        tag(&CALL, Value::Text(self.call.as_str()));
        tag(&VERDICT, Value::Word(self.verdict.as_str()));
        if let Some(certainty) = self.certainty {
            tag(&CERTAINTY, Value::Word(certainty.as_str()));
        }
        if !self.assumes.is_empty() {
            tag(&ASSUMES, Value::Set(self.assumes));
        }
        if let Some(reason) = self.reason {
            tag(&REASON, Value::Word(reason.as_str()));
        }
        if let Some(allowance) = &self.allowance {
            tag(&GROUP, Value::Text(&allowance.group));
        }
        if let Some(usage) = self.usage {
            tag(&TOKENS, Value::Count(usage.tokens()));
            tag(&INPUT_TOKENS, Value::Count(usage.input));
            tag(&OUTPUT_TOKENS, Value::Count(usage.output));
        }
        if let Some(allowance) = &self.allowance {
            tag(&ALLOWANCE_TOKENS, Value::Count(allowance.tokens));
            tag(&REMAINING_TOKENS, Value::Count(allowance.remaining));
            tag(&RESET, Value::Midnight(allowance.reset));
            let seconds = allowance.reset.saturating_sub(allowance.now).max(0);
            tag(&RESET_SECONDS, Value::Count(seconds.unsigned_abs()));
        }
        if let Some(cost) = self.cost {
            tag(&COST_USD, Value::Dollars(cost));
        }
        if let Some(saved) = self.saved {
            tag(&SAVED_USD, Value::Dollars(saved));
        }
        if self.disputed {
            tag(&DISPUTED, Value::Flag(true));
        }
        if !self.recorded {
            tag(&RECORDED, Value::Flag(false));
        }
    }

    /// Puts the tags on an answer's head, and their names among those a browser may read where upstream
    /// named any.
    pub(crate) fn put_on(&self, head: &mut response::Parts) {
        if head.headers.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS) {
            head.headers.append(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(EXPOSED_LINE.as_str()),
            );
        }
        head.extensions.insert(self.lines());
    }

    /// The tags as header lines.
    pub(crate) fn lines(&self) -> Lines {
        let mut lines = Lines::with_capacity(LINES_BYTES);
        self.each(&mut |name, value| lines.add(name, |text| value.append_to(text)));
        lines
    }

    /// Writes the tags as members of a JSON object, named as the headers are without their prefix: numbers
    /// as numbers, the set of assumptions as a list of words.
    ///
    /// # Errors
    /// Those of the serializer.
    pub(crate) fn serialize_into<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let mut outcome = Ok(());
        self.each(&mut |name, value| {
            if outcome.is_err() {
                return;
            }
            let name = name.as_str().strip_prefix(PREFIX).unwrap_or_default();
            outcome = match value {
                Value::Count(count) => map.serialize_entry(name, &count),
                Value::Set(set) => map.serialize_entry(name, &Words(set)),
                Value::Flag(flag) => map.serialize_entry(name, &flag),
                text => {
                    let mut bytes = BytesMut::new();
                    text.append_to(&mut bytes);
                    map.serialize_entry(name, &String::from_utf8_lossy(&bytes))
                }
            };
        });
        outcome
    }
}

struct Words(Assumptions);

impl serde::Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(meter::Assumption::as_str))
    }
}

/// Whether a header, by its name, looks like one of ours: nobody else may speak in this name.
pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
}
