//! `true`, `false` and `null`, byte by byte. It must not know what they say.

use super::{Cursor, ScanError};

/// A literal, and how many of its bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literal {
    word: Word,
    read: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    True,
    False,
    Null,
}

impl Literal {
    /// The literal that begins with this byte.
    pub(super) fn begin(byte: u8) -> Option<Self> {
        let word = match byte {
            b't' => Word::True,
            b'f' => Word::False,
            b'n' => Word::Null,
            _ => return None,
        };
        Some(Self { word, read: 1 })
    }

    /// Runs on in the literal: `None` past its end, else where it is cut again.
    pub(super) fn run(mut self, cursor: &mut Cursor<'_>) -> Result<Option<Self>, ScanError> {
        let text: &[u8] = match self.word {
            Word::True => b"true",
            Word::False => b"false",
            Word::Null => b"null",
        };
        let expected = text.get(usize::from(self.read)..).unwrap_or_default();
        let rest = cursor.bytes.get(cursor.at..).unwrap_or_default();
        if rest.starts_with(expected) {
            cursor.at += expected.len();
            return Ok(None);
        }
        for (byte, expected) in rest.iter().zip(expected) {
            if byte != expected {
                return Err(ScanError::Malformed);
            }
            cursor.at += 1;
            self.read += 1;
        }
        Ok(Some(self))
    }
}
