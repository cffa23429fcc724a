//! Which containers are open: one bit for each, flat whatever the nesting. It must not know what
//! is in them.

/// Most containers that may be open inside each other.
pub const MOST_NESTING: usize = 1024;

/// The open containers, outermost first; a set bit is an object.
#[derive(Debug, Default)]
pub(super) struct Stack {
    bits: [u64; MOST_NESTING / 64],
    depth: usize,
    in_object: bool,
}

impl Stack {
    pub(super) fn clear(&mut self) {
        self.depth = 0;
        self.in_object = false;
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether the innermost container is an object.
    pub(super) fn in_object(&self) -> bool {
        self.in_object
    }

    /// The byte that closes the innermost container.
    pub(super) fn closing(&self) -> u8 {
        if self.in_object { b'}' } else { b']' }
    }

    /// Opens a container; false if there is no room for it.
    #[must_use]
    pub(super) fn push(&mut self, is_object: bool) -> bool {
        let Some(word) = self.bits.get_mut(self.depth / 64) else {
            return false;
        };
        let bit = 1 << (self.depth % 64);
        if is_object {
            *word |= bit;
        } else {
            *word &= !bit;
        }
        self.depth += 1;
        self.in_object = is_object;
        true
    }

    /// Closes the innermost container.
    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.in_object = self.depth.checked_sub(1).is_some_and(|outer| {
            self.bits
                .get(outer / 64)
                .is_some_and(|word| word >> (outer % 64) & 1 == 1)
        });
    }
}
