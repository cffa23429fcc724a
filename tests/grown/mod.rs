//! Ledgers with a past, made by the ledger itself: begun days ago, holding so many settlements.
//!
//! Must not know what a suite wants them for.

use std::path::Path;
use std::time::Duration;

use ledger::{Durability, Entry, Kept, Ledger, LedgerSettings, Lock, SettledCall, Tokens};

/// Milliseconds and days of a day.
const DAY_MS: i64 = 86_400_000;
/// How long ago the ledgers began, in days: before any day that a suite settles on.
const DAYS_AGO: i64 = 31;
/// How long nobody can hold a lock that nobody else knows of, and how long a close may take.
const MOST_WAIT: Duration = Duration::from_mins(5);
/// Settlements given to the ledger before it is asked whether it keeps up.
const GROUP: usize = 10_000;
/// Entries that may wait before the ledger is given more.
const MOST_WAITING: u64 = 16 * 1024 * 1024;

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
            while opened.ledger.health().unmoved_bytes > MOST_WAITING {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    opened.ledger.close(MOST_WAIT).expect("closed");
}

fn settlement(number: usize, at: i64) -> SettledCall<'static> {
    let tokens = 1_000;
    let before = (number as u64 % 1_000) * tokens;
    SettledCall {
        call: format!("c_grown{number:027}").into(),
        response_id: Some(format!("chatcmpl-grown{number:022}").into()),
        request_id: Some(format!("req_grown{number:027}").into()),
        began_at: at - 800,
        settled_at: at,
        day: i32::try_from(at / DAY_MS).expect("a day"),
        organization: "acme".into(),
        project: Some("proj_acme".into()),
        key_hash: Some([7; 16]),
        endpoint: "chat".into(),
        model_asked: Some("gpt-4o".into()),
        model: Some("gpt-4o-2024-08-06".into()),
        service_tier: Some("default".into()),
        status: 200,
        client: Some("grown/1.0".into()),
        group: Some("large".into()),
        usage: Some(Tokens {
            input: 900,
            output: 100,
            ..Tokens::default()
        }),
        span: Some((before, before + tokens)),
        fitted: true,
        allowance: Some(1_000_000),
        remaining: Some(1_000_000 - before - tokens),
        verdict: "free".into(),
        certainty: Some("final".into()),
        reason: "within-allowance".into(),
        ours: "free".into(),
        cost: Some(0),
        saved: Some(3_250_000_000),
        standing_shown: true,
        ..SettledCall::default()
    }
}
