//! What was settled, kept. The only crate that knows rusqlite. Must not know how a call was read, or HTTP.
//!
//! An entry takes one way, folder by folder. `append` commits it: writes it at the end of the `tail`, files that
//! survive the program's death. The tail is the write-ahead log. The `mover` moves it into the `table`s, a SQLite file
//! that people read; moving is checkpointing: what is moved and synced needs no tail any more. `read` is for whoever
//! asks.

mod append;
mod entry;
mod fold;
mod health;
mod ledger;
mod lock;
mod mover;
mod read;
#[cfg(test)]
mod samples;
mod secret;
mod settings;
mod shared;
mod start;
mod table;
mod tail;

pub use append::{Commit, DEADLINE, Kept};
pub use entry::{Adjustment, Entry, OpenCalls, SettledCall, Slack, Stated, Tokens};
pub use fold::{fold_tail, state_total};
pub use health::{Health, HealthState};
pub use ledger::{Ledger, NotClosed, Opened};
pub use lock::{Lock, LockError};
pub use read::{
    CallFilter, CarriedTotal, Crossing, DayRow, ReadError, Reader, Restored, Row, SeenKey,
};
pub use settings::{Durability, LedgerSettings};
pub use table::DATABASE;
