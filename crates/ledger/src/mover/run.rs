//! The mover thread: when to move, when to rest, when to sync and to clear away. Must not know how a group is
//! moved.

use std::time::{Duration, Instant};

use meter::Day;

use super::opening::Opening;
use super::{MoveError, Mover};
use crate::Restored;
use crate::shared::{Half, Phase, RETRY, Shared, chain, lock, unix_ms};
use crate::table::{Position, TableError};

/// How long entries gather between two transactions; the first after a rest is moved at once.
const GATHER: Duration = Duration::from_millis(100);
/// The tables are synced when a segment is wholly moved, or this long after they were synced last.
const SYNC_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked for days that are kept no longer.
const PRUNE_EVERY: Duration = Duration::from_mins(10);
/// A program that takes calls says so often that it lives.
const SIGN_EVERY: Duration = Duration::from_secs(30);
/// The most rows that are deleted at once.
const PRUNE_ROWS: usize = 500;
/// The rest between two such deletions.
const PRUNE_REST: Duration = Duration::from_millis(100);

/// Moves until everything is in the tables after closing, or nobody holds the ledger any more. Without a `mover`
/// it opens one as soon as that can be had.
pub(crate) fn run(shared: &Shared, mut mover: Option<Mover>) {
    let mut opening = Opening::new(mover.is_some());
    let mut rounds = Rounds::begin();
    loop {
        let Some(opened) = &mut mover else {
            if !is_ours(shared) {
                return;
            }
            match opening.open(shared) {
                Ok(opened) => mover = Some(opened),
                Err(error) => {
                    opening.meets_damage(&error);
                    failed(shared, &error);
                }
            }
            continue;
        };
        let duty = next_duty(shared, opened, &rounds);
        let done = match duty {
            Duty::Leave => return,
            Duty::Fold => fold(shared, opened),
            Duty::Move(tail_end) => step(shared, opened, tail_end, &mut rounds),
            Duty::Tidy => rounds.tidy(shared, opened),
        };
        match (done, duty) {
            (Ok(()), Duty::Fold) => {
                // The tables are closed before anybody is told, and the folder is free.
                drop(mover);
                return folded(shared);
            }
            (Ok(()), _) => shared.trouble(Half::Table, None),
            (Err(error), _) => {
                if opening.meets_damage(&error) {
                    mover = None;
                }
                failed(shared, &error);
            }
        }
    }
}

/// What there is to do.
#[derive(Clone, Copy)]
enum Duty {
    Move(Option<Position>),
    Tidy,
    Fold,
    Leave,
}

/// Waits for something to do.
fn next_duty(shared: &Shared, mover: &Mover, rounds: &Rounds) -> Duty {
    let mut state = shared.state();
    loop {
        let due = rounds.due(shared, mover);
        if state.phase == Phase::Left {
            return Duty::Leave;
        }
        if state.tail_end.is_some_and(|end| end != mover.at()) {
            return Duty::Move(state.tail_end);
        }
        if state.phase == Phase::Closing && state.queue.entries() == 0 {
            return Duty::Fold;
        }
        if due.is_some_and(|due| due <= Instant::now()) {
            return Duty::Tidy;
        }
        state = shared.mover_waits(state, due);
    }
}

fn step(
    shared: &Shared,
    mover: &mut Mover,
    tail_end: Option<Position>,
    rounds: &mut Rounds,
) -> Result<(), MoveError> {
    let segment = mover.at().segment;
    let step = mover.step(tail_end)?;
    rounds.passed |= segment != mover.at().segment;
    moved(shared, mover.at(), step.bytes);
    let due = rounds.due(shared, mover);
    if due.is_some_and(|due| due <= Instant::now()) {
        rounds.tidy(shared, mover)?;
    }
    if !step.more {
        shared.mover_pauses(GATHER);
    }
    Ok(())
}

