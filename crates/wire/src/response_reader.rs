//! Looks on while an answer passes, and says at its end what was found. It must not know HTTP,
//! clocks or verdicts, and never changes or delays a byte.

use meter::{Reason, Usage};

use crate::decoders::Decoders;
use crate::event_reader::Events;
use crate::json_scan::Scanner;
use crate::response_facts::Facts;
use crate::response_tree::{self, Tag};
use crate::usage::{Output, UsageFound};
use crate::{BYTE_ORDER_MARK, Coding, Metered, Seen, Status};

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
        let Some(content_type) = content_type else {
            return Self::Json;
        };
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("text/event-stream") {
            Self::EventStream
        } else if media_type.is_empty()
            || media_type.eq_ignore_ascii_case("application/json")
            || media_type.eq_ignore_ascii_case("text/json")
            || media_type.to_ascii_lowercase().ends_with("+json")
        {
            Self::Json
        } else {
            Self::Other
        }
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

impl Reading {
    /// What else the answer said.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        match self {
            Self::Reported(Reported { seen, .. }) | Self::Missing(Missing { seen, .. }) => seen,
        }
    }

    /// The same, to be changed.
    #[must_use]
    pub fn seen_mut(&mut self) -> &mut Seen {
        match self {
            Self::Reported(Reported { seen, .. }) | Self::Missing(Missing { seen, .. }) => seen,
        }
    }
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
    body: Body,
    /// The first byte that is no blank was seen: it says what the body is, whatever its head says.
    has_begun: bool,
    decoders: Decoders,
    was_not_asked: bool,
    /// The coding is unknown, broken or over its budget: nothing more is looked at.
    is_unreadable: bool,
}

/// The body by its form.
enum Body {
    Json(Box<Answer>),
    Events(Box<Events>),
    Other(Box<Seen>),
}

/// A JSON answer under way.
struct Answer {
    endpoint: Metered,
    scanner: Scanner<Tag>,
    facts: Facts,
}

impl ResponseReader {
    /// A reader for an answer of `endpoint`, framed as `form`, encoded as `codings` say
    /// ([`Coding::of`] its `content-encoding`). Of JSON and events it is what its first byte says.
    #[must_use]
    pub fn new(endpoint: Metered, form: Form, codings: &[Coding]) -> Self {
        Self {
            body: match form {
                Form::Json => Body::json(endpoint),
                Form::EventStream => Body::events(endpoint),
                Form::Other => Body::Other(Box::default()),
            },
            has_begun: false,
            decoders: Decoders::new(codings),
            was_not_asked: false,
            is_unreadable: false,
        }
    }

    /// A reader for an answer whose coding is not known here: reads nothing, and ends as
    /// `unreadable-body`.
    #[must_use]
    pub fn unreadable() -> Self {
        Self {
            body: Body::Other(Box::default()),
            has_begun: true,
            decoders: Decoders::new(&[]),
            was_not_asked: false,
            is_unreadable: true,
        }
    }

    /// Says that the request did not ask for usage and nobody asked in its place: where none
    /// comes, the reason is `not-asked`.
    #[must_use]
    pub fn not_asked(self) -> Self {
        Self {
            was_not_asked: true,
            ..self
        }
    }

    /// Looks at the next bytes as they pass. Never fails outward: what cannot be read is no
    /// longer looked at, and said in the end.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.is_unreadable {
            let (body, has_begun) = (&mut self.body, &mut self.has_begun);
            let decoded = (self.decoders).push(bytes, |bytes| body.read(bytes, has_begun));
            self.is_unreadable = decoded.is_err();
        }
    }

    /// Whether the answer's own end was seen (`[DONE]`, a terminal event, the end of the JSON
    /// value): the call can be settled before these bytes leave.
    #[must_use]
    pub fn ended(&self) -> bool {
        match &self.body {
            Body::Json(answer) => answer.scanner.is_done(),
            Body::Events(events) => events.has_ended,
            Body::Other(_) => false,
        }
    }

    /// What the body's first byte showed it to be; none before it.
    #[must_use]
    pub fn form(&self) -> Option<Form> {
        self.has_begun.then_some(match self.body {
            Body::Json(_) => Form::Json,
            Body::Events(_) => Form::EventStream,
            Body::Other(_) => Form::Other,
        })
    }

    /// What has been seen so far.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        match &self.body {
            Body::Json(answer) => &answer.facts.seen,
            Body::Events(events) => &events.seen,
            Body::Other(seen) => seen,
        }
    }

    /// Says how the body ended and gives the reading.
    ///
    /// A usage that is believed is reported however the body ended. Else the reason is, in this
    /// order: a body that was not decoded, an error the answer itself tells of, the client gone
    /// or upstream broken before the answer's own end, a body that is no JSON, a usage that was
    /// not asked for, a usage that is missing.
    #[must_use]
    pub fn finish(mut self, how: End) -> Reading {
        if how == End::Complete && !self.is_unreadable && !self.ended() {
            let (body, has_begun) = (&mut self.body, &mut self.has_begun);
            let decoded = (self.decoders).finish(|bytes| body.read(bytes, has_begun));
            self.is_unreadable = decoded.is_err();
        }
        let (seen, outcome, has_ended) = match self.body {
            Body::Json(answer) => answer.finish(),
            Body::Events(events) => finish_events(*events, how),
            Body::Other(seen) => (*seen, Outcome::Nothing, false),
        };
        let why = match outcome {
            // What follows an answer's own end takes nothing from it.
            _ if self.is_unreadable && !has_ended => Reason::UnreadableBody,
            Outcome::Usage(usage) => return Reading::Reported(Reported { usage, seen }),
            Outcome::Error => Reason::ErrorResponse,
            _ if how == End::ClientGone && !has_ended => Reason::ClientGone,
            _ if how == End::UpstreamFailed && !has_ended => Reason::UpstreamBroke,
            Outcome::Unreadable => Reason::UnreadableBody,
            Outcome::Nothing if self.was_not_asked => Reason::NotAsked,
            Outcome::Nothing | Outcome::Odd => Reason::UsageMissing,
        };
        Reading::Missing(Missing { why, seen })
    }
}

