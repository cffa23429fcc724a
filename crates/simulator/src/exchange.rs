//! One request and its answer: reads the body (bounded), finds out who asks, chooses the endpoint, and
//! puts OpenAI's headers on what the endpoint says. Knows nothing of what an endpoint answers.

use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::body::{AnswerBody, Reset};
use crate::call::Call;
use crate::errors::{ApiError, Origin};
use crate::headers::{self, Facts};
use crate::ids::Ids;
use crate::routes;
use crate::socket::{self, Session};
use crate::world::{Identity, World};

/// The largest request body, encoded and decoded.
const MOST_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The header by which a test fixes the ids of an answer.
const FIXED_ID: &str = "x-simulator-id";

/// What an endpoint answers.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) body: ReplyBody,
    /// Tokens that the rate limit counts; `None` on endpoints without one.
    pub(crate) limited_tokens: Option<u64>,
    /// The model, on the endpoints that still name it in a header.
    pub(crate) model: Option<String>,
}

/// A whole JSON answer or a stream.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    Json(String),
    /// JSON that is cut short.
    BrokenJson(AnswerBody),
    Events(AnswerBody),
}

impl Reply {
    pub(crate) fn json(body: String) -> Self {
        Self {
            body: ReplyBody::Json(body),
            limited_tokens: None,
            model: None,
        }
    }

    pub(crate) fn limited(mut self, tokens: u64) -> Self {
        self.limited_tokens = Some(tokens);
        self
    }
}

/// Answers one request.
pub(crate) async fn answer(
    world: &Arc<World>,
    reset: Reset,
    sessions: &mpsc::Sender<Session>,
    mut request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    if request.method() == Method::OPTIONS {
        return Ok(preflight(request.headers()));
    }
    let started_ms = world.now_ms();
    let socket = socket::asked(&mut request);
    let (parts, body) = request.into_parts();
    let read = read_body(&parts.headers, body).await;
    let bytes = read.as_ref().map_or(&[][..], Vec::as_slice);
    let fixed = parts.headers.get(FIXED_ID);
    let number = fixed
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or_else(|| world.next_request());
    let json = serde_json::from_slice::<Value>(bytes).ok();
    let ids =
        Ids::new(world.call_seed(parts.uri.path(), &what_counts(bytes, json.as_ref()), number));
    let request_id = format!("req_{}", ids.part(1).hex(32));
    let frame = Frame {
        world,
        ids: &ids,
        request_id: &request_id,
        started_ms,
    };
    let identity = match identify(world, &parts.headers) {
        Ok(identity) => identity,
        Err(error) => return Ok(frame.error(None, &error)),
    };
    if let Some(asked) = socket {
        let headers = headers::of(&frame.facts(Some(&identity)), &ids);
        let accepted = asked.accept(world, &identity, reset, &parts.uri, &parts.headers, headers);
        return Ok(match accepted {
            Ok((response, session)) => {
                // The one place is free: a connection is upgraded once.
                let _ = sessions.try_send(session);
                response
            }
            Err(error) => frame.error(Some(&identity), &error),
        });
    }
    let call = Call {
        world: Arc::clone(world),
        identity: Arc::clone(&identity),
        reset,
        ids: ids.clone(),
        number,
        request_id: request_id.clone(),
    };
    let reply = match read {
        Err(error) => Err(error),
        Ok(_) => routes::answer(call, &parts.method, &parts.uri, json).await,
    };
    Ok(match reply {
        Ok(reply) => frame.reply(&identity, &parts.headers, reply),
        Err(error) => frame.error(Some(&identity), &error),
    })
}

/// The body as ids depend on it: without `stream_options`, so that a stream asked for usage and one
/// that is not are the same call.
fn what_counts(bytes: &[u8], json: Option<&Value>) -> Vec<u8> {
    let Some(Value::Object(members)) = json else {
        return bytes.to_vec();
    };
    let mut members = members.clone();
    members.remove("stream_options");
    Value::Object(members).to_string().into_bytes()
}

async fn read_body(headers: &HeaderMap, body: Incoming) -> Result<Vec<u8>, ApiError> {
    let collected = Limited::new(body, MOST_BODY_BYTES).collect().await;
    let bytes = collected
        .map_err(|_| ApiError::too_large(MOST_BODY_BYTES))?
        .to_bytes();
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    match encoding {
        None | Some(b"identity") => Ok(bytes.to_vec()),
        Some(b"gzip") => decoded(MultiGzDecoder::new(&bytes[..])),
        Some(b"zstd") => decoded(zstd::Decoder::new(&bytes[..]).map_err(|_| ApiError::not_json())?),
        Some(_) => Err(ApiError::not_json()),
    }
}

