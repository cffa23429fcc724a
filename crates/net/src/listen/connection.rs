//! One client's connection, from accept to close: TLS, version, HTTP, deadlines, drain. It must not know what a call is.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::answers::{Answers, Tasks};
use super::calls::{self, Rules};
use super::client_body::ClientBody;
use super::drain::Drain;
use super::first_bytes::{First, Version};
use super::room::{Room, Taken};
use super::streams;
use super::watch::{Deadline, Overdue, Watch};
use super::watched::Watched;
use crate::connect::origins::{Ends, Found};
use crate::error::{BoxedError, Break};
use crate::listen::{ListenFigures, RefusalAnswer};
use crate::transport::Transport;

/// The client of a call. Clones are cheap.
///
/// A client's connection counts against the listener's limit, and holds up its drain, as long as a clone of its `Peer`
/// lives. An upgraded connection therefore keeps its `Peer`; it also has to end at [`Peer::cut`], and where nothing is
/// taken for [`Peer::write_stall`], because after the upgrade nobody else ends it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where the client comes from.
    pub address: SocketAddr,
    /// Where it came to.
    local: SocketAddr,
    slot: Arc<Slot>,
}

/// A taken slot among the listener's connections.
#[derive(Debug)]
struct Slot {
    _permit: OwnedSemaphorePermit,
    _place: Taken,
    drain: Drain,
    figures: Arc<ListenFigures>,
    write_stall: Duration,
    found: Found,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.drain.is_cut() {
            self.figures.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Peer {
    pub(crate) fn new(
        (address, local): (SocketAddr, SocketAddr),
        (permit, place): (OwnedSemaphorePermit, Taken),
        drain: Drain,
        figures: Arc<ListenFigures>,
        write_stall: Duration,
    ) -> Self {
        Self {
            address,
            local,
            slot: Arc::new(Slot {
                _permit: permit,
                _place: place,
                drain,
                figures,
                write_stall,
                found: Found::default(),
            }),
        }
    }

    /// Both ends of its connection.
    pub(crate) fn ends(&self) -> Ends {
        Ends::new(self.address, self.local)
    }

    /// Whether it is ourselves, as far as that was asked.
    pub(crate) fn found(&self) -> &Found {
        &self.slot.found
    }

    /// Waits until no more connections are taken and idle ones are closed.
    pub async fn closing(&self) {
        self.slot.drain.closing().await;
    }

    /// How long its connection may take not a single byte of what it is told.
    #[must_use]
    pub fn write_stall(&self) -> Duration {
        self.slot.write_stall
    }

    /// Counts that its upgraded connection took no bytes for longer than the write stall allows.
    pub fn has_stalled(&self) {
        let stalled = &self.slot.figures.stalled_writes;
        stalled.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until open calls are cut.
    pub async fn cut(&self) {
        self.slot.drain.cut().await;
    }
}

/// The settings of HTTP that all connections of a listener share.
#[derive(Clone)]
pub(crate) struct Protocols {
    pub(crate) http1: Rules,
    pub(crate) http2: http2::Builder<Tasks>,
    /// Requests over HTTP/2 take of it, too: each may need a connection to upstream.
    pub(crate) room: Arc<Room>,
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// As HTTP has it, or with an error of HTTP.
    Http(Result<(), Break>),
    /// The client kept us waiting.
    Overdue(Overdue),
    /// The TLS handshake failed or took too long.
    Tls(io::Error),
    /// The client left before it said anything.
    Silent(io::Error),
    /// The client spoke TLS to a listener that does not.
    SpokeTls,
    /// The drain ended it.
    Drained,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(Ok(())) => f.write_str("closed"),
            Self::Http(Err(error)) => write!(f, "{error}"),
            Self::Overdue(Overdue::Head) => f.write_str("the request head took too long"),
            Self::Overdue(Overdue::Idle) => f.write_str("idle for too long"),
            Self::Overdue(Overdue::Write) => f.write_str("the client took no byte for too long"),
            Self::Tls(error) => write!(f, "TLS handshake: {error}"),
            Self::Silent(error) => write!(f, "before the first byte: {error}"),
            Self::SpokeTls => f.write_str("the client spoke TLS"),
            Self::Drained => f.write_str("drained"),
        }
    }
}

/// An extension of a request over HTTP/2 that is past a limit of the listener: who answers it is to refuse it. Over
/// HTTP/1.1 such a request is not read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastLimit {
    /// It has more header lines than are taken.
    Headers,
    /// It is over HTTP/2, and there are as many connections and such requests as may be open at once.
    Requests,
}

