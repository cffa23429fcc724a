//! What the log says of a settled call: one line in the words of the ledger, and beside it what somebody should know at
//! once. Neither a key nor a body is among what it is given. Knows nothing of how a call goes.

use http::HeaderMap;
use meter::{Certainty, Reason, Settlement};
use tracing::Span;
use tracing::field::Empty;

use crate::call::request_id;
use crate::call_id::CallId;
use crate::settling::row::Facts;

/// The part of the log with a line, and a span, for each call.
pub(crate) const PART: &str = "call";

/// What is said while a call goes on is said within this: whose it is, once an answer told `OpenAI`'s id too.
pub(crate) fn span(call: &CallId) -> Span {
    tracing::info_span!(target: PART, "call", call = call.as_str(), request_id = Empty)
}

/// An answer came, with this head.
pub(crate) fn answered(head: &HeaderMap) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("request_id", request_id(head).as_deref());
    }
}

/// A call was settled.
pub(crate) fn settled(facts: &Facts<'_>, settlement: &Settlement) {
    // The line of a stream is written when its last bytes leave, so it says for itself whose it is.
    tracing::info!(
        target: PART,
        parent: None,
        call = facts.call.as_str(),
        request_id = facts.request_id,
        response_id = facts.response_id,
        organization = facts.whose.organization.name(),
        endpoint = facts.endpoint,
        model = facts.model,
        stream = facts.stream,
        input_tokens = settlement.usage.map(|usage| usage.input),
        output_tokens = settlement.usage.map(|usage| usage.output),
        verdict = settlement.verdict.as_str(),
        certainty = settlement.certainty.map(Certainty::as_str),
        reason = settlement.reason.as_str(),
        remaining_tokens = settlement.remaining,
        "settled"
    );
    let call = facts.call.as_str();
    if matches!(
        settlement.reason,
        Reason::UsageMissing | Reason::UnreadableBody
    ) {
        tracing::warn!(
            call,
            endpoint = facts.endpoint,
            reason = settlement.reason.as_str(),
            "an answer brought no usage that can be believed: the call is unknown"
        );
    }
    if settlement.unlisted_but_free {
        tracing::warn!(
            call,
            model = facts.model,
            "OpenAI paid for a model that is not on the list. help: tollfree offer says where to put a newer list"
        );
    }
    if settlement.payer_differs {
        tracing::warn!(
            call,
            ours = settlement.ours.as_str(),
            "OpenAI's own word differs from the verdict. help: check usage tier, enrolment and coverage in the configuration"
        );
    }
}
