//! What was settled, kept. A call appends its entry to the tail, a file that survives the program's death; a
//! writer moves the tail into SQLite, where people read it. The only crate that knows rusqlite. Must not know
//! how a call was read, or HTTP.

mod commit;
mod curve;
mod day_row;
mod entry;
mod fold;
mod health;
mod ledger;
mod lock;
mod look_up;
mod mover;
mod not_running;
mod queue;
mod read;
mod restored;
mod row;
#[cfg(test)]
mod samples;
mod secret;
mod settings;
mod shared;
mod start;
mod sync;
mod table;
mod tail;
mod writing;

pub use commit::{Commit, DEADLINE, Kept};
pub use day_row::{Crossing, DayRow};
pub use entry::{Adjustment, Entry, OpenCalls, SettledCall, Slack, Stated, Tokens};
pub use fold::{fold_tail, state_total};
pub use health::{Health, HealthState};
pub use ledger::{Ledger, NotClosed, Opened};
pub use lock::{Lock, LockError};
pub use read::{CallFilter, ReadError, Reader};
pub use restored::{CarriedTotal, Restored, SeenKey};
pub use row::Row;
pub use settings::{Durability, LedgerSettings};
pub use table::DATABASE;
