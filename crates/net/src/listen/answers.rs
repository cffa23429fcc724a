//! Answers over HTTP/2 that wait for their client. Each stream has a window of its own, which a client may leave shut
//! while its connection takes all that is written: since when nothing of an answer is taken is written down here, and
//! checked by the connection's timer. It must not know what they say, nor sockets.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::Executor;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::listen::ListenFigures;

tokio::task_local! {
    /// The stream whose task this is.
    static STREAM: Arc<Taken>;
}

/// Runs streams, each as a task that ends once its client takes nothing of its answer for too long. hyper does not look
/// at a body while what it gave waits for a window, so a body alone could not end its stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, stream: F) {
        tokio::spawn(async move {
            let taken = Arc::new(Taken::new());
            let stream = STREAM.scope(Arc::clone(&taken), stream);
            let stalled = pin!(taken.stalled.notified());
            tokio::select! {
                biased;
                () = stream => {}
                // Dropped, it is reset, and what of it was to be written with it.
                () = stalled => {}
            }
        });
    }
}

/// The answers of one connection that are under way.
#[derive(Debug)]
pub(crate) struct Answers {
    /// How long nothing of one may be taken.
    patience: Duration,
    figures: Arc<ListenFigures>,
    under_way: Mutex<Vec<Arc<Taken>>>,
}

impl Answers {
    pub(crate) fn new(patience: Duration, figures: Arc<ListenFigures>) -> Self {
        Self {
            patience,
            figures,
            under_way: Mutex::default(),
        }
    }

    pub(crate) fn figures(&self) -> &Arc<ListenFigures> {
        &self.figures
    }

    /// The answer of the stream whose task this is begins: its client may take it.
    pub(crate) fn begins(self: &Arc<Self>) -> UnderWay {
        let taken = STREAM.try_with(Arc::clone);
        let taken = taken.unwrap_or_else(|_| Arc::new(Taken::new()));
        taken.waits();
        self.under_way().push(Arc::clone(&taken));
        UnderWay {
            taken,
            answers: Arc::clone(self),
        }
    }

    /// Ends the streams of which nothing was taken for too long at `now`. When to look again, if another may be so.
    pub(crate) fn check(&self, now: Instant) -> Option<Instant> {
        let mut again = None;
        self.under_way().retain(|taken| {
            let Some(since) = taken.since() else {
                return true;
            };
            let due = since + self.patience;
            let is_stalled = due <= now;
            if is_stalled {
                self.figures.stalled_writes.fetch_add(1, Ordering::Relaxed);
                taken.stalled.notify_one();
            } else {
                again = Some(again.map_or(due, |again: Instant| again.min(due)));
            }
            !is_stalled
        });
        again
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<Arc<Taken>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the answer of one stream is taken, as its own task and its connection's write it down.
#[derive(Debug)]
struct Taken {
    began: Instant,
    /// Since when it is the client's turn to take something: milliseconds since `began` plus one. Zero while it is not,
    /// because the body was asked for more and has none yet. Each value stands for itself: its order is relaxed.
    since: AtomicU64,
    stalled: Notify,
}

impl Taken {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            since: AtomicU64::new(0),
            stalled: Notify::new(),
        }
    }

    fn since(&self) -> Option<Instant> {
        let since = self.since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.began + Duration::from_millis(since))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX >> 1) + 1
    }

    /// From now on something may be taken, if it was not so before.
    fn waits(&self) {
        self.passes(0);
    }

    /// Something was taken, of what still is to be.
    fn took(&self) {
        let since = self.since.load(Ordering::Relaxed);
        if since != 0 {
            self.passes(since);
        }
    }

    /// It is now instead of `since`. Where that has changed meanwhile, it is newer than this.
    fn passes(&self, since: u64) {
        let (to, order) = (self.now(), Ordering::Relaxed);
        let _ = self.since.compare_exchange(since, to, order, order);
    }
}

/// An answer under way, as long as this lives.
pub(crate) struct UnderWay {
    taken: Arc<Taken>,
    answers: Arc<Answers>,
}

impl UnderWay {
    /// There is room for more: whatever time it takes until it is there, the client is not to blame.
    pub(crate) fn asked(&self) {
        self.taken.since.store(0, Ordering::Relaxed);
    }

    /// The body gave this.
    pub(crate) fn gave(&self, bytes: Bytes) -> Piece {
        self.taken.waits();
        Piece {
            bytes,
            taken: Arc::clone(&self.taken),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = self.answers.under_way();
        let at = under_way
            .iter()
            .position(|taken| Arc::ptr_eq(taken, &self.taken));
        if let Some(at) = at {
            under_way.swap_remove(at);
        }
    }
}

/// Bytes of an answer: that some were taken is seen by what of them is written, a few behind a window that opens by a
/// few.
pub(crate) struct Piece {
    bytes: Bytes,
    taken: Arc<Taken>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.taken.took();
    }
}
