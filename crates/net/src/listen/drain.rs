//! The end of service in good order: stop accepting, let open calls finish, cut the rest.
//!
//! One drain may end several listeners. It must not know what is drained; it only says which stage it is.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// The stages, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    Closing,
    Cut,
}

/// Begins the drain. Clones are the same drain.
#[derive(Debug, Clone)]
pub struct DrainHandle {
    stage: Arc<watch::Sender<Stage>>,
    begun: Arc<AtomicBool>,
}

/// Says how far the drain has come. Clones are the same drain.
#[derive(Debug, Clone)]
pub struct Drain {
    stage: watch::Receiver<Stage>,
}

impl DrainHandle {
    /// A drain that has not begun.
    #[must_use]
    pub fn new() -> (Self, Drain) {
        let (sender, stage) = watch::channel(Stage::Open);
        let handle = Self {
            stage: Arc::new(sender),
            begun: Arc::default(),
        };
        (handle, Drain { stage })
    }

    /// Begins: connections are accepted for `keep_accepting` more, then open calls have `grace` to finish, then they
    /// are cut. Has to be called on a tokio runtime. Only the first call counts.
    pub fn begin(&self, keep_accepting: Duration, grace: Duration) {
        if self.begun.swap(true, Ordering::Relaxed) {
            return;
        }
        let stage = Arc::clone(&self.stage);
        tokio::spawn(async move {
            tokio::time::sleep(keep_accepting).await;
            advance(&stage, Stage::Closing);
            tokio::time::sleep(grace).await;
            advance(&stage, Stage::Cut);
        });
    }

    /// Ends everything at once, whether begun or not.
    pub fn cut_now(&self) {
        advance(&self.stage, Stage::Cut);
    }
}

/// Stages only go forward.
fn advance(stage: &watch::Sender<Stage>, to: Stage) {
    stage.send_if_modified(|now| {
        let forward = *now < to;
        *now = to.max(*now);
        forward
    });
}

impl Drain {
    /// Waits until no more connections are taken and idle ones are closed.
    pub async fn closing(&self) {
        self.reached(Stage::Closing).await;
    }

    /// Waits until what is still open is cut.
    pub async fn cut(&self) {
        self.reached(Stage::Cut).await;
    }

    /// Whether what is still open is cut.
    pub(crate) fn is_cut(&self) -> bool {
        *self.stage.borrow() == Stage::Cut
    }

    /// Whether the stage has changed since this drain was cloned: one atomic load, for use on the path of a call.
    pub(crate) fn has_moved(&self) -> bool {
        // Whoever gave the last word may be gone since.
        self.stage.has_changed().unwrap_or(true)
    }

    async fn reached(&self, stage: Stage) {
        if self
            .stage
            .clone()
            .wait_for(|now| *now >= stage)
            .await
            .is_err()
        {
            // The handle is gone without a word: nothing will be drained any more.
            pending::<()>().await;
        }
    }
}
