//! What the callers and the two threads of the ledger share: state, waiting for each other, and what troubles it
//! has. Must not know tables, or how an entry is written.

use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use crate::append::Queue;
use crate::table::Position;
use crate::tail::Tail;
use crate::{Durability, Health, HealthState, Lock};

/// How long after a failure it is tried again.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// The same while the ledger is being closed: there may not be another second.
const RETRY_CLOSING: Duration = Duration::from_millis(100);

/// No instant: nobody takes calls.
const NOBODY: i64 = i64::MIN;

/// What callers and threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) folder: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) keep_days: u32,
    /// The tail; taken before `state` where both are needed.
    pub(crate) writer: Mutex<Writer>,
    state: Mutex<State>,
    /// Callers may write themselves.
    pub(crate) inline: AtomicBool,
    /// Bytes committed, to be looked at without a lock.
    pub(crate) committed: AtomicU64,
    /// Since when calls are taken, Unix milliseconds; [`NOBODY`]: a program that only reads what was left.
    taking_since: AtomicI64,
    sync_wakes: Condvar,
    pub(crate) mover_wakes: Condvar,
    close_wakes: Condvar,
}

/// The tail and what is being appended to it.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// `None`: it could not be begun yet.
    pub(crate) tail: Option<Tail>,
    /// Held for as long as the program writes here; `None`: somebody else does, or the folder cannot be used.
    pub(crate) lock: Option<Lock>,
    /// Records being written; after a failure they stay here and go first.
    pub(crate) records: Vec<u8>,
    /// How many those are.
    pub(crate) count: usize,
    /// Whoever is to be told that they are committed.
    pub(crate) told: Vec<oneshot::Sender<bool>>,
    /// The last slow or failed write, until writes have been quick for a while.
    pub(crate) bad: Option<Instant>,
}

/// What is looked at and changed for moments only.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thread's word to another, independent of the rest"
)]
pub(crate) struct State {
    pub(crate) queue: Queue,
    /// Where the tail ends; `None`: it could not be begun yet.
    pub(crate) tail_end: Option<Position>,
    /// Where this run's tail began.
    pub(crate) tail_began: Option<Position>,
    /// The folder is ours.
    pub(crate) ours: bool,
    pub(crate) phase: Phase,
    /// Something was left to the sync thread to write.
    pub(crate) handed_over: bool,
    pub(crate) mover_sleeps: bool,
    /// What failed is not tried before this.
    pub(crate) retry_at: Option<Instant>,
    /// Bytes of the tail that are not in the tables.
    pub(crate) unmoved: u64,
    pub(crate) moved_at: Option<i64>,
    /// Up to where the tables have the tail; `None`: they could not be asked yet.
    pub(crate) moved_to: Option<Position>,
    /// All is moved and synced after closing.
    pub(crate) folded: bool,
    started: bool,
    tail_trouble: Option<String>,
    table_trouble: Option<String>,
}

impl State {
    /// The tail cannot be written now.
    pub(crate) fn is_refused(&self) -> bool {
        self.tail_trouble.is_some()
    }

    /// Notes what troubles one half, and answers what is new of the ledger as a whole. The start has its own words.
    fn note(&mut self, half: Half, trouble: Option<&str>) -> Option<News> {
        let known = match half {
            Half::Tail => &mut self.tail_trouble,
            Half::Table => &mut self.table_trouble,
        };
        if known.as_deref() == trouble {
            return None;
        }
        *known = trouble.map(str::to_owned);
        if !self.started {
            return None;
        }
        if trouble.is_some() {
            return Some(News::Trouble);
        }
        let is_over = self.tail_trouble.is_none() && self.table_trouble.is_none();
        is_over.then_some(News::Over)
    }
}

/// What is new of the ledger's troubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Trouble,
    /// No half has one any more.
    Over,
}

/// How far the ledger is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// What waits is written and moved, nothing new comes.
    Closing,
    /// Nobody holds it any more.
    Left,
}

/// Which half of the work a trouble is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Half {
    Tail,
    Table,
}