fn decoded(encoded: impl io::Read) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    encoded
        .take(MOST_BODY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| ApiError::not_json())?;
    if bytes.len() > MOST_BODY_BYTES {
        return Err(ApiError::too_large(MOST_BODY_BYTES));
    }
    Ok(bytes)
}

fn identify(world: &World, headers: &HeaderMap) -> Result<Arc<Identity>, ApiError> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let key = text(AUTHORIZATION.as_str())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim())
        .or_else(|| socket::key_of_protocols(headers))
        .filter(|key| !key.is_empty())
        .ok_or_else(ApiError::no_key)?;
    let identity = world
        .identity(key)
        .ok_or_else(|| ApiError::wrong_key(key))?;
    let organization = text("openai-organization").filter(|id| !id.is_empty());
    if organization.is_some_and(|id| id != identity.organization_id && id != identity.organization)
    {
        return Err(ApiError::mismatched_organization());
    }
    let project = text("openai-project").filter(|id| !id.is_empty());
    if project.is_some_and(|id| id != identity.project) {
        return Err(ApiError::mismatched_project());
    }
    Ok(identity)
}

/// The answer to a browser that asks whether it may ask.
fn preflight(headers: &HeaderMap) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::empty());
    let map = response.headers_mut();
    let asked = headers.get("access-control-request-headers").cloned();
    map.insert(
        "access-control-allow-headers",
        asked.unwrap_or(HeaderValue::from_static("*")),
    );
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, OPTIONS, POST, DELETE"),
        ("access-control-max-age", "600"),
    ] {
        map.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the client takes gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).into_iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        named && !refused
    })
}

/// What every answer to one request has in common.
struct Frame<'a> {
    world: &'a World,
    ids: &'a Ids,
    request_id: &'a str,
    started_ms: i64,
}

impl Frame<'_> {
    fn facts<'a>(&'a self, identity: Option<&'a Identity>) -> Facts<'a> {
        let now_ms = self.world.now_ms();
        Facts {
            identity,
            origin: Origin::Api,
            request_id: self.request_id,
            content_type: headers::JSON,
            now_ms,
            processing_ms: u64::try_from(now_ms - self.started_ms).unwrap_or(0).max(1),
            limited_tokens: None,
            model: None,
        }
    }

    fn reply(
        &self,
        identity: &Identity,
        request: &HeaderMap,
        reply: Reply,
    ) -> Response<AnswerBody> {
        let mut facts = self.facts(Some(identity));
        facts.limited_tokens = reply.limited_tokens;
        facts.model = reply.model.as_deref();
        let (mut encoded, body) = (false, reply.body);
        let body = match body {
            ReplyBody::Json(text) if takes_gzip(request) => match gzip(&text) {
                Some(bytes) => {
                    encoded = true;
                    AnswerBody::Chunked(Some(bytes))
                }
                None => AnswerBody::Chunked(Some(text.into())),
            },
            ReplyBody::Json(text) => AnswerBody::Chunked(Some(text.into())),
            ReplyBody::BrokenJson(body) => body,
            ReplyBody::Events(body) => {
                facts.content_type = headers::EVENT_STREAM;
                body
            }
        };
        let mut response = Response::new(body);
        *response.headers_mut() = headers::of(&facts, self.ids);
        if encoded {
            let map = response.headers_mut();
            map.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn error(&self, identity: Option<&Identity>, error: &ApiError) -> Response<AnswerBody> {
        let mut facts = self.facts(identity);
        facts.origin = error.origin;
        if error.origin == Origin::Cloudflare {
            facts.content_type = headers::HTML;
        }
        let body = AnswerBody::Sized(Some(error.body().into()));
        let mut response = Response::new(body);
        *response.status_mut() = error.status;
        *response.headers_mut() = headers::of(&facts, self.ids);
        let map = response.headers_mut();
        if error.origin == Origin::Edge {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            map.insert(CONTENT_TYPE, json);
        }
        if error.status == StatusCode::TOO_MANY_REQUESTS {
            map.insert("retry-after", HeaderValue::from_static("1"));
            map.insert("retry-after-ms", HeaderValue::from_static("20"));
        }
        response
    }
}

fn gzip(text: &str) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).ok()?;
    Some(encoder.finish().ok()?.into())
}
