//! The answers that are our own: errors in OpenAI's shape, so that its SDKs raise their usual exceptions.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use meter::{Reason, Verdict};
use net::{Break, SendError};
use serde::Serialize;

use crate::bodies::answer_body::AnswerBody;
use crate::call_id::CallId;
use crate::tags::Tags;

/// Why a call was not forwarded, or got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request's head must not be forwarded.
    #[error("{0}. help: send the request without it")]
    Head(#[from] super::hop_by_hop::ProtectedHeader),
    /// Two readers could take the request for two different ones.
    #[error("{0}")]
    Unclear(#[from] super::clear_head::Unclear),
    /// Upstream would be told to do what a proxy must not.
    #[error("method {0} is not forwarded. help: OpenAI's API has no such method")]
    Method(http::Method),
    /// The look-up is only read.
    #[error("method {0} is not for look-ups. help: GET /_tollfree/calls/{{id}}")]
    LookupMethod(http::Method),
    /// Our own path space holds no such thing.
    #[error("{0}")]
    NoSuchCall(&'static str),
    /// Too many look-ups wait already.
    #[error("too many look-ups are waiting. help: ask again without ?wait, or later")]
    TooManyWaits,
    /// A `?wait` that is no number of seconds.
    #[error("wait is {0:?}. help: a whole number of seconds, at most {1}")]
    BadWait(Box<str>, u64),
    /// The client's request body broke off.
    #[error("the request body broke off before its end")]
    RequestBroke,
    /// Nothing of the client's request body came for too long.
    #[error(
        "nothing of the request body came for too long. help: send it without long pauses, or raise listener.read_stall"
    )]
    RequestStalled,
    /// Upstream is this proxy.
    #[error("upstream {0} is this proxy. help: remove TOLLFREE_UPSTREAM, or name the real API")]
    Loop(Box<str>),
    /// Nothing could be sent.
    #[error("tollfree {cause}. nothing was sent, nothing was counted. help: {help}")]
    Unreachable {
        /// What could not be reached, why, and after how long.
        cause: Box<str>,
        /// Where to look.
        help: &'static str,
    },
    /// No connection in time.
    #[error(
        "tollfree {cause}. nothing was sent, nothing was counted. help: {}",
        Refusal::NETWORK
    )]
    TimedOut {
        /// What could not be reached, and after how long.
        cause: Box<str>,
    },
    /// The request went out, but no answer came back.
    #[error(
        "{cause}. the call may have been carried out, so it is counted as unknown. help: retry if it may be done twice"
    )]
    Broke {
        /// What failed.
        cause: Box<str>,
    },
    /// The head is no request.
    #[error(
        "this is not an HTTP request that can be read. help: send HTTP/1.1 or HTTP/2 as RFC 9112 and 9113 have it"
    )]
    NotHttp,
    /// The head is longer than is read.
    #[error(
        "the request's head is too large. help: send less, or raise listener.most_head_bytes or most_headers"
    )]
    HeadTooLarge,
    /// The target is longer than HTTP's library takes.
    #[error("the request's target is too long. help: at most 65,534 bytes")]
    TargetTooLong,
    /// One connection too many.
    #[error(
        "tollfree has as many connections open as it may. help: raise listener.most_connections, or call again later"
    )]
    Overloaded,
    /// The system gives no random bytes to name the call with.
    #[error(transparent)]
    NoRandomness(#[from] crate::call_id::NoRandomness),
}

impl Refusal {
    /// Where to look when nobody answers.
    const NETWORK: &str = "check upstream.url and the network";

    /// The client's request did not come to its end.
    pub(crate) fn unfinished(broke: &Break) -> Refusal {
        if broke.is_stall() {
            Refusal::RequestStalled
        } else {
            Refusal::RequestBroke
        }
    }

