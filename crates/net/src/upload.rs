//! A request on its way to upstream: its head written out, its body framed as it comes. It must not know what answers.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request};
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::io::AsyncWrite;

use crate::error::{BoxedError, Break};

/// A piece of a body so small is copied behind the head, or behind the size of its chunk, and leaves with it.
const SMALL: usize = 2 * 1024;
/// So much waits to be written at most, beside one larger piece.
const MOST_COPIED: usize = 16 * 1024;
/// What a head takes beside its target and headers.
const USUAL: usize = 64;

/// A request, as far as it was not written yet.
pub(crate) struct Upload<B> {
    /// Written first: the head, sizes of chunks, small pieces.
    copied: BytesMut,
    /// Written then: a larger piece.
    piece: Bytes,
    /// Written after it: the end of its chunk, or of the body.
    end: &'static [u8],
    framing: Framing,
    /// Gone once all of it was taken in.
    body: Option<B>,
    has_begun: bool,
    /// Something was written since the last flush.
    is_unflushed: bool,
    is_head: bool,
}

#[derive(Clone, Copy)]
enum Framing {
    /// So many bytes are yet to come.
    Length(u64),
    Chunked,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
{
    /// Frames the request anew: its `host` is replaced, what it says of its framing counts for nothing, but that a
    /// length of 0 is told where it told one.
    pub(crate) fn new(request: Request<B>, host: &HeaderValue) -> Self {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        let headers = || {
            let said_anew = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING];
            (head.headers.iter()).filter(move |(name, _)| !said_anew.contains(*name))
        };
        let length: usize = headers()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        let exact = body.size_hint().exact();
        let small = exact.map_or(0, |length| length.min(SMALL as u64));
        let room = USUAL + target.len() + host.len() + length;
        let mut copied = BytesMut::with_capacity(room + usize::try_from(small).unwrap_or(0));
        for part in [head.method.as_str(), " ", target, " HTTP/1.1\r\nhost: "] {
            copied.put_slice(part.as_bytes());
        }
        copied.put_slice(host.as_bytes());
        for (name, value) in headers() {
            copied.put_slice(b"\r\n");
            copied.put_slice(name.as_str().as_bytes());
            copied.put_slice(b": ");
            copied.put_slice(value.as_bytes());
        }
        let framing = match exact {
            Some(length) => {
                if length > 0 || head.headers.contains_key(CONTENT_LENGTH) {
                    copied.put_slice(b"\r\ncontent-length: ");
                    copied.put_slice(length.to_string().as_bytes());
                }
                Framing::Length(length)
            }
            None => {
                copied.put_slice(b"\r\ntransfer-encoding: chunked");
                Framing::Chunked
            }
        };
        copied.put_slice(b"\r\n\r\n");
        Self {
            copied,
            piece: Bytes::new(),
            end: b"",
            framing,
            body: Some(body).filter(|_| exact != Some(0)),
            has_begun: false,
            is_unflushed: false,
            is_head: head.method == Method::HEAD,
        }
    }

    /// Whether it is a `HEAD`, whose answer has no body.
    pub(crate) fn is_head(&self) -> bool {
        self.is_head
    }

