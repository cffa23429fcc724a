//! What a client's connection is waiting for, written down as it happens, and checked by one timer per connection.
//!
//! The path of a call arms no timer: it only stores a number (phase and time), and [`Watch::check`] looks at it when the
//! connection's timer fires, which is at least once per head timeout. It must not know sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long a client may keep a connection waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a whole request head, from its first byte; for the first head, from accept.
    pub(crate) head: Duration,
    /// For the next head's first byte; over HTTP/2, for the next request.
    pub(crate) idle: Duration,
    /// For taking at least one byte of what is to be written.
    pub(crate) write: Duration,
    /// For sending at least one byte of a body that is waited for.
    pub(crate) read: Duration,
}

impl Patience {
    /// The shortest of them.
    fn least(self) -> Duration {
        self.head.min(self.idle).min(self.write).min(self.read)
    }
}

/// What a client kept waiting too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    Head,
    Idle,
    Write,
}

/// What a check says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    Overdue(Overdue),
    /// Nothing yet; look again at this time.
    LookAgain(Instant),
}

impl Deadline {
    /// If nothing is overdue: to look again when this says, at the latest.
    pub(crate) fn or_else(self, at: impl FnOnce() -> Option<Instant>) -> Self {
        match self {
            Self::LookAgain(again) => Self::LookAgain(at().map_or(again, |at| again.min(at))),
            overdue @ Self::Overdue(_) => overdue,
        }
    }
}

/// The state of one connection. All that writes it over HTTP/1.1 runs in the connection's task, so the order of the
/// atomics is relaxed; they are atomics because its transport and its timer share it.
#[derive(Debug)]
pub(crate) struct Watch {
    accepted: Instant,
    patience: Patience,
    /// Milliseconds since `accepted`, shifted left by two, and a phase.
    phase: AtomicU64,
    /// Milliseconds since `accepted` plus one, or zero if the writer is not stalled.
    stalled: AtomicU64,
    /// The same of a request's body that is waited for.
    awaited: AtomicU64,
    /// It was waited for too long when this was last checked.
    is_late: AtomicBool,
    /// Requests that are open at once, over HTTP/2.
    open: AtomicU64,
}

const SERVING: u64 = 0;
const IDLE: u64 = 1;
const READING: u64 = 2;
/// Over HTTP/2: since the last request ended, if none is open. Bytes that come then need not begin one.
const BETWEEN: u64 = 3;

/// A request over HTTP/2, open as long as this lives.
pub(crate) struct OpenRequest(Arc<Watch>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        // Whoever sees none open sees since when.
        self.0.awaiting_request();
        self.0.open.fetch_sub(1, Ordering::Release);
    }
}

