//! Our own connections to upstream: a client whose connection is one of them is ourselves. It must not know what goes
//! over them.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
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
#[derive(Debug, Default)]
pub(crate) struct Origins {
    open: Mutex<HashSet<Ends>>,
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
