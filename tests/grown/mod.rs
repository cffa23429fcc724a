//! Ledgers with a past, made by the ledger itself: begun days ago, holding so many settlements.
//!
//! Must not know what a suite wants them for.

mod sample;

use std::path::Path;
use std::time::Duration;

use ledger::{Durability, Entry, Kept, Ledger, LedgerSettings, Lock};
use sample::{DAY_MS, keeps_up, settlement};

/// How long ago the ledgers began, in days: before any day that a suite settles on.
const DAYS_AGO: i64 = 31;
/// How long nobody can hold a lock that nobody else knows of, and how long a close may take.
const MOST_WAIT: Duration = Duration::from_mins(5);
/// Settlements given to the ledger before it is asked whether it keeps up.
const GROUP: usize = 10_000;

/// Makes the ledger of a data directory that began days before `now` (Unix milliseconds) and holds `rows`
/// settlements, spread over the days until the one before: no later verdict has to assume anything of the time
/// before.
pub(crate) fn ledger(folder: &Path, rows: usize, now: i64) {
    let began = now - DAYS_AGO * DAY_MS;
    let settings = LedgerSettings {
        folder: folder.to_owned(),
        durability: Durability::Crash,
        keep_days: 400,
    };
    let lock = Lock::take(folder, MOST_WAIT).expect("a folder of our own");
    let opened = Ledger::open(settings, Some(lock), began);
    assert!(opened.troubles.is_empty(), "{:?}", opened.troubles);
    for number in 0..rows {
        let at = began
            + (now - began - DAY_MS) / i64::try_from(rows).expect("few")
                * i64::try_from(number).expect("few");
        let kept = opened
            .ledger
            .keep(&[Entry::Settled(settlement(number, at))]);
        assert!(!matches!(kept, Kept::No), "settlement {number} was refused");
        if number % GROUP == 0 {
            keeps_up(&opened.ledger);
        }
    }
    opened.ledger.close(MOST_WAIT).expect("closed");
}
