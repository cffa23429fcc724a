//! An answer as it goes to a client over HTTP/1.1. It must not know sockets.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Response, StatusCode, Version, response};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use super::head::{self, Framing};
use super::lines::Lines;
use super::message_writer::MessageWriter;
use crate::error::BoxedError;

/// What a head takes beside its headers.
const USUAL: usize = 96;

/// What of a request decides how its answer is framed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// `HEAD`: no body follows.
    pub(crate) is_head: bool,
    pub(crate) version: Version,
    /// Another request may follow on the connection.
    pub(crate) keeps: bool,
}

/// Frames an answer, whose length is what its body says, not its head; its [`Lines`] are among its headers. Says whether another request may follow.
pub(crate) fn framed<B>(answer: Response<B>, asked: Asked) -> (MessageWriter<B>, bool)
where
    B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
{
    let (head, body) = answer.into_parts();
    let (framing, mut length) = framing(&head, body.size_hint().exact(), asked);
    let says_close = head::connection_says(&head.headers, "close");
    let keeps = asked.keeps && !says_close && framing != Framing::UntilClose;

    let lines = (head.extensions.get::<Lines>()).map_or(&b""[..], Lines::as_bytes);

    let room = USUAL + head::room(head.headers.iter()) + lines.len();
    let mut text = BytesMut::with_capacity(room + MessageWriter::<B>::room(framing));
    text.put_slice(b"HTTP/1.1 ");
    text.put_slice(head.status.as_str().as_bytes());
    text.put_slice(b" ");
    text.put_slice(match head.extensions.get::<ReasonPhrase>() {
        Some(reason) => reason.as_bytes(),
        None => head
            .status
            .canonical_reason()
            .unwrap_or_default()
            .as_bytes(),
    });
    text.put_slice(b"\r\n");
    for (name, value) in &head.headers {
        match *name {
            TRANSFER_ENCODING => {}
            CONTENT_LENGTH => match length {
                // In its place, and once.
                Length::Known(known) => {
                    head::put_length(&mut text, known);
                    length = Length::Unsaid;
                }
                Length::AsSaid => head::put_line(&mut text, name, value.as_bytes()),
                Length::Unsaid => {}
            },
            _ => head::put_line(&mut text, name, value.as_bytes()),
        }
    }
    if let Length::Known(known) = length {
        head::put_length(&mut text, known);
    }
    if framing == Framing::Chunked {
        head::put_chunked(&mut text);
    }
    text.put_slice(lines);
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        if !keeps && !says_close {
            head::put_line(&mut text, &CONNECTION, b"close");
        } else if keeps && asked.version < Version::HTTP_11 {
            head::put_line(&mut text, &CONNECTION, b"keep-alive");
        }
    }
    text.put_slice(b"\r\n");
    (MessageWriter::new(text, framing, body), keeps)
}

/// What the head says of the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(u64),
    /// Whatever stands there: that of a body which is not sent.
    AsSaid,
    Unsaid,
}

