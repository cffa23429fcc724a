//! Our own ends of the connections to upstream: a client that calls from one of them is ourselves. It must not know what
//! goes over them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The addresses we call from now.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    open: Mutex<HashSet<SocketAddr>>,
}

impl Origins {
    /// Notes one, as long as what is returned lives.
    pub(crate) fn note(self: &Arc<Self>, address: SocketAddr) -> Origin {
        self.lock().insert(address);
        Origin {
            origins: Arc::clone(self),
            address,
        }
    }

    pub(crate) fn contains(&self, address: SocketAddr) -> bool {
        self.lock().contains(&address)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        // Nothing under the lock can leave the set half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Origin {
    origins: Arc<Origins>,
    address: SocketAddr,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.origins.lock().remove(&self.address);
    }
}
