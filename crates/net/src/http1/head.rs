//! What heads of requests and of answers have in common (RFC 9112). It must not know sockets.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr_iter;

/// Headers that whoever passes a head on may add before its map has to grow.
const ROOM: usize = 2;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Nothing,
    /// After so many bytes; at least one.
    Length(u64),
    /// As its chunks say.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Two readers could find two bodies behind this head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclear;

/// Where the empty line ends that ends a head, looked for from a place on at which it was not whole yet.
pub(crate) fn end(bytes: &[u8], looked: usize) -> Option<usize> {
    let from = looked.saturating_sub(2).min(bytes.len());
    let rest = bytes.get(from..)?;
    memchr_iter(b'\n', rest).find_map(|at| {
        let empty_line = match rest.get(at + 1..)? {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        Some(from + at + 1 + empty_line)
    })
}

/// The headers of a head; their values share its bytes.
///
/// # Errors
/// A name or value that is none.
pub(crate) fn headers(
    bytes: &Bytes,
    parsed: &[httparse::Header<'_>],
) -> Result<HeaderMap, httparse::Error> {
    let mut headers = HeaderMap::with_capacity(parsed.len() + ROOM);
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(header.value));
        headers.append(
            name.map_err(|_| httparse::Error::HeaderName)?,
            value.map_err(|_| httparse::Error::HeaderValue)?,
        );
    }
    Ok(headers)
}

/// Whether a body is chunked. A transfer coding is exactly one `chunked`: any other would leave a body behind whose
/// coding nobody names any more.
///
/// # Errors
/// Any other coding.
pub(crate) fn is_chunked(headers: &HeaderMap) -> Result<bool, Unclear> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(Unclear),
    }
}

/// The length that a head says, in one header or in several that say the same.
///
/// # Errors
/// No length, or two.
pub(crate) fn length(headers: &HeaderMap) -> Result<Option<u64>, Unclear> {
    one_length(
        headers
            .get_all(CONTENT_LENGTH)
            .iter()
            .map(HeaderValue::as_bytes),
    )
}

/// The same, where a header may also be a list of one length.
pub(crate) fn listed_length(headers: &HeaderMap) -> Result<Option<u64>, Unclear> {
    let values = headers.get_all(CONTENT_LENGTH).iter();
    one_length(values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')))
}

fn one_length<'v>(said: impl Iterator<Item = &'v [u8]>) -> Result<Option<u64>, Unclear> {
    let mut length = None;
    for one in said {
        let digits = std::str::from_utf8(one.trim_ascii())
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let one = digits
            .and_then(|digits| digits.parse().ok())
            .ok_or(Unclear)?;
        if length.is_some_and(|length| length != one) {
            return Err(Unclear);
        }
        length = Some(one);
    }
    Ok(length)
}

/// Bytes that these headers take as lines.
pub(crate) fn room<'h>(headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>) -> usize {
    headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

/// Writes a header's name, and what stands between it and its value.
pub(crate) fn put_name(to: &mut BytesMut, name: &HeaderName) {
    to.put_slice(name.as_str().as_bytes());
    to.put_slice(b": ");
}

/// Writes a header as a line.
pub(crate) fn put_line(to: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    put_name(to, name);
    to.put_slice(value);
    to.put_slice(b"\r\n");
}

pub(crate) fn put_length(to: &mut BytesMut, length: u64) {
    put_line(
        to,
        &CONTENT_LENGTH,
        itoa::Buffer::new().format(length).as_bytes(),
    );
}

pub(crate) fn put_chunked(to: &mut BytesMut) {
    put_line(to, &TRANSFER_ENCODING, b"chunked");
}

/// Whether `connection` says this word.
pub(crate) fn connection_says(headers: &HeaderMap, word: &str) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}
