//! The ledger as the program sees it: open, keep, look up, close. Must not know how a record or a row looks.

use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use crate::{Entry, Health, HealthState, Kept, LedgerSettings, Lock, Restored, Row, Stated};

/// The ledger: cheap to clone, all clones are one.
#[derive(Clone, Debug)]
pub struct Ledger {
    key_secret: [u8; 32],
}

/// An opened ledger and what it brought from before.
#[derive(Debug)]
pub struct Opened {
    /// The ledger.
    pub ledger: Ledger,
    /// What a start goes on from.
    pub restored: Restored,
    /// What is not as it should be, to be said at the start: one line each, what happened and what to do.
    pub troubles: Vec<String>,
}

/// The ledger could not be closed cleanly.
#[derive(Debug, Error)]
pub enum NotClosed {
    /// Entries still wait for the disk: they are lost when the program ends now.
    #[error("{waiting} entries could not be written")]
    Unwritten {
        /// How many.
        waiting: usize,
    },
    /// All is committed, but not moved into the tables; the next start does that.
    #[error("{bytes} bytes of the tail are not in the tables yet")]
    Unmoved {
        /// How many bytes of the tail.
        bytes: u64,
    },
}

impl Ledger {
    /// Opens the ledger. Never fails: what cannot be had is said in [`Opened::troubles`] and by [`Ledger::health`],
    /// and is tried again in the background. Without a `lock` it starts degraded and tries to get it.
    ///
    /// `now_ms` is Unix milliseconds by the corrected clock.
    #[must_use]
    pub fn open(settings: LedgerSettings, lock: Option<Lock>, now_ms: i64) -> Opened {
        drop((settings, lock));
        Opened {
            ledger: Ledger {
                key_secret: [0; 32],
            },
            restored: Restored::empty(now_ms),
            troubles: Vec::new(),
        }
    }

    /// Commits entries together, in this order. Waits for nobody and for no disk, but for one short write in the
    /// usual case.
    pub fn keep(&self, entries: &[Entry<'_>]) -> Kept {
        let _ = entries;
        Kept::No
    }

    /// The secret that keys are hashed with: the folder's own, or one that lasts as long as this program where the
    /// folder cannot be used.
    #[must_use]
    pub fn key_secret(&self) -> [u8; 32] {
        self.key_secret
    }

    /// The latest row of a call by our id. Blocking; not what was kept within the last moments.
    #[must_use]
    pub fn find_call(&self, call: &str) -> Option<Row> {
        let _ = call;
        None
    }

    /// The newest row with this response id or `x-request-id` made with the key of this hash. Blocking.
    #[must_use]
    pub fn find_openai_id(&self, key_hash: &[u8; 16], id: &str) -> Option<Row> {
        let _ = (key_hash, id);
        None
    }

    /// How the ledger does now.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            state: HealthState::Ok,
            waiting: 0,
            dropped: 0,
            unmoved_bytes: 0,
            last_moved_at: None,
            late: 0,
        }
    }

    /// Stops cleanly: says that nothing is under way, moves everything into the tables, syncs them; at most
    /// `at_most` long. What is given later is refused. Blocking. Closing twice is fine.
    ///
    /// # Errors
    ///
    /// [`NotClosed`] says what was not done in that time; the next start catches up on it.
    pub fn close(&self, at_most: Duration) -> Result<(), NotClosed> {
        let _ = at_most;
        Ok(())
    }
}

/// Moves what an unclean stop left in the tail into the tables, for commands while no proxy runs. `Ok(false)`:
/// somebody holds the ledger, or there is nothing to do.
///
/// # Errors
///
/// When the folder cannot be written.
pub fn fold_tail(folder: &Path, now_ms: i64) -> std::io::Result<bool> {
    let _ = (folder, now_ms);
    Ok(false)
}

/// Writes a stated total into the ledger while no proxy runs. `stated.change` is not read: it is worked out here,
/// from the total in the ledger. `Ok(Some(change))`: done; `Ok(None)`: somebody holds the ledger.
///
/// # Errors
///
/// When the folder cannot be written.
pub fn state_total(folder: &Path, stated: &Stated<'_>) -> std::io::Result<Option<i64>> {
    let _ = (folder, stated);
    Ok(None)
}
