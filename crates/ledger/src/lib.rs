//! What was settled, kept. A call appends its entry to the tail, a file that survives the program's death; a
//! writer moves the tail into SQLite, where people read it. The only crate that knows rusqlite. Must not know
//! how a call was read, or HTTP.

mod commit;
mod entry;
mod health;
mod ledger;
mod lock;
mod look_up;
mod read;
mod restored;
mod row;
mod settings;

pub use commit::{Commit, Kept};
pub use entry::{Adjustment, Entry, OpenCalls, SettledCall, Slack, Stated, Tokens};
pub use health::{Health, HealthState};
pub use ledger::{Ledger, NotClosed, Opened, fold_tail, state_total};
pub use lock::{Lock, LockError};
pub use read::{CallFilter, Crossing, DayRow, ReadError, Reader};
pub use restored::{CarriedTotal, Restored, SeenKey};
pub use row::Row;
pub use settings::{Durability, LedgerSettings};
