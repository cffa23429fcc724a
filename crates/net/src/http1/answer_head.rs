//! The head of an answer, out of bytes as they come, and how its body is framed (RFC 9112, 4 and 6.3). It must not know
//! sockets.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::head::{self, Framing, Unclear};

/// Bytes of one head.
const MOST_BYTES: usize = 64 * 1024;
/// Headers of one head: more than any CDN in front of OpenAI sends.
const MOST_HEADERS: usize = 256;
/// How each of them begins.
const BEGINNING: &[u8] = b"HTTP/1.";

/// Why there is no head in these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Another protocol, or none.
    #[error("its answer is not HTTP/1")]
    NotHttp,
    /// A status, name or value that is none.
    #[error("the head of its answer cannot be read: {0}")]
    Malformed(#[from] httparse::Error),
    /// More than 64 KiB.
    #[error("the head of its answer is larger than 64 KiB")]
    TooLarge,
    /// Nobody can be sure where the body ends.
    #[error("upstream framed its answer in more than one way")]
    Unclear,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) response: Response<()>,
    pub(crate) framing: Framing,
    /// Upstream keeps the connection open after it.
    pub(crate) keeps: bool,
}

/// Takes a head out of `bytes`, once it is whole; `looked` says how many of them were there at the last try. The body of
/// an answer to `HEAD` is never there.
///
/// # Errors
/// [`HeadError`]; nothing more can be said of what follows.
pub(crate) fn take(
    bytes: &mut BytesMut,
    looked: usize,
    is_head: bool,
) -> Result<Option<Head>, HeadError> {
    let begun = BEGINNING.len().min(bytes.len());
    if bytes.get(..begun) != BEGINNING.get(..begun) {
        return Err(HeadError::NotHttp);
    }
    let within = bytes.get(..MOST_BYTES).unwrap_or(bytes);
    let Some(end) = head::end(within, looked) else {
        return if within.len() == MOST_BYTES {
            Err(HeadError::TooLarge)
        } else {
            Ok(None)
        };
    };
    let bytes = bytes.split_to(end).freeze();
    let (response, version) = read(&bytes)?;
    let framing = framing(response.status(), response.headers(), version, is_head)
        .map_err(|Unclear| HeadError::Unclear)?;
    // Whoever frames what is not there, or twice, may send it, too (RFC 9110, 8.6; RFC 9112, 6.1).
    let is_told =
        [TRANSFER_ENCODING, CONTENT_LENGTH].map(|name| response.headers().contains_key(name));
    let is_told_too_much = match response.status() {
        StatusCode::NO_CONTENT => is_told.contains(&true),
        _ => is_told == [true, true],
    };
    Ok(Some(Head {
        keeps: version == Version::HTTP_11
            && !head::connection_says(response.headers(), "close")
            && framing != Framing::UntilClose
            && !is_told_too_much,
        response,
        framing,
    }))
}

/// Status and headers of a whole head. Values share its bytes.
fn read(bytes: &Bytes) -> Result<(Response<()>, Version), HeadError> {
    let mut room = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let taken = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        bytes,
        &mut room,
    )?;
    if taken != httparse::Status::Complete(bytes.len()) {
        return Err(HeadError::NotHttp);
    }
    let version = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = Response::new(());
    *response.status_mut() = status.ok_or(httparse::Error::Status)?;
    *response.version_mut() = version;
    if let Some(reason) = parsed.reason
        && Some(reason) != response.status().canonical_reason()
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    *response.headers_mut() = head::headers(bytes, parsed.headers)?;
    Ok((response, version))
}

