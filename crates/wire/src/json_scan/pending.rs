//! Wanted values between their beginning and their end. It must not know how either is found.

use super::{Found, Node, Raw};

/// A wanted value that comes next or is under way.
#[derive(Debug)]
pub(super) struct Pending<T: 'static> {
    pub(super) node: &'static Node<T>,
    pub(super) again: bool,
    pub(super) key_start: usize,
    pub(super) value_start: usize,
    /// The value's first byte; zero before it begins.
    pub(super) first: u8,
}

/// An open container whose members or items are looked at.
#[derive(Debug)]
pub(super) struct Level<T: 'static> {
    pub(super) pending: Pending<T>,
    /// One bit for each of the node's members seen.
    pub(super) seen: u32,
}

impl<T: Copy> Pending<T> {
    pub(super) const fn of(node: &'static Node<T>, again: bool, key_start: usize) -> Self {
        Self {
            node,
            again,
            key_start,
            value_start: 0,
            first: 0,
        }
    }

    /// Where the value's text began, if it is under way and its text is wanted.
    pub(super) fn text_start(&self) -> Option<usize> {
        (self.first != 0 && self.node.is_raw()).then_some(self.value_start)
    }

    pub(super) fn give(self, value_end: usize, raw: Raw<'_>, sink: &mut impl FnMut(Found<'_, T>)) {
        if let Some(tag) = self.node.tag() {
            sink(Found {
                tag,
                again: self.again,
                key_start: self.key_start,
                value_start: self.value_start,
                value_end,
                first: self.first,
                raw,
            });
        }
    }
}