/// How the body is framed (RFC 9112, 6.3), and what is said of its length.
fn framing(head: &response::Parts, exact: Option<u64>, asked: Asked) -> (Framing, Length) {
    let status = head.status;
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        return (Framing::Nothing, Length::Unsaid);
    }
    if asked.is_head || status == StatusCode::NOT_MODIFIED {
        let length = match exact {
            Some(length @ 1..) if !head.headers.contains_key(CONTENT_LENGTH) => {
                Length::Known(length)
            }
            _ => Length::AsSaid,
        };
        return (Framing::Nothing, length);
    }
    match exact {
        Some(0) => (Framing::Nothing, Length::Known(0)),
        Some(length) => (Framing::Length(length), Length::Known(length)),
        None if asked.version < Version::HTTP_11 => (Framing::UntilClose, Length::Unsaid),
        None => (Framing::Chunked, Length::Unsaid),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::{Context, Poll, Waker};

    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const ASKED: Asked = Asked {
        is_head: false,
        version: Version::HTTP_11,
        keeps: true,
    };

    fn written(
        status: u16,
        lines: &[(&str, &str)],
        body: Option<&'static str>,
        asked: Asked,
    ) -> (String, bool) {
        fn all<B>(answer: Response<B>, asked: Asked) -> (String, bool)
        where
            B: Body<Data = Bytes, Error: Into<BoxedError>> + Send + Unpin + 'static,
        {
            let mut bytes = std::io::Cursor::new(Vec::new());
            let (mut writer, keeps) = framed(answer, asked);
            let sent = writer.poll(&mut bytes, &mut Context::from_waker(Waker::noop()));
            assert!(matches!(sent, Poll::Ready(Ok(()))));
            (String::from_utf8(bytes.into_inner()).unwrap(), keeps)
        }
        let mut answer = Response::builder().status(status);
        for (name, value) in lines {
            answer = answer.header(*name, *value);
        }
        if let Some(body) = body {
            all(answer.body(Full::<Bytes>::from(body)).unwrap(), asked)
        } else {
            let frame = Ok::<_, Infallible>(Frame::data(Bytes::from("{}")));
            let frames = StreamBody::new(futures_util::stream::iter([frame]));
            all(answer.body(frames).unwrap(), asked)
        }
    }

    #[test]
    fn a_length_is_the_bodys_and_stands_where_the_head_had_one() {
        let lines = [
            ("a", "1"),
            ("content-length", "77"),
            ("content-length", "7"),
            ("transfer-encoding", "gzip"),
            ("b", "2"),
        ];
        assert_eq!(
            written(200, &lines, Some("{}"), ASKED),
            (
                "HTTP/1.1 200 OK\r\na: 1\r\ncontent-length: 2\r\nb: 2\r\n\r\n{}".to_owned(),
                true
            )
        );
        assert_eq!(
            written(200, &lines, None, ASKED),
            ("HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_owned(), true)
        );
        assert_eq!(
            written(204, &lines, Some("{}"), ASKED),
            (
                "HTTP/1.1 204 No Content\r\na: 1\r\nb: 2\r\n\r\n".to_owned(),
                true
            )
        );
        assert_eq!(
            written(599, &[], Some(""), ASKED),
            (
                "HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n".to_owned(),
                true
            )
        );
    }

    #[test]
    fn an_answer_without_its_body_says_how_long_that_would_be() {
        let head = Asked {
            is_head: true,
            ..ASKED
        };
        for (status, asked) in [(200, head), (304, ASKED)] {
            let (text, keeps) = written(status, &[("content-length", "77")], Some(""), asked);
            assert!(
                text.ends_with("\r\ncontent-length: 77\r\n\r\n") && keeps,
                "{text}"
            );
            let (text, _) = written(status, &[], Some("{}"), asked);
            assert!(text.ends_with("\r\ncontent-length: 2\r\n\r\n"), "{text}");
            for body in [None, Some("")] {
                let (text, _) = written(status, &[], body, asked);
                assert!(
                    !text.contains("content-length") && !text.contains("transfer"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn who_may_not_ask_again_is_told() {
        let last = Asked {
            keeps: false,
            ..ASKED
        };
        let close =
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}".to_owned();
        assert_eq!(written(200, &[], Some("{}"), last), (close, false));
        let said = [("connection", "close")];
        let (text, keeps) = written(200, &said, Some("{}"), ASKED);
        assert!(text.matches("connection").count() == 1 && !keeps, "{text}");
        let old = Asked {
            version: Version::HTTP_10,
            ..ASKED
        };
        let (text, keeps) = written(200, &[], Some("{}"), old);
        assert!(
            text.contains("\r\nconnection: keep-alive\r\n") && keeps,
            "{text}"
        );
        assert_eq!(
            written(200, &[], None, old),
            (
                "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}".to_owned(),
                false
            )
        );
    }
}
