//! One client's connection, from accept to close: TLS, version, HTTP, deadlines, drain. It must not know what a call is.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

use crate::drain::Drain;
use crate::error::BoxedError;
use crate::listen::ListenFigures;
use crate::transport::Transport;
use crate::watch::{HeadNotice, Judgement, Overdue, Watch};

/// The client of a call. Clones are cheap.
///
/// A client's connection counts against the listener's limit, and holds up its drain, as long as a clone of its `Peer`
/// lives. An upgraded connection therefore keeps its `Peer`; it also has to end at [`Peer::cut`], because after the
/// upgrade nobody else ends it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where the client comes from.
    pub address: SocketAddr,
    place: Arc<Place>,
}

/// A taken place among the listener's connections.
#[derive(Debug)]
struct Place {
    _permit: OwnedSemaphorePermit,
    drain: Drain,
    figures: Arc<ListenFigures>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.drain.is_cut() {
            self.figures.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Peer {
    pub(crate) fn new(
        address: SocketAddr,
        permit: OwnedSemaphorePermit,
        drain: Drain,
        figures: Arc<ListenFigures>,
    ) -> Self {
        Self {
            address,
            place: Arc::new(Place {
                _permit: permit,
                drain,
                figures,
            }),
        }
    }

    /// Waits until open calls are cut.
    pub async fn cut(&self) {
        self.place.drain.cut().await;
    }
}

/// The settings of HTTP that all connections of a listener share.
#[derive(Clone)]
pub(crate) struct Protocols {
    pub(crate) http1: http1::Builder,
    pub(crate) http2: http2::Builder<TokioExecutor>,
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// As HTTP has it, or with an error of HTTP.
    Http(hyper::Result<()>),
    /// The client kept us waiting.
    Overdue(Overdue),
    /// The TLS handshake failed or took too long.
    Tls(io::Error),
    /// The client left before it said anything.
    Silent(io::Error),
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
            Self::Drained => f.write_str("drained"),
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve<S, F, B>(
    stream: TcpStream,
    tls: Option<(TlsAcceptor, tokio::time::Instant)>,
    protocols: Protocols,
    watch: Arc<Watch>,
    peer: Peer,
    service: S,
) -> End
where
    S: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxedError>> + Send + 'static,
{
    let drain = peer.place.drain.clone();
    let opened = tokio::select! {
        opened = open(stream, tls, &watch) => opened,
        () = drain.closing() => return End::Drained,
    };
    let (io, version) = match opened {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    let io = TokioIo::new(io);
    let calls = Calls {
        service,
        peer,
        watch: Arc::clone(&watch),
    };
    match version {
        Version::Http1 => {
            let mut http1 = protocols.http1;
            http1.timer(HeadNotice(Arc::clone(&watch)));
            let connection = http1.serve_connection(io, calls).with_upgrades();
            drive(
                connection,
                http1::UpgradeableConnection::graceful_shutdown,
                &watch,
                &drain,
            )
            .await
        }
        Version::Http2 => {
            let connection = protocols.http2.serve_connection(io, calls);
            drive(
                connection,
                http2::Connection::graceful_shutdown,
                &watch,
                &drain,
            )
            .await
        }
    }
}

/// Which HTTP a client speaks.
#[derive(Clone, Copy)]
enum Version {
    Http1,
    Http2,
}

/// TLS if configured, then the first bytes, which say the version.
async fn open(
    stream: TcpStream,
    tls: Option<(TlsAcceptor, tokio::time::Instant)>,
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
    let mut first = First {
        bytes: [0; PREFACE.len()],
        filled: 0,
        taken: 0,
    };
    match tokio::time::timeout_at(watch.first_head_due(), first.read(&mut transport)).await {
        Ok(Ok(version)) => Ok((
            Watched {
                transport,
                first,
                watch: Arc::clone(watch),
            },
            version,
        )),
        Ok(Err(error)) => Err(End::Silent(error)),
        Err(_) => Err(End::Overdue(Overdue::Head)),
    }
}

/// Runs a connection until it ends, its client keeps it waiting too long, or it is cut.
async fn drive<C>(connection: C, close: fn(Pin<&mut C>), watch: &Watch, drain: &Drain) -> End
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut look = pin!(tokio::time::sleep_until(watch.first_look()));
    let mut closing = pin!(drain.closing());
    let mut cut = pin!(drain.cut());
    let (mut listening, mut closed) = (false, false);
    poll_fn(|cx| {
        // Timer and drain are polled once, which leaves our waker with them, and then only when they have something
        // to say: to a call they cost two atomic loads.
        if !listening || look.is_elapsed() {
            while look.as_mut().poll(cx).is_ready() {
                match watch.judge(tokio::time::Instant::now()) {
                    Judgement::Overdue(what) => return Poll::Ready(End::Overdue(what)),
                    Judgement::LookAgain(at) => look.as_mut().reset(at),
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
        connection.as_mut().poll(cx).map(End::Http)
    })
    .await
}

/// The caller's service as hyper wants it.
struct Calls<S> {
    service: S,
    peer: Peer,
    watch: Arc<Watch>,
}

impl<S, F, B> Service<Request<Incoming>> for Calls<S>
where
    S: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = F;

    fn call(&self, request: Request<Incoming>) -> F {
        self.watch.serving();
        (self.service)(request, self.peer.clone())
    }
}

/// What an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first bytes of a connection: read to learn the version, then given to HTTP.
struct First {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    taken: usize,
}

impl First {
    /// Reads until the bytes are the HTTP/2 preface or differ from it.
    async fn read(&mut self, transport: &mut Transport) -> io::Result<Version> {
        loop {
            let (known, rest) = self.bytes.split_at_mut(self.filled);
            let read = transport.read(rest).await?;
            let whole = read == rest.len();
            let new = rest.iter().take(read);
            let alike = new.eq(PREFACE.iter().skip(known.len()).take(read));
            self.filled += read;
            match (read, alike, whole) {
                (0, ..) if self.filled == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                (0, ..) | (_, false, _) => return Ok(Version::Http1),
                (_, true, true) => return Ok(Version::Http2),
                (_, true, false) => {}
            }
        }
    }

    /// Moves bytes not yet taken into `buf`; false if there were none.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(rest) = self
            .bytes
            .get(self.taken..self.filled)
            .filter(|rest| !rest.is_empty())
        else {
            return false;
        };
        let fits = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..fits).unwrap_or(rest));
        self.taken += fits;
        true
    }
}

/// A client's transport that writes down what it does.
struct Watched {
    transport: Transport,
    first: First,
    watch: Arc<Watch>,
}

impl Watched {
    fn write<T>(&mut self, write: impl FnOnce(Pin<&mut Transport>) -> Poll<T>) -> Poll<T> {
        let done = write(Pin::new(&mut self.transport));
        self.watch.wrote(done.is_pending());
        done
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.give(buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let done = Pin::new(&mut this.transport).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.watch.received();
        }
        done
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .write(|transport| transport.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .write(|transport| transport.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().write(|transport| transport.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .write(|transport| transport.poll_shutdown(cx))
    }
}
