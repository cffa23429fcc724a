//! A byte stream that is either a plain socket or TLS over one, for both sides. It must not know HTTP.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use socket2::TcpKeepalive;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::TcpStream;

use crate::connect::origins::Ends;

/// How long a connection may be silent before TCP asks for a sign of life.
pub(crate) const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
/// How long until it asks again.
pub(crate) const KEEPALIVE_AGAIN: Duration = Duration::from_secs(15);
/// Asked so often in vain, it is broken.
pub(crate) const KEEPALIVE_TRIES: u32 = 4;

/// All of it, for a socket. Whoever vanishes without a word is noticed by nothing else on a connection on which nobody
/// has anything to say: a quiet WebSocket, an answer that is thought about.
pub(crate) fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_AGAIN)
        .with_retries(KEEPALIVE_TRIES)
}

/// A socket, perhaps with TLS on it. TLS state is large and therefore boxed.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
}

impl Transport {
    /// Both its ends, where it is one that we made.
    pub(crate) fn ends(&self) -> Option<Ends> {
        let socket = self.socket();
        Ends::of(socket.local_addr(), socket.peer_addr())
    }

    /// Whether its other side has ended it, as far as the system has told: what it sent before may not be read yet.
    pub(crate) fn is_ended(&self) -> bool {
        let ready = self.socket().ready(Interest::READABLE).now_or_never();
        ready.is_some_and(|ready| ready.is_ok_and(Ready::is_read_closed))
    }

    /// Once it is closed, its other side is told that something is missing.
    pub(crate) fn reset_at_close(&self) {
        // A socket that takes no options is gone already.
        let _ = self.socket().set_zero_linger();
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

macro_rules! on_either {
    ($self:ident, $stream:ident => $what:expr) => {
        match $self.get_mut() {
            Transport::Plain(stream) => {
                let $stream = Pin::new(stream);
                $what
            }
            Transport::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $what
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        // Both write a head and a small body at once: one writev, or one TLS record.
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_shutdown(cx))
    }
}
