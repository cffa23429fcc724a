//! What listeners are told who read at once, late, and across what is gone.

use std::collections::BTreeMap;

use ledger::SettledCall;

use super::*;
use crate::standing::{ProxyNow, SCHEMA};

const NOW: &str = "2026-11-22T10:00:00.000Z";

fn day() -> Day {
    Day::of_date(2026, 11, 22).unwrap()
}

fn row(number: i64) -> Row {
    Row {
        number,
        call: SettledCall::default(),
        adjusts: None,
        counted_by: None,
        is_awaited: false,
    }
}

/// Organizations with the tiers they are in, of whom each made so many calls; and new calls, oldest first.
fn look(tiers: &[(&str, u8)], calls: &[i64]) -> Look {
    let organizations = tiers.iter().map(|(name, tier)| OrganizationStanding {
        organization: (*name).to_owned(),
        usage_tier: *tier,
        usage_tier_declared: true,
        groups: Vec::new(),
    });
    let rows = tiers.iter().map(|(name, tier)| DayRow {
        day: day().number(),
        organization: (*name).to_owned(),
        calls: u64::from(*tier),
        ..DayRow::default()
    });
    Look {
        day: day(),
        standings: Standings {
            schema: SCHEMA,
            proxy: ProxyNow {
                pid: 1,
                address: "127.0.0.1:8800".to_owned(),
                page: None,
            },
            day: day().to_string(),
            reset: "2026-11-23T00:00:00Z".to_owned(),
            clock_correction_milliseconds: 0,
            organizations: organizations.collect(),
            sharing: None,
            ledger_notice: None,
            notices: Vec::new(),
        },
        state: json!({ "status": "ok", "now": "before" }),
        rows: Some(rows.collect()),
        calls: calls.iter().rev().copied().map(row).collect(),
    }
}

fn said(event: &Event) -> (String, Value) {
    let text = String::from_utf8(event.bytes.to_vec()).unwrap();
    let (name, data) = text.split_once("\ndata: ").unwrap();
    let name = name.strip_prefix("event: ").unwrap();
    (name.to_owned(), serde_json::from_str(data).unwrap())
}

/// Names with the tiers and calls told of them.
fn told(change: &Value) -> BTreeMap<String, (u64, u64)> {
    let standings = change["standing"]["organizations"].as_array().unwrap();
    let sums = change["sums"].as_array().unwrap();
    assert_eq!(change["days"].as_array().unwrap().len(), sums.len());
    let pairs = standings.iter().zip(sums).map(|(standing, sum)| {
        assert_eq!(standing["organization"], sum["organization"]);
        let name = standing["organization"].as_str().unwrap().to_owned();
        let tier = standing["usage_tier"].as_u64().unwrap();
        (name, (tier, sum["calls"].as_u64().unwrap()))
    });
    pairs.collect()
}

#[test]
fn only_what_changed_is_told_and_once() {
    let mut board = Board::default();
    assert_eq!(board.number(), None);
    board.take(look(&[("acme", 1), ("globex", 1)], &[7]));
    assert_eq!(board.number(), Some(7));
    let began = board.at();
    assert!(board.since(began, NOW).is_none());
    board.take(look(&[("acme", 1), ("globex", 2), ("initech", 3)], &[8, 9]));
    let event = board.since(began, NOW).unwrap();
    let (name, change) = said(&event);
    assert_eq!(name, "change");
    let expected = [("globex", (2, 2)), ("initech", (3, 3))];
    let expected = expected.map(|(name, told)| (name.to_owned(), told));
    assert_eq!(told(&change), BTreeMap::from(expected));
    assert_eq!(change["calls"][0]["number"], 9);
    assert_eq!(change["calls"][1]["number"], 8);
    assert_eq!(change["state"]["now"], NOW);
    let shared = board.since(began, NOW).unwrap();
    assert_eq!(shared.bytes.as_ptr(), event.bytes.as_ptr());
    assert!(board.since(event.at, NOW).is_none());
    // The state alone.
    board.take(look(&[("acme", 1), ("globex", 2), ("initech", 3)], &[]));
    let (_, change) = said(&board.since(event.at, NOW).unwrap());
    assert_eq!(told(&change), BTreeMap::new());
    assert_eq!(change["calls"], json!([]));
}

