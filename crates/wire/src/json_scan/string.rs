//! Runs through strings, where nearly all bytes of a document are. It must not know whether a
//! string is a key or a value.

use memchr::memchr2;

use super::{Cursor, ScanError};

/// Bytes looked at word by word before the vector search, whose start costs as much.
const SHORT_BYTES: usize = 32;
const WORD_BYTES: usize = 8;

/// Where in a string the bytes were cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Among plain characters.
    Plain,
    /// After a backslash.
    Escaped,
    /// In `\uXXXX`, with this many digits still to come.
    Hex(u8),
}

/// Runs on from where the string was cut: `None` past its closing quote, else where it is cut
/// again.
pub(super) fn run(cursor: &mut Cursor<'_>, mut part: Part) -> Result<Option<Part>, ScanError> {
    loop {
        if part == Part::Plain {
            let Some(stop) = next_stop(cursor.bytes, cursor.at) else {
                cursor.at = cursor.bytes.len();
                return Ok(Some(part));
            };
            cursor.at = stop + 1;
            if cursor.bytes.get(stop) == Some(&b'"') {
                return Ok(None);
            }
            part = Part::Escaped;
        }
        let Some(&byte) = cursor.bytes.get(cursor.at) else {
            return Ok(Some(part));
        };
        part = match (part, byte) {
            (Part::Escaped, b'u') => Part::Hex(4),
            (Part::Escaped, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Part::Plain,
            (Part::Hex(left), _) if byte.is_ascii_hexdigit() => match left {
                1 => Part::Plain,
                _ => Part::Hex(left - 1),
            },
            _ => return Err(ScanError::Malformed),
        };
        cursor.at += 1;
    }
}

/// The place of the first quote or backslash at or after `from`.
fn next_stop(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at < from + SHORT_BYTES {
        let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<WORD_BYTES>) else {
            break;
        };
        let word = u64::from_le_bytes(*word);
        let stops = zero_bytes(word ^ repeated(b'"')) | zero_bytes(word ^ repeated(b'\\'));
        if stops != 0 {
            return Some(at + stops.trailing_zeros() as usize / 8);
        }
        at += WORD_BYTES;
    }
    let rest = bytes.get(at..)?;
    if rest.len() < WORD_BYTES {
        let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        return stop.map(|stop| at + stop);
    }
    memchr2(b'"', b'\\', rest).map(|stop| at + stop)
}

/// A word of eight times this byte.
const fn repeated(byte: u8) -> u64 {
    u64::from_le_bytes([byte; WORD_BYTES])
}

/// Sets the high bit of the lowest zero byte (bits above it may be set too).
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(repeated(0x01)) & !word & repeated(0x80)
}
