//! The way an entry is committed: it is appended to the tail. Must not know tables.
//!
//! The usual way: a call puts its records into the queue, takes the tail if nobody has it, and appends all that
//! waits, its own and others' records, with one write. Who finds the tail taken looks on for a moment and then gets
//! a [`Commit`]; whoever has it looks at the queue again after giving it back, so nothing is stranded. When the disk
//! is slow or refuses, and always with [`Durability::PowerLoss`], the sync thread alone writes, and nobody else ever
//! meets the disk.

mod commit;
mod queue;
pub(crate) mod sync;

pub use commit::{Commit, DEADLINE, Kept};
pub(crate) use queue::Queue;

use std::hint;
use std::io;
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use crate::shared::{Half, Phase, Shared, Writer};
use crate::tail::record;
use crate::{Durability, Entry};

/// A write slower than this hands the writing to the sync thread. A thread that has to wait for its turn on a busy
/// machine is not so slow, a disk that syncs for others is.
const SLOW: Duration = Duration::from_millis(50);
/// How long after the last slow or failed write a quick one lets callers write by themselves again.
const CALM: Duration = Duration::from_secs(1);
/// How often a caller looks whether the one who has the tail is done, before it waits for good: a few
/// microseconds, about what a write takes.
const LOOKS: u32 = 64;
/// How many times in a row one caller writes for others, before it leaves that to the sync thread.
const ROUNDS: u32 = 4;
/// A buffer that grew beyond this during an outage is given back, in bytes.
const BUFFER: usize = 1024 * 1024;

impl Shared {
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

    /// What became of everything given so far.
    pub(crate) fn so_far(&self) -> Kept {
        if self.durability == Durability::Crash {
            return Kept::Now;
        }
        let mut state = self.state();
        if state.is_refused() {
            return Kept::No;
        }
        let given = state.queue.given();
        state.queue.wait(given).map_or(Kept::Now, Kept::Later)
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
        if records.is_empty() && records.capacity() > BUFFER {
            *records = Vec::new();
        }
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
}
