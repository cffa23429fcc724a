//! Runs through strings, where nearly all bytes of a document are. It must not know whether a
//! string is a key or a value.

use memchr::memchr2;

use super::{Cursor, ScanError};

/// Words looked at one by one before the vector search, whose start costs as much.
const SHORT_WORDS: usize = 4;
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
            if closes(cursor) {
                return Ok(None);
            }
            if cursor.at == cursor.bytes.len() {
                return Ok(Some(part));
            }
            cursor.at += 1;
            part = Part::Escaped;
        }
        part = escape(cursor, part)?;
        if part != Part::Plain {
            return Ok(Some(part));
        }
    }
}

/// Runs through plain characters: true past the closing quote, else at a backslash or at the end
/// of the bytes. This is all there is to most strings.
#[inline]
pub(super) fn closes(cursor: &mut Cursor<'_>) -> bool {
    let Some(rest) = cursor.bytes.get(cursor.at..) else {
        return false;
    };
    let stop = next_stop(rest).unwrap_or(rest.len());
    let closes = rest.get(stop) == Some(&b'"');
    cursor.at += stop + usize::from(closes);
    closes
}

/// Runs on in an escape: [`Part::Plain`] past its end, else where it is cut again.
fn escape(cursor: &mut Cursor<'_>, mut part: Part) -> Result<Part, ScanError> {
    while part != Part::Plain
        && let Some(&byte) = cursor.bytes.get(cursor.at)
    {
        part = match (part, byte) {
            (Part::Escaped, b'u') => Part::Hex(4),
            (Part::Escaped, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
            | (Part::Hex(1), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => Part::Plain,
            (Part::Hex(left), _) if byte.is_ascii_hexdigit() => Part::Hex(left - 1),
            _ => return Err(ScanError::Malformed),
        };
        cursor.at += 1;
    }
    Ok(part)
}

/// The place of the first quote or backslash.
#[inline]
fn next_stop(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<WORD_BYTES>();
    for (word, at) in words
        .iter()
        .take(SHORT_WORDS)
        .zip((0..).step_by(WORD_BYTES))
    {
        let stops = stops_in(u64::from_le_bytes(*word));
        if stops != 0 {
            return Some(at + stops.trailing_zeros() as usize / 8);
        }
    }
    if words.len() > SHORT_WORDS {
        let seen = SHORT_WORDS * WORD_BYTES;
        return memchr2(b'"', b'\\', bytes.get(seen..)?).map(|stop| seen + stop);
    }
    let stop = tail.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(words.len() * WORD_BYTES + stop)
}

/// Sets the high bit of the lowest byte that is a quote or a backslash (bits above it may be set
/// too).
const fn stops_in(word: u64) -> u64 {
    // A byte less one has its high bit set if it was zero, or if it had it before.
    let quotes = (word ^ repeated(b'"')).wrapping_sub(repeated(1));
    let backslashes = (word ^ repeated(b'\\')).wrapping_sub(repeated(1));
    (quotes | backslashes) & !word & repeated(0x80)
}

/// A word of eight times this byte.
const fn repeated(byte: u8) -> u64 {
    u64::from_le_bytes([byte; WORD_BYTES])
}
