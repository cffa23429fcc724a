//! What was settled, kept. A call appends its entry to the tail, a file that survives the program's death; a
//! writer moves the tail into SQLite, where people read it. The only crate that knows rusqlite. Must not know
//! how a call was read, or HTTP.

mod entry;

pub use entry::{Adjustment, Entry, OpenCalls, SettledCall, Slack, Stated, Tokens};
