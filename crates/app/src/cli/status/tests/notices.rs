//! What a status says below its figures: calls without usage, and what does not work.

use super::{Status, as_object, seen, status};

#[test]
fn calls_that_are_awaited_are_not_among_those_without_usage() {
    let notes = |awaited_calls| {
        let status = Status {
            awaited_calls,
            ..status()
        };
        let seen = seen(&status, 200);
        let notes = seen.lines().filter(|line| line.starts_with("note: "));
        notes.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let missing =
        |calls: &str| format!("{calls} without usage: see tollfree calls --verdict unknown");
    assert!(notes(0).contains(&missing("3 calls")), "{}", notes(0));
    assert!(!notes(0).contains("pending"), "{}", notes(0));
    let some = notes(2);
    assert!(some.contains(&missing("1 call")), "{some}");
    assert!(
        some.contains("2 calls pending") && some.contains("--verdict pending"),
        "{some}"
    );
    assert!(!notes(3).contains("without usage"), "{}", notes(3));
}

#[test]
fn a_status_ends_with_what_does_not_work_and_says_each_once() {
    let dead = "could not reach 127.0.0.1:23900: refused (7 calls without an answer since 19:22:04 UTC). help: tollfree check";
    let behind = "the disk is full. help: make room";
    let status = Status {
        notices: vec![behind.to_owned(), dead.to_owned()],
        ledger_notice: Some(behind.to_owned()),
        ..status()
    };
    let seen = seen(&status, 200);
    for notice in [dead, behind] {
        let note = format!("note: {notice}\n");
        assert_eq!(seen.matches(&note).count(), 1, "{seen}");
    }
    assert_eq!(as_object(&status)["notices"][1], dead);
}

#[test]
fn where_a_smaller_call_may_still_fit_both_are_said() {
    let mut status = status();
    let large = &mut status.organizations[0].standing.groups[0];
    large.remaining_tokens = 25_000;
    large.largest_free_call_tokens = 25_000;
    let text = seen(&status, 80);
    assert!(text.contains("97 %  975,000 of 1,000,000"), "{text}");
    assert!(
        text.contains("largest free call: 25,000 tokens; crossing call c_7Q2mX"),
        "{text}"
    );
    assert!(!text.contains('◆'), "{text}");
}
