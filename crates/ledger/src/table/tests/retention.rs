//! Days that are no longer kept go in small steps, and all that is told of them.

use super::super::names::BLOCK;
use super::{all_days, put, reader_of, sql, table_in};
use crate::samples::{DAY, call};
use crate::{Entry, OpenCalls, SettledCall, Slack, Stated};

fn on(day: i32, id: i64) -> Entry<'static> {
    Entry::Settled(SettledCall {
        call: format!("c_{day}_{id}").into(),
        day,
        slack: Some(Slack {
            source: "unknown-calls".into(),
            at_most: Some(1),
            any_group: false,
        }),
        ..call("")
    })
}

#[test]
fn old_days_go_in_small_steps_and_wholly() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let per_day = BLOCK / 2;
    for day in DAY..DAY + 3 {
        let calls: Vec<_> = (0..per_day).map(|id| on(day, id)).collect();
        put(&mut table, &calls);
        put(
            &mut table,
            &[
                Entry::Stated(Stated {
                    organization: "acme".into(),
                    group: "large".into(),
                    day,
                    at: 1,
                    tokens: 1,
                    change: 1,
                }),
                Entry::Open(OpenCalls {
                    organization: "acme".into(),
                    group: "large".into(),
                    day,
                    version: 1,
                    at_most: Some(1),
                }),
            ],
        );
    }
    // One of the first day came late.
    put(&mut table, &[on(DAY, per_day)]);
    let mut steps = 0;
    let mut gone = 0;
    loop {
        let rows = table.prune(DAY + 2, 1_000).unwrap();
        assert!(rows <= 1_000);
        if rows == 0 {
            break;
        }
        gone += rows;
        steps += 1;
        // In between everything that is still there can be read.
        let left = all_days(folder.path());
        assert!(left.iter().any(|day| day.day == DAY + 2));
    }
    assert!(steps >= 9, "{steps}");
    let settled = usize::try_from(2 * per_day + 1).unwrap();
    // 64 slices of names, 2 x 2 totals, 2 slacks, 2 open, 2 statements, 2 kinds.
    assert_eq!(gone, settled + 64 + 4 + 2 + 2 + 2 + 2);
    let days: Vec<_> = all_days(folder.path()).iter().map(|day| day.day).collect();
    assert_eq!(days, [DAY + 2, DAY + 2]);
    let connection = sql(folder.path());
    for table in [
        "settlements",
        "totals",
        "slacks",
        "open_calls",
        "statements",
    ] {
        let old: i64 = connection
            .query_row(
                &format!("SELECT count(*) FROM {table} WHERE day < '2026-11-24'"),
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(old, 0, "{table}");
    }
    // What is kept is still found, and what comes next goes on.
    let reader = reader_of(folder.path());
    let kept = format!("c_{}_7", DAY + 2);
    assert!(reader.find_call(&kept).unwrap().is_some());
    assert_eq!(reader.find_call(&format!("c_{DAY}_7")).unwrap(), None);
    put(&mut table, &[on(DAY + 2, per_day)]);
    let today = super::day_of(folder.path(), "acme", "small");
    assert_eq!(today.calls, u64::try_from(per_day + 1).unwrap());
}

#[test]
fn a_ledger_that_lost_all_its_rows_numbers_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    put(&mut table, &[on(DAY, 1), on(DAY, 2)]);
    while table.prune(DAY + 1, 10).unwrap() > 0 {}
    assert!(all_days(folder.path()).is_empty());
    drop(table);
    let mut table = table_in(folder.path());
    put(&mut table, &[on(DAY, 1)]);
    let row = reader_of(folder.path())
        .find_call(&format!("c_{DAY}_1"))
        .unwrap();
    assert_eq!(row.unwrap().number, 3);
}
