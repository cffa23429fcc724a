//! The WebSocket (RFC 6455): who asks for one, the answer that opens it, and the session on it. Knows nothing of
//! what is said there.

mod frames;
mod lanes;
mod realtime;

use std::pin::pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use ring::digest;
use tokio::sync::mpsc;

use crate::body::{AnswerBody, Reset};
use crate::errors::ApiError;
use crate::ids::Ids;
use crate::world::{Identity, World};
use frames::{Ended, Reader, Said};

/// What RFC 6455 has a server add to the client's key.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How a browser, which can set no header, names its key.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// Messages on their way to a client that does not read them.
const MOST_MESSAGES_WAITING: usize = 1;

/// What a client is sent.
#[derive(Debug)]
enum Outgoing {
    Text(String),
    Pong(Bytes),
    /// A close frame with this status, then the end.
    Close(u16),
    /// The end without a close frame.
    Cut,
    /// The end as a connection reset.
    Reset,
}

type Out = mpsc::Sender<Outgoing>;

/// The client is gone, or was told goodbye.
#[derive(Debug)]
struct Over;

async fn say(out: &Out, message: String) -> Result<(), Over> {
    out.send(Outgoing::Text(message)).await.map_err(|_| Over)
}

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Responses,
    Realtime,
}

impl Kind {
    fn of(method: &Method, uri: &Uri) -> Option<Self> {
        match (method, uri.path()) {
            (&Method::GET, "/v1/responses") => Some(Self::Responses),
            (&Method::GET, "/v1/realtime" | "/v1/realtime/translations") => Some(Self::Realtime),
            _ => None,
        }
    }
}

/// A request for a WebSocket, and the connection it will have.
#[derive(Debug)]
pub(crate) struct Asked {
    kind: Kind,
    accept: HeaderValue,
    upgrading: OnUpgrade,
}

/// The WebSocket a request asks for, if it asks for one that is served here.
pub(crate) fn asked<B>(request: &mut Request<B>) -> Option<Asked> {
    let kind = Kind::of(request.method(), request.uri())?;
    let headers = request.headers();
    let upgrade = headers.get(UPGRADE)?.to_str().ok()?;
    if !upgrade.eq_ignore_ascii_case("websocket") {
        return None;
    }
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    let text = format!("{key}{ACCEPT_SUFFIX}");
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    Some(Asked {
        kind,
        accept: HeaderValue::try_from(STANDARD.encode(hash)).ok()?,
        upgrading: hyper::upgrade::on(request),
    })
}

/// The key that a browser names among the protocols it offers.
pub(crate) fn key_of_protocols(headers: &HeaderMap) -> Option<&str> {
    let protocols = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let mut protocols = protocols.split(',').map(str::trim);
    protocols.find_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL))
}

/// An accepted WebSocket, to be run once its connection is free.
#[derive(Debug)]
pub(crate) struct Session {
    world: Arc<World>,
    identity: Arc<Identity>,
    reset: Reset,
    kind: Kind,
    model: Option<String>,
    upgrading: OnUpgrade,
}

impl Asked {
    /// Makes the answer that opens the WebSocket, with OpenAI's headers, and the session on it.
    ///
    /// # Errors
    /// A realtime session that names no model.
    pub(crate) fn accept(
        self,
        world: &Arc<World>,
        identity: &Arc<Identity>,
        reset: Reset,
        uri: &Uri,
        request: &HeaderMap,
        mut headers: HeaderMap,
    ) -> Result<(Response<AnswerBody>, Session), ApiError> {
        let mut pairs = uri.query().unwrap_or_default().split('&');
        let model = pairs.find_map(|pair| pair.strip_prefix("model="));
        if matches!(self.kind, Kind::Realtime) && model.is_none() {
            return Err(ApiError::missing("model"));
        }
        headers.remove(CONTENT_TYPE);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        let protocols = request.get(SEC_WEBSOCKET_PROTOCOL);
        let protocols = protocols.and_then(|protocols| protocols.to_str().ok());
        if protocols
            .is_some_and(|protocols| protocols.split(',').any(|one| one.trim() == "realtime"))
        {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("realtime"));
        }
        let mut response = Response::new(AnswerBody::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        let session = Session {
            world: Arc::clone(world),
            identity: Arc::clone(identity),
            reset,
            kind: self.kind,
            model: model.map(str::to_owned),
            upgrading: self.upgrading,
        };
        Ok((response, session))
    }
}

impl Session {
    /// Talks until either side ends it.
    pub(crate) async fn run(self) {
        let Self {
            world,
            identity,
            reset,
            kind,
            model,
            upgrading,
        } = self;
        let Ok(upgraded) = upgrading.await else {
            return;
        };
        let (reading, writing) = tokio::io::split(TokioIo::new(upgraded));
        let (out, outgoing) = mpsc::channel(MOST_MESSAGES_WAITING);
        let mut speaker = Speaker {
            world,
            identity,
            reset: reset.clone(),
            out,
        };
        let listening = async {
            let mut said = Reader::new(reading);
            match kind {
                Kind::Responses => lanes::run(&mut speaker, &mut said).await,
                Kind::Realtime => realtime::run(&speaker, &mut said, model).await,
            }
        };
        let mut listening = pin!(listening);
        tokio::select! {
            ended = frames::write_all(writing, outgoing, &reset) => {
                // A client that is gone is heard to its end: what was under way is billed.
                if ended == Ended::ClientGone {
                    listening.await;
                }
            }
            () = &mut listening => {}
        }
    }
}

/// Who speaks on a session, and how its client is answered.
#[derive(Debug, Clone)]
struct Speaker {
    world: Arc<World>,
    identity: Arc<Identity>,
    reset: Reset,
    out: Out,
}

impl Speaker {
    /// A call of its own for what a message asks for.
    fn call(&self, path: &str, message: &str) -> crate::call::Call {
        let number = self.world.next_request();
        let ids = Ids::new(self.world.call_seed(path, message.as_bytes(), number));
        crate::call::Call {
            world: Arc::clone(&self.world),
            identity: Arc::clone(&self.identity),
            reset: self.reset.clone(),
            request_id: format!("req_{}", ids.part(1).hex(32)),
            ids,
            number,
        }
    }

    /// The client's next message that is JSON text. Pings are answered; `None` once it said goodbye or is gone.
    async fn hear<R: tokio::io::AsyncRead + Unpin>(&self, said: &mut Reader<R>) -> Option<String> {
        loop {
            let (last, then) = match said.next().await {
                Said::Text(text) => return Some(text),
                Said::Ping(payload) => (Outgoing::Pong(payload), true),
                Said::Pong => continue,
                Said::Close(status) => (Outgoing::Close(status), false),
                Said::Gone => return None,
            };
            if self.out.send(last).await.is_err() {
                return None;
            }
            if !then {
                // The writer ends the session once this has left.
                self.out.closed().await;
                return None;
            }
        }
    }
}