/// Books what was moved.
fn moved(shared: &Shared, at: Position, bytes: u64) {
    let mut state = shared.state();
    state.moved_to = Some(at);
    state.unmoved = if state.tail_end == Some(at) {
        0
    } else {
        state.unmoved.saturating_sub(bytes)
    };
    if bytes > 0 {
        state.moved_at = Some(unix_ms());
    }
    drop(state);
    shared.wake_closer();
}

/// After closing: everything is moved; the tables are synced and need no tail any more.
fn fold(shared: &Shared, mover: &mut Mover) -> Result<(), MoveError> {
    sign_of_life(shared, mover)?;
    // Where a reader stands in the way, the next start finds the tail wholly moved and clears it away.
    if mover.checkpoint(true)? {
        mover.retire(u32::MAX)?;
    }
    moved(shared, mover.at(), 0);
    Ok(())
}

/// Keeps that calls are taken here, and says whether they are.
fn sign_of_life(shared: &Shared, mover: &mut Mover) -> Result<bool, TableError> {
    let Some(began_at) = shared.takes_calls_since() else {
        return Ok(false);
    };
    mover.lives(began_at, unix_ms())?;
    Ok(true)
}

fn folded(shared: &Shared) {
    let mut writer = lock(&shared.writer);
    writer.tail = None;
    writer.lock = None;
    drop(writer);
    shared.state().folded = true;
    shared.wake_closer();
}

fn failed(shared: &Shared, error: &MoveError) {
    shared.trouble(Half::Table, Some(&trouble(shared, error)));
    shared.mover_rests();
}

/// What to say when entries cannot be moved.
pub(crate) fn trouble(shared: &Shared, error: &MoveError) -> String {
    let help = match error {
        MoveError::Table(TableError::Newer { .. }) | MoveError::NewerTail { .. } => {
            "run the newer tollfree, or give this one --data-dir of its own"
        }
        MoveError::Table(TableError::Corrupt { .. }) => {
            "see that the disk is sound. it is opened anew, and put aside where that does not help"
        }
        _ => "see that the folder is writable and has room",
    };
    format!(
        "the ledger in {} cannot be brought up to date: {}. calls are committed all the same. help: {help}",
        shared.folder.display(),
        chain(error),
    )
}

/// Waits until the folder is ours. `false`: nobody holds the ledger any more.
fn is_ours(shared: &Shared) -> bool {
    let mut state = shared.state();
    while !state.ours && state.phase != Phase::Left {
        state = shared.mover_waits(state, None);
    }
    state.phase != Phase::Left
}

/// Moves what was left before this run began.
pub(crate) fn restore(
    shared: &Shared,
    mover: &mut Mover,
    began: Option<Position>,
    now_ms: i64,
) -> Result<Restored, MoveError> {
    let restored = mover.restore(began, now_ms, |bytes| {
        let mut state = shared.state();
        state.unmoved = state.unmoved.saturating_sub(bytes);
    })?;
    moved(shared, mover.at(), 0);
    Ok(restored)
}

/// What comes round again: syncing, clearing away.
struct Rounds {
    /// There are segments that are wholly moved.
    passed: bool,
    synced: Instant,
    /// A reader stood in the way: not again before this.
    not_before: Instant,
    prune_at: Instant,
    sign_at: Instant,
}

impl Rounds {
    /// What an earlier run left is wholly moved at the beginning.
    fn begin() -> Rounds {
        let now = Instant::now();
        Rounds {
            passed: true,
            synced: now,
            not_before: now,
            prune_at: now,
            sign_at: now,
        }
    }

    /// When there is something to do next.
    fn due(&self, shared: &Shared, mover: &Mover) -> Option<Instant> {
        let sync = if self.passed {
            Some(self.not_before)
        } else {
            (mover.is_unsynced()).then(|| self.not_before.max(self.synced + SYNC_EVERY))
        };
        let prune = (shared.keep_days > 0).then_some(self.prune_at);
        let sign = shared.takes_calls_since().map(|_| self.sign_at);
        sync.into_iter().chain(prune).chain(sign).min()
    }

