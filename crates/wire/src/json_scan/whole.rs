//! Values that stand whole in the bytes at hand, run through without a stop. It must not know what
//! is wanted of them, nor how a value is read that is cut.

use super::cursor::past_spaces;
use super::literal::Literal;
use super::number::Number;
use super::string::{self, Part};

/// Most containers inside each other that are run through; a bit for each.
const MOST_NESTING: u32 = u64::BITS;

/// The place past the value that begins at `at`. `None` if it is cut, wrong or nested too deep: only
/// the grammar can tell.
pub(super) fn value_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    // One bit for each open container, the innermost lowest: set for an object.
    let mut open = 0_u64;
    let mut depth = 0;
    loop {
        let first = *bytes.get(at)?;
        if matches!(first, b'{' | b'[') {
            let is_object = first == b'{';
            at = past_spaces(bytes, at + 1);
            if *bytes.get(at)? == closing(is_object) {
                at += 1;
            } else if depth == MOST_NESTING {
                return None;
            } else {
                open = open << 1 | u64::from(is_object);
                depth += 1;
                if is_object {
                    at = value_of_key(bytes, at)?;
                }
                continue;
            }
        } else {
            at = scalar_end(bytes, at, first)?;
        }
        // Behind a value: to the next one, out of what ends here.
        loop {
            if depth == 0 {
                return Some(at);
            }
            let is_object = open & 1 == 1;
            at = past_spaces(bytes, at);
            let byte = *bytes.get(at)?;
            at += 1;
            if byte == b',' {
                at = past_spaces(bytes, at);
                if is_object {
                    at = value_of_key(bytes, at)?;
                }
                break;
            }
            if byte != closing(is_object) {
                return None;
            }
            open >>= 1;
            depth -= 1;
        }
    }
}

const fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

/// The place of the value whose key begins at `at`.
#[inline]
fn value_of_key(bytes: &[u8], at: usize) -> Option<usize> {
    if *bytes.get(at)? != b'"' {
        return None;
    }
    past_colon(bytes, text_end(bytes, at + 1)?)
}

/// The place of the value whose key ends at `at`.
#[inline]
pub(super) fn past_colon(bytes: &[u8], at: usize) -> Option<usize> {
    let colon = past_spaces(bytes, at);
    (*bytes.get(colon)? == b':').then(|| past_spaces(bytes, colon + 1))
}

/// The place past a string, from past its opening quote.
#[inline]
fn text_end(bytes: &[u8], at: usize) -> Option<usize> {
    if let Some(end) = string::plain_end(bytes, at) {
        return Some(end);
    }
    let (end, cut) = string::run(bytes, at, Part::Plain).ok()?;
    cut.is_none().then_some(end)
}

/// The place past a string, number or literal that begins at `at` with this byte.
#[inline]
fn scalar_end(bytes: &[u8], at: usize, first: u8) -> Option<usize> {
    match first {
        b'"' => text_end(bytes, at + 1),
        b't' | b'f' | b'n' => {
            let (end, cut) = Literal::begin(first)?.run(bytes, at + 1).ok()?;
            cut.is_none().then_some(end)
        }
        _ => {
            let (end, number) = Number::begin(first)?.run(bytes, at + 1);
            // Only another byte can tell a number's end.
            (end < bytes.len() && number.may_end()).then_some(end)
        }
    }
}
