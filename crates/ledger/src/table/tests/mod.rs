//! The tables as a whole: written through `Table`, read through `Reader` and plain SQL.

mod documented;
mod entries;
mod files;
mod histories;
mod ids;
mod open;
mod reference;
mod retention;
mod rows;
mod speed;

use std::path::Path;

use rusqlite::Connection;

use super::{Position, Table};
use crate::{DayRow, Entry, Reader};

fn table_in(folder: &Path) -> Table {
    Table::open(&folder.join("ledger.sqlite")).unwrap()
}

fn reader_of(folder: &Path) -> Reader {
    Reader::open(folder).unwrap()
}

/// Plain SQL beside it, as people use it.
fn sql(folder: &Path) -> Connection {
    Connection::open(folder.join("ledger.sqlite")).unwrap()
}

/// The place behind so many entries.
fn after(entries: usize) -> Position {
    Position {
        segment: 1,
        offset: u64::try_from(entries).unwrap(),
    }
}

/// Moves entries in one transaction.
fn put(table: &mut Table, entries: &[Entry<'_>]) {
    let position = table.position();
    let now = Position {
        offset: position.offset + u64::try_from(entries.len()).unwrap(),
        ..position
    };
    table.apply(entries, now).unwrap();
}

fn all_days(folder: &Path) -> Vec<DayRow> {
    reader_of(folder).days(i32::MIN, i32::MAX, None).unwrap()
}

/// The sums of one organization and group, on whichever day there is.
fn day_of(folder: &Path, organization: &str, group: &str) -> DayRow {
    let days = all_days(folder);
    let mut found = days
        .into_iter()
        .filter(|day| day.organization == organization && day.group == group);
    let day = found.next().unwrap_or_default();
    assert!(found.next().is_none(), "two days");
    day
}