#[test]
fn who_reads_late_is_told_the_newest_state_in_pieces() {
    let names: Vec<String> = (0..MOST_TOLD * 3).map(|one| format!("o{one:04}")).collect();
    let all = |tier: u8| names.iter().map(|name| (name.as_str(), tier)).collect();
    let mut board = Board::default();
    let first: Vec<_> = all(1);
    board.take(look(&first, &[]));
    let mut at = board.at();
    for tier in 2..5 {
        let tiers: Vec<_> = all(tier);
        board.take(look(&tiers, &[i64::from(tier)]));
    }
    let (mut heard, mut calls, mut events) = (BTreeMap::new(), 0, 0);
    while let Some(event) = board.since(at, NOW) {
        let (_, change) = said(&event);
        let piece = told(&change);
        let listed = change["calls"].as_array().unwrap().len();
        assert!(piece.len() + listed <= MOST_TOLD);
        calls += listed;
        heard.extend(piece);
        assert!(event.at > at);
        (at, events) = (event.at, events + 1);
    }
    assert_eq!((heard.len(), calls, events), (names.len(), 3, 4));
    assert!(heard.values().all(|told| *told == (4, 4)));
}

#[test]
fn calls_are_kept_for_who_reads_late_but_not_all() {
    let mut board = Board::default();
    board.take(look(&[], &[]));
    let mut at = board.at();
    for number in 1..=2_000 {
        board.take(look(&[], &[number]));
    }
    assert!(board.changes.len() <= MOST_CALLS);
    let mut numbers = Vec::new();
    while let Some(event) = board.since(at, NOW) {
        let (_, change) = said(&event);
        let calls = change["calls"].as_array().unwrap();
        numbers.extend(
            calls
                .iter()
                .rev()
                .map(|call| call["number"].as_i64().unwrap()),
        );
        at = event.at;
    }
    assert!(numbers.into_iter().eq(1_501..=2_000));
}

#[test]
fn what_is_gone_makes_listeners_ask_anew() {
    let mut board = Board::default();
    board.take(look(&[("acme", 1), ("globex", 1)], &[]));
    let began = board.at();
    board.take(look(&[("acme", 2), ("globex", 1)], &[1]));
    board.take(look(&[("acme", 3)], &[2]));
    board.take(look(&[("acme", 4)], &[3]));
    let (name, change) = said(&board.since(began, NOW).unwrap());
    assert_eq!(
        (name.as_str(), &change["calls"][0]["number"]),
        ("change", &json!(1))
    );
    let mut at = board.since(began, NOW).unwrap().at;
    let mut names = Vec::new();
    while let Some(event) = board.since(at, NOW) {
        names.push(said(&event));
        at = event.at;
    }
    assert_eq!(names[0].0, "anew");
    assert_eq!(names[1].0, "change");
    assert_eq!(told(&names[1].1).len(), 1);
    assert_eq!(names[1].1["calls"].as_array().unwrap().len(), 2);
    // Another day.
    let tomorrow = Look {
        day: Day::of_number(day().number() + 1),
        ..look(&[("acme", 4)], &[])
    };
    board.take(tomorrow);
    assert_eq!(said(&board.since(at, NOW).unwrap()).0, "anew");
    // Sums of another ledger.
    let at = board.at();
    let other = Look {
        day: Day::of_number(day().number() + 1),
        rows: Some(Vec::new()),
        ..look(&[("acme", 4)], &[])
    };
    board.take(other);
    assert_eq!(said(&board.since(at, NOW).unwrap()).0, "anew");
}

#[test]
fn a_ledger_that_cannot_be_read_changes_no_sums() {
    let mut board = Board::default();
    board.take(look(&[("acme", 1)], &[]));
    let at = board.at();
    let blind = Look {
        rows: None,
        ..look(&[("acme", 2)], &[])
    };
    board.take(blind);
    let (name, change) = said(&board.since(at, NOW).unwrap());
    assert_eq!(name, "change");
    let stands = told(&change);
    assert_eq!(stands.get("acme"), Some(&(2, 1)));
}
