//! A client's byte stream as HTTP reads and writes it: what happens on it is written down. It must not know what a call
//! is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::first_bytes::First;
use super::watch::Watch;
use crate::transport::Transport;

/// A client's transport that writes down what it does.
pub(crate) struct Watched {
    transport: Transport,
    first: First,
    watch: Arc<Watch>,
}

impl Watched {
    pub(crate) fn new(transport: Transport, first: First, watch: Arc<Watch>) -> Self {
        Self {
            transport,
            first,
            watch,
        }
    }

    /// Where what happens on it is written down.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The transport, for another protocol.
    pub(crate) fn into_transport(self) -> Transport {
        self.transport
    }

    /// Whether the client has ended it, whatever of it is not read yet.
    pub(crate) fn is_ended(&self) -> bool {
        self.transport.is_ended()
    }

    /// Whoever reads it is told, once it is closed, that something is missing.
    pub(crate) fn reset_at_close(&self) {
        self.transport.reset_at_close();
    }

    fn noting<T>(&mut self, work: impl FnOnce(Pin<&mut Transport>) -> Poll<T>) -> Poll<T> {
        let done = work(Pin::new(&mut self.transport));
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
        let before = buf.filled().len();
        let given = this.first.give(buf);
        // What came with the first bytes follows them at once.
        let done = Pin::new(&mut this.transport).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.watch.received();
        }
        // A client that is gone is found so by the next read as well.
        if given { Poll::Ready(Ok(())) } else { done }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .noting(|transport| transport.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .noting(|transport| transport.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().noting(|transport| transport.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .noting(|transport| transport.poll_shutdown(cx))
    }
}
