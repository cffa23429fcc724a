//! A message on its way, request or answer: its head, and its body, framed as it comes. It must not know which of the
//! two it is.

use std::fmt::Write;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::io::AsyncWrite;

use super::head::Framing;
use crate::error::{BoxedError, Break};

/// So much waits to be written at most, beside one larger piece.
const MOST_COPIED: usize = 16 * 1024;

/// A message, as far as it was not written yet.
pub(crate) struct MessageWriter<B> {
    /// Written first: the head, sizes of chunks, small pieces.
    copied: BytesMut,
    /// Written then: a larger piece.
    piece: Bytes,
    /// Written after it: the end of its chunk, or of the body.
    end: &'static [u8],
    framing: Framing,
    /// Gone once all of it was taken in.
    body: Option<B>,
    /// Why there is no more of it, to be said once what there is was written.
    broke: Option<Break>,
    has_begun: bool,
    /// Something was written since the last flush.
    is_unflushed: bool,
}

impl<B> MessageWriter<B>
where
    B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
{
    /// A piece of a body so small is copied behind the head, or behind the size of its chunk, and leaves with it.
    const SMALL: usize = 2 * 1024;

    /// Room behind a head for what of such a body is copied there at once.
    pub(crate) fn room(framing: Framing) -> usize {
        match framing {
            Framing::Length(length) => {
                usize::try_from(length).map_or(Self::SMALL, |length| length.min(Self::SMALL))
            }
            _ => 0,
        }
    }

    /// A head as it is written, and the body that follows it.
    pub(crate) fn new(head: BytesMut, framing: Framing, body: B) -> Self {
        Self {
            copied: head,
            piece: Bytes::new(),
            end: b"",
            framing,
            body: Some(body).filter(|_| framing != Framing::Nothing),
            broke: None,
            has_begun: false,
            is_unflushed: false,
        }
    }

    /// Whether a byte of it was written.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Something of it may have left, even if nobody says so.
    pub(crate) fn may_have_begun(&mut self) {
        self.has_begun = true;
    }

    /// Whether all of it was written.
    pub(crate) fn is_done(&self) -> bool {
        self.body.is_none() && !self.has_unwritten() && !self.is_unflushed && self.broke.is_none()
    }

    fn has_unwritten(&self) -> bool {
        !self.copied.is_empty() || !self.piece.is_empty() || !self.end.is_empty()
    }

    /// Writes what can be written now; ready when all is.
    pub(crate) fn poll<T: AsyncWrite + Unpin>(
        &mut self,
        to: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Break>> {
        loop {
            if let Err(broke) = self.take_in(cx) {
                self.body = None;
                self.broke = Some(broke);
            }
            if self.has_unwritten() {
                match ready!(self.poll_write(to, cx))? {
                    0 => return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into())),
                    written => self.wrote(written),
                }
                continue;
            }
            if self.is_unflushed {
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                self.is_unflushed = false;
            }
            // What is not here yet wakes us when it is.
            return match (self.broke.take(), &self.body) {
                (Some(broke), _) => Poll::Ready(Err(broke)),
                (None, None) => Poll::Ready(Ok(())),
                (None, Some(_)) => Poll::Pending,
            };
        }
    }

    /// Writes some of what is there.
    fn poll_write<T: AsyncWrite + Unpin>(
        &self,
        to: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let to = Pin::new(to);
        if self.piece.is_empty() && self.end.is_empty() {
            // The usual case, and the system takes one part for less than a list of one: 0.4 of 7 microseconds.
            return to.poll_write(cx, &self.copied);
        }
        let parts = [&self.copied[..], &self.piece[..], self.end].map(IoSlice::new);
        to.poll_write_vectored(cx, &parts)
    }

    fn wrote(&mut self, mut bytes: usize) {
        self.has_begun = true;
        self.is_unflushed = true;
        let mut of = |length: usize| {
            let of = bytes.min(length);
            bytes -= of;
            of
        };
        self.copied.advance(of(self.copied.len()));
        self.piece.advance(of(self.piece.len()));
        self.end = self.end.get(of(self.end.len())..).unwrap_or_default();
    }

    /// Takes in what there is of the body, as long as it is small.
    fn take_in(&mut self, cx: &mut Context<'_>) -> Result<(), Break> {
        while self.piece.is_empty() && self.end.is_empty() && self.copied.len() <= MOST_COPIED {
            let Some(body) = &mut self.body else {
                break;
            };
            let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
                break;
            };
            let mut is_last = frame.is_none() || body.is_end_stream();
            if let Some(frame) = frame {
                let frame = frame.map_err(|error| Break::Body(error.into()))?;
                // Trailers end here: a hop may drop them, and nobody said that they would come.
                if let Ok(data) = frame.into_data() {
                    self.put(data)?;
                }
                // The other side has all of it: errors of closing are ignored.
                is_last |= matches!(self.framing, Framing::Length(0));
            }
            if is_last {
                self.end()?;
            }
        }
        Ok(())
    }

    /// Frames a piece of the body.
    fn put(&mut self, data: Bytes) -> Result<(), Break> {
        if data.is_empty() {
            return Ok(());
        }
        let chunk_end: &[u8] = match &mut self.framing {
            Framing::Length(left) => {
                let rest = left.checked_sub(data.len() as u64);
                *left = rest.ok_or_else(other_length)?;
                b""
            }
            Framing::Chunked => {
                // Writing to memory that grows does not fail.
                let _ = write!(self.copied, "{:x}\r\n", data.len());
                b"\r\n"
            }
            Framing::UntilClose | Framing::Nothing => b"",
        };
        if data.len() > Self::SMALL {
            self.piece = data;
            self.end = chunk_end;
        } else {
            self.copied.put_slice(&data);
            self.copied.put_slice(chunk_end);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Break> {
        self.body = None;
        match self.framing {
            Framing::Length(0) | Framing::UntilClose | Framing::Nothing => {}
            Framing::Length(_) => return Err(other_length()),
            Framing::Chunked if self.piece.is_empty() => self.copied.put_slice(b"0\r\n\r\n"),
            Framing::Chunked => self.end = b"\r\n0\r\n\r\n",
        }
        Ok(())
    }

    /// What is left of it, whatever its body is.
    pub(crate) fn rest(&mut self) -> Rest {
        MessageWriter {
            copied: std::mem::take(&mut self.copied),
            piece: std::mem::take(&mut self.piece),
            end: std::mem::take(&mut self.end),
            framing: self.framing,
            body: self
                .body
                .take()
                .map(|body| body.map_err(Into::into).boxed_unsync()),
            broke: self.broke.take(),
            has_begun: self.has_begun,
            is_unflushed: self.is_unflushed,
        }
    }
}

/// The rest of a message, whatever its body is.
pub(crate) type Rest = MessageWriter<UnsyncBoxBody<Bytes, BoxedError>>;

/// The body is not as long as it said.
fn other_length() -> Break {
    Break::Body("the body is not as long as it said".into())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::task::Waker;

    use http::HeaderMap;
    use http_body::Frame;

    use super::*;

    /// Frames one by one.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl Frames {
        fn of(pieces: &[&[u8]]) -> Frames {
            let data = |piece: &&[u8]| Frame::data(Bytes::copy_from_slice(piece));
            let trailers = Frame::trailers(HeaderMap::new());
            Frames(pieces.iter().map(data).chain([trailers]).collect())
        }
    }

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    /// Takes so many bytes at a time.
    struct Narrow(Vec<u8>, usize);

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let written = bytes.len().min(self.1);
            self.0.extend_from_slice(&bytes[..written]);
            Poll::Ready(Ok(written))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
            self.poll_write(cx, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn writer(pieces: &[&[u8]], framing: Framing) -> MessageWriter<Frames> {
        MessageWriter::new("head ".as_bytes().into(), framing, Frames::of(pieces))
    }

    fn written(pieces: &[&[u8]], framing: Framing, narrow: usize) -> Result<String, Break> {
        let mut writer = writer(pieces, framing);
        let mut to = Narrow(Vec::new(), narrow);
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(done) = writer.poll(&mut to, &mut cx) else {
            panic!("nothing is waited for");
        };
        done?;
        assert!(writer.is_done());
        Ok(String::from_utf8(to.0).unwrap())
    }

    #[test]
    fn bodies_are_framed_whatever_their_pieces_and_however_they_leave() {
        let large = "x".repeat(MessageWriter::<Frames>::SMALL + 1);
        let size = large.len();
        let data = format!("head ab{large}c{large}");
        let chunks = format!(
            "head 2\r\nab\r\n{size:x}\r\n{large}\r\n1\r\nc\r\n{size:x}\r\n{large}\r\n0\r\n\r\n"
        );
        let length = Framing::Length(2 * size as u64 + 3);
        for narrow in [1, 7, 100, usize::MAX] {
            let pieces = [b"ab", large.as_bytes(), b"", b"c", large.as_bytes()];
            let written = |framing| written(&pieces, framing, narrow).unwrap();
            assert_eq!(written(Framing::Chunked), chunks);
            assert_eq!(written(length), data);
            assert_eq!(written(Framing::UntilClose), data);
            assert_eq!(written(Framing::Nothing), "head ");
        }
        let empty = written(&[], Framing::Chunked, usize::MAX).unwrap();
        assert_eq!(empty, "head 0\r\n\r\n");
    }

    #[test]
    fn a_body_of_another_length_breaks() {
        for length in [2, 4] {
            let broke = written(&[b"abc"], Framing::Length(length), usize::MAX).unwrap_err();
            assert!(matches!(broke, Break::Body(_)), "{broke:?}");
        }
    }

    #[test]
    fn a_small_body_leaves_with_its_head() {
        let mut writer = writer(&[b"abc"], Framing::Length(3));
        let mut cx = Context::from_waker(Waker::noop());
        writer.take_in(&mut cx).unwrap();
        assert_eq!(writer.copied, "head abc");
    }
}