/// How the body is framed; chunks are HTTP/1.1's.
fn framing(
    status: StatusCode,
    headers: &HeaderMap,
    version: Version,
    is_head: bool,
) -> Result<Framing, Unclear> {
    let is_chunked = head::is_chunked(headers)?;
    if is_chunked && version < Version::HTTP_11 {
        return Err(Unclear);
    }
    let length = head::listed_length(headers)?;
    let has_none = is_head
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(match (has_none, is_chunked, length) {
        (true, ..) | (false, false, Some(0)) => Framing::Nothing,
        (false, true, _) => Framing::Chunked,
        (false, false, Some(length)) => Framing::Length(length),
        (false, false, None) => Framing::UntilClose,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &[u8]) -> Result<Option<Head>, HeadError> {
        take(&mut BytesMut::from(text), 0, false)
    }

    #[test]
    fn a_head_is_taken_once_it_is_whole_and_no_byte_more() {
        let whole: &[u8] =
            b"HTTP/1.1 299 Very Odd\r\nA: 1\r\nContent-Length: 5\r\nA:  2 \r\nEmpty:\r\n\r\n";
        let all = [whole, b"hello"].concat();
        for cut in 0..whole.len() {
            let mut bytes = BytesMut::from(&all[..cut]);
            assert!(take(&mut bytes, 0, false).unwrap().is_none(), "{cut}");
            bytes.extend_from_slice(&all[cut..]);
            let head = take(&mut bytes, cut, false).unwrap().unwrap();
            assert_eq!(&bytes[..], b"hello");
            assert_eq!(head.response.status(), 299);
            assert_eq!(head.framing, Framing::Length(5));
            assert!(head.keeps);
            let headers = head.response.headers();
            assert_eq!(headers.get_all("a").iter().collect::<Vec<_>>(), ["1", "2"]);
            assert_eq!(headers["empty"], "");
            let reason = head.response.extensions().get::<ReasonPhrase>().unwrap();
            assert_eq!(reason.as_bytes(), b"Very Odd");
        }
    }

    #[test]
    fn as_many_headers_as_may_be() {
        let head = |count| {
            let lines = "x: y\r\n".repeat(count);
            taken(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes())
        };
        assert_eq!(
            head(MOST_HEADERS)
                .unwrap()
                .unwrap()
                .response
                .headers()
                .len(),
            MOST_HEADERS
        );
        let too_many = HeadError::Malformed(httparse::Error::TooManyHeaders);
        assert_eq!(head(MOST_HEADERS + 1).unwrap_err(), too_many);
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MOST_BYTES));
        assert_eq!(taken(long.as_bytes()).unwrap_err(), HeadError::TooLarge);
    }

    #[test]
    fn what_is_no_head_is_refused_at_once() {
        for text in [
            "220 mail",
            "H2",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
        ] {
            assert_eq!(
                taken(text.as_bytes()).unwrap_err(),
                HeadError::NotHttp,
                "{text:?}"
            );
        }
        for text in [
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\na : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\na\r\n\r\n",
        ] {
            let error = taken(text.as_bytes()).unwrap_err();
            assert!(
                matches!(error, HeadError::Malformed(_)),
                "{text:?}: {error:?}"
            );
        }
    }

    #[test]
    fn a_body_ends_in_one_way() {
        use Framing::{Chunked, Length, Nothing, UntilClose};
        let framed = |version: &str, status: u16, lines: &str, is_head| {
            let text = format!("HTTP/{version} {status} X\r\n{lines}\r\n");
            let head = take(&mut BytesMut::from(text.as_bytes()), 0, is_head)?.unwrap();
            Ok::<_, HeadError>((head.framing, head.keeps))
        };
        let chunked = "transfer-encoding: Chunked\r\n";
        let five = "content-length: 5\r\n";
        for (lines, expected) in [
            ("", (UntilClose, false)),
            (five, (Length(5), true)),
            ("content-length: 0\r\n", (Nothing, true)),
            (
                "content-length: 5, 5\r\ncontent-length: 05\r\n",
                (Length(5), true),
            ),
            (chunked, (Chunked, true)),
            (
                "content-length: 5\r\nconnection: x, Close\r\n",
                (Length(5), false),
            ),
            (
                "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
                (Chunked, false),
            ),
        ] {
            assert_eq!(
                framed("1.1", 200, lines, false).unwrap(),
                expected,
                "{lines:?}"
            );
            let bodiless = framed("1.1", 200, lines, true).unwrap();
            assert_eq!(bodiless.0, Nothing);
            for status in [103, 204, 304] {
                assert_eq!(framed("1.1", status, lines, false).unwrap().0, Nothing);
            }
        }
        assert_eq!(framed("1.0", 200, five, false).unwrap(), (Length(5), false));
        for lines in [
            "content-length: 5\r\ncontent-length: 6\r\n",
            "content-length: 5, 6\r\n",
            "content-length: -5\r\n",
            "content-length: +5\r\n",
            "content-length: 5 5\r\n",
            "content-length: 0x5\r\n",
            "content-length:\r\n",
            "content-length: 99999999999999999999\r\n",
            "transfer-encoding: identity\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding:\r\n",
        ] {
            for is_head in [false, true] {
                let error = framed("1.1", 200, lines, is_head).unwrap_err();
                assert_eq!(error, HeadError::Unclear, "{lines:?}");
            }
        }
        assert_eq!(framed("1.0", 200, chunked, false), Err(HeadError::Unclear));
    }
}