    /// Whether a byte of it was written.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether all of it was written.
    pub(crate) fn is_done(&self) -> bool {
        self.body.is_none() && !self.has_unwritten() && !self.is_unflushed
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
            self.take_in(cx)?;
            if self.has_unwritten() {
                let parts = [&self.copied[..], &self.piece[..], self.end].map(IoSlice::new);
                match ready!(Pin::new(&mut *to).poll_write_vectored(cx, &parts))? {
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
            return if self.body.is_none() {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
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
            let is_last = frame.is_none() || body.is_end_stream();
            if let Some(frame) = frame {
                let frame = frame.map_err(|error| Break::Request(error.into()))?;
                // Trailers end here: a hop may drop them, and OpenAI has no use for any.
                if let Ok(data) = frame.into_data() {
                    self.put(data)?;
                }
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
                let size = format!("{:x}\r\n", data.len());
                self.copied.put_slice(size.as_bytes());
                b"\r\n"
            }
        };
        if data.len() > SMALL {
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
            Framing::Length(0) => {}
            Framing::Length(_) => return Err(other_length()),
            Framing::Chunked if self.piece.is_empty() => self.copied.put_slice(b"0\r\n\r\n"),
            Framing::Chunked => self.end = b"\r\n0\r\n\r\n",
        }
        Ok(())
    }

    /// What is left of it, whatever its body is.
    pub(crate) fn rest(&mut self) -> Rest {
        Upload {
            copied: std::mem::take(&mut self.copied),
            piece: std::mem::take(&mut self.piece),
            end: std::mem::take(&mut self.end),
            framing: self.framing,
            body: self
                .body
                .take()
                .map(|body| body.map_err(Into::into).boxed_unsync()),
            has_begun: self.has_begun,
            is_unflushed: self.is_unflushed,
            is_head: self.is_head,
        }
    }
}

/// The rest of a request whose answer has begun.
pub(crate) type Rest = Upload<UnsyncBoxBody<Bytes, BoxedError>>;

/// The body is not as long as it said.
fn other_length() -> Break {
    Break::Request("the body is not as long as it said".into())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use http::HeaderMap;
    use http_body::{Frame, SizeHint};

    use super::*;

    /// Frames one by one, of a length that is told or not.
    struct Frames(VecDeque<Frame<Bytes>>, Option<u64>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }

        fn size_hint(&self) -> SizeHint {
            self.1.map_or_else(SizeHint::default, SizeHint::with_exact)
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
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
            let written = all.len().min(self.1);
            self.0.extend_from_slice(&all[..written]);
            Poll::Ready(Ok(written))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn written(pieces: &[&[u8]], length: Option<u64>, narrow: usize) -> Result<String, Break> {
        let mut frames: VecDeque<_> = pieces
            .iter()
            .map(|piece| Frame::data(Bytes::copy_from_slice(piece)))
            .collect();
        frames.push_back(Frame::trailers(HeaderMap::new()));
        let request = Request::get("/a?b")
            .header("Content-Length", "77")
            .header("X-A", "b");
        let request = request.body(Frames(frames, length)).unwrap();
        let mut upload = Upload::new(request, &HeaderValue::from_static("h:1"));
        let mut to = Narrow(Vec::new(), narrow);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(done) = upload.poll(&mut to, &mut cx) else {
            panic!("nothing is waited for");
        };
        done?;
        assert!(upload.is_done());
        Ok(String::from_utf8(to.0).unwrap())
    }

    #[test]
    fn bodies_are_framed_whatever_their_pieces_and_however_they_leave() {
        let large = "x".repeat(SMALL + 1);
        let head = "GET /a?b HTTP/1.1\r\nhost: h:1\r\nx-a: b\r\n";
        let size = large.len();
        for narrow in [1, 7, 100, usize::MAX] {
            let pieces = [b"ab", large.as_bytes(), b"", b"c", large.as_bytes()];
            assert_eq!(
                written(&pieces, None, narrow).unwrap(),
                format!(
                    "{head}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n{size:x}\r\n{large}\r\n1\r\nc\r\n{size:x}\r\n{large}\r\n0\r\n\r\n"
                )
            );
            let length = 2 * size + 3;
            assert_eq!(
                written(&pieces, Some(length as u64), narrow).unwrap(),
                format!("{head}content-length: {length}\r\n\r\nab{large}c{large}")
            );
            assert_eq!(
                written(&[], None, narrow).unwrap(),
                format!("{head}transfer-encoding: chunked\r\n\r\n0\r\n\r\n")
            );
            assert_eq!(
                written(&[], Some(0), narrow).unwrap(),
                format!("{head}content-length: 0\r\n\r\n")
            );
        }
    }

    #[test]
    fn a_body_of_another_length_breaks() {
        for length in [2, 4] {
            let broke = written(&[b"abc"], Some(length), usize::MAX).unwrap_err();
            assert!(matches!(broke, Break::Request(_)), "{broke:?}");
        }
    }

    #[test]
    fn a_small_body_leaves_with_its_head() {
        let request = Request::post("/").body(Frames(
            VecDeque::from([Frame::data(Bytes::from_static(b"abc"))]),
            Some(3),
        ));
        let mut upload = Upload::new(request.unwrap(), &HeaderValue::from_static("h"));
        upload
            .take_in(&mut Context::from_waker(std::task::Waker::noop()))
            .unwrap();
        assert!(upload.copied.ends_with(b"\r\n\r\nabc"));
    }
}
