//! How the ledger does, for health checks, metrics and people. Must not know who asks.

/// How the ledger does, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether all is well, in words.
    pub state: HealthState,
    /// Entries that wait to be appended to the tail: not committed yet.
    pub waiting: usize,
    /// Settled calls and adjustments of them that could not be kept since this program began: the queue was full, or
    /// the ledger was closed.
    pub dropped: u64,
    /// Bytes of the tail that are not in the tables yet. They are committed all the same.
    pub unmoved_bytes: u64,
    /// When entries were last moved into the tables, Unix milliseconds; `None`: not since this program began.
    pub last_moved_at: Option<i64>,
    /// How often somebody waited for a commit that came later than [`DEADLINE`](crate::DEADLINE): a call was released
    /// without it. An entry that two wait for counts twice, one that nobody waits for not at all.
    pub late: u64,
}

/// Whether all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// Entries are committed and moved.
    Ok,
    /// Something does not work; what and why, in one line. Calls go on all the same.
    Degraded(String),
}
