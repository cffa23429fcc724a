//! A day without calls, and one whose calls the ledger does not have yet.

use admin::{InFlight, SlackStanding};
use insta::assert_snapshot;

use super::{as_rows, seen, status};

#[test]
fn a_day_without_calls_has_its_gauges() {
    let mut status = status();
    let organization = &mut status.organizations[0];
    organization.rows.clear();
    for group in &mut organization.standing.groups {
        group.taken_tokens = 0;
        group.remaining_tokens = group.allowance_tokens;
        group.largest_free_call_tokens = group.allowance_tokens;
        group.at_most = false;
        group.slack = SlackStanding::default();
        group.in_flight = InFlight::default();
    }
    assert_snapshot!(seen(&status, 80), @"
    acme · usage tier 3 · 2026-11-21 UTC · resets in 46 min (01:00 here)
    large  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░    0 %  0 of 1,000,000
           largest free call: 1,000,000 tokens
    small  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░    0 %  0 of 10,000,000
           largest free call: 10,000,000 tokens
    No calls today (UTC).
    export OPENAI_BASE_URL=http://127.0.0.1:8800/v1
    ");
    assert_eq!(as_rows(&status, false).lines().count(), 2);
}

#[test]
fn a_ledger_that_is_behind_is_not_a_day_without_calls() {
    let mut status = status();
    status.organizations[0].rows.clear();
    let why = "the ledger in /data cannot be written: no space left on device. help: make room";
    status.ledger_notice = Some(why.to_owned());
    let text = seen(&status, 100);
    assert!(!text.contains("No calls today"), "{text}");
    assert!(
        text.contains("\nCalls are counted, the ledger is behind.\n"),
        "{text}"
    );
    assert!(text.contains(&format!("note: {why}\n")), "{text}");
}
