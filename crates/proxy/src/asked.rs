//! What a request says of itself: read where its body is small enough, and asked for its usage where the client did
//! not. Knows nothing of answers.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use net::ClientBody;
use tokio::task::yield_now;
use wire::{
    Coding, DECODE_STEP_BYTES, MOST_DECODED_RATIO, Metered, RequestDecoder, RequestFacts,
    UsageAsked,
};

use crate::bodies::memory::Memory;
use crate::bodies::request_body::{Bounds, RequestBody};
use crate::heads::forward::Accept;
use crate::heads::refusal::Refusal;
use crate::settings::Settings;

/// What the body of a request may decode to before its ratio is looked at, in bytes: what is asked in its stead goes on
/// decoded, and is to be no more than a client could send itself.
const FREE_DECODED_BYTES: u64 = 64 * 1024;

/// Bytes of a form too long to be held that are read: its fields stand before its file, or behind it.
const FORM_BEGINNING_BYTES: usize = 64 * 1024;

/// What the request said of itself.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) endpoint: Metered,
    /// What the body says; none where it could not be read.
    pub(crate) facts: Option<RequestFacts>,
    /// Bytes of the body without its coding, where it was read.
    pub(crate) body_bytes: Option<u64>,
    /// It is a message of a WebSocket.
    pub(crate) on_socket: bool,
    /// We asked for the usage in the client's stead.
    pub(crate) usage_asked_by_us: bool,
    /// When its body was in hand: the time until it leaves is ours.
    pub(crate) in_hand: Instant,
}

impl Asked {
    /// What a message of a WebSocket asks, as far as it was read, and its bytes.
    pub(crate) fn on_socket(
        endpoint: Metered,
        facts: Option<RequestFacts>,
        body_bytes: Option<u64>,
    ) -> Asked {
        Asked {
            endpoint,
            facts,
            body_bytes,
            on_socket: true,
            usage_asked_by_us: false,
            in_hand: Instant::now(),
        }
    }

    /// Reads the request's body where it is small enough, and asks for usage where the client did not.
    pub(crate) async fn read(
        endpoint: Metered,
        (headers, body): (&mut HeaderMap, ClientBody),
        settings: &Settings,
        memory: &Arc<Memory>,
    ) -> Result<(RequestBody, Asked, Accept), Refusal> {
        let unread = |body, facts| {
            let asked = Asked {
                endpoint,
                facts,
                body_bytes: None,
                on_socket: false,
                usage_asked_by_us: false,
                in_hand: Instant::now(),
            };
            (body, asked, Accept::Readable)
        };
        let encoded = headers.contains_key(CONTENT_ENCODING);
        let bounds = bounds(settings, endpoint.takes_form() && !encoded);
        let beginning = bounds.beginning;
        let mut body = RequestBody::gather(body, memory, bounds)
            .await
            .map_err(|broke| Refusal::unfinished(&broke))?;
        let in_hand = Instant::now();
        let Some(bytes) = body.bytes().cloned() else {
            let facts = RequestFacts::begun(endpoint, &body.beginning(beginning));
            return Ok(unread(body, facts));
        };
        let decoded = if encoded {
            let by_ratio = FREE_DECODED_BYTES + MOST_DECODED_RATIO * bytes.len() as u64;
            let most = by_ratio.min(settings.request_inspect_bytes as u64);
            match Coding::of(coding_values(headers)) {
                Some(codings) => decoded(&codings, &bytes, most).await,
                None => None,
            }
            .filter(|decoded| body.grow(decoded.len(), settings.request_inspect_total))
        } else {
            None
        };
        let text: &[u8] = match &decoded {
            Some(decoded) => decoded,
            None if encoded => return Ok(unread(body, None)),
            None => &bytes,
        };
        let body_bytes = Some(text.len() as u64);
        let facts = RequestFacts::read(endpoint, text).ok();
        let edited = facts
            .as_ref()
            .filter(|_| settings.ask_for_usage)
            .and_then(|facts| wire::ask_for_usage(text, facts))
            // Bytes that are no text are no JSON, whatever stands around them.
            .filter(|_| std::str::from_utf8(text).is_ok());
        let usage_asked_by_us = edited.is_some();
        let accept = match edited {
            Some(edited) => {
                body.replace(edited);
                headers.remove(CONTENT_ENCODING);
                Accept::Identity
            }
            None => Accept::Readable,
        };
        Ok((
            body,
            Asked {
                endpoint,
                facts,
                body_bytes,
                on_socket: false,
                usage_asked_by_us,
                in_hand,
            },
            accept,
        ))
    }

    pub(crate) fn model(&self) -> Option<&str> {
        self.facts.as_ref()?.model.as_deref()
    }

    pub(crate) fn service_tier(&self) -> Option<&str> {
        self.facts.as_ref()?.service_tier.as_deref()
    }

    pub(crate) fn hosted_tool(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| facts.hosted_tool)
    }

    pub(crate) fn bound(&self) -> Option<u64> {
        self.facts.as_ref()?.bound
    }

    /// A stream whose usage nobody asked for, so that its absence is no surprise.
    pub(crate) fn is_unasked(&self) -> bool {
        !self.usage_asked_by_us
            && self.facts.as_ref().is_some_and(|facts| {
                matches!(facts.usage_asked, UsageAsked::NotAsked | UsageAsked::Odd)
            })
    }
}

/// How much of a request is read; of a form that is longer, its beginning.
fn bounds(settings: &Settings, is_form: bool) -> Bounds {
    let most = settings.request_inspect_bytes;
    Bounds {
        most,
        beginning: if is_form {
            FORM_BEGINNING_BYTES.min(most)
        } else {
            0
        },
        most_together: settings.request_inspect_total,
        time: settings.request_inspect_time,
    }
}

/// The body of a request, decoded, if it may be.
async fn decoded(codings: &[Coding], body: &[u8], most: u64) -> Option<Vec<u8>> {
    let mut whole = RequestDecoder::new(codings, most);
    for (number, step) in body.chunks(DECODE_STEP_BYTES).enumerate() {
        if number > 0 {
            // Others have their turn.
            yield_now().await;
        }
        whole.push(step).ok()?;
    }
    whole.finish().ok()
}

/// The codings that a head names.
pub(crate) fn coding_values(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(|value| value.to_str().unwrap_or("unreadable"))
}
