//! Runs through strings, where nearly all bytes of a document are. It must not know whether a
//! string is a key or a value.

use memchr::memchr2;

use super::ScanError;

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

/// The place past the closing quote, if the string goes on to it in plain characters from `at`:
/// this is all there is to most strings.
#[inline]
pub(super) fn plain_end(bytes: &[u8], at: usize) -> Option<usize> {
    let stop = next_stop(bytes, at)?;
    (bytes.get(stop) == Some(&b'"')).then_some(stop + 1)
}

/// Runs on from `at`, where the string was cut: the place past its closing quote and `None`, or
/// the end of the bytes and where it is cut again.
pub(super) fn run(
    bytes: &[u8],
    mut at: usize,
    mut part: Part,
) -> Result<(usize, Option<Part>), ScanError> {
    loop {
        if part == Part::Plain {
            let Some(stop) = next_stop(bytes, at) else {
                return Ok((bytes.len(), Some(part)));
            };
            at = stop + 1;
            if bytes.get(stop) == Some(&b'"') {
                return Ok((at, None));
            }
            // Most escapes are one character, and here.
            if bytes.get(at).copied().is_some_and(is_escapable) {
                at += 1;
                continue;
            }
            part = Part::Escaped;
        }
        (at, part) = escape(bytes, at, part)?;
        if part != Part::Plain {
            return Ok((at, Some(part)));
        }
    }
}

/// Whether a backslash before this character is a whole escape.
const fn is_escapable(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
}

/// Runs on in an escape: [`Part::Plain`] past its end, else where it is cut again.
fn escape(bytes: &[u8], mut at: usize, mut part: Part) -> Result<(usize, Part), ScanError> {
    while part != Part::Plain
        && let Some(&byte) = bytes.get(at)
    {
        part = match part {
            Part::Escaped if byte == b'u' => Part::Hex(4),
            Part::Escaped if is_escapable(byte) => Part::Plain,
            Part::Hex(1) if byte.is_ascii_hexdigit() => Part::Plain,
            Part::Hex(left) if byte.is_ascii_hexdigit() => Part::Hex(left - 1),
            _ => return Err(ScanError::Malformed),
        };
        at += 1;
    }
    Ok((at, part))
}

/// The place of the first quote or backslash from `at` on.
#[inline]
fn next_stop(bytes: &[u8], at: usize) -> Option<usize> {
    let mut rest = bytes.get(at..)?;
    for _ in 0..SHORT_WORDS {
        let Some((word, after)) = rest.split_first_chunk() else {
            let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            return Some(bytes.len() - rest.len() + stop);
        };
        let stops = stops_in(u64::from_le_bytes(*word));
        if stops != 0 {
            return Some(bytes.len() - rest.len() + stops.trailing_zeros() as usize / 8);
        }
        rest = after;
    }
    memchr2(b'"', b'\\', rest).map(|stop| bytes.len() - rest.len() + stop)
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
