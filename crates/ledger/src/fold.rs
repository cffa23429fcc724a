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
/// not read: it is worked out here, from the total in the ledger under any name of the organization. `declared` are
/// organizations and their declared other names, which are one from now on, as after a start. `Ok(Some(change))`: done;
/// `Ok(None)`: somebody holds the ledger.
///
/// # Errors
///
/// When the folder cannot be written, or its ledger not be read.
pub fn state_total(
    folder: &Path,
    stated: &Stated<'_>,
    declared: &[(&str, &str)],
) -> io::Result<Option<i64>> {
    if !declared.is_empty() {
        let Some(ledger) = take(folder, stated.at)? else {
            return Ok(None);
        };
        let names = declared.iter().map(|&(organization, name)| Entry::Alias {
            organization: organization.into(),
            name: name.into(),
        });
        let names: Vec<_> = names.collect();
        keep(&ledger, &names, "the declared other names")?;
        // What is closed is in the tables: there the names are one before anything is reckoned.
        close(&ledger)?;
    }
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
    keep(&ledger, &[Entry::Stated(stated)], "the stated total")?;
    close(&ledger)?;
    Ok(Some(change))
}

fn keep(ledger: &Ledger, entries: &[Entry<'_>], what: &str) -> io::Result<()> {
    let kept = match ledger.keep(entries) {
        Kept::Now => true,
        Kept::Later(commit) => commit.wait(),
        Kept::No => false,
    };
    if kept {
        Ok(())
    } else {
        Err(io::Error::other(format!("{what} could not be written")))
    }
}

/// The running total that the ledger has, under the name that it knows the organization by.
fn taken(folder: &Path, stated: &Stated<'_>) -> Result<u64, ReadError> {
    let reader = match Reader::open(folder) {
        Err(ReadError::NoLedger) => return Ok(0),
        reader => reader?,
    };
    let aliases = reader.restored(stated.at)?.aliases;
    let known = aliases
        .iter()
        .find(|(_, name)| name == stated.organization.as_ref());
    let organization = known.map_or(stated.organization.as_ref(), |(known, _)| known);
    let total = reader
        .totals(stated.day)?
        .into_iter()
        .find(|total| total.organization == organization && total.group == stated.group.as_ref());
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
