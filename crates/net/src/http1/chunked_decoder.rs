//! The chunked coding (RFC 9112, 7.1), read from bytes as they come. It must not know sockets.
//!
//! Strict where two readers could take the bytes for two different bodies: a line ends in CRLF and nowhere else, a size
//! is hexadecimal digits and fits 64 bits, and data is followed by its CRLF.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use memchr::{memchr, memchr_iter};

use super::body_decoder::Step;
use super::head;

/// Bytes of a size and its extensions, which nobody uses.
const MOST_LINE: usize = 1024;
/// Bytes of all trailers together.
const MOST_TRAILERS: usize = 16 * 1024;
/// How many trailers.
const MANY_TRAILERS: usize = 64;
const CRLF: &[u8; 2] = b"\r\n";

/// A body in chunks, between two steps.
#[derive(Debug, Default)]
pub(crate) enum ChunkedDecoder {
    /// A size is next.
    #[default]
    Size,
    /// So many bytes of data are left of this chunk.
    Data(u64),
    /// The line end after data is next.
    DataEnd,
    /// Trailers, or the line end in place of them; so many bytes of them were there at the last look.
    Trailers(usize),
}

/// These are no chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A size that is none, or with another end than CRLF, or too long a line.
    #[error("a chunk without a size")]
    Size,
    /// Data that goes on where its chunk ends.
    #[error("a chunk that does not end where it should")]
    End,
    /// Trailers that are none, or too many.
    #[error("trailers that are none, or too large")]
    Trailers,
}

impl ChunkedDecoder {
    /// Takes the next step out of `bytes`.
    ///
    /// # Errors
    /// [`ChunkError`]; nothing more can be said of what follows.
    pub(crate) fn step(&mut self, bytes: &mut BytesMut) -> Result<Step, ChunkError> {
        loop {
            match self {
                Self::Size => {
                    let Some(size) = take_size(bytes)? else {
                        return Ok(Step::More);
                    };
                    *self = match size {
                        0 => Self::Trailers(0),
                        size => Self::Data(size),
                    };
                }
                Self::Data(left) => {
                    if bytes.is_empty() {
                        return Ok(Step::More);
                    }
                    let data = take(bytes, left);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Step::Data(data));
                }
                Self::DataEnd => {
                    let end = bytes.get(..CRLF.len()).unwrap_or(bytes);
                    if !CRLF.starts_with(end) {
                        return Err(ChunkError::End);
                    }
                    if end.len() < CRLF.len() {
                        return Ok(Step::More);
                    }
                    bytes.advance(CRLF.len());
                    *self = Self::Size;
                }
                Self::Trailers(looked) => {
                    return Ok(take_trailers(bytes, looked)?.map_or(Step::More, Step::End));
                }
            }
        }
    }
}

/// As many of the bytes as are left of something.
pub(crate) fn take(bytes: &mut BytesMut, left: &mut u64) -> Bytes {
    let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= taken as u64;
    bytes.split_to(taken).freeze()
}

/// Takes the line with a chunk's size, if it is whole.
fn take_size(bytes: &mut BytesMut) -> Result<Option<u64>, ChunkError> {
    let within = bytes.get(..MOST_LINE).unwrap_or(bytes);
    let Some(end) = memchr(b'\n', within) else {
        // What cannot become a size is refused without waiting for its end.
        let is_too_long = within.len() == MOST_LINE;
        let begins = within.first().is_none_or(u8::is_ascii_hexdigit);
        return if is_too_long || !begins {
            Err(ChunkError::Size)
        } else {
            Ok(None)
        };
    };
    let line = within.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let size = line.and_then(size).ok_or(ChunkError::Size)?;
    bytes.advance(end + 1);
    Ok(Some(size))
}

/// The size that a line says.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (digits, rest) = line.split_at(digits.count());
    let is_line = rest.is_empty() || is_extension(rest);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_line)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Whether this stands behind a size, as far as it matters: it says nothing that ends a line elsewhere.
fn is_extension(text: &[u8]) -> bool {
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let is_text = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
    text.iter().find(|byte| !is_blank(byte)) == Some(&b';') && text.iter().all(is_text)
}

