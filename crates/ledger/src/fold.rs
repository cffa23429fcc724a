//! What a command does to a ledger while no proxy runs: fold an unclean stop's tail, state a total. Must not know
//! which command it is.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::tail::segment;
use crate::{
    Durability, Entry, HealthState, Kept, Ledger, LedgerSettings, Lock, LockError, ReadError,
    Reader, Stated,
};

/// The longest a command waits for everything to be moved.
const FOLDING: Duration = Duration::from_mins(1);

/// Moves what an unclean stop left in the tail into the tables, for commands while no proxy runs. `Ok(false)`:
/// somebody holds the ledger, or there is nothing to do.
///
/// # Errors
///
/// When the folder cannot be written, or the tail cannot be moved.
pub fn fold_tail(folder: &Path, now_ms: i64) -> io::Result<bool> {
    let segments = match segment::numbers(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        segments => segments?,
    };
    if segments.is_empty() {
        return Ok(false);
    }
    let Some(ledger) = take(folder, now_ms)? else {
        return Ok(false);
    };
    close(&ledger)?;
    Ok(true)
}

/// Writes a stated total into the ledger while no proxy runs, beginning one if there is none. `stated.change` is
/// not read: it is worked out here, from the total in the ledger. `Ok(Some(change))`: done; `Ok(None)`: somebody
/// holds the ledger.
///
/// # Errors
///
/// When the folder cannot be written, or its ledger not be read.
pub fn state_total(folder: &Path, stated: &Stated<'_>) -> io::Result<Option<i64>> {
    let Some(ledger) = take(folder, stated.at)? else {
        return Ok(None);
    };
    let taken = taken(folder, stated).map_err(io::Error::other)?;
    let change = i128::from(stated.tokens) - i128::from(taken);
    let change = i64::try_from(change).unwrap_or(if change < 0 { i64::MIN } else { i64::MAX });
    let stated = Stated {
        change,
        ..stated.clone()
    };
    let kept = match ledger.keep(&[Entry::Stated(stated)]) {
        Kept::Now => true,
        Kept::Later(commit) => commit.wait(),
        Kept::No => false,
    };
    if !kept {
        return Err(io::Error::other("the stated total could not be written"));
    }
    close(&ledger)?;
    Ok(Some(change))
}

/// The running total that the ledger has.
fn taken(folder: &Path, stated: &Stated<'_>) -> Result<u64, ReadError> {
    let totals = match Reader::open(folder) {
        Err(ReadError::NoLedger) => return Ok(0),
        reader => reader?.totals(stated.day)?,
    };
    let total = totals.into_iter().find(|total| {
        total.organization == stated.organization.as_ref() && total.group == stated.group.as_ref()
    });
    Ok(total.map_or(0, |total| total.taken))
}

/// The ledger in `folder`, if nobody holds it.
fn take(folder: &Path, now_ms: i64) -> io::Result<Option<Ledger>> {
    let lock = match Lock::take(folder, Duration::ZERO) {
        Ok(lock) => lock,
        Err(LockError::InUse { .. }) => return Ok(None),
        Err(LockError::Unusable { source, .. }) => return Err(source),
    };
    let settings = LedgerSettings {
        folder: folder.to_owned(),
        durability: Durability::Crash,
        keep_days: 0,
    };
    let opened = Ledger::open(settings, Some(lock), now_ms);
    if let HealthState::Degraded(why) = opened.ledger.health().state {
        // Nobody waits at a prompt for a disk to be cleared.
        return Err(io::Error::other(why));
    }
    for trouble in &opened.troubles {
        tracing::warn!("{trouble}");
    }
    Ok(Some(opened.ledger))
}

fn close(ledger: &Ledger) -> io::Result<()> {
    ledger.close(FOLDING).map_err(io::Error::other)
}
