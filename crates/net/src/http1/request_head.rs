//! The head of a request, out of bytes as they come, and how its body is framed (RFC 9112, 3 and 6). It must not know
//! sockets.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{Method, Request, StatusCode, Uri, Version};
use memchr::memchr;

use super::head::{self, Framing, Unclear};

/// Headers for which there is room without asking for it.
const USUAL_HEADERS: usize = 100;

/// How much of a head is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) headers: usize,
}

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) request: Request<()>,
    pub(crate) framing: Framing,
    /// The client may send another request behind this one.
    pub(crate) keeps: bool,
    /// It waits to be told before it sends its body.
    pub(crate) expects_continue: bool,
}

/// Takes a head out of `bytes`, once it is whole; `looked` says how many of them were there at the last try, and is kept.
///
/// # Errors
/// The status that the client is to be told; what follows is not to be trusted.
pub(crate) fn take(
    bytes: &mut BytesMut,
    looked: &mut usize,
    limits: Limits,
) -> Result<Option<Head>, StatusCode> {
    // Some clients end a body with one line end too many (RFC 9112, 2.2).
    while bytes.starts_with(b"\r\n") {
        bytes.advance(2);
        *looked = 0;
    }
    match bytes.first() {
        Some(b'\r' | b'A'..=b'Z' | b'a'..=b'z') => {}
        None => return Ok(None),
        Some(_) => return Err(StatusCode::BAD_REQUEST),
    }
    let within = bytes.get(..limits.bytes).unwrap_or(bytes);
    let Some(end) = head::end(within, *looked) else {
        *looked = within.len();
        return if within.len() == limits.bytes {
            Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        } else {
            Ok(None)
        };
    };
    *looked = 0;
    let bytes = bytes.split_to(end).freeze();
    let request = if limits.headers <= USUAL_HEADERS {
        let mut room = [const { MaybeUninit::uninit() }; USUAL_HEADERS];
        read(&bytes, room.get_mut(..limits.headers).unwrap_or_default())?
    } else {
        let mut room = Vec::new();
        room.resize_with(limits.headers, MaybeUninit::uninit);
        read(&bytes, &mut room)?
    };
    framed(request).map(Some)
}

/// What a whole head says. Values share its bytes.
fn read<'b>(
    bytes: &'b Bytes,
    room: &mut [MaybeUninit<httparse::Header<'b>>],
) -> Result<Request<()>, StatusCode> {
    use httparse::Error::TooManyHeaders;
    let mut parsed = httparse::Request::new(&mut []);
    let taken = httparse::ParserConfig::default().parse_request_with_uninit_headers(
        &mut parsed,
        bytes,
        room,
    );
    match taken {
        Ok(httparse::Status::Complete(taken)) if taken == bytes.len() => {}
        Err(TooManyHeaders) => return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        _ => return Err(StatusCode::BAD_REQUEST),
    }
    let method = parsed.method.unwrap_or_default().as_bytes();
    let target = bytes.slice_ref(parsed.path.unwrap_or_default().as_bytes());
    // A target has no fragment, and a library would cut it off without a word.
    if memchr(b'#', &target).is_some() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let is_too_long = target.len() >= usize::from(u16::MAX);
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).map_err(|_| StatusCode::BAD_REQUEST)?;
    *request.uri_mut() = Uri::from_maybe_shared(target).map_err(|_| {
        if is_too_long {
            StatusCode::URI_TOO_LONG
        } else {
            StatusCode::BAD_REQUEST
        }
    })?;
    *request.version_mut() = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    *request.headers_mut() =
        head::headers(bytes, parsed.headers).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(request)
}

