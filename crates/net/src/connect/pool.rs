//! Idle connections to the one upstream: last in, first out, bounded in number and age. It must not know HTTP.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::upstream_connection::UpstreamConnection;

/// The pool of one connector.
#[derive(Debug)]
pub(crate) struct Pool {
    idle_timeout: Duration,
    most_idle: usize,
    idle: Mutex<Idle>,
    /// Connections closed because the pool was full.
    turned_away: AtomicU64,
}

#[derive(Debug)]
struct Idle {
    /// In the order in which they became idle: the oldest in front, the next to be used at the back.
    connections: VecDeque<(Instant, Box<UpstreamConnection>)>,
    /// Whether the reaper runs. It does as long as there are connections.
    reaped: bool,
}

impl Pool {
    pub(crate) fn new(idle_timeout: Duration, most_idle: usize) -> Arc<Self> {
        let idle = Mutex::new(Idle {
            connections: VecDeque::new(),
            reaped: false,
        });
        Arc::new(Self {
            idle_timeout,
            most_idle,
            idle,
            turned_away: AtomicU64::new(0),
        })
    }

    /// The connection that became idle last, if upstream has not closed it. Those that are too old the reaper takes.
    pub(crate) fn take(&self) -> Option<Box<UpstreamConnection>> {
        loop {
            let (_, mut connection) = self.lock().connections.pop_back()?;
            if connection.is_fresh() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next call. In a full pool the oldest one gives way.
    pub(crate) fn put(self: Arc<Self>, connection: Box<UpstreamConnection>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut idle = self.lock();
        idle.connections.push_back((Instant::now(), connection));
        let excess = if idle.connections.len() > self.most_idle {
            idle.connections.pop_front()
        } else {
            None
        };
        let reap = !std::mem::replace(&mut idle.reaped, true);
        drop(idle);
        if excess.is_some() {
            self.was_full(1);
        }
        if reap {
            let due = Instant::now() + self.idle_timeout;
            runtime.spawn(Self::reap(Arc::downgrade(&self), due));
        }
    }

    /// Connections that wait for a call now.
    pub(crate) fn len(&self) -> usize {
        self.lock().connections.len()
    }

    /// So many connections were closed because the pool was full.
    pub(crate) fn was_full(&self, closed: u64) {
        self.turned_away.fetch_add(closed, Ordering::Relaxed);
    }

    /// Connections closed because the pool was full.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Closes connections as they grow too old; ends when none is left or the pool is gone.
    async fn reap(pool: Weak<Self>, mut due: Instant) {
        loop {
            sleep_until(due).await;
            let Some(pool) = pool.upgrade() else {
                return;
            };
            let now = Instant::now();
            let mut expired = Vec::new();
            let mut idle = pool.lock();
            while let Some((since, _)) = idle.connections.front()
                && now.duration_since(*since) >= pool.idle_timeout
            {
                expired.extend(idle.connections.pop_front());
            }
            match idle.connections.front() {
                Some((since, _)) => due = *since + pool.idle_timeout,
                None => idle.reaped = false,
            }
            let done = !idle.reaped;
            // Sockets are closed after the lock is given back.
            drop(idle);
            drop(expired);
            if done {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        // Nothing under the lock can leave the queue half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