/// A lock is as good after a panic elsewhere as before: what it guards is changed in steps that do not panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(folder: PathBuf, durability: Durability, keep_days: u32) -> Shared {
        Shared {
            folder,
            durability,
            keep_days,
            writer: Mutex::default(),
            state: Mutex::default(),
            inline: AtomicBool::new(false),
            committed: AtomicU64::new(0),
            taking_since: AtomicI64::new(NOBODY),
            sync_wakes: Condvar::new(),
            mover_wakes: Condvar::new(),
            close_wakes: Condvar::new(),
        }
    }

    /// Calls are taken from now on, and the tables are to say so.
    pub(crate) fn takes_calls(&self, now_ms: i64) {
        self.taking_since.store(now_ms, Ordering::Relaxed);
        // Under the lock: a mover that is about to sleep has either seen it or hears this.
        let _state = self.state();
        self.mover_wakes.notify_all();
    }

    pub(crate) fn takes_calls_since(&self) -> Option<i64> {
        let since = self.taking_since.load(Ordering::Relaxed);
        (since != NOBODY).then_some(since)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The tail can be written from now on.
    pub(crate) fn begin(&self, writer: &mut Writer, tail: Tail) {
        let mut state = self.state();
        state.tail_end = Some(tail.position());
        state.tail_began = state.tail_end;
        // Who comes before the tail is given back finds it taken.
        state.handed_over = true;
        drop(state);
        self.mover_wakes.notify_all();
        self.trouble(Half::Tail, None);
        writer.tail = Some(tail);
        // After a bad beginning the first quick write decides.
        let inline = self.durability == Durability::Crash && writer.bad.is_none();
        self.inline.store(inline, Ordering::Relaxed);
    }

    /// The tail could not be begun or written: it is tried again in a while.
    pub(crate) fn tail_failed(&self, error: &dyn std::error::Error) {
        self.state().retry_at = Some(Instant::now() + RETRY);
        let folder = self.folder.display();
        self.trouble(
            Half::Tail,
            Some(&format!(
                "the ledger in {folder} cannot be written: {}. calls go on, and are recorded once it can. help: see \
                 that the folder is writable and has room",
                chain(error)
            )),
        );
    }

    /// Says a trouble, or that it is over, once: not at every attempt.
    pub(crate) fn trouble(&self, half: Half, trouble: Option<&str>) {
        let news = self.state().note(half, trouble);
        match (news, trouble) {
            (Some(News::Trouble), Some(trouble)) => tracing::warn!("{trouble}"),
            (Some(News::Over), _) => tracing::info!("the ledger is written again"),
            _ => {}
        }
    }

    /// The start is over: from now on troubles are logged. Answers those there are, to be said by whoever starts.
    pub(crate) fn started(&self) -> Vec<String> {
        let mut state = self.state();
        state.started = true;
        let both = [&state.tail_trouble, &state.table_trouble];
        both.into_iter().flatten().cloned().collect()
    }

    pub(crate) fn health(&self) -> Health {
        let state = self.state();
        let trouble = state.tail_trouble.as_ref().or(state.table_trouble.as_ref());
        let (dropped, late) = state.queue.figures();
        Health {
            state: trouble.map_or(HealthState::Ok, |why| HealthState::Degraded(why.clone())),
            waiting: state.queue.entries(),
            dropped,
            unmoved_bytes: state.unmoved,
            last_moved_at: state.moved_at,
            late,
        }
    }

    /// Leaves what waits to the sync thread.
    pub(crate) fn hand_over(&self, mut state: MutexGuard<'_, State>) {
        if !mem::replace(&mut state.handed_over, true) {
            drop(state);
            self.sync_wakes.notify_one();
        }
    }

    /// Something was moved: whoever waits for that looks again.
    pub(crate) fn wake_closer(&self) {
        self.close_wakes.notify_all();
    }

    /// Goes to `phase`; both threads look at once.
    pub(crate) fn enter(&self, phase: Phase) {
        let mut state = self.state();
        if phase == Phase::Closing {
            state.queue.close();
            // What failed a moment ago is tried now: there may not be another second.
            state.retry_at = None;
            state.handed_over = true;
        }
        state.phase = phase;
        drop(state);
        self.sync_wakes.notify_all();
        self.mover_wakes.notify_all();
    }

    /// Waits on the sync thread for a reason to look again, at most until `until`.
    pub(crate) fn sync_waits<'a>(
        &self,
        state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        wait(&self.sync_wakes, state, until)
    }

    /// Waits on the mover thread for an entry, at most until `until`.
    pub(crate) fn mover_waits<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        state.mover_sleeps = true;
        let mut state = wait(&self.mover_wakes, state, until);
        state.mover_sleeps = false;
        state
    }

    /// Lets entries gather on the mover thread for `pause`, unless the ledger is closed or left meanwhile.
    pub(crate) fn mover_pauses(&self, pause: Duration) {
        let state = self.state();
        if state.phase == Phase::Open {
            self.rest(state, pause);
        }
    }

    /// Rests on the mover thread before what failed is tried again.
    pub(crate) fn mover_rests(&self) {
        let state = self.state();
        let closing = state.phase == Phase::Closing;
        self.rest(state, if closing { RETRY_CLOSING } else { RETRY });
    }

    /// Waits on the mover thread for nothing but the end of the phase.
    fn rest(&self, mut state: MutexGuard<'_, State>, pause: Duration) {
        let until = Instant::now() + pause;
        let phase = state.phase;
        while state.phase == phase && phase != Phase::Left && Instant::now() < until {
            state = wait(&self.mover_wakes, state, Some(until));
        }
    }

    /// Waits until everything given so far is in the tables, or until `until`; not while the disk or the tables refuse.
    pub(crate) fn catches_up(&self, until: Instant) -> bool {
        let mut state = self.state();
        let given = state.queue.given();
        let mut target = None;
        while state.tail_trouble.is_none() && state.table_trouble.is_none() {
            // Once all of it is in the tail, that is as far as the tables have to come.
            if target.is_none() && state.queue.committed() >= given {
                target = state.tail_end;
            }
            if target.is_some() && state.moved_to >= target {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            state = wait(&self.close_wakes, state, Some(until));
        }
        false
    }

    /// Waits until everything is moved after closing, or until `until`.
    pub(crate) fn closer_waits(&self, until: Instant) -> MutexGuard<'_, State> {
        let mut state = self.state();
        while !state.folded && Instant::now() < until {
            state = wait(&self.close_wakes, state, Some(until));
        }
        state
    }
}