/// How the body of a request is framed, and whether another may follow. Where a coding other than one `chunked` is said
/// nobody knows where the body ends but with the connection, and whoever serves it should refuse it.
fn framed(request: Request<()>) -> Result<Head, StatusCode> {
    let headers = request.headers();
    let is_new = request.version() == Version::HTTP_11;
    let length = head::length(headers).map_err(|Unclear| StatusCode::BAD_REQUEST)?;
    let is_coded = headers.contains_key(TRANSFER_ENCODING);
    if is_coded && !is_new {
        return Err(StatusCode::BAD_REQUEST);
    }
    let is_told_twice = is_coded && headers.contains_key(CONTENT_LENGTH);
    let framing = match (head::is_chunked(headers), length) {
        (Ok(true), _) => Framing::Chunked,
        (Ok(false), None | Some(0)) => Framing::Nothing,
        (Ok(false), Some(length)) => Framing::Length(length),
        (Err(Unclear), _) => Framing::UntilClose,
    };
    let keeps = framing != Framing::UntilClose
        && !is_told_twice
        && !head::connection_says(headers, "close")
        && (is_new || head::connection_says(headers, "keep-alive"));
    let expects_continue = is_new
        && (headers.get(EXPECT))
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    Ok(Head {
        request,
        framing,
        keeps,
        expects_continue,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        bytes: 8192,
        headers: 3,
    };

    fn taken(text: &str) -> Result<Option<Head>, StatusCode> {
        take(&mut BytesMut::from(text.as_bytes()), &mut 0, LIMITS)
    }

    #[test]
    fn a_head_is_taken_once_it_is_whole_and_no_byte_more() {
        let whole =
            "\r\n\r\nPOST /a%2F?b=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nA:  1 \r\n\r\n";
        let all = format!("{whole}hello");
        for cut in 0..whole.len() {
            let (mut bytes, mut looked) = (BytesMut::from(&all[..cut]), 0);
            assert!(take(&mut bytes, &mut looked, LIMITS).unwrap().is_none());
            bytes.extend_from_slice(&all.as_bytes()[cut..]);
            let head = take(&mut bytes, &mut looked, LIMITS).unwrap().unwrap();
            assert_eq!(bytes, "hello");
            assert_eq!(head.request.method(), "POST");
            assert_eq!(head.request.uri(), "/a%2F?b=%20");
            assert_eq!(head.request.headers()["a"], "1");
            assert_eq!(head.framing, Framing::Length(5));
            assert!(head.keeps && !head.expects_continue);
        }
    }

    #[test]
    fn what_is_no_request_or_too_much_is_refused() {
        let refused = |text: &str| taken(text).unwrap_err().as_u16();
        for text in [
            "\u{16}\u{3}",
            " GET / HTTP/1.1\r\n\r\n",
            "\nGET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.2\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET /\r\n\r\n",
            "GET /a#b HTTP/1.1\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET / HTTP/1.1\r\na : b\r\n\r\n",
            "GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\n a: b\r\n\r\n",
            "GET / HTTP/1.1\r\na: \0\r\n\r\n",
            "GET / HTTP/1.1\r\na: b\rc\r\n\r\n",
            "GET / HTTP/1.1\r\na\r\n\r\n",
            "G@T / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 3, 3\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: +3\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length:\r\n\r\n",
        ] {
            assert_eq!(refused(text), 400, "{text:?}");
        }
        let long = "a".repeat(LIMITS.bytes);
        assert_eq!(refused(&format!("GET /{long}")), 431);
        let many = "a: b\r\n".repeat(LIMITS.headers + 1);
        assert_eq!(refused(&format!("GET / HTTP/1.1\r\n{many}\r\n")), 431);
        let roomy = Limits {
            bytes: 1 << 20,
            headers: 1000,
        };
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 16));
        let refused = take(&mut BytesMut::from(long.as_bytes()), &mut 0, roomy);
        assert_eq!(refused.unwrap_err(), StatusCode::URI_TOO_LONG);
    }

    #[test]
    fn a_body_ends_in_one_way_or_nothing_follows() {
        use Framing::{Chunked, Length, Nothing, UntilClose};
        let framed = |lines: &str| {
            let head = taken(&format!("POST / HTTP/1.1\r\n{lines}\r\n"))
                .unwrap()
                .unwrap();
            (head.framing, head.keeps)
        };
        assert_eq!(framed(""), (Nothing, true));
        assert_eq!(framed("content-length: 0\r\n"), (Nothing, true));
        assert_eq!(
            framed("content-length: 3\r\ncontent-length: 3\r\n"),
            (Length(3), true)
        );
        assert_eq!(framed("transfer-encoding: Chunked\r\n"), (Chunked, true));
        // The chunks win, and nothing may follow (RFC 9112, 6.1).
        let both = "content-length: 3\r\ntransfer-encoding: chunked\r\n";
        assert_eq!(framed(both), (Chunked, false));
        for coding in [
            "gzip, chunked",
            "identity",
            "",
            "chunked\r\ntransfer-encoding: chunked",
        ] {
            let line = format!("transfer-encoding: {coding}\r\n");
            assert_eq!(framed(&line), (UntilClose, false), "{coding}");
        }
        assert_eq!(framed("connection: x, close\r\n"), (Nothing, false));
        let old = |lines: &str| {
            taken(&format!("GET / HTTP/1.0\r\n{lines}\r\n"))
                .unwrap()
                .unwrap()
        };
        assert!(!old("").keeps && old("connection: keep-alive\r\n").keeps);
        assert!(!old("expect: 100-continue\r\n").expects_continue);
        assert!(
            taken("POST / HTTP/1.1\r\nexpect: 100-Continue\r\n\r\n")
                .unwrap()
                .unwrap()
                .expects_continue
        );
    }
}
