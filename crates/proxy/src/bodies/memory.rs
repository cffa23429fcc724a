//! A limit on bytes held at once over all calls. Knows nothing of what the bytes are.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be held together.
#[derive(Debug)]
pub(crate) struct Memory {
    used: AtomicUsize,
}

impl Memory {
    pub(crate) fn new() -> Arc<Memory> {
        Arc::new(Memory {
            used: AtomicUsize::new(0),
        })
    }

    /// Nothing yet.
    pub(crate) fn reserve(self: &Arc<Memory>) -> Reservation {
        Reservation {
            memory: Arc::clone(self),
            bytes: 0,
        }
    }
}

/// The bytes that one call holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Reservation {
    /// Takes more, unless all of them together would pass `most`.
    pub(crate) fn grow(&mut self, bytes: usize, most: usize) -> bool {
        let used = self.memory.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if used.saturating_add(bytes) <= most {
            return true;
        }
        self.give_back(bytes);
        false
    }

    /// Holds so much from now on, unless it is more than before and all of them together would pass `most`.
    pub(crate) fn hold(&mut self, bytes: usize, most: usize) -> bool {
        match bytes.cmp(&self.bytes) {
            Less => self.give_back(self.bytes - bytes),
            // Whoever takes nothing more is not told that there is no room: others may be trying to take it just now.
            Equal => {}
            Greater => return self.grow(bytes - self.bytes, most),
        }
        true
    }

    fn give_back(&mut self, bytes: usize) {
        self.memory.used.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_are_bounded_together_and_given_back() {
        let memory = Memory::new();
        let mut first = memory.reserve();
        assert!(first.grow(60, 100));
        let mut second = memory.reserve();
        assert!(!second.grow(41, 100));
        assert!(second.grow(40, 100));
        drop(first);
        assert!(second.grow(60, 100));
        assert!(!second.grow(1, 100));
        assert!(second.hold(30, 100) && !second.hold(101, 100));
        assert!(memory.reserve().grow(70, 100));
        assert!(second.hold(30, 10), "no more than before");
    }
}