fn wait<'a>(
    wakes: &Condvar,
    state: MutexGuard<'a, State>,
    until: Option<Instant>,
) -> MutexGuard<'a, State> {
    match until {
        None => wakes.wait(state).unwrap_or_else(PoisonError::into_inner),
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            wakes
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0
        }
    }
}

/// This machine's clock, Unix milliseconds.
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// An error and its causes in one line, without the numbers that only the system understands.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = said(error);
    let mut last = line.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = said(error);
        // Some errors say their cause in their own words, and some causes say no more.
        if !line.ends_with(&text) && !text.ends_with(&last) {
            line.push_str(": ");
            line.push_str(&text);
        }
        last = text;
        cause = error.source();
    }
    line
}

fn said(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((text, number)) if number.ends_with(')') => text.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_ledger_is_written_again_once_neither_half_has_trouble() {
        let mut state = State {
            started: true,
            ..State::default()
        };
        for (half, trouble, news) in [
            (Half::Tail, None, None),
            (Half::Tail, Some("full"), Some(News::Trouble)),
            (Half::Tail, Some("full"), None),
            (Half::Table, Some("busy"), Some(News::Trouble)),
            (Half::Table, None, None),
            (Half::Table, Some("gone"), Some(News::Trouble)),
            (Half::Tail, None, None),
            (Half::Table, Some("busy"), Some(News::Trouble)),
            (Half::Table, None, Some(News::Over)),
            (Half::Table, None, None),
        ] {
            assert_eq!(state.note(half, trouble), news, "{half:?}: {trouble:?}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Of(&'static str, #[source] io::Error);

    #[test]
    fn a_cause_that_says_no_more_is_left_out() {
        let full = io::Error::other("Error code 13: database or disk is full");
        let error = Of("database or disk is full", full);
        assert_eq!(chain(&error), "database or disk is full");
        let error = Of("the tail cannot be read", io::Error::from_raw_os_error(28));
        assert_eq!(
            chain(&error),
            "the tail cannot be read: No space left on device"
        );
    }
}