/// What the body alone amounts to.
pub(crate) enum Outcome {
    Usage(Usage),
    /// A usage that is not believed.
    Odd,
    /// No usage, and an error told in its place.
    Error,
    /// No JSON where JSON was expected.
    Unreadable,
    Nothing,
}

impl Body {
    fn json(endpoint: Metered) -> Self {
        Self::Json(Box::new(Answer {
            endpoint,
            scanner: Scanner::new(response_tree::of_answer(endpoint)),
            facts: Facts::default(),
        }))
    }

    fn events(endpoint: Metered) -> Self {
        Self::Events(Box::new(Events::new(endpoint)))
    }

    #[inline]
    fn read(&mut self, mut bytes: &[u8], has_begun: &mut bool) {
        if !*has_begun {
            bytes = self.begin(bytes, has_begun);
        }
        self.push(bytes);
    }

    /// Becomes what the first byte says, if these bytes have it, and gives those that are to be read.
    fn begin<'b>(&mut self, bytes: &'b [u8], has_begun: &mut bool) -> &'b [u8] {
        let is_blank = |byte: &u8| b" \t\r\n".contains(byte) || BYTE_ORDER_MARK.contains(byte);
        let Some(at) = bytes.iter().position(|byte| !is_blank(byte)) else {
            return bytes;
        };
        *has_begun = true;
        let rest = bytes.get(at..).unwrap_or_default();
        *self = match (&*self, rest) {
            // No line of events begins so.
            (Self::Events(events), [b'{', ..]) => Self::json(events.endpoint),
            // `data`, `event`, `id`, `retry`, a comment: no JSON begins so.
            (Self::Json(answer), [b'd' | b'e' | b'i' | b'r' | b':', ..]) => {
                Self::events(answer.endpoint)
            }
            _ => return bytes,
        };
        rest
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Json(answer) => answer.push(bytes),
            Self::Events(events) => events.push(bytes),
            Self::Other(seen) => seen.text_bytes += bytes.len() as u64,
        }
    }
}

impl Answer {
    fn push(&mut self, bytes: &[u8]) {
        self.facts.seen.text_bytes += bytes.len() as u64;
        // An error stays with the scanner, and is asked for at the end.
        let _ = self.scanner.push(bytes, |found| self.facts.take(&found));
    }

    fn finish(mut self) -> (Seen, Outcome, bool) {
        let is_whole = self.scanner.finish(|_| {}).is_ok();
        let facts = self.facts;
        let outcome = if is_whole {
            outcome_of_object(self.endpoint, &facts)
        } else {
            Outcome::Unreadable
        };
        (facts.seen, outcome, is_whole)
    }
}

fn finish_events(mut events: Events, how: End) -> (Seen, Outcome, bool) {
    events.finish();
    let was_cut = how != End::Complete && !events.has_ended;
    let outcome = if was_cut && events.usage_is_running {
        Outcome::Nothing
    } else {
        match outcome_of(events.usage, events.has_error) {
            Outcome::Nothing if events.is_unreadable => Outcome::Unreadable,
            outcome => outcome,
        }
    };
    (events.seen, outcome, events.has_ended)
}

/// What one whole object of an endpoint amounts to, an answer or an item of a list.
pub(crate) fn outcome_of_object(endpoint: Metered, facts: &Facts) -> Outcome {
    // A background response or a run that is still under way may show zeros.
    let is_under_way = facts
        .seen
        .status
        .is_some_and(|status| !status.is_terminal());
    let is_another_object = endpoint == Metered::ThreadRuns && !facts.is_run;
    if is_under_way || is_another_object {
        return Outcome::Nothing;
    }
    let has_error = facts.has_error || facts.seen.status == Some(Status::Failed);
    outcome_of(facts.usage.found(Output::of(endpoint)), has_error)
}

fn outcome_of(usage: UsageFound, has_error: bool) -> Outcome {
    match usage {
        UsageFound::Believed(usage) => Outcome::Usage(usage),
        UsageFound::Odd => Outcome::Odd,
        UsageFound::None if has_error => Outcome::Error,
        UsageFound::None => Outcome::Nothing,
    }
}

#[cfg(test)]
mod tests;
