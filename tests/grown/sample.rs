//! A settled call like most, and the pace at which a ledger can be given many of them.
//!
//! Must not know what a suite wants them for.

use std::time::Duration;

use ledger::{Ledger, SettledCall, Tokens};

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// Entries that may wait before the ledger is given more.
const MOST_WAITING: u64 = 16 * 1024 * 1024;

/// Waits until the ledger has moved what it was given, but for a little.
pub(crate) fn keeps_up(ledger: &Ledger) {
    while ledger.health().unmoved_bytes > MOST_WAITING {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A settled call like most, the only one of this number.
pub(crate) fn settlement(number: usize, at: i64) -> SettledCall<'static> {
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
