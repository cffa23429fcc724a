//! The queue's bounds and sums. Must not know files.

use super::{MOST_BYTES, MOST_ENTRIES, Queue};
use crate::samples::{DAY, call, settled, unknown};
use crate::tail::record;
use crate::{Adjustment, Entry, SettledCall, Slack};

fn records(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        assert!(record::append(entry, &mut bytes));
    }
    bytes
}

fn give(queue: &mut Queue, entries: &[Entry<'_>]) -> Option<u64> {
    queue.give(&records(entries), entries)
}

/// Takes all that waits and books it as committed.
fn write(queue: &mut Queue) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = queue.take(&mut bytes);
    queue.commit(bytes.len(), count, &mut Vec::new());
    bytes
}

fn entries(mut bytes: &[u8]) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let record::Found::Whole { payload, size } = record::first(bytes) else {
            panic!("no record");
        };
        entries.push(record::entry(payload).unwrap());
        bytes = &bytes[size..];
    }
    entries
}

#[test]
fn what_is_given_is_taken_in_order() {
    let mut queue = Queue::default();
    give(&mut queue, &[settled("a"), settled("b")]).unwrap();
    give(&mut queue, &[settled("c")]).unwrap();
    assert_eq!(queue.entries(), 3);
    let bytes = write(&mut queue);
    assert_eq!(entries(&bytes), [settled("a"), settled("b"), settled("c")]);
    assert_eq!(queue.entries(), 0);
    assert!(!queue.is_waiting());
}

#[test]
fn a_commit_ends_when_its_own_bytes_are_committed() {
    let mut queue = Queue::default();
    let first = give(&mut queue, &[settled("a")]).unwrap();
    let second = give(&mut queue, &[settled("b")]).unwrap();
    // Waited for in the other order.
    let second = queue.wait(second).unwrap();
    let first_commit = queue.wait(first).unwrap();
    let mut bytes = Vec::new();
    assert_eq!(queue.take(&mut bytes), 2);
    let mut told = Vec::new();
    let half = usize::try_from(first).unwrap();
    queue.commit(half, 1, &mut told);
    assert_eq!(told.len(), 1);
    told.pop().unwrap().send(true).unwrap();
    assert!(first_commit.wait());
    assert!(queue.wait(first).is_none());
    queue.commit(bytes.len() - half, 1, &mut told);
    told.pop().unwrap().send(true).unwrap();
    assert!(second.wait());
}

#[test]
fn the_number_of_entries_is_bounded() {
    let mut queue = Queue::default();
    let entry = [Entry::Stopped];
    for _ in 0..MOST_ENTRIES {
        give(&mut queue, &entry).unwrap();
    }
    assert_eq!(give(&mut queue, &entry), None);
    // What is being written counts until it is committed.
    let mut bytes = Vec::new();
    queue.take(&mut bytes);
    assert_eq!(give(&mut queue, &entry), None);
    queue.commit(bytes.len(), MOST_ENTRIES, &mut Vec::new());
    assert!(give(&mut queue, &entry).is_some());
}

#[test]
fn the_number_of_bytes_is_bounded() {
    let mut queue = Queue::default();
    let large = "x".repeat(60_000);
    let entry = [Entry::Settled(SettledCall {
        client: Some(large.as_str().into()),
        ..call("a")
    })];
    let size = records(&entry).len();
    for _ in 0..MOST_BYTES / size {
        give(&mut queue, &entry).unwrap();
    }
    assert_eq!(give(&mut queue, &entry), None);
    write(&mut queue);
    assert!(give(&mut queue, &entry).is_some());
}

#[test]
fn what_is_dropped_is_summed_up_by_what_it_took() {
    let mut queue = Queue::default();
    queue.drop_all(&[
        settled("a"),
        unknown("b", Some(50)),
        Entry::Settled(SettledCall {
            organization: "other".into(),
            slack: Some(Slack {
                source: "unknown-calls".into(),
                at_most: None,
                any_group: true,
            }),
            ..call("c")
        }),
        Entry::Adjusted(Adjustment {
            row: SettledCall {
                span: None,
                ..call("d")
            },
            adjusts: "b".into(),
            change: -30,
            fitted_change: -30,
            was_past: None,
        }),
        Entry::Adjusted(Adjustment {
            row: SettledCall {
                span: None,
                ..call("e")
            },
            adjusts: "b".into(),
            change: 7,
            fitted_change: 7,
            was_past: None,
        }),
        Entry::Adjusted(Adjustment {
            row: SettledCall {
                organization: "lowered".into(),
                ..call("f")
            },
            adjusts: "b".into(),
            change: -30,
            fitted_change: -30,
            was_past: None,
        }),
        Entry::Stopped,
    ]);
    assert_eq!(queue.figures(), (6, 0));
    assert!(queue.has_lost());
    queue.put_lost();
    assert!(!queue.has_lost());
    let bytes = write(&mut queue);
    let mut lost = entries(&bytes);
    lost.sort_by_key(|entry| format!("{entry:?}"));
    let entry = |organization: &'static str, group: &'static str, calls, tokens| Entry::Lost {
        organization: organization.into(),
        group: group.into(),
        day: DAY,
        calls,
        tokens,
    };
    assert_eq!(
        lost,
        [
            entry("acme", "small", 2, Some(1_057)),
            entry("other", "", 1, None)
        ]
    );
}

#[test]
fn a_closed_queue_ends_with_what_was_lost_and_the_stop() {
    let mut queue = Queue::default();
    give(&mut queue, &[settled("a")]).unwrap();
    queue.drop_all(&[settled("b")]);
    queue.close();
    queue.close();
    assert_eq!(give(&mut queue, &[settled("c")]), None);
    let bytes = write(&mut queue);
    let all = entries(&bytes);
    assert_eq!(all.len(), 3);
    assert_eq!(all.first(), Some(&settled("a")));
    assert!(matches!(all.get(1), Some(Entry::Lost { calls: 1, .. })));
    assert_eq!(all.last(), Some(&Entry::Stopped));
}
