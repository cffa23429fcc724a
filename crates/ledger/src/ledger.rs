//! The ledger as the program sees it: open, keep, look up, close. Must not know how a record or a row looks.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::shared::{Phase, Shared, chain, lock};
use crate::start::{Started, start};
use crate::{Entry, Kept, LedgerSettings, Lock};
use crate::{Health, ReadError, Reader, Restored, Row};

/// The ledger: cheap to clone, all clones are one.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Held>);

/// What all clones hold together.
struct Held {
    shared: Arc<Shared>,
    key_secret: [u8; 32],
    /// For look-ups; opened with the first.
    reader: Mutex<Option<Reader>>,
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
        let Started {
            shared,
            key_secret,
            restored,
            troubles,
        } = start(settings, lock, now_ms);
        let reader = Mutex::new(None);
        Opened {
            ledger: Ledger(Arc::new(Held {
                shared,
                key_secret,
                reader,
            })),
            restored,
            troubles,
        }
    }

    /// Calls are taken from now on (Unix milliseconds) until the ledger is closed or the program dies: kept, so that
    /// it can be told when none were.
    pub fn takes_calls(&self, now_ms: i64) {
        self.0.shared.takes_calls(now_ms);
    }

    /// Commits entries together, in this order. Waits for nobody, and for the disk as long as one short write
    /// takes, if at all.
    pub fn keep(&self, entries: &[Entry<'_>]) -> Kept {
        self.0.shared.keep(entries)
    }

    /// What became of everything given so far, by whomever: a call waits for this before it leaves, so that what is
    /// under way is on the disk before it can cost anything. Only [`PowerLoss`](crate::Durability::PowerLoss) lets
    /// somebody wait, and not while the disk refuses; else an entry is with the kernel moments after it was given.
    pub fn so_far(&self) -> Kept {
        self.0.shared.so_far()
    }

    /// The secret that keys are hashed with: the folder's own, or one that lasts as long as this program where the
    /// folder cannot be used.
    #[must_use]
    pub fn key_secret(&self) -> [u8; 32] {
        self.0.key_secret
    }

    /// The latest row of a call by our id. Blocking; does not see what was kept within the last moments.
    #[must_use]
    pub fn find_call(&self, call: &str) -> Option<Row> {
        self.0.find(|reader| reader.find_call(call))
    }

    /// The newest row with this response id or `x-request-id` made with the key of this hash. Blocking; does not
    /// see what was kept within the last moments.
    #[must_use]
    pub fn find_openai_id(&self, key_hash: &[u8; 16], id: &str) -> Option<Row> {
        self.0.find(|reader| reader.find_openai_id(key_hash, id))
    }

    /// Waits until the tables have everything that was kept so far, at most `at_most` long; not while they cannot be
    /// written. Blocking. Answers whether they have it.
    #[must_use]
    pub fn catches_up(&self, at_most: Duration) -> bool {
        self.0.shared.catches_up(Instant::now() + at_most)
    }

    /// How the ledger does now.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.shared.health()
    }

    /// Stops cleanly: says that nothing is under way, moves everything into the tables, syncs them, and frees the
    /// folder; at most `at_most` long. What is given later is refused. Blocking. Closing twice is fine.
    ///
    /// # Errors
    ///
    /// [`NotClosed`] says what was not done in that time; the next start catches up on what is committed.
    pub fn close(&self, at_most: Duration) -> Result<(), NotClosed> {
        let shared = &self.0.shared;
        let until = Instant::now() + at_most;
        // Where nothing was ever written and nothing waits to be, there is nothing to wait for, and nothing to say.
        let has_nothing = {
            let state = shared.state();
            state.tail_end.is_none() && state.queue.entries() == 0
        };
        shared.enter(Phase::Closing);
        if has_nothing {
            return Ok(());
        }
        let state = shared.closer_waits(until);
        if state.folded {
            return Ok(());
        }
        // The last one is the note that the program stopped: without it the next start knows no worse.
        match state.queue.entries().saturating_sub(1) {
            0 => Err(NotClosed::Unmoved {
                bytes: state.unmoved,
            }),
            waiting => Err(NotClosed::Unwritten { waiting }),
        }
    }
}

impl Held {
    /// Looks something up. A ledger that cannot be read has nothing, and is opened anew next time.
    fn find(&self, look_up: impl FnOnce(&Reader) -> Result<Option<Row>, ReadError>) -> Option<Row> {
        let mut reader = lock(&self.reader);
        if !reader.as_ref().is_some_and(Reader::is_current) {
            *reader = Reader::open(&self.shared.folder).ok();
        }
        match look_up(reader.as_ref()?) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!("a look-up in the ledger failed: {}", chain(&error));
                *reader = None;
                None
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.enter(Phase::Left);
    }
}

impl fmt::Debug for Held {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("folder", &self.shared.folder)
            .finish_non_exhaustive()
    }
}
