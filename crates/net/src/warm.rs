//! One upstream connection and the exchange of one request for one response head on it.
//!
//! The connection has no task of its own: it moves forward only while somebody polls it here. That makes two things
//! cheap. Whoever drives it knows that its answer, and the frames of its body, can only appear during that very poll,
//! so they are asked with a waker that does nothing; and dropping it closes the socket at once. It must not know
//! addresses or TLS.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::unconstrained;

use crate::body::UpstreamBody;
use crate::error::BoxedError;
use crate::origins::Origin;
use crate::pool::Pool;
use crate::transport::Transport;

/// Bytes of a response that are read ahead, and of a request body that wait to be written.
const MOST_BUFFERED: usize = 64 * 1024;

/// Bytes that upstream may send before the head of its answer is whole, interim answers (1xx) included. They are passed
/// over, not kept; without a limit they could go on for ever.
const MOST_BEFORE_HEAD: u64 = 1024 * 1024;
/// What may come otherwise.
const ENDLESS: u64 = u64::MAX;

/// An open connection to upstream with nothing on it, or with one exchange on it.
pub(crate) struct Warm<B> {
    sender: http1::SendRequest<B>,
    connection: Driven,
    /// Bytes that may come on it now.
    room: Arc<AtomicU64>,
    home: Weak<Pool<B>>,
}

/// The half of hyper's connection that does the work; gone once it has ended. Going, it gives the error to whoever waits
/// for an answer or a body frame on it.
struct Driven {
    // hyper does not name the type of a connection that can be upgraded. One box per connection, none per call.
    work: Option<Work>,
}

type Work = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Driven {
    /// Reads and writes what can be read and written now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(cx).is_ready()
        {
            self.work = None;
        }
    }
}

/// No response head came.
pub(crate) struct Undelivered<B> {
    /// The request, if it is certain that not one byte of it was written.
    pub(crate) request: Option<Box<Request<B>>>,
    pub(crate) error: hyper::Error,
}

/// A connection whose type of request body is forgotten, so that response bodies need not name it.
pub(crate) trait Carrier: Send {
    /// Moves the connection forward.
    fn drive(&mut self, cx: &mut Context<'_>);
    /// The response was read to its end: keep the connection for the next call, if it may be kept.
    fn release(self: Box<Self>);
}

impl<B> Warm<B>
where
    B: Body<Data: Send, Error: Into<BoxedError>> + Send + 'static,
{
    /// Speaks HTTP/1.1 on a fresh transport.
    pub(crate) async fn new(
        transport: Transport,
        origin: Option<Origin>,
        home: Weak<Pool<B>>,
    ) -> hyper::Result<Box<Self>> {
        let room = Arc::new(AtomicU64::new(ENDLESS));
        let counted = Counted {
            transport,
            room: Arc::clone(&room),
            _origin: origin,
        };
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MOST_BUFFERED)
            .handshake(TokioIo::new(counted))
            .await?;
        let work: Work = Box::pin(connection.with_upgrades());
        Ok(Box::new(Self {
            sender,
            connection: Driven { work: Some(work) },
            room,
            home,
        }))
    }

    /// Whether a request may be put on it: upstream has neither closed it nor said anything unasked.
    ///
    /// This also takes the waker of the call before off the connection.
    pub(crate) fn is_fresh(&mut self) -> bool {
        self.connection
            .drive(&mut Context::from_waker(Waker::noop()));
        self.is_idle()
    }

    fn is_idle(&self) -> bool {
        self.connection.work.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its response. Dropping the future closes the connection.
    pub(crate) fn exchange(
        mut self: Box<Self>,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, Undelivered<B>>> {
        // Outside of tokio's budget, which would want to wake us through a waker that does nothing. Boxed, because
        // hyper has room in it for the whole request, which each future around it would carry once more.
        let answer = Box::pin(unconstrained(self.sender.try_send_request(request)));
        self.answer(answer)
    }

    /// Waits for the answer to the request just handed over.
    async fn answer(
        mut self: Box<Self>,
        mut answer: Pin<
            Box<impl Future<Output = Result<Response<Incoming>, TrySendError<Request<B>>>>>,
        >,
    ) -> Result<Response<UpstreamBody>, Undelivered<B>> {
        self.room.store(MOST_BEFORE_HEAD, Ordering::Relaxed);
        let response = poll_fn(|cx| {
            self.connection.drive(cx);
            answer
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
        .map_err(|mut failed| Undelivered {
            request: failed.take_message().map(Box::new),
            error: failed.into_error(),
        })?;
        self.room.store(ENDLESS, Ordering::Relaxed);
        let carrier: Option<Box<dyn Carrier>> =
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                // The connection hands itself over as it ends, and the body of a 101 drives nothing.
                if let Some(work) = self.connection.work {
                    tokio::spawn(work);
                }
                None
            } else {
                Some(self)
            };
        Ok(response.map(|incoming| UpstreamBody::new(incoming, carrier)))
    }
}

impl<B> Carrier for Warm<B>
where
    B: Body<Data: Send, Error: Into<BoxedError>> + Send + 'static,
{
    fn drive(&mut self, cx: &mut Context<'_>) {
        self.connection.drive(cx);
    }

    fn release(self: Box<Self>) {
        // Not idle means closed, told to close, or still writing a request that upstream answered early.
        if self.is_idle()
            && let Some(pool) = self.home.upgrade()
        {
            pool.put(self);
        }
    }
}

/// Upstream's transport, that breaks where more comes than may.
struct Counted {
    transport: Transport,
    room: Arc<AtomicU64>,
    /// Noted as long as the connection is open.
    _origin: Option<Origin>,
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = this.room.load(Ordering::Relaxed);
        if room == 0 {
            let told = "1 MiB came before the head of an answer";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, told)));
        }
        let before = buf.filled().len();
        let done = Pin::new(&mut this.transport).poll_read(cx, buf);
        if room != ENDLESS {
            let came = (buf.filled().len() - before) as u64;
            // Only whoever drives this connection writes and reads it.
            this.room
                .store(room.saturating_sub(came), Ordering::Relaxed);
        }
        done
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}

impl<B> fmt::Debug for Warm<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm")
            .field("ended", &self.connection.work.is_none())
            .finish_non_exhaustive()
    }
}
