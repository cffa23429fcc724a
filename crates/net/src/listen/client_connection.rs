//! A client's connection over HTTP/1.1, as call, request body and answer share it. It must not know what a call is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;

use super::watched::Watched;
use crate::http1::incoming::Source;
use crate::http1::read_buffer::ReadBuffer;
use crate::http1::request_head::{self, Head, Limits};

/// What a client waits for that asked before it sends its body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Bytes that a client may send ahead while its call is served.
const MOST_AHEAD: usize = 64 * 1024;

/// The connection. Its parts are used in turn by one task, so its lock is never waited for.
pub(crate) struct ClientConnection {
    pub(crate) io: Watched,
    pub(crate) unread: ReadBuffer,
    /// Nothing of the request is left to be read.
    pub(crate) body_is_over: bool,
    /// Why no more comes of a request that has not ended.
    gone: Option<Gone>,
    /// What of an interim answer (100) is still to be written.
    interim: &'static [u8],
    /// It was written, and may wait to leave.
    interim_waits: bool,
}

/// What became of a client amid its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    Left,
    /// It sent nothing for too long.
    Stalled,
}

/// How far a head is that is waited for.
#[derive(Default)]
pub(crate) struct Waiting {
    /// Bytes of it that were there at the last look.
    looked: usize,
    /// It was looked for before, and nothing of it was there.
    is_long: bool,
}

/// What comes next on a connection.
pub(crate) enum Next {
    Head(Box<Head>),
    /// Nothing: the client has left, or may ask no more.
    Nothing,
    /// Something that is no request; the client is to be told this.
    Refusal(StatusCode),
}

/// Takes the lock.
pub(crate) fn lock(connection: &Mutex<ClientConnection>) -> MutexGuard<'_, ClientConnection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientConnection {
    pub(crate) fn new(io: Watched) -> Self {
        Self {
            io,
            unread: ReadBuffer::new(),
            body_is_over: true,
            gone: None,
            interim: b"",
            interim_waits: false,
        }
    }

    /// The next head, as soon as it is whole; `waiting` is kept between two polls. Once it is `closing`, one that has
    /// not begun is not waited for.
    pub(crate) fn poll_head(
        &mut self,
        waiting: &mut Waiting,
        limits: Limits,
        closing: &AtomicBool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Next>> {
        loop {
            match request_head::take(&mut self.unread.bytes, &mut waiting.looked, limits) {
                Ok(Some(head)) => return Poll::Ready(Ok(Next::Head(Box::new(head)))),
                Ok(None) => {}
                Err(status) => return Poll::Ready(Ok(Next::Refusal(status))),
            }
            if self.unread.bytes.is_empty() && closing.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(Next::Nothing));
            }
            let Poll::Ready(read) = self.unread.poll_fill(&mut self.io, cx) else {
                // The connection's timer makes us look again: then it was a while.
                if std::mem::replace(&mut waiting.is_long, true) {
                    self.unread.rest();
                } else {
                    self.unread.pause();
                }
                return Poll::Pending;
            };
            waiting.is_long = false;
            if read? == 0 {
                return Poll::Ready(Ok(Next::Nothing));
            }
        }
    }

    /// Whether the client has left. What it sends ahead is kept. Behind what is not read yet it is seen when the
    /// connection is looked at for another reason, at the latest by its timer.
    pub(crate) fn has_left(&mut self, cx: &mut Context<'_>) -> bool {
        while self.body_is_over && self.unread.bytes.len() < MOST_AHEAD {
            // Most send nothing ahead: nothing is set aside for it.
            let mut room = [0; 128];
            let mut ahead = ReadBuf::new(&mut room);
            match Pin::new(&mut self.io).poll_read(cx, &mut ahead) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) if !ahead.filled().is_empty() => {
                    self.unread.bytes.extend_from_slice(ahead.filled());
                }
                Poll::Ready(_) => return true,
            }
        }
        self.gone == Some(Gone::Left) || self.io.is_ended()
    }

    /// Whether the client sent no more of its request for too long.
    pub(crate) fn has_stalled(&self) -> bool {
        self.gone == Some(Gone::Stalled)
    }

    /// Whether nothing came for too long of a body that was looked for just now, and was not there.
    pub(crate) fn stalls(&mut self) -> bool {
        // Without budget nobody looked.
        if self.io.watch().body_is_late() && coop::has_budget_remaining() {
            self.gone = Some(Gone::Stalled);
        }
        self.has_stalled()
    }

    /// A body follows whose sender waits to be asked for it.
    pub(crate) fn owes_continue(&mut self) {
        self.interim = CONTINUE;
    }

    /// The answer comes: who was not asked for a body by now will not be.
    pub(crate) fn answers(&mut self) {
        if self.interim.len() == CONTINUE.len() {
            self.interim = b"";
        }
    }

    /// Reads what still comes, and drops it; 0 at its end.
    pub(crate) fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.unread.bytes.clear();
        self.unread.poll_fill(&mut self.io, cx)
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim = self.interim.get(written..).unwrap_or_default();
            self.interim_waits = true;
        }
        if self.interim_waits {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.interim_waits = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// The body of a request.
impl Source for ClientConnection {
    fn unread(&mut self) -> &mut BytesMut {
        &mut self.unread.bytes
    }

    /// Reads on what the client sends, and asks for it first where it waits for that.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        let read = self.unread.poll_fill(&mut self.io, cx);
        self.io.watch().read(read.is_pending());
        let read = ready!(read);
        if !matches!(read, Ok(1..)) {
            self.gone = Some(Gone::Left);
        }
        Poll::Ready(read)
    }
}

/// Writes to a connection, which is free between two writes: the body that is written may be read from it.
pub(crate) struct Writer<'l>(pub(crate) &'l Mutex<ClientConnection>);

impl AsyncWrite for Writer<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut connection = lock(self.0);
        ready!(connection.poll_interim(cx))?;
        Pin::new(&mut connection.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut connection = lock(self.0);
        ready!(connection.poll_interim(cx))?;
        Pin::new(&mut connection.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(self.0).io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(self.0).io).poll_shutdown(cx)
    }
}
