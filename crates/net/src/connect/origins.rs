//! Our own connections to upstream: a client whose connection is one of them is ourselves. It must not know what goes
//! over them.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A connection by both its ends. One end alone does not name it: the same port of ours may lead to several others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    from: SocketAddr,
    to: SocketAddr,
}

impl Ends {
    /// An IPv4 address is the same one in an IPv6 listener's writing.
    pub(crate) fn new(from: SocketAddr, to: SocketAddr) -> Self {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self {
            from: plain(from),
            to: plain(to),
        }
    }

    /// Those of a connection that we made.
    pub(crate) fn of(ours: io::Result<SocketAddr>, theirs: io::Result<SocketAddr>) -> Option<Self> {
        Some(Self::new(ours.ok()?, theirs.ok()?))
    }
}

/// The connections that are open now.
#[derive(Debug)]
pub(crate) struct Origins {
    /// No other set has it.
    number: u64,
    open: Mutex<HashSet<Ends>>,
}

/// What a client's connection turned out to be at its first call. One of ours is noted before anything is said on it, so
/// the answer stays; it is asked for anew once a reload made a set of its own.
///
/// The number of the set that was asked, shifted left by one, and the answer; zero before.
#[derive(Debug, Default)]
pub(crate) struct Found(AtomicU64);

impl Default for Origins {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            open: Mutex::default(),
        }
    }
}

impl Origins {
    /// Notes one, as long as what is returned lives.
    pub(crate) fn note(self: &Arc<Self>, ends: Ends) -> Origin {
        self.lock().insert(ends);
        Origin {
            origins: Arc::clone(self),
            ends,
        }
    }

    /// Whether a client's connection is one of these, looked at once: every call asks.
    pub(crate) fn have(&self, found: &Found, ends: impl FnOnce() -> Ends) -> bool {
        let before = found.0.load(Ordering::Relaxed);
        if before >> 1 == self.number {
            return before & 1 == 1;
        }
        let is_one = self.contains(ends());
        found
            .0
            .store(self.number << 1 | u64::from(is_one), Ordering::Relaxed);
        is_one
    }

    pub(crate) fn contains(&self, ends: Ends) -> bool {
        self.lock().contains(&ends)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Ends>> {
        // Nothing under the lock can leave the set half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Origin {
    origins: Arc<Origins>,
    ends: Ends,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.origins.lock().remove(&self.ends);
    }
}
