//! The bytes of a key or wanted value, wherever they were cut. It must not know what they say.

use super::{MOST_RAW_BYTES, Raw};

/// The text under way, as far as it came with earlier pushes: nothing for most texts, which stand
/// whole in one push.
#[derive(Debug, Default)]
pub(super) struct Text {
    kept: Vec<u8>,
    is_too_long: bool,
}

impl Text {
    /// Keeps what this push has of the text.
    pub(super) fn keep(&mut self, part: &[u8]) {
        if self.is_too_long {
            return;
        }
        if self.kept.len() + part.len() > MOST_RAW_BYTES {
            self.is_too_long = true;
            self.kept = Vec::new();
        } else {
            self.kept.extend_from_slice(part);
        }
    }

    /// The whole text, given its last part.
    pub(super) fn whole<'a>(&'a mut self, last: &'a [u8]) -> Raw<'a> {
        if self.is_too_long || self.kept.len() + last.len() > MOST_RAW_BYTES {
            return Raw::TooLong;
        }
        if self.kept.is_empty() {
            return Raw::Whole(last);
        }
        self.kept.extend_from_slice(last);
        Raw::Whole(&self.kept)
    }

    /// The text has ended: the next one begins with nothing.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.is_too_long = false;
    }
}
