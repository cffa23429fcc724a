//! Figures, in a release build: `cargo test --release -p ledger speed -- --ignored --nocapture --test-threads 1`.

#![expect(clippy::print_stdout, reason = "figures are what this is for")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{after, reader_of, table_in};
use crate::samples::{DAY, call};
use crate::table::Table;
use crate::{CallFilter, Entry, SettledCall};

const NOW: i64 = DAY as i64 * 86_400_000;

/// CPU of this thread so far.
fn cpu() -> Duration {
    let figures = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let spent = figures.split(' ').next().unwrap();
    Duration::from_nanos(spent.parse().unwrap())
}

/// CPU that something takes.
fn spent_on(act: impl FnOnce()) -> Duration {
    let began = cpu();
    act();
    cpu().saturating_sub(began)
}

/// Letters that look random, as in ids.
fn letters(seed: &mut u64, count: usize) -> String {
    let mut letter = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        char::from(b'a' + u8::try_from(*seed % 26).unwrap())
    };
    (0..count).map(|_| letter()).collect()
}

fn entries(from: usize, count: usize, days: usize, all: usize) -> Vec<Entry<'static>> {
    let mut seed = 88_172_645_463_325_252 + u64::try_from(from).unwrap();
    (from..from + count)
        .map(|id| {
            let days_back = (days - 1).saturating_sub(id * days / all);
            Entry::Settled(SettledCall {
                call: format!("c_{id:010}{}", letters(&mut seed, 20)).into(),
                response_id: Some(format!("resp_{}", letters(&mut seed, 48)).into()),
                request_id: Some(format!("req_{}", letters(&mut seed, 32)).into()),
                day: DAY - i32::try_from(days_back).unwrap(),
                began_at: NOW,
                settled_at: NOW + 1_000,
                ..call("")
            })
        })
        .collect()
}

fn fill(folder: &Path, rows: usize, days: usize) -> Table {
    let mut table = table_in(folder);
    for from in (0..rows).step_by(1_000) {
        table
            .apply(&entries(from, 1_000, days, rows), after(from + 1_000))
            .unwrap();
        if from % 20_000 == 0 {
            table.checkpoint(false).unwrap();
        }
    }
    table.checkpoint(true).unwrap();
    table
}

#[test]
#[ignore = "takes a minute and says figures"]
fn cpu_of_a_row_by_size_of_its_group() {
    for (group, rows) in [
        (1, 10_000),
        (16, 30_000),
        (64, 60_000),
        (256, 100_000),
        (1_000, 100_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let before = 300_000;
        let mut table = fill(folder.path(), before, 1);
        let mut spent = [Duration::ZERO; 2];
        let mut unsynced = 0;
        for from in (0..rows).step_by(group) {
            let entries = entries(before + from, group, 1, before + rows);
            spent[0] += spent_on(|| table.apply(&entries, after(before + from + group)).unwrap());
            unsynced += group;
            if unsynced >= 20_000 {
                unsynced = 0;
                spent[1] += spent_on(|| assert!(table.checkpoint(false).unwrap()));
            }
        }
        spent[1] += spent_on(|| assert!(table.checkpoint(false).unwrap()));
        let rows = u32::try_from(rows).unwrap();
        println!(
            "groups of {group}: {:?} a row, checkpoints {:?} beside it",
            spent[0] / rows,
            spent[1] / rows
        );
    }
}

#[test]
#[ignore = "takes a minute and says figures"]
fn a_million_rows() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 1_000_000;
    drop(fill(folder.path(), rows, 30));
    let mut timed = Vec::new();
    let mut time = |what: &'static str, act: &mut dyn FnMut()| {
        let began = Instant::now();
        act();
        timed.push((what, began.elapsed()));
    };
    time("open and restore", &mut || {
        table_in(folder.path()).restored(NOW).unwrap();
    });
    let reader = reader_of(folder.path());
    time("30 days", &mut || {
        let days = reader.days(DAY - 29, DAY, None).unwrap();
        assert_eq!(days.iter().map(|day| day.calls).sum::<u64>(), 1_000_000);
    });
    time("the latest 50 calls", &mut || {
        let filter = CallFilter {
            at_most: 50,
            ..CallFilter::default()
        };
        assert_eq!(reader.calls(&filter).unwrap().len(), 50);
    });
    time("a filter that nothing passes", &mut || {
        let filter = CallFilter {
            verdict: Some("unknown".to_owned()),
            at_most: 50,
            ..CallFilter::default()
        };
        assert!(reader.calls(&filter).unwrap().is_empty());
    });
    time("an id that is not there", &mut || {
        assert!(reader.find_openai_id(&[7; 16], "req_x").unwrap().is_none());
    });
    time("the first call", &mut || {
        let Entry::Settled(first) = entries(0, 1, 30, rows).remove(0) else {
            panic!()
        };
        assert!(reader.find_call(&first.call).unwrap().is_some());
    });
    let mut table = table_in(folder.path());
    time("1,000 rows of an old day deleted", &mut || {
        assert_eq!(table.prune(DAY, 1_000).unwrap(), 1_000);
    });
    for (what, took) in &timed {
        println!("{what}: {took:?}");
    }
    assert!(timed.iter().all(|(_, took)| *took < Duration::from_secs(1)));
}