    /// Nothing could be sent, because of this.
    pub(crate) fn unreachable(error: &SendError) -> Refusal {
        let help = match error {
            error if error.is_not_tls() => "http:// in upstream.url?",
            SendError::Tls { .. } => {
                "upstream.ca_file or SSL_CERT_FILE names certificates to trust beside the web's roots"
            }
            SendError::Proxy { .. } => "check upstream.proxy, or HTTPS_PROXY and its relatives",
            _ => Refusal::NETWORK,
        };
        Refusal::Unreachable {
            cause: error.to_string().into(),
            help,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Refusal::Head(_)
            | Refusal::Unclear(_)
            | Refusal::NotHttp
            | Refusal::BadWait(..)
            | Refusal::RequestBroke => StatusCode::BAD_REQUEST,
            Refusal::RequestStalled => StatusCode::REQUEST_TIMEOUT,
            Refusal::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::TargetTooLong => StatusCode::URI_TOO_LONG,
            Refusal::Method(_) | Refusal::LookupMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::NoSuchCall(_) => StatusCode::NOT_FOUND,
            Refusal::TooManyWaits => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Unreachable { .. } | Refusal::Broke { .. } => StatusCode::BAD_GATEWAY,
            Refusal::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Loop(_) => StatusCode::LOOP_DETECTED,
            Refusal::Overloaded | Refusal::NoRandomness(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Refusal::Head(_) => "protected_header",
            Refusal::Unclear(_) => "unclear_request",
            Refusal::NotHttp => "malformed_request",
            Refusal::HeadTooLarge => "head_too_large",
            Refusal::TargetTooLong => "target_too_long",
            Refusal::Overloaded => "overloaded",
            Refusal::Method(_) | Refusal::LookupMethod(_) => "method_not_allowed",
            Refusal::NoSuchCall(_) => "call_not_found",
            Refusal::TooManyWaits => "too_many_waits",
            Refusal::BadWait(..) => "invalid_wait",
            Refusal::RequestBroke => "request_broke",
            Refusal::RequestStalled => "request_stalled",
            Refusal::Unreachable { .. } => "upstream_unreachable",
            Refusal::TimedOut { .. } => "upstream_timeout",
            Refusal::Loop(_) => "proxy_loop",
            Refusal::Broke { .. } => "upstream_broke",
            Refusal::NoRandomness(_) => "no_randomness",
        }
    }

    /// Failures on the way upstream have a type of their own; for the others there is one of `OpenAI`'s.
    fn kind(&self) -> &'static str {
        match self {
            Refusal::Unreachable { .. }
            | Refusal::TimedOut { .. }
            | Refusal::Loop(_)
            | Refusal::Broke { .. } => "tollfree_upstream",
            Refusal::Overloaded | Refusal::NoRandomness(_) => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The body.
    fn text(&self) -> Bytes {
        let text = ErrorText {
            error: ErrorMembers {
                message: self.to_string(),
                r#type: self.kind(),
                param: None,
                code: self.code(),
            },
        };
        serde_json::to_vec(&text).unwrap_or_default().into()
    }

    /// The answer, without tags. A refused request ends its connection: what follows on it is not to be
    /// trusted.
    pub(crate) fn into_answer(self) -> Response<AnswerBody> {
        let mut answer = whole(self.status(), self.text());
        if matches!(
            self,
            Refusal::Head(_)
                | Refusal::Unclear(_)
                | Refusal::Method(_)
                | Refusal::RequestBroke
                | Refusal::RequestStalled
        ) {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(self, Refusal::Loop(_)) {
            answer
                .headers_mut()
                .insert("x-should-retry", HeaderValue::from_static("false"));
        }
        if matches!(self, Refusal::LookupMethod(_)) {
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        answer
    }
}

#[derive(Serialize)]
struct ErrorText {
    error: ErrorMembers,
}

#[derive(Serialize)]
struct ErrorMembers {
    message: String,
    r#type: &'static str,
    param: Option<&'static str>,
    code: &'static str,
}

/// A JSON answer of our own, never to be stored.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<AnswerBody> {
    whole(status, serde_json::to_vec(value).unwrap_or_default().into())
}

fn whole(status: StatusCode, text: Bytes) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::whole(text, true, None));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// What a client is told that is not served at all, because its head is no request (400, 414, 431) or its connection
/// one too many (503): a whole HTTP/1.1 response with a call id of its own, after which its connection is to be closed.
#[must_use]
pub fn unserved(status: StatusCode) -> Bytes {
    let refusal = match status {
        StatusCode::SERVICE_UNAVAILABLE => Refusal::Overloaded,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Refusal::HeadTooLarge,
        StatusCode::URI_TOO_LONG => Refusal::TargetTooLong,
        _ => Refusal::NotHttp,
    };
    let (status, text) = (refusal.status(), refusal.text());
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
         content-length: {}\r\nconnection: close\r\n",
        text.len()
    )
    .into_bytes();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.extend_from_slice(b"retry-after: 1\r\n");
    }
    // Without randomness there is no id, and a refusal without one is better than none.
    if let Ok(id) = CallId::new() {
        let tags = Tags::bare(id, Verdict::None, Reason::ErrorResponse);
        answer.extend_from_slice(tags.lines().as_bytes());
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&text);
    answer.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_served_is_told_in_a_whole_response() {
        for status in [400, 414, 431, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = String::from_utf8(unserved(status).to_vec()).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{head}"
            );
            let length = format!("content-length: {}\r\n", body.len());
            assert!(head.contains(&length), "{head}");
            assert!(
                head.contains(&format!("{}: c_", crate::tags::CALL_HEADER)),
                "{head}"
            );
            assert!(head.contains("connection: close"), "{head}");
            assert!(body.contains("help: "), "{body}");
        }
    }
}
