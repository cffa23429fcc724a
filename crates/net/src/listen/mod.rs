//! The listener: takes connections, up to a limit, until its drain begins. It must not know what they carry.

mod answers;
mod calls;
mod client_body;
mod client_connection;
mod connection;
mod drain;
mod first_bytes;
mod identity;
mod room;
mod streams;
mod watch;
mod watched;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::error::{BoxedError, Break, ListenError};
use crate::http1::request_head::Limits;
use crate::transport;
use answers::Tasks;
use calls::Rules;
pub use client_body::ClientBody;
use connection::{End, Protocols};
pub use connection::{PastLimit, Peer};
pub use drain::{Drain, DrainHandle};
pub use identity::{Identity, Renewal, TlsIdentity};
use room::Room;
use watch::{Overdue, Patience, Watch};

/// After an error of accept that lasts (out of file descriptors), the listener waits this long before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections over the limit that are told so at the same time; further ones are closed without a word.
pub const MOST_REFUSALS: usize = 1024;
/// So often it is said at most that accepting fails.
const SAID_EACH: Duration = Duration::from_mins(1);
/// How long telling one client of the limit may take.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// After the cut, how long connections may take to drop their calls before [`Listener::serve`] returns all the same.
const CUT_TIME: Duration = Duration::from_secs(1);
/// Streams one HTTP/2 connection may have open.
const MOST_STREAMS: u32 = 100;
/// Bytes one HTTP/2 stream may send before they are read, and the same for what is to be sent to the client.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Bytes all streams of one HTTP/2 connection may send before they are read.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// An HTTP/2 client is asked for a sign of life this often, and has this long to give it.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// The smallest limit of a head: a key, a few cookies.
const LEAST_HEAD_BYTES: usize = 8 * 1024;

/// Writes what a client is told whose head is no request (400, 414, 431), or that is one too many (503): a whole
/// HTTP/1.1 response, after which its connection is closed.
pub type RefusalAnswer = fn(StatusCode) -> Bytes;

/// A refusal that says no more than it must.
fn bare_refusal(status: StatusCode) -> Bytes {
    let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    Bytes::from(answer)
}

/// Settings of a [`Listener`]. [`ListenSettings::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct ListenSettings {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Speak TLS with this identity. Default: plain.
    pub tls: Option<TlsIdentity>,
    /// Connections open at the same time. Default 10,000.
    pub most_connections: usize,
    /// Clients over that limit that are told so at the same time; each has a descriptor meanwhile. Default 1,024.
    pub most_refusals: usize,
    /// How long a TLS handshake may take. Default 10 s.
    pub tls_handshake: Duration,
    /// How long a request head may take, from its first byte; the first one from accept. Default 15 s.
    pub head_timeout: Duration,
    /// How long a connection may stay open between two calls. Default 75 s.
    pub idle_timeout: Duration,
    /// How long a client may refuse to take a single byte of its answer. Default 60 s.
    pub write_stall: Duration,
    /// How long a client may send not a single byte of a request's body that is waited for. Default 60 s.
    pub read_stall: Duration,
    /// Bytes of a request head; more are answered 431. Default 64 KiB, at least 8 KiB.
    pub most_head_bytes: usize,
    /// Headers of a request; more are answered 431. Default 100.
    pub most_headers: usize,
    /// What a client is told that is not served. Default: the status alone.
    pub refusal: RefusalAnswer,
}

impl ListenSettings {
    /// The defaults, on `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            most_connections: 10_000,
            most_refusals: MOST_REFUSALS,
            tls_handshake: Duration::from_secs(10),
            head_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            write_stall: Duration::from_mins(1),
            read_stall: Duration::from_mins(1),
            most_head_bytes: 64 * 1024,
            most_headers: 100,
            refusal: bare_refusal,
        }
    }
}

/// What a listener has met, as counts since its start.
#[derive(Debug, Default)]
pub struct ListenFigures {
    accepted: AtomicU64,
    over_limit: AtomicU64,
    failed_tls: AtomicU64,
    spoke_tls: AtomicU64,
    slow_heads: AtomicU64,
    idle: AtomicU64,
    stalled_writes: AtomicU64,
    pub(crate) stalled_reads: AtomicU64,
    accept_errors: AtomicU64,
    pub(crate) cut: AtomicU64,
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])* #[must_use] pub fn $name(&self) -> u64 { self.$name.load(Ordering::Relaxed) })*
    };
}

