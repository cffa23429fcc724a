//! A connection that speaks another protocol after its 101, on either side. It must not know which.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::connect::origins::Origin;
use crate::transport::Transport;

/// What a client's connection becomes once its request was answered with 101. It stands among the extensions of a
/// request that asks for another protocol.
#[derive(Debug, Clone)]
pub struct Upgrade(Arc<Mutex<Option<oneshot::Receiver<Switched>>>>);

impl Upgrade {
    /// The promise, and whom to give the connection.
    pub(crate) fn new() -> (Self, oneshot::Sender<Switched>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(receiver)))), sender)
    }

    /// The connection, once the 101 has left; `None` if another answer did, or the client has left.
    pub async fn switched(self) -> Option<Switched> {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        receiver?.await.ok()
    }
}

/// The bytes of a connection after a switch of protocols: those that came with its head first. Dropped, it is closed.
pub struct Switched {
    transport: Transport,
    unread: BytesMut,
    /// Noted as long as the connection is open.
    _origin: Option<Origin>,
}

impl Switched {
    pub(crate) fn new(transport: Transport, unread: BytesMut, origin: Option<Origin>) -> Self {
        Self {
            transport,
            unread,
            _origin: origin,
        }
    }
}

impl AsyncRead for Switched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unread.is_empty() {
            return Pin::new(&mut this.transport).poll_read(cx, buf);
        }
        let fits = this.unread.len().min(buf.remaining());
        buf.put_slice(this.unread.get(..fits).unwrap_or_default());
        this.unread.advance(fits);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Switched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write_vectored(cx, parts)
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

impl fmt::Debug for Switched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switched").finish_non_exhaustive()
    }
}