    /// Does what is due.
    fn tidy(&mut self, shared: &Shared, mover: &mut Mover) -> Result<(), MoveError> {
        let now = Instant::now();
        let old = mover.is_unsynced() && self.synced + SYNC_EVERY <= now;
        if (self.passed || old) && self.not_before <= now {
            self.synced = now;
            self.not_before = now + RETRY;
            if mover.checkpoint(self.passed)? && self.passed {
                mover.retire(mover.at().segment)?;
                self.passed = false;
            }
        }
        if self.sign_at <= now && sign_of_life(shared, mover)? {
            self.sign_at = now + SIGN_EVERY;
        }
        if shared.keep_days > 0 && self.prune_at <= now {
            self.prune_at = now + prune(shared.keep_days, unix_ms(), mover)?;
        }
        Ok(())
    }
}

/// Deletes a few rows of days that are kept no longer, and says how long to rest then. How old a day is is reckoned from
/// the last day that was settled on, where this machine's clock is ahead of it: that day was told by `OpenAI`, and a
/// clock that is years ahead would delete everything.
fn prune(keep_days: u32, now_ms: i64, mover: &mut Mover) -> Result<Duration, MoveError> {
    let today = Day::at_milliseconds(now_ms).number();
    let Some(last) = mover.last_day()? else {
        return Ok(PRUNE_EVERY);
    };
    let before = i64::from(last.min(today)) - i64::from(keep_days);
    let pruned = mover.prune(i32::try_from(before).unwrap_or(i32::MIN), PRUNE_ROWS)?;
    Ok(if pruned == 0 { PRUNE_EVERY } else { PRUNE_REST })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{DAY, call};
    use crate::tail::{Tail, record};
    use crate::{Entry, Reader, SettledCall};

    const KEPT: u32 = 30;

    fn settled_on(day: i32) -> Entry<'static> {
        Entry::Settled(SettledCall { day, ..call("a") })
    }

    /// The days that are left once a machine with its clock at `today` has cleared away.
    fn left(entries: &[Entry<'_>], today: i32) -> Vec<i32> {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = Tail::begin(folder.path(), Some(0), false).unwrap();
        let mut records = Vec::new();
        assert!(
            entries
                .iter()
                .all(|entry| record::append(entry, &mut records))
        );
        assert!(tail.append(&records).failure.is_none());
        let mut mover = Mover::open(folder.path()).unwrap();
        mover.restore(None, 0, |_| {}).unwrap();
        let now_ms = i64::from(today) * 86_400_000;
        while prune(KEPT, now_ms, &mut mover).unwrap() != PRUNE_EVERY {}
        let reader = Reader::open(folder.path()).unwrap();
        let days = reader.days(i32::MIN, i32::MAX, None).unwrap();
        days.iter().map(|day| day.day).collect()
    }

    #[test]
    fn days_go_once_a_later_one_is_so_far_ahead() {
        let settled = [DAY - 31, DAY - 30, DAY].map(settled_on);
        assert_eq!(left(&settled, DAY), [DAY - 30, DAY]);
        // A clock behind keeps more.
        assert_eq!(left(&settled, DAY - 1), [DAY - 31, DAY - 30, DAY]);
    }

    #[test]
    fn a_clock_ahead_deletes_nothing_but_what_is_old_beside_the_last_call() {
        let settled = [DAY - 31, DAY - 30, DAY].map(settled_on);
        assert_eq!(left(&settled, DAY + 4_000), [DAY - 30, DAY]);
        assert_eq!(left(&settled[..2], DAY + 4_000), [DAY - 31, DAY - 30]);
        // What a wrong clock books is no call.
        let lost = Entry::Lost {
            organization: "acme".into(),
            group: "".into(),
            day: DAY + 4_000,
            calls: 0,
            tokens: None,
        };
        assert_eq!(
            left(&[settled_on(DAY), lost], DAY + 4_000),
            [DAY, DAY + 4_000]
        );
    }
}