impl ListenFigures {
    counts! {
        /// Connections served.
        accepted,
        /// Connections closed because the limit of connections was reached.
        over_limit,
        /// TLS handshakes that failed or took too long.
        failed_tls,
        /// Connections closed because the client spoke TLS where none is spoken.
        spoke_tls,
        /// Connections closed because a request head took too long.
        slow_heads,
        /// Connections closed because no call came for too long.
        idle,
        /// Answers of which the client took no byte for too long; over HTTP/1.1 their connections are closed.
        stalled_writes,
        /// Requests of whose body nothing came for too long; over HTTP/1.1 their connections are closed.
        stalled_reads,
        /// Errors of accept that made the listener pause, such as too many open files.
        accept_errors,
        /// Connections that the drain cut.
        cut,
    }
}

/// A bound port. Nothing is accepted before [`Listener::serve`].
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    tls: Option<Renewal>,
    settings: ListenSettings,
    figures: Arc<ListenFigures>,
}

impl Listener {
    /// Reads the certificate, if any, and binds the port.
    ///
    /// # Errors
    /// Address in use, no permission, a certificate or key that cannot be used: each its own variant.
    pub async fn bind(settings: ListenSettings) -> Result<Self, ListenError> {
        let tls = settings.tls.as_ref().map(TlsIdentity::read).transpose()?;
        let tls = tls.map(Renewal::showing);
        let address = settings.address;
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::AddressInUse { address, source },
            io::ErrorKind::PermissionDenied => ListenError::NoPermission { address, source },
            _ => ListenError::Bind { address, source },
        };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        // Each connection inherits it.
        SockRef::from(&socket)
            .set_tcp_keepalive(&transport::keepalive())
            .map_err(refused)?;
        let local = socket.local_addr().map_err(refused)?;
        Ok(Self {
            socket,
            local,
            tls,
            settings,
            figures: Arc::default(),
        })
    }

    /// The address bound, with the port taken if port 0 was asked for.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Shows clients another identity while it serves; `None` where it speaks no TLS.
    #[must_use]
    pub fn renewal(&self) -> Option<Renewal> {
        self.tls.clone()
    }

    /// The counts of this listener; they go on while it serves.
    #[must_use]
    pub fn figures(&self) -> Arc<ListenFigures> {
        Arc::clone(&self.figures)
    }

    /// Accepts until `drain` closes it, then lets open calls finish, until they have or `drain` cuts them.
    ///
    /// Each connection is served HTTP/1.1 or HTTP/2, whichever the client speaks first. No `date` is added. A client
    /// that closes its side has left: its call's future, or the body of its answer, is dropped at once.
    pub async fn serve<S, F, B>(self, service: S, drain: Drain)
    where
        S: Fn(Request<ClientBody>, Peer) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
    {
        let Self {
            socket,
            local,
            tls,
            settings,
            figures,
        } = self;
        let room = Room::new(settings.most_connections);
        let protocols = protocols(&settings, &room);
        let most = u32::try_from(settings.most_connections).unwrap_or(u32::MAX);
        let places = Arc::new(Semaphore::new(most as usize));
        let refusals = Arc::new(Semaphore::new(settings.most_refusals));
        let mut failing = Failing::default();
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = drain.closing() => break,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    failing.pause_after(&error, &figures).await;
                    continue;
                }
            };
            // Without it a small answer may wait for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            let tls = tls
                .as_ref()
                .map(|shown| (shown.acceptor(), Instant::now() + settings.tls_handshake));
            let permit = Arc::clone(&places).try_acquire_owned().ok();
            let Some(place) = permit.zip(room.take()) else {
                figures.over_limit.fetch_add(1, Ordering::Relaxed);
                if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                    let answer = (settings.refusal)(StatusCode::SERVICE_UNAVAILABLE);
                    tokio::spawn(turn_away(stream, tls, answer, permit));
                }
                continue;
            };
            figures.accepted.fetch_add(1, Ordering::Relaxed);
            // The listener may be on all addresses: only the connection knows on which it came.
            let came_to = stream.local_addr().unwrap_or(local);
            let peer = Peer::new(
                (address, came_to),
                place,
                drain.clone(),
                Arc::clone(&figures),
                settings.write_stall,
            );
            let watch = Arc::new(Watch::new(patience(&settings)));
            let (figures, protocols, service) =
                (Arc::clone(&figures), protocols.clone(), service.clone());
            tokio::spawn(async move {
                // Made in here: a future that is handed in is carried twice.
                let end = connection::serve(stream, tls, protocols, watch, peer, service).await;
                record(&end, address, local, &figures);
            });
        }
        drop(socket);
        let cut = async {
            drain.cut().await;
            sleep(CUT_TIME).await;
        };
        tokio::select! {
            _ = places.acquire_many(most) => {}
            () = cut => {}
        }
    }
}

