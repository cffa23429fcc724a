//! What the ledger's tests share: opening one, waiting with a deadline, reading rows. Must not know what is tested.

#![allow(dead_code, reason = "no test uses all of it")]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ledger::{Durability, Kept, Ledger, LedgerSettings, Lock, Opened, Restored};
use rusqlite::{Connection, OpenFlags};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Noon of the samples' day, Unix milliseconds.
pub(crate) const NOW: i64 = crate::samples::DAY as i64 * 86_400_000 + 43_200_000;

pub(crate) fn settings(folder: &Path, durability: Durability) -> LedgerSettings {
    LedgerSettings {
        folder: folder.to_owned(),
        durability,
        keep_days: 0,
    }
}

pub(crate) fn open(folder: &Path) -> (Ledger, Restored, Vec<String>) {
    open_with(folder, Durability::Crash)
}

/// Opens the ledger as soon as whoever had it has left.
pub(crate) fn open_with(folder: &Path, durability: Durability) -> (Ledger, Restored, Vec<String>) {
    let lock = Lock::take(folder, LONG).unwrap();
    let opened = Ledger::open(settings(folder, durability), Some(lock), NOW);
    let Opened {
        ledger,
        restored,
        troubles,
    } = opened;
    (ledger, restored, troubles)
}

/// Waits for entries to be committed, as a thread does.
pub(crate) fn is_kept(kept: Kept) -> bool {
    match kept {
        Kept::Now => true,
        Kept::Later(commit) => commit.wait(),
        Kept::No => false,
    }
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The ids of all rows in the tables, in the order they were kept; none where there are no tables yet.
pub(crate) fn calls(folder: &Path) -> Vec<String> {
    let path = folder.join("ledger.sqlite");
    let Ok(tables) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return Vec::new();
    };
    let Ok(mut all) = tables.prepare("SELECT call FROM settlements ORDER BY number") else {
        return Vec::new();
    };
    all.query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// How many segments of the tail lie in the folder.
pub(crate) fn tails(folder: &Path) -> usize {
    fs::read_dir(folder)
        .unwrap()
        .filter(|file| {
            let name = file.as_ref().unwrap().file_name();
            name.to_string_lossy().ends_with(".tail")
        })
        .count()
}
