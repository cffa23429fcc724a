//! Room for what may be open at once: connections of clients, and requests over HTTP/2. Each may have a connection to
//! upstream beside it. It must not know what it is taken for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Places that are left. No semaphore: whoever waits for all of them to come back, as a drain does, takes those of a
/// semaphore that are free meanwhile, and requests that still come would be refused.
#[derive(Debug)]
pub(crate) struct Room(AtomicUsize);

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Taken(Arc<Room>);

impl Room {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(places)))
    }

    /// Takes a place, if one is left.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Taken> {
        let less = |left: usize| left.checked_sub(1);
        let taken = (self.0).fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.ok().map(|_| Taken(Arc::clone(self)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}
