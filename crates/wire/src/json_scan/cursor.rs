//! The bytes of one push, and the short runs through them. It must not know what they are part
//! of.

/// The bytes of one push, and how far they are read.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Offset in the document of the first byte.
    pub(super) base: usize,
}

impl<'a> Cursor<'a> {
    /// Offset in the document of the next byte.
    pub(super) fn position(&self) -> usize {
        self.base + self.at
    }

    /// What stands in this push between an offset in the document and a place in the push.
    pub(super) fn between(&self, start: usize, end: usize) -> &'a [u8] {
        let start = start.saturating_sub(self.base);
        self.bytes.get(start..end).unwrap_or_default()
    }
}

/// The place of the first byte from `at` on that is no whitespace; indentation is much of what a
/// pretty-printed answer is.
#[inline]
pub(super) fn past_spaces(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).copied().is_some_and(is_space) {
        at += 1;
    }
    at
}

pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
