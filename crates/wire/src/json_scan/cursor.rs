//! The bytes of one push, and the short runs through them. It must not know what they are part
//! of.

use super::ScanError;

/// The bytes of one push, and how far they are read.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Where the text of the key or wanted value under way begins.
    pub(super) mark: usize,
}

impl Cursor<'_> {
    /// Runs past whitespace; indentation is much of what a pretty-printed answer is.
    pub(super) fn skip_spaces(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest
            .iter()
            .position(|&byte| !is_space(byte))
            .unwrap_or(rest.len());
    }
}

pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Runs on in a literal, and gives what is still to come of it.
pub(super) fn literal(
    cursor: &mut Cursor<'_>,
    rest: &'static [u8],
) -> Result<&'static [u8], ScanError> {
    let bytes = cursor.bytes.get(cursor.at..).unwrap_or_default();
    let (expected, later) = rest.split_at_checked(bytes.len()).unwrap_or((rest, &[]));
    if !bytes.starts_with(expected) {
        return Err(ScanError::Malformed);
    }
    cursor.at += expected.len();
    Ok(later)
}
