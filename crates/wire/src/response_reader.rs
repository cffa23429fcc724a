//! Looks on while an answer passes, and says at its end what was found. It must not know HTTP,
//! clocks or verdicts, and never changes or delays a byte.

use meter::{Reason, Usage};

use crate::{Coding, Metered, Seen};

/// How an answer's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// One JSON object.
    Json,
    /// Server-sent events.
    EventStream,
    /// Audio, plain text: nothing in it is read, its usage is missing.
    Other,
}

impl Form {
    /// The form a `content-type` names; an absent one is read as JSON.
    #[must_use]
    pub fn of(content_type: Option<&str>) -> Self {
        let _ = content_type;
        Self::Json
    }
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// Upstream ended it as HTTP ends a body.
    Complete,
    /// The client left first.
    ClientGone,
    /// Upstream broke off.
    UpstreamFailed,
}

/// What was found in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// OpenAI reported the call's usage.
    Reported(Reported),
    /// It did not, or not in a way that can be believed.
    Missing(Missing),
}

/// A usage that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The tokens.
    pub usage: Usage,
    /// What else the answer said.
    pub seen: Seen,
}

/// No usage that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Why: `usage-missing`, `not-asked`, `unreadable-body`, `client-gone`, `upstream-broke` or
    /// `error-response`.
    pub why: Reason,
    /// What else the answer said.
    pub seen: Seen,
}

/// Reads one 2xx answer of a metered endpoint.
pub struct ResponseReader {
    endpoint: Metered,
}

impl ResponseReader {
    /// A reader for an answer of `endpoint`, framed as `form`, encoded as `codings` say
    /// ([`Coding::of`] its `content-encoding`).
    #[must_use]
    pub fn new(endpoint: Metered, form: Form, codings: &[Coding]) -> Self {
        let _ = (form, codings);
        Self { endpoint }
    }

    /// A reader for an answer whose coding is not known here: reads nothing, and ends as
    /// `unreadable-body`.
    #[must_use]
    pub fn unreadable(endpoint: Metered) -> Self {
        Self { endpoint }
    }

    /// Says that the request did not ask for usage and nobody asked in its place: where none
    /// comes, the reason is `not-asked`.
    #[must_use]
    pub fn not_asked(self) -> Self {
        self
    }

    /// Looks at the next bytes as they pass. Never fails outward.
    pub fn push(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// Whether the answer's own end was seen (`[DONE]`, a terminal event): the call can be
    /// settled before these bytes leave.
    #[must_use]
    pub fn ended(&self) -> bool {
        false
    }

    /// What has been seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen::default()
    }

    /// Says how the body ended and gives the reading.
    #[must_use]
    pub fn finish(self, how: End) -> Reading {
        let _ = (how, self.endpoint);
        Reading::Missing(Missing {
            why: Reason::UsageMissing,
            seen: Seen::default(),
        })
    }
}
