//! The sync thread: writes when callers do not, tries again what failed, and begins a tail that could not be begun
//! at the start. Must not know tables.

use std::time::{Duration, Instant};

use crate::secret::Secret;
use crate::shared::{Phase, Shared, lock};
use crate::tail::Tail;
use crate::{Durability, Lock, secret};

/// What there is to do.
enum Duty {
    Write,
    Begin,
}

/// Works until everything is written after closing, or nobody holds the ledger any more.
pub(crate) fn run(shared: &Shared, secret: &Secret) {
    while let Some(duty) = next_duty(shared) {
        match duty {
            Duty::Write => write(shared),
            Duty::Begin => begin(shared, secret),
        }
    }
}

/// Writes, and looks again after giving the tail back where callers write too: who came meanwhile found it taken
/// and relies on that.
fn write(shared: &Shared) {
    loop {
        shared.write(&mut lock(&shared.writer));
        if !shared.is_inline() || !shared.state().queue.is_waiting() {
            return;
        }
    }
}

/// Waits for something to do.
fn next_duty(shared: &Shared) -> Option<Duty> {
    let mut state = shared.state();
    loop {
        let waiting = state.queue.entries() > 0;
        match state.phase {
            Phase::Left => return None,
            Phase::Closing if !waiting => return None,
            _ => {}
        }
        state.retry_at = state.retry_at.filter(|at| *at > Instant::now());
        if state.retry_at.is_none() {
            if state.tail_end.is_none() {
                return Some(Duty::Begin);
            }
            if waiting && (state.handed_over || !shared.is_inline()) {
                state.handed_over = false;
                return Some(Duty::Write);
            }
            state.handed_over = false;
        }
        let until = state.retry_at;
        state = shared.sync_waits(state, until);
    }
}

/// Begins the tail, taking the lock first where the start could not.
pub(crate) fn begin(shared: &Shared, secret: &Secret) {
    let mut writer = lock(&shared.writer);
    if writer.lock.is_none() {
        match Lock::take(&shared.folder, Duration::ZERO) {
            Ok(lock) => writer.lock = Some(lock),
            Err(error) => {
                writer.bad = Some(Instant::now());
                return shared.tail_failed(&error);
            }
        }
    }
    // Where the folder has no secret yet, later starts know keys by the one in use now.
    if let Err(error) = secret::keep(&shared.folder, secret) {
        tracing::warn!(
            "key.secret cannot be written: {error}. keys seen now are strangers after a restart"
        );
    }
    shared.state().ours = true;
    let moved = shared.state().moved_to.map(|at| at.segment);
    let sync = shared.durability == Durability::PowerLoss;
    match Tail::begin(&shared.folder, moved, sync) {
        Ok(tail) => shared.begin(&mut writer, tail),
        Err(error) => {
            writer.bad = Some(Instant::now());
            shared.tail_failed(&error);
        }
    }
}