impl Watch {
    /// A connection just accepted: its first head is awaited from now on.
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            accepted: Instant::now(),
            patience,
            phase: AtomicU64::new(READING),
            stalled: AtomicU64::new(0),
            awaited: AtomicU64::new(0),
            is_late: AtomicBool::new(false),
            open: AtomicU64::new(0),
        }
    }

    /// When the first head is overdue.
    pub(crate) fn first_head_due(&self) -> Instant {
        self.accepted + self.patience.head
    }

    /// When to check for the first time.
    pub(crate) fn first_look(&self) -> Instant {
        self.accepted + self.patience.least()
    }

    /// Until when a connection that was idle too long, and was told to leave, may take to do so: what was on its way to
    /// us has time for a head.
    pub(crate) fn gone_by(&self, now: Instant) -> Instant {
        now + self.patience.head
    }

    /// Over HTTP/2: the next request is awaited.
    pub(crate) fn awaiting_request(&self) {
        self.phase
            .store(self.millis() << 2 | BETWEEN, Ordering::Relaxed);
    }

    /// Over HTTP/2, where several requests are open at once, each on a task of its own: one begins.
    pub(crate) fn opens(self: &Arc<Self>) -> OpenRequest {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenRequest(Arc::clone(self))
    }

    /// A request head is complete.
    pub(crate) fn serving(&self) {
        self.phase.store(SERVING, Ordering::Relaxed);
    }

    /// The call is over, the next head is awaited. One that has `begun` while the call was served counts from now on.
    pub(crate) fn awaiting_head(&self, begun: bool) {
        let phase = if begun { READING } else { IDLE };
        self.phase
            .store(self.millis() << 2 | phase, Ordering::Relaxed);
    }

    /// Bytes came in: if the connection was idle, they begin a head.
    pub(crate) fn received(&self) {
        if self.phase.load(Ordering::Relaxed) & 3 == IDLE {
            self.phase
                .store(self.millis() << 2 | READING, Ordering::Relaxed);
        }
    }

    /// A write took bytes, or had to wait.
    pub(crate) fn wrote(&self, waits: bool) {
        match (waits, self.stalled.load(Ordering::Relaxed)) {
            (true, 0) => self.stalled.store(self.millis() + 1, Ordering::Relaxed),
            (false, since) if since != 0 => self.stalled.store(0, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Bytes of a request's body came, or are waited for.
    pub(crate) fn read(&self, waits: bool) {
        match (waits, self.awaited.load(Ordering::Relaxed)) {
            (true, 0) => self.awaited.store(self.millis() + 1, Ordering::Relaxed),
            (false, since) if since != 0 => {
                self.awaited.store(0, Ordering::Relaxed);
                self.is_late.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// How long nothing may come of a request's body that is waited for.
    pub(crate) fn read_patience(&self) -> Duration {
        self.patience.read
    }

    /// How long a client may take no byte of what is to be written.
    pub(crate) fn write_patience(&self) -> Duration {
        self.patience.write
    }

    /// Whether a body that is waited for is overdue. Nobody else may say so: whoever does not ask for it just now does
    /// not know whether it came.
    pub(crate) fn body_is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }

    /// Whether the client has kept us waiting too long at `now`, and if not, when to look again.
    pub(crate) fn check(&self, now: Instant) -> Deadline {
        let Patience {
            head,
            idle,
            write,
            read,
        } = self.patience;
        // A phase that begins just after this look has to be seen before it can be overdue.
        let mut again = now + self.patience.least();
        if let Some(since) = self.awaited.load(Ordering::Relaxed).checked_sub(1) {
            let at = self.accepted + Duration::from_millis(since) + read;
            if at > now {
                again = again.min(at);
            } else {
                self.is_late.store(true, Ordering::Relaxed);
            }
        }
        let mut overdue = None;
        let mut due = |since: u64, patience: Duration, what: Overdue| {
            let at = self.accepted + Duration::from_millis(since) + patience;
            if at <= now {
                overdue = Some(what);
            }
            again = again.min(at);
        };
        let stalled = self.stalled.load(Ordering::Relaxed);
        if let Some(since) = stalled.checked_sub(1) {
            due(since, write, Overdue::Write);
        }
        let is_open = self.open.load(Ordering::Acquire) > 0;
        let phase = self.phase.load(Ordering::Relaxed);
        match phase & 3 {
            READING => due(phase >> 2, head, Overdue::Head),
            IDLE => due(phase >> 2, idle, Overdue::Idle),
            BETWEEN if !is_open => due(phase >> 2, idle, Overdue::Idle),
            _ => {}
        }
        overdue.map_or(Deadline::LookAgain(again), Deadline::Overdue)
    }

    fn millis(&self) -> u64 {
        // A connection does not live for 2^62 milliseconds.
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX >> 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(15);
    const IDLE: Duration = Duration::from_secs(75);
    const WRITE: Duration = Duration::from_mins(1);
    const READ: Duration = Duration::from_secs(50);

    fn watch() -> (Watch, impl Fn(u64) -> Instant) {
        let watch = Watch::new(Patience {
            head: HEAD,
            idle: IDLE,
            write: WRITE,
            read: READ,
        });
        let accepted = watch.accepted;
        (watch, move |seconds| {
            accepted + Duration::from_secs(seconds)
        })
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_counts_from_accept() {
        let (watch, at) = watch();
        pass(5).await;
        watch.received();
        assert_eq!(watch.check(at(14)), Deadline::LookAgain(at(15)));
        assert_eq!(watch.check(at(15)), Deadline::Overdue(Overdue::Head));
        watch.serving();
        assert_eq!(watch.check(at(1000)), Deadline::LookAgain(at(1015)));
    }

    #[tokio::test(start_paused = true)]
    async fn later_heads_count_from_their_first_byte() {
        let (watch, at) = watch();
        watch.serving();
        pass(100).await;
        watch.awaiting_head(false);
        pass(1).await;
        assert_eq!(watch.check(at(165)), Deadline::LookAgain(at(175)));
        assert_eq!(watch.check(at(175)), Deadline::Overdue(Overdue::Idle));
        pass(9).await;
        watch.received();
        pass(10).await;
        watch.received();
        assert_eq!(watch.check(at(124)), Deadline::LookAgain(at(125)));
        assert_eq!(watch.check(at(125)), Deadline::Overdue(Overdue::Head));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_begun_behind_a_call_counts_from_the_end_of_the_call() {
        let (watch, at) = watch();
        watch.serving();
        watch.received();
        pass(100).await;
        assert_eq!(watch.check(at(100)), Deadline::LookAgain(at(115)));
        watch.awaiting_head(true);
        assert_eq!(watch.check(at(114)), Deadline::LookAgain(at(115)));
        assert_eq!(watch.check(at(115)), Deadline::Overdue(Overdue::Head));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_looked_at_before_a_new_head_can_be_overdue() {
        let (watch, at) = watch();
        watch.serving();
        watch.awaiting_head(false);
        assert_eq!(watch.check(at(0)), Deadline::LookAgain(at(15)));
        pass(1).await;
        watch.received();
        assert_eq!(watch.check(at(15)), Deadline::LookAgain(at(16)));
    }

    #[tokio::test(start_paused = true)]
    async fn over_http2_it_is_idle_while_no_request_is_open() {
        let (watch, at) = watch();
        let watch = Arc::new(watch);
        watch.awaiting_request();
        pass(70).await;
        watch.received();
        assert_eq!(watch.check(at(70)), Deadline::LookAgain(at(75)));
        let (first, second) = (watch.opens(), watch.opens());
        pass(100).await;
        drop(first);
        assert_eq!(watch.check(at(1000)), Deadline::LookAgain(at(1015)));
        drop(second);
        assert_eq!(watch.check(at(244)), Deadline::LookAgain(at(245)));
        assert_eq!(watch.check(at(245)), Deadline::Overdue(Overdue::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_is_stalled_until_one_byte_is_taken() {
        let (watch, at) = watch();
        watch.serving();
        pass(10).await;
        watch.wrote(true);
        pass(30).await;
        watch.wrote(true);
        assert_eq!(watch.check(at(60)), Deadline::LookAgain(at(70)));
        assert_eq!(watch.check(at(71)), Deadline::Overdue(Overdue::Write));
        watch.wrote(false);
        assert_eq!(watch.check(at(71)), Deadline::LookAgain(at(86)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_late_until_one_byte_came() {
        let (watch, at) = watch();
        watch.serving();
        pass(10).await;
        watch.read(true);
        pass(30).await;
        watch.read(true);
        assert_eq!(watch.check(at(50)), Deadline::LookAgain(at(60)));
        assert!(!watch.body_is_late());
        assert_eq!(watch.check(at(60)), Deadline::LookAgain(at(75)));
        assert!(watch.body_is_late());
        watch.read(false);
        assert!(!watch.body_is_late());
        assert_eq!(watch.check(at(100)), Deadline::LookAgain(at(115)));
        assert!(!watch.body_is_late());
    }
}