/// Takes the trailers, if they are whole.
fn take_trailers(
    bytes: &mut BytesMut,
    looked: &mut usize,
) -> Result<Option<HeaderMap>, ChunkError> {
    if bytes.starts_with(CRLF) {
        bytes.advance(CRLF.len());
        return Ok(Some(HeaderMap::new()));
    }
    let within = bytes.get(..MOST_TRAILERS).unwrap_or(bytes);
    let Some(end) = head::end(within, *looked) else {
        *looked = within.len();
        return if within.len() == MOST_TRAILERS {
            Err(ChunkError::Trailers)
        } else {
            Ok(None)
        };
    };
    let lines = bytes.split_to(end).freeze();
    let mut ends = memchr_iter(b'\n', &lines);
    if ends.any(|end| lines.get(end.wrapping_sub(1)) != Some(&b'\r')) {
        return Err(ChunkError::Trailers);
    }
    let mut room = [httparse::EMPTY_HEADER; MANY_TRAILERS];
    match httparse::parse_headers(&lines, &mut room) {
        Ok(httparse::Status::Complete((taken, trailers))) if taken == lines.len() => {
            let trailers = head::headers(&lines, trailers);
            trailers.map(Some).map_err(|_| ChunkError::Trailers)
        }
        _ => Err(ChunkError::Trailers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All data, trailers if the end came, and what was left over.
    type Read = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    fn read(pieces: &[&[u8]]) -> Result<Read, ChunkError> {
        let (mut chunks, mut bytes) = (ChunkedDecoder::default(), BytesMut::new());
        let (mut data, mut trailers) = (Vec::new(), None);
        for piece in pieces {
            bytes.extend_from_slice(piece);
            while trailers.is_none() {
                match chunks.step(&mut bytes)? {
                    Step::Data(more) => {
                        assert!(!more.is_empty());
                        data.extend_from_slice(&more);
                    }
                    Step::End(end) => trailers = Some(end),
                    Step::More => break,
                }
            }
        }
        Ok((data, trailers, bytes.to_vec()))
    }

    #[test]
    fn however_they_are_cut_chunks_are_the_same() {
        let whole: &[u8] =
            b"4;x=\"y\"\r\nWiki\r\n00a \t;z\r\npedia in\r\n\r\n2\r\n\r\n\r\n0\r\nExpires: never\r\nA: b\r\n\r\nHTTP/1.1";
        let (data, trailers, rest) = read(&[whole]).unwrap();
        assert_eq!(data, b"Wikipedia in\r\n\r\n");
        let trailers = trailers.unwrap();
        assert_eq!(trailers["expires"], "never");
        assert_eq!(trailers["a"], "b");
        assert_eq!(rest, b"HTTP/1.1");
        for cut in 0..=whole.len() {
            let (before, after) = whole.split_at(cut);
            let cut = read(&[before, after]).unwrap();
            assert_eq!(
                (&cut.0, cut.1.as_ref(), &cut.2),
                (&data, Some(&trailers), &rest)
            );
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(read(&bytes).unwrap(), (data, Some(trailers), rest));
    }

    #[test]
    fn a_body_that_breaks_off_has_no_end() {
        let whole: &[u8] = b"4\r\nWiki\r\n0\r\na: b\r\n\r\n";
        for cut in 0..whole.len() {
            assert_eq!(read(&[&whole[..cut]]).unwrap().1, None, "{cut}");
        }
    }

    #[test]
    fn what_two_readers_could_take_for_two_bodies_is_none() {
        let long = [b"1;", [b'x'; MOST_LINE].as_slice()].concat();
        let sizes: [&[u8]; 17] = [
            b"\r\n",
            b" 4\r\nWiki",
            b"-4\r\nWiki",
            b"+4\r\nWiki",
            b"0x4\r\nWiki",
            b"4_\r\nWiki",
            b"4\x0c\r\nWiki",
            b"4 4\r\nWiki",
            b"4\nWiki",
            b"4;x\nWiki",
            b"4;\rx\r\nWiki",
            b"4\r\r\nWiki",
            b"10000000000000000\r\n",
            b"ffffffffffffffffff\r\n",
            b"x",
            b";x\r\n",
            &long,
        ];
        for size in sizes {
            let said = String::from_utf8_lossy(size);
            assert_eq!(read(&[size]), Err(ChunkError::Size), "{said:?}");
        }
        for end in [
            &b"1\r\nab"[..],
            b"1\r\na\n",
            b"1\r\na\rx",
            b"1\r\na0\r\n\r\n",
        ] {
            assert_eq!(read(&[end]), Err(ChunkError::End));
        }
        let large = [b"0\r\na: ", [b'x'; MOST_TRAILERS].as_slice()].concat();
        let many = [
            b"0\r\n",
            b"a: b\r\n".repeat(MANY_TRAILERS + 1).as_slice(),
            CRLF,
        ]
        .concat();
        for trailers in [
            &b"0\r\n: x\r\n\r\n"[..],
            b"0\r\na\r\n\r\n",
            b"0\r\na: \0\r\n\r\n",
            b"0\r\na: b\n\r\n",
            b"0\r\na: b\r\n\n",
            b"0\r\n\n\r\n",
            b"0\r\na : b\r\n\r\n",
            &large,
            &many,
        ] {
            assert_eq!(read(&[trailers]), Err(ChunkError::Trailers));
        }
    }
}
