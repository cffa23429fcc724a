//! What the callers and the two threads of the ledger share, and the way an entry is committed. Must not know
//! tables.
//!
//! The usual way: a call puts its records into the queue, takes the tail if nobody has it, and appends all that
//! waits, its own and others' records, with one write. Who finds the tail taken gets a [`Commit`]; whoever has it
//! looks at the queue again after giving it back, so nothing is stranded. When the disk is slow or refuses, and
//! always with [`Durability::PowerLoss`], the sync thread alone writes, and nobody else ever meets the disk.

use std::hint;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use crate::queue::Queue;
use crate::table::Position;
use crate::tail::{Tail, record};
use crate::{Durability, Entry, Health, HealthState, Kept, Lock};

/// A write slower than this hands the writing to the sync thread.
const SLOW: Duration = Duration::from_millis(20);
/// Callers write again themselves after a quick write that comes so long after the last slow or failed one.
const CALM: Duration = Duration::from_secs(1);
/// What failed is tried again after so long.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
/// How often a caller looks whether the one who has the tail is done, before it waits for good: a few
/// microseconds, about what a write takes.
const LOOKS: u32 = 64;
/// How many times in a row one caller writes for others, before it leaves that to the sync thread.
const ROUNDS: u32 = 4;

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
    inline: AtomicBool,
    /// Bytes committed, to be looked at without a lock.
    committed: AtomicU64,
    sync_wakes: Condvar,
    mover_wakes: Condvar,
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
    records: Vec<u8>,
    /// How many those are.
    count: usize,
    told: Vec<oneshot::Sender<bool>>,
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
    mover_sleeps: bool,
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
            sync_wakes: Condvar::new(),
            mover_wakes: Condvar::new(),
            close_wakes: Condvar::new(),
        }
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

    /// Commits entries together, in this order.
    pub(crate) fn keep(&self, entries: &[Entry<'_>]) -> Kept {
        if entries.is_empty() {
            return Kept::Now;
        }
        // About what one settled call and the open calls beside it take.
        let mut records = Vec::with_capacity(512);
        let fits = entries
            .iter()
            .all(|entry| record::append(entry, &mut records));
        let ticket = {
            let mut state = self.state();
            if !fits {
                state.queue.drop_all(entries);
                return Kept::No;
            }
            let Some(ticket) = state.queue.give(&records, entries) else {
                return Kept::No;
            };
            ticket
        };
        if self.is_inline() && self.write_or_see_written(ticket) {
            return Kept::Now;
        }
        let mut state = self.state();
        let Some(commit) = state.queue.wait(ticket) else {
            return Kept::Now;
        };
        if !self.is_inline() {
            self.hand_over(state);
        }
        Kept::Later(commit)
    }

    /// Writes what waits if nobody else does; else looks on for a moment. Answers whether `ticket` is committed.
    fn write_or_see_written(&self, ticket: u64) -> bool {
        for _ in 0..LOOKS {
            if self.is_committed(ticket) {
                return true;
            }
            match self.writer.try_lock() {
                Ok(writer) => {
                    self.combine(writer);
                    return self.is_committed(ticket);
                }
                Err(TryLockError::Poisoned(poisoned)) => {
                    self.combine(poisoned.into_inner());
                    return self.is_committed(ticket);
                }
                Err(TryLockError::WouldBlock) => hint::spin_loop(),
            }
        }
        false
    }

    /// Whether callers write themselves now.
    pub(crate) fn is_inline(&self) -> bool {
        self.inline.load(Ordering::Relaxed)
    }

    fn is_committed(&self, ticket: u64) -> bool {
        self.committed.load(Ordering::Acquire) >= ticket
    }

    /// Writes until nothing waits, looking again after the tail was given back: who came meanwhile found it taken
    /// and relies on that.
    fn combine<'a>(&'a self, mut writer: MutexGuard<'a, Writer>) {
        for _ in 0..ROUNDS {
            self.write(&mut writer);
            drop(writer);
            if !self.is_inline() {
                break;
            }
            if !self.state().queue.is_waiting() {
                return;
            }
            writer = match self.writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
        }
        self.hand_over(self.state());
    }

    /// Appends all that waits with one write, and tells who waits for it.
    pub(crate) fn write(&self, writer: &mut Writer) {
        let Writer {
            tail,
            records,
            count,
            told,
            ..
        } = writer;
        let Some(tail) = tail else { return };
        if records.is_empty() {
            *count = self.state().queue.take(records);
            if records.is_empty() {
                return;
            }
        }
        let before = Instant::now();
        let appended = tail.append(records);
        let slow = before.elapsed() > SLOW;
        let end = tail.position();

        records.drain(..appended.bytes);
        *count = count.saturating_sub(appended.records);
        let mut state = self.state();
        state.queue.commit(appended.bytes, appended.records, told);
        state.tail_end = Some(end);
        state.unmoved += appended.bytes as u64;
        if appended.failure.is_none() && state.queue.has_lost() {
            state.queue.put_lost();
        }
        self.committed
            .store(state.queue.committed(), Ordering::Release);
        let closing = state.phase == Phase::Closing;
        let mover_sleeps = appended.bytes > 0 && mem::take(&mut state.mover_sleeps);
        drop(state);
        if mover_sleeps || closing {
            self.mover_wakes.notify_all();
        }
        for one in told.drain(..) {
            // Whoever no longer waits was late, which is counted.
            let _ = one.send(true);
        }
        self.judge(writer, slow, appended.failure.as_ref());
    }

    /// Decides from how a write went who writes next.
    fn judge(&self, writer: &mut Writer, slow: bool, failure: Option<&io::Error>) {
        if let Some(error) = failure {
            self.tail_failed(error);
        } else if writer.bad.is_some() {
            self.trouble(Half::Tail, None);
        }
        if slow || failure.is_some() {
            writer.bad = Some(Instant::now());
            self.inline.store(false, Ordering::Relaxed);
        } else if writer.bad.is_some_and(|bad| bad.elapsed() >= CALM) {
            writer.bad = None;
            let inline = self.durability == Durability::Crash;
            self.inline.store(inline, Ordering::Relaxed);
        }
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
        let mut state = self.state();
        let known = match half {
            Half::Tail => &mut state.tail_trouble,
            Half::Table => &mut state.table_trouble,
        };
        if known.as_deref() == trouble {
            return;
        }
        *known = trouble.map(str::to_owned);
        let said = state.started;
        drop(state);
        match trouble {
            Some(trouble) if said => tracing::warn!("{trouble}"),
            None if said => tracing::info!("the ledger is written again"),
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
    fn hand_over(&self, mut state: MutexGuard<'_, State>) {
        if !mem::replace(&mut state.handed_over, true) {
            drop(state);
            self.sync_wakes.notify_one();
        }
    }

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
        let until = Instant::now() + pause;
        let mut state = self.state();
        let phase = state.phase;
        while phase == Phase::Open && state.phase == phase && Instant::now() < until {
            state = wait(&self.mover_wakes, state, Some(until));
        }
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

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors say their cause in their own words.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
