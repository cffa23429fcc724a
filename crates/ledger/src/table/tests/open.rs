//! Calls under way, and what becomes of them when the program dies.

use super::{day_of, put, sql, table_in};
use crate::samples::{DAY, open_calls, settled};
use crate::{Entry, OpenCalls};

const NOW: i64 = DAY as i64 * 86_400_000;

fn slack_after_a_death(entries: &[Entry<'_>]) -> (bool, Vec<(String, Option<u64>)>) {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    for entry in entries {
        put(&mut table, std::slice::from_ref(entry));
    }
    drop(table);
    let mut table = table_in(folder.path());
    let was_clean = table.restored(NOW).unwrap().was_clean;
    let slack = day_of(folder.path(), "acme", "small").slack;
    // Once: the next start finds everything in order.
    drop(table);
    let again = table_in(folder.path()).restored(NOW).unwrap();
    assert!(again.was_clean);
    assert_eq!(day_of(folder.path(), "acme", "small").slack, slack);
    (was_clean, slack)
}

fn unclean(at_most: Option<u64>) -> (bool, Vec<(String, Option<u64>)>) {
    (false, vec![("unclean-stop".to_owned(), at_most)])
}

#[test]
fn what_was_open_at_a_death_is_slack() {
    let last = open_calls(2, Some(5));
    assert_eq!(
        slack_after_a_death(&[open_calls(1, Some(900)), last, settled("c_1")]),
        unclean(Some(5))
    );
    assert_eq!(slack_after_a_death(&[open_calls(1, None)]), unclean(None));
}

#[test]
fn nothing_open_leaves_nothing() {
    assert_eq!(
        slack_after_a_death(&[open_calls(1, Some(900)), open_calls(2, Some(0))]),
        (false, vec![])
    );
    assert_eq!(
        slack_after_a_death(&[open_calls(1, Some(900)), Entry::Stopped]),
        (true, vec![])
    );
    assert_eq!(slack_after_a_death(&[]), (true, vec![]));
    // It went on after it had stopped.
    assert_eq!(
        slack_after_a_death(&[Entry::Stopped, open_calls(3, Some(1))]),
        unclean(Some(1))
    );
}

#[test]
fn the_latest_announcement_holds_in_whichever_order_they_come() {
    assert_eq!(
        slack_after_a_death(&[open_calls(5, Some(50)), open_calls(4, Some(40))]),
        unclean(Some(50))
    );
    // Numbers wrap.
    assert_eq!(
        slack_after_a_death(&[
            open_calls(u32::MAX, Some(1)),
            open_calls(0, Some(2)),
            open_calls(u32::MAX - 1, Some(3)),
        ]),
        unclean(Some(2))
    );
    // The same number twice is the same announcement.
    assert_eq!(
        slack_after_a_death(&[open_calls(7, Some(1)), open_calls(7, Some(2))]),
        unclean(Some(1))
    );
}

#[test]
fn a_name_that_became_another_organization_goes_on_announcing_its_own_calls() {
    let former = |version, at_most| {
        Entry::Open(OpenCalls {
            organization: "org-acme".into(),
            group: "small".into(),
            day: DAY,
            version,
            at_most,
        })
    };
    let joined = [
        open_calls(3, Some(50)),
        former(80, Some(7)),
        Entry::Alias {
            organization: "acme".into(),
            name: "org-acme".into(),
        },
    ];
    assert_eq!(slack_after_a_death(&joined), unclean(Some(57)));
    let [one, other, alias] = joined;
    let after = [
        one,
        other,
        alias,
        former(81, Some(0)),
        open_calls(4, Some(60)),
    ];
    assert_eq!(slack_after_a_death(&after), unclean(Some(60)));
}

#[test]
fn announcements_of_days_gone_by_do_not_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let on = |day, at_most| {
        Entry::Open(OpenCalls {
            organization: "acme".into(),
            group: "small".into(),
            day,
            version: 1,
            at_most,
        })
    };
    for day in DAY..DAY + 50 {
        put(&mut table, &[on(day, Some(0))]);
    }
    // One that hangs is kept for as long as it hangs.
    put(&mut table, &[on(DAY, Some(3)), on(DAY + 50, Some(0))]);
    let open: i64 = sql(folder.path())
        .query_row("SELECT count(*) FROM open_calls", [], |row| row.get(0))
        .unwrap();
    assert_eq!(open, 4);
}

#[test]
fn a_ledger_begins_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    assert_eq!(table.restored(NOW).unwrap().began_at, NOW);
    put(&mut table, &[settled("c_1")]);
    drop(table);
    let restored = table_in(folder.path()).restored(NOW + 99).unwrap();
    assert_eq!(restored.began_at, NOW);
    assert_eq!(
        super::reader_of(folder.path()).began_at().unwrap(),
        Some(NOW)
    );
}
