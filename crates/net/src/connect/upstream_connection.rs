//! One upstream connection and the exchange of one request for one response head on it.
//!
//! The connection has no task of its own: it moves forward only while somebody polls it here, and dropping it closes the
//! socket at once. It must not know addresses or TLS.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Weak;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body::Body;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::coop::unconstrained;

use super::origins::Origin;
use super::pool::Pool;
use super::upstream_body::UpstreamBody;
use crate::error::{BoxedError, Break};
use crate::http1::answer_head::{self, Head};
use crate::http1::incoming::Source;
use crate::http1::message_writer::MessageWriter;
use crate::http1::read_buffer::ReadBuffer;
use crate::transport::Transport;
use crate::upgrade::Switched;

/// Bytes that upstream may send before the head of its answer is whole, interim answers (1xx) included. They are passed
/// over, not kept; without a limit they could go on for ever.
const MOST_BEFORE_HEAD: usize = 1024 * 1024;

/// An open connection to upstream with nothing on it, or with one exchange on it.
pub(crate) struct UpstreamConnection {
    pub(crate) transport: Transport,
    /// What was read and belongs to nothing yet.
    pub(crate) unread: ReadBuffer,
    /// Upstream will keep it open after this exchange.
    keeps: bool,
    home: Weak<Pool>,
    /// Noted as long as the connection is open.
    origin: Option<Origin>,
}

impl UpstreamConnection {
    /// Speaks HTTP/1.1 on a fresh transport.
    pub(crate) fn new(transport: Transport, origin: Option<Origin>, home: Weak<Pool>) -> Box<Self> {
        Box::new(Self {
            transport,
            unread: ReadBuffer::new(),
            keeps: true,
            home,
            origin,
        })
    }

    /// Whether a request may be put on it: upstream has neither closed it nor said anything unasked.
    ///
    /// This also takes the waker of the call before off the connection.
    pub(crate) fn is_fresh(&mut self) -> bool {
        let mut room = [0];
        // Outside of tokio's budget: a connection that is not looked at would look fresh.
        let read = pin!(unconstrained(poll_fn(|cx| {
            Pin::new(&mut self.transport).poll_read(cx, &mut ReadBuf::new(&mut room))
        })));
        read.poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }

    /// The connection for another protocol.
    pub(crate) fn into_switched(self) -> Switched {
        Switched::new(self.transport, self.unread.bytes, self.origin)
    }

    /// Sends a request and waits for the head of its response. Dropping the future closes the connection.
    pub(crate) async fn exchange<B>(
        mut self: Box<Self>,
        request: &mut MessageWriter<B>,
        is_head: bool,
    ) -> Result<Response<UpstreamBody>, Break>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
    {
        let mut awaited = AwaitedHead {
            is_head,
            ..AwaitedHead::default()
        };
        let head = poll_fn(|cx| self.poll_exchange(request, &mut awaited, cx)).await?;
        self.keeps = head.keeps;
        let rest = (!request.is_done()).then(|| request.rest());
        let body = match (head.response.status(), rest) {
            (StatusCode::SWITCHING_PROTOCOLS, None) => UpstreamBody::none(self),
            // The rest of a request would be words of the other protocol.
            (StatusCode::SWITCHING_PROTOCOLS, Some(_)) => return Err(Break::Switched),
            (_, rest) => UpstreamBody::new(self, head.framing, rest),
        };
        Ok(head.response.map(|()| body))
    }

    fn poll_exchange<B>(
        &mut self,
        request: &mut MessageWriter<B>,
        awaited: &mut AwaitedHead,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Break>>
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
    {
        if awaited.unsent.is_none()
            && let Poll::Ready(Err(broke)) = request.poll(&mut self.transport, cx)
        {
            if matches!(self.transport, Transport::Tls(_)) {
                request.may_have_begun();
            }
            if matches!(broke, Break::Body(_)) || !request.has_begun() {
                return Poll::Ready(Err(broke));
            }
            // Upstream takes no more of it, and may have said why.
            awaited.unsent = Some(broke);
        }
        loop {
            if let Some(head) = awaited.look(&mut self.unread.bytes)? {
                return Poll::Ready(Ok(head));
            }
            let broke = match self.poll_more(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => Break::Closed,
                Poll::Ready(Err(error)) => error.into(),
                Poll::Ready(Ok(read)) => {
                    awaited.came += read;
                    continue;
                }
            };
            return Poll::Ready(Err(awaited.unsent.take().unwrap_or(broke)));
        }
    }

    /// A part of the request was not sent: this exchange is the last one on it.
    pub(crate) fn spoil(&mut self) {
        self.keeps = false;
    }

    /// The exchange is over: keeps the connection for the next one, if it may be kept. What came unasked, or a request
    /// that was answered before it was sent, makes it unfit.
    pub(crate) fn release(mut self: Box<Self>) {
        if self.keeps
            && self.unread.bytes.is_empty()
            && let Some(pool) = self.home.upgrade()
        {
            self.unread.pause();
            pool.put(self);
        }
    }
}

/// The body of an answer, and before it its head.
impl Source for UpstreamConnection {
    fn unread(&mut self) -> &mut BytesMut {
        &mut self.unread.bytes
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.unread.poll_fill(&mut self.transport, cx)
    }
}

/// What came while a head is waited for.
#[derive(Default)]
struct AwaitedHead {
    /// It answers a `HEAD`: no body follows.
    is_head: bool,
    /// Bytes in all.
    came: usize,
    /// Bytes of the head that were there when it was last looked for.
    looked: usize,
    /// Why the request could not be sent to its end.
    unsent: Option<Break>,
}

impl AwaitedHead {
    /// The head of the answer, once it is there; interim ones are passed over.
    fn look(&mut self, bytes: &mut BytesMut) -> Result<Option<Head>, Break> {
        while let Some(head) = answer_head::take(bytes, self.looked, self.is_head)? {
            self.looked = 0;
            let status = head.response.status();
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Some(head));
            }
        }
        self.looked = bytes.len();
        if self.came > MOST_BEFORE_HEAD {
            return Err(Break::Endless);
        }
        Ok(None)
    }
}

impl fmt::Debug for UpstreamConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamConnection")
            .field("keeps", &self.keeps)
            .finish_non_exhaustive()
    }
}