/// How long each connection may keep us waiting.
fn patience(settings: &ListenSettings) -> Patience {
    Patience {
        head: settings.head_timeout,
        idle: settings.idle_timeout,
        write: settings.write_stall,
        read: settings.read_stall,
    }
}

/// The settings of HTTP for all connections.
fn protocols(settings: &ListenSettings, room: &Arc<Room>) -> Protocols {
    let most_head_bytes = settings.most_head_bytes.max(LEAST_HEAD_BYTES);
    let mut http2 = http2::Builder::new(Tasks);
    http2
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_WINDOW as usize)
        .max_header_list_size(u32::try_from(most_head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    let limits = Limits {
        bytes: most_head_bytes,
        headers: settings.most_headers,
    };
    let http1 = Rules {
        limits,
        refusal: settings.refusal,
    };
    Protocols {
        http1,
        http2,
        room: Arc::clone(room),
    }
}

/// Accepting fails.
#[derive(Default)]
struct Failing {
    /// When that was last said.
    said: Option<Instant>,
}

impl Failing {
    /// A client that left between its knock and our answer costs nothing; anything else (no file descriptors, no memory)
    /// does not go away by trying at once, and is said once a minute.
    async fn pause_after(&mut self, error: &io::Error, figures: &ListenFigures) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(
            error.kind(),
            ConnectionAborted | ConnectionRefused | ConnectionReset
        ) {
            return;
        }
        figures.accept_errors.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        if self.said.is_none_or(|said| now - said >= SAID_EACH) {
            self.said = Some(now);
            tracing::warn!(%error, "cannot accept connections");
        }
        sleep(ACCEPT_PAUSE).await;
    }
}

/// Refuses a connection over the limit, as long as its own permit lasts.
async fn turn_away(
    stream: TcpStream,
    tls: Option<(TlsAcceptor, Instant)>,
    answer: Bytes,
    _permit: OwnedSemaphorePermit,
) {
    // It is told or not; either way it is gone.
    let _ = timeout(REFUSAL_TIME, refuse(stream, tls, answer)).await;
}

/// Tells a connection over the limit so, and reads what it sends until it has read us: closing a socket with unread
/// bytes would reset it, and the answer with it.
async fn refuse(
    stream: TcpStream,
    tls: Option<(TlsAcceptor, Instant)>,
    answer: Bytes,
) -> io::Result<()> {
    async fn tell(
        mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        answer: Bytes,
    ) -> io::Result<()> {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        Ok(())
    }
    match tls {
        None => tell(stream, answer).await,
        Some((acceptor, _)) => tell(acceptor.accept(stream).await?, answer).await,
    }
}

/// Counts and logs how a connection ended.
fn record(end: &End, client: SocketAddr, local: SocketAddr, figures: &ListenFigures) {
    let count = match end {
        End::Overdue(Overdue::Head) => Some(&figures.slow_heads),
        End::Overdue(Overdue::Write) => Some(&figures.stalled_writes),
        End::Http(Err(Break::Stalled)) => Some(&figures.stalled_reads),
        End::Tls(_) => Some(&figures.failed_tls),
        End::SpokeTls => Some(&figures.spoke_tls),
        End::Overdue(Overdue::Idle) => Some(&figures.idle),
        End::Http(_) | End::Silent(_) | End::Drained => None,
    };
    let before = count.map(|count| count.fetch_add(1, Ordering::Relaxed));
    if let (End::SpokeTls, Some(0)) = (end, before) {
        let port = local.port();
        tracing::warn!("a client spoke TLS to http port {port}. help: use http://");
    }
    tracing::debug!(%client, %end, "connection ended");
}
