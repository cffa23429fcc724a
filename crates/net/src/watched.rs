//! A client's byte stream as HTTP reads and writes it: its first bytes say the version, what happens on it is
//! written down, and where HTTP's library refuses a head in its own words the client gets ours. It must not know
//! what a call is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::listen::RefusalAnswer;
use crate::transport::Transport;
use crate::watch::Watch;

/// What an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How a TLS handshake begins: a record of that kind, version 3.x.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];
/// How hyper begins and ends what it answers to a head that is no request.
const REFUSAL_BEGIN: &[u8] = b"HTTP/1.1 4";
const REFUSAL_END: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// Its longest, with the longest name of a status.
const MOST_REFUSAL_BYTES: usize = 128;
/// Bytes read and dropped after a refusal: a socket closed with unread bytes is reset, and the answer lost.
const MOST_DROPPED_BYTES: usize = 1024 * 1024;

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
    refusal: RefusalAnswer,
    held: Held,
}

/// What looks like a refusal of hyper's is held until it is certain: hyper closes the connection after one, and reads
/// on after anything else.
enum Held {
    Nothing,
    /// hyper's words, and their status.
    Doubt(Bytes, StatusCode),
    /// It was something else, and is on its way.
    Released(Bytes),
    /// Ours, on their way.
    Refusal(Bytes),
    /// The client has been told; what it still says is dropped, so many bytes of it so far.
    Told(usize),
}

impl Watched {
    pub(crate) fn new(
        transport: Transport,
        first: First,
        watch: Arc<Watch>,
        refusal: RefusalAnswer,
    ) -> Self {
        Self {
            transport,
            first,
            watch,
            refusal,
            held: Held::Nothing,
        }
    }

    /// Writes, unless it is held for doubt.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        write: impl FnOnce(Pin<&mut Transport>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if !self.watch.is_serving()
            && let Some(status) = refused(bytes)
            && matches!(self.held, Held::Nothing)
        {
            self.held = Held::Doubt(Bytes::copy_from_slice(bytes), status);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.release(cx))?;
        self.noting(|transport| write(transport, cx))
    }

    /// Lets go of what was held and is no refusal.
    fn release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Held::Doubt(bytes, _) = &mut self.held {
            self.held = Held::Released(std::mem::take(bytes));
        }
        self.send_held(cx)
    }

    /// Writes what is on its way before anything else may be.
    fn send_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Held::Released(bytes) | Held::Refusal(bytes) = &mut self.held {
            if bytes.is_empty() {
                self.held = match self.held {
                    Held::Refusal(_) => Held::Told(0),
                    _ => Held::Nothing,
                };
                continue;
            }
            let done = Pin::new(&mut self.transport).poll_write(cx, bytes);
            self.watch.wrote(done.is_pending());
            match ready!(done)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => bytes.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what a refused client still says, to its end or to the limit.
    fn drop_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = [0; 4096];
        while let Held::Told(dropped) = &mut self.held
            && *dropped < MOST_DROPPED_BYTES
        {
            let mut buf = ReadBuf::new(&mut room);
            // However its side ends, it has been told.
            if ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buf)).is_err()
                || buf.filled().is_empty()
            {
                break;
            }
            *dropped += buf.filled().len();
        }
        Poll::Ready(Ok(()))
    }

    fn noting<T>(&mut self, work: impl FnOnce(Pin<&mut Transport>) -> Poll<T>) -> Poll<T> {
        let done = work(Pin::new(&mut self.transport));
        self.watch.wrote(done.is_pending());
        done
    }
}

/// The status of hyper's own refusal, if that is what these bytes are.
fn refused(bytes: &[u8]) -> Option<StatusCode> {
    let is_refusal = bytes.len() <= MOST_REFUSAL_BYTES
        && bytes.starts_with(REFUSAL_BEGIN)
        && bytes.ends_with(REFUSAL_END);
    let status = bytes.get(REFUSAL_BEGIN.len() - 1..REFUSAL_BEGIN.len() + 2)?;
    StatusCode::from_bytes(status).ok().filter(|_| is_refusal)
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !matches!(this.held, Held::Nothing) {
            ready!(this.release(cx))?;
        }
        let before = buf.filled().len();
        let given = this.first.give(buf);
        // What came with the first bytes follows them at once: hyper makes room for each read anew, and would keep
        // twice the room as long as the connection.
        let done = Pin::new(&mut this.transport).poll_read(cx, buf);
        this.watch.read(buf.filled().len() > before);
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
            .write(cx, buf, |transport, cx| transport.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let only: &[u8] = match bufs {
            [only] => only,
            _ => &[],
        };
        self.get_mut().write(cx, only, |transport, cx| {
            transport.poll_write_vectored(cx, bufs)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.send_held(cx))?;
        this.noting(|transport| transport.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Held::Doubt(_, status) = this.held {
            // What follows is held to the patience for a head.
            this.watch.received();
            this.held = Held::Refusal((this.refusal)(status));
        }
        ready!(this.send_held(cx))?;
        ready!(this.noting(|transport| transport.poll_shutdown(cx)))?;
        this.drop_rest(cx)
    }
}