/// Serves one connection to its end.
pub(crate) async fn serve<S, F, B>(
    stream: TcpStream,
    tls: Option<(TlsAcceptor, Instant)>,
    protocols: Protocols,
    watch: Arc<Watch>,
    peer: Peer,
    service: S,
) -> End
where
    S: Fn(Request<ClientBody>, Peer) -> F,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
{
    let drain = peer.slot.drain.clone();
    // The answer's body may outlive the service: the slot is held until both are gone, or a drain would be over while a
    // call still ends.
    let _place = peer.clone();
    let opened = tokio::select! {
        opened = open(stream, tls, protocols.http1.refusal, &watch) => opened,
        () = drain.closing() => return End::Drained,
    };
    let (io, version) = match opened {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    match version {
        Version::Http1 => {
            let closing = AtomicBool::new(false);
            let call = move |request| service(request, peer.clone());
            let connection = pin!(calls::serve(io, protocols.http1, &watch, &closing, call));
            let close = |_: Pin<&mut _>| closing.store(true, Ordering::Relaxed);
            let check = |now| watch.check(now);
            drive(connection, close, check, &watch, &drain).await
        }
        Version::Http2 => {
            watch.awaiting_request();
            let figures = Arc::clone(&peer.slot.figures);
            let answers = Arc::new(Answers::new(watch.write_patience(), figures));
            let (asked, answered) = (Arc::clone(&watch), Arc::clone(&answers));
            let most_headers = protocols.http1.limits.headers;
            let room = Arc::clone(&protocols.room);
            // The first one has the place of the connection.
            let own = Room::new(1);
            let call = move |mut request: Request<Incoming>| {
                let place = own.take().or_else(|| room.take());
                if request.headers().len() > most_headers {
                    request.extensions_mut().insert(PastLimit::Headers);
                } else if place.is_none() {
                    request.extensions_mut().insert(PastLimit::Requests);
                }
                let (request, open) = streams::opened(request, place, &asked, &answered);
                service(request, peer.clone()).map(|answer| open.until(answer))
            };
            let io = TokioIo::new(io);
            // Boxed, because most connections speak the other version and would carry its room.
            let mut connection = Box::pin(protocols.http2.serve_connection(io, service_fn(call)));
            let close = http2::Connection::graceful_shutdown;
            let check = |now| watch.check(now).or_else(|| answers.check(now));
            drive(connection.as_mut(), close, check, &watch, &drain).await
        }
    }
}

/// TLS if configured, then the first bytes, which say the version.
async fn open(
    stream: TcpStream,
    tls: Option<(TlsAcceptor, Instant)>,
    refusal: RefusalAnswer,
    watch: &Arc<Watch>,
) -> Result<(Watched, Version), End> {
    let mut transport = match tls {
        None => Transport::Plain(stream),
        Some((acceptor, due)) => {
            match tokio::time::timeout_at(due, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => Transport::Tls(Box::new(stream.into())),
                Ok(Err(error)) => return Err(End::Tls(error)),
                Err(_) => return Err(End::Tls(io::ErrorKind::TimedOut.into())),
            }
        }
    };
    let is_plain = matches!(transport, Transport::Plain(_));
    let mut first = First::default();
    match tokio::time::timeout_at(watch.first_head_due(), first.read(&mut transport)).await {
        Ok(Ok(_)) if is_plain && first.is_tls() => {
            // Its TLS library makes "wrong version number" of it, which people know.
            let _ = transport.write_all(&refusal(StatusCode::BAD_REQUEST)).await;
            Err(End::SpokeTls)
        }
        Ok(Ok(version)) => {
            let io = Watched::new(transport, first, Arc::clone(watch));
            Ok((io, version))
        }
        Ok(Err(error)) => Err(End::Silent(error)),
        Err(_) => Err(End::Overdue(Overdue::Head)),
    }
}

/// Runs a connection until it ends, its client keeps it waiting too long, or it is cut.
async fn drive<C, E>(
    mut connection: Pin<&mut C>,
    close: impl Fn(Pin<&mut C>),
    check: impl Fn(Instant) -> Deadline,
    watch: &Watch,
    drain: &Drain,
) -> End
where
    C: Future<Output = Result<(), E>>,
    Break: From<E>,
{
    let mut look = pin!(tokio::time::sleep_until(watch.first_look()));
    let mut closing = pin!(drain.closing());
    let mut cut = pin!(drain.cut());
    let (mut listening, mut closed, mut was_idle) = (false, false, false);
    poll_fn(|cx| {
        // Timer and drain are polled once, which leaves our waker with them, and then only when they have something
        // to say: to a call they cost two atomic loads.
        if !listening || look.is_elapsed() {
            while look.as_mut().poll(cx).is_ready() {
                let now = Instant::now();
                match check(now) {
                    // Whoever asks at this moment is not to lose its call.
                    Deadline::Overdue(Overdue::Idle) if !closed => {
                        (closed, was_idle) = (true, true);
                        close(connection.as_mut());
                        look.as_mut().reset(watch.gone_by(now));
                    }
                    Deadline::Overdue(what) => return Poll::Ready(End::Overdue(what)),
                    Deadline::LookAgain(at) => look.as_mut().reset(at),
                }
            }
        }
        if !listening || drain.has_moved() {
            if cut.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Drained);
            }
            if !closed && closing.as_mut().poll(cx).is_ready() {
                closed = true;
                close(connection.as_mut());
            }
        }
        listening = true;
        let ended = connection.as_mut().poll(cx);
        ended.map(|end| match end {
            Ok(()) if was_idle => End::Overdue(Overdue::Idle),
            end => End::Http(end.map_err(Break::from)),
        })
    })
    .await
}
