//! A client's byte stream as HTTP reads and writes it: its first bytes say the version, and what happens on it is written
//! down. It must not know what a call is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::watch::Watch;
use crate::transport::Transport;

/// What an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How a TLS handshake begins: a record of that kind, version 3.x.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];
/// Which HTTP a client speaks.
#[derive(Clone, Copy)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// The first bytes of a connection: read to learn the version, then given to HTTP.
#[derive(Default)]
pub(crate) struct First {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    taken: usize,
}

impl First {
    /// Reads until the bytes are the HTTP/2 preface or differ from it.
    pub(crate) async fn read(&mut self, transport: &mut Transport) -> io::Result<Version> {
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

    /// Whether these bytes begin a TLS handshake.
    pub(crate) fn is_tls(&self) -> bool {
        self.filled >= TLS_HANDSHAKE.len() && self.bytes.starts_with(&TLS_HANDSHAKE)
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

    /// The transport, for another protocol.
    pub(crate) fn into_transport(self) -> Transport {
        self.transport
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
