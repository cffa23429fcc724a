//! The ledger as the program takes it at the start and leaves it at the end: whose the data directory is, what was
//! restored, what is said of it. It must not know calls, nor what a row looks like.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use ledger::{DATABASE, Health, HealthState, Ledger, Lock, LockError, NotClosed, Opened, Reader};
use meter::Day;
use thiserror::Error;
use tokio::task::spawn_blocking;

/// How long another process may take to let go of the data directory: one that is being stopped drains for as long.
const MOST_WAIT: Duration = Duration::from_secs(30);
/// A wait up to this is not worth a word.
const QUIET_WAIT: Duration = Duration::from_secs(1);

/// Another process has the data directory, and two would count twice.
#[derive(Debug, Error)]
#[error(
    "{DATABASE} is in use by another tollfree{}. two would count twice. help: stop it, or give this one --data-dir of \
     its own",
    .holder.as_deref().map(|holder| format!(" ({holder})")).unwrap_or_default()
)]
pub(crate) struct InUse {
    /// `pid 4711, since 09:02 UTC`, as far as that is known.
    holder: Option<String>,
}

/// Takes the lock of the data directory; a folder that cannot be used gives none, and the start goes on degraded.
///
/// # Errors
/// [`InUse`] when another process still holds it after [`MOST_WAIT`].
pub(crate) async fn lock(folder: &Path) -> Result<Option<Lock>, InUse> {
    let first = match take(folder, QUIET_WAIT).await {
        Taken::Held(holder) => InUse { holder },
        Taken::Ours(lock) => return Ok(lock),
    };
    let holder = first.holder.unwrap_or_default();
    tracing::warn!(
        holder,
        folder = %folder.display(),
        "{DATABASE} is in use by another tollfree; waiting up to {} s for it to stop",
        MOST_WAIT.as_secs()
    );
    match take(folder, MOST_WAIT.saturating_sub(QUIET_WAIT)).await {
        Taken::Ours(lock) => Ok(lock),
        Taken::Held(holder) => Err(InUse { holder }),
    }
}

enum Taken {
    /// The lock; none where the folder cannot be used.
    Ours(Option<Lock>),
    /// Somebody else has it.
    Held(Option<String>),
}

async fn take(folder: &Path, wait: Duration) -> Taken {
    let folder = folder.to_owned();
    let taken = spawn_blocking(move || Lock::take(&folder, wait)).await;
    match taken {
        Ok(Ok(lock)) => Taken::Ours(Some(lock)),
        Ok(Err(LockError::InUse { pid, since, .. })) => {
            Taken::Held(holder(pid, since.as_deref(), Timestamp::now()))
        }
        // What is wrong with the folder is among the troubles of the ledger that is opened without a lock.
        Ok(Err(LockError::Unusable { .. })) | Err(_) => Taken::Ours(None),
    }
}

/// `pid 4711, since 09:02 UTC`; on another day with its date.
fn holder(pid: Option<u32>, since: Option<&str>, now: Timestamp) -> Option<String> {
    let pid = pid.map(|pid| format!("pid {pid}"));
    let since = since
        .and_then(|text| text.parse::<Timestamp>().ok())
        .map(|since| {
            let day = |at: Timestamp| Day::at(at.as_second());
            let form = if day(since) == day(now) {
                "%H:%M UTC"
            } else {
                "%Y-%m-%d %H:%M UTC"
            };
            format!("since {}", since.strftime(form))
        });
    match (pid, since) {
        (Some(pid), Some(since)) => Some(format!("{pid}, {since}")),
        (one, other) => one.or(other),
    }
}

/// The process id of the tollfree that has this data directory now. The folder is not made for the question.
pub(crate) async fn pid_of_holder(folder: &Path) -> Option<u32> {
    if !folder.exists() {
        return None;
    }
    let folder = folder.to_owned();
    match spawn_blocking(move || Lock::take(&folder, Duration::ZERO)).await {
        Ok(Err(LockError::InUse { pid, .. })) => pid,
        _ => None,
    }
}

/// What the start says of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Nothing before this was counted, Unix milliseconds.
    pub(crate) began_at: i64,
    /// Calls of today that are in it.
    pub(crate) calls_today: u64,
    /// It is written.
    pub(crate) works: bool,
    /// The data directory is ours: nobody else may write there.
    pub(crate) is_ours: bool,
}

/// Opens the ledger, says what troubles it has, and what was found in it.
pub(crate) async fn open(
    settings: ledger::LedgerSettings,
    lock: Option<Lock>,
    now_ms: i64,
) -> Option<(Opened, Found)> {
    let is_ours = lock.is_some();
    let opened = spawn_blocking(move || {
        let folder = settings.folder.clone();
        let opened = Ledger::open(settings, lock, now_ms);
        let found = Found {
            began_at: opened.restored.began_at,
            calls_today: calls_of(Day::at_milliseconds(now_ms), &folder),
            works: works(&opened.ledger.health()),
            is_ours,
        };
        (opened, found)
    });
    // It ends without a value only if it panicked: then the program runs as without a ledger.
    let (opened, found) = opened.await.ok()?;
    for trouble in &opened.troubles {
        tracing::error!("{trouble}");
    }
    Some((opened, found))
}

fn works(health: &Health) -> bool {
    matches!(health.state, HealthState::Ok)
}

fn calls_of(day: Day, folder: &Path) -> u64 {
    let rows =
        Reader::open(folder).and_then(|reader| reader.days(day.number(), day.number(), None));
    // Nothing depends on this number: what was restored does not come from here.
    rows.map_or(0, |rows| rows.iter().map(|row| row.calls).sum())
}

/// Closes the ledger and says what was not done.
///
/// # Errors
/// How many entries were lost, as a line for people.
pub(crate) async fn close(ledger: Ledger, at_most: Duration) -> Result<(), NotClosed> {
    let closing = spawn_blocking(move || ledger.close(at_most));
    match closing.await {
        Ok(Err(NotClosed::Unmoved { bytes })) => {
            tracing::warn!(
                bytes,
                "everything is kept, but not all of it is in {DATABASE} yet; the next start moves the rest there"
            );
            Ok(())
        }
        Ok(done) => done,
        Err(_) => Ok(()),
    }
}

/// What to say of a data directory that was there before and that others may look into, or they or its group change: one
/// that tollfree makes is its user's alone.
pub(crate) fn open_to_others(folder: &Path) -> Option<String> {
    let mode = std::fs::metadata(folder).ok()?.permissions().mode();
    let instead = "so they can put a ledger or key.secret of theirs in the place of yours";
    let (who, may, so) = if mode & 0o002 != 0 {
        ("other users", "change", instead)
    } else if mode & 0o020 != 0 {
        ("users of its group", "change", instead)
    } else if mode & 0o004 != 0 {
        ("other users", "look into", "though not into its files")
    } else {
        return None;
    };
    let folder = folder.display();
    Some(format!(
        "{who} may {may} the data directory {folder} (mode {:04o}), {so}. help: chmod 700 {folder}, or name a \
         folder that is not there yet: tollfree makes it for its user alone",
        mode & 0o7777
    ))
}

/// The path of the database, for people.
pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}
