//! A request as it goes upstream. It must not know sockets.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request};
use http_body::Body;

use super::head::{self, Framing};
use super::message_writer::MessageWriter;
use crate::error::BoxedError;

/// What a head takes beside its target and headers.
const USUAL: usize = 64;

/// Frames a request anew: its `host` is replaced, and what it says of its framing counts for nothing, but that a length
/// of 0 is told where it told one.
pub(crate) fn framed<B>(request: Request<B>, host: &HeaderValue) -> MessageWriter<B>
where
    B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
{
    let (head, body) = request.into_parts();
    // One that is only a query has a path all the same.
    let (path, query) = (head.uri.path(), head.uri.query());
    let headers = || {
        let said_anew = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING];
        (head.headers.iter()).filter(move |(name, _)| !said_anew.contains(*name))
    };
    let framing = match body.size_hint().exact() {
        Some(0) => Framing::Nothing,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let room = USUAL + path.len() + query.map_or(0, str::len) + host.len() + head::room(headers());
    let mut text = BytesMut::with_capacity(room + MessageWriter::<B>::room(framing));
    for part in [head.method.as_str(), " ", path] {
        text.put_slice(part.as_bytes());
    }
    if let Some(query) = query {
        text.put_slice(b"?");
        text.put_slice(query.as_bytes());
    }
    text.put_slice(b" HTTP/1.1\r\n");
    head::put_line(&mut text, &HOST, host.as_bytes());
    for (name, value) in headers() {
        head::put_line(&mut text, name, value.as_bytes());
    }
    match framing {
        Framing::Length(length) => head::put_length(&mut text, length),
        Framing::Chunked => head::put_chunked(&mut text),
        Framing::Nothing if head.headers.contains_key(CONTENT_LENGTH) => {
            head::put_length(&mut text, 0);
        }
        Framing::Nothing | Framing::UntilClose => {}
    }
    text.put_slice(b"\r\n");
    MessageWriter::new(text, framing, body)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use http_body_util::{Empty, Full, StreamBody};

    use super::*;

    fn written<B>(request: Request<B>) -> String
    where
        B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
    {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut writer = framed(request, &HeaderValue::from_static("h:1"));
        let sent = writer.poll(&mut bytes, &mut Context::from_waker(Waker::noop()));
        assert!(matches!(sent, Poll::Ready(Ok(()))));
        String::from_utf8(bytes.into_inner()).unwrap()
    }

    #[test]
    fn the_head_says_what_follows_and_where_it_goes() {
        let request = || {
            Request::get("http://elsewhere.example/a%2F?b")
                .header("host", "elsewhere.example")
                .header("x-a", "b")
                .header("content-length", "77")
                .header("transfer-encoding", "gzip")
                .header("x-a", "c")
        };
        let begin = "GET /a%2F?b HTTP/1.1\r\nhost: h:1\r\nx-a: b\r\nx-a: c\r\n";
        assert_eq!(
            written(request().body(Full::<Bytes>::from("{}")).unwrap()),
            format!("{begin}content-length: 2\r\n\r\n{{}}")
        );
        assert_eq!(
            written(request().body(Empty::new()).unwrap()),
            format!("{begin}content-length: 0\r\n\r\n")
        );
        let frame = Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from("{}")));
        let frames = StreamBody::new(futures_util::stream::iter([frame]));
        assert_eq!(
            written(request().body(frames).unwrap()),
            format!("{begin}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n")
        );
        assert_eq!(
            written(Request::head("http://x?a").body(Empty::new()).unwrap()),
            "HEAD /?a HTTP/1.1\r\nhost: h:1\r\n\r\n"
        );
    }
}
