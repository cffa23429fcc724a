//! What a caller gets for entries it gave: kept, kept soon, or not. Must not know files.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

/// How long a call waits for its commit; then it leaves all the same, and says that it was not recorded. What is
/// committed later than this is counted as late.
pub const DEADLINE: Duration = Duration::from_millis(250);

/// What became of entries given to the ledger.
#[derive(Debug)]
#[must_use = "an answer may be called recorded only when this says so"]
pub enum Kept {
    /// They are committed.
    Now,
    /// They wait for others that are being written, or for the disk.
    Later(Commit),
    /// They are not kept and will not be: the queue is full or the ledger is closed. This is counted.
    No,
}

/// Entries on their way to being committed.
///
/// As a future it ends with `true` when they are committed, and with `false` when they will not be. To drop it
/// stops nothing: the entries stay on their way.
#[derive(Debug)]
pub struct Commit(pub(crate) oneshot::Receiver<bool>);

impl Future for Commit {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|written| written.unwrap_or(false))
    }
}

impl Commit {
    /// Waits for the end on this thread, however long that takes. Not for use inside an async task.
    #[must_use]
    pub fn wait(self) -> bool {
        self.0.blocking_recv().unwrap_or(false)
    }
}
