//! `true`, `false` and `null`, byte by byte. It must not know what they say.

use super::ScanError;

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

    /// Runs on in the literal from `at`: the place past its end and `None`, or the end of the bytes
    /// and where it is cut again.
    #[inline]
    pub(super) fn run(
        mut self,
        bytes: &[u8],
        at: usize,
    ) -> Result<(usize, Option<Self>), ScanError> {
        let text: &[u8] = match self.word {
            Word::True => b"true",
            Word::False => b"false",
            Word::Null => b"null",
        };
        let expected = text.get(usize::from(self.read)..).unwrap_or_default();
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.starts_with(expected) {
            return Ok((at + expected.len(), None));
        }
        if !expected.starts_with(rest) {
            return Err(ScanError::Malformed);
        }
        // Shorter than what is expected, which is at most four bytes.
        self.read += u8::try_from(rest.len()).unwrap_or_default();
        Ok((bytes.len(), Some(self)))
    }
}
