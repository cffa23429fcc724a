//! docs/ledger.md is the contract: it names every column of every table and view that it promises, and its queries
//! work.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::{put, sql, table_in};
use crate::samples::{DAY, call, unknown};
use crate::{Entry, SettledCall};

const PAGE: &str = include_str!("../../../../../docs/ledger.md");

/// Columns by table or view, as the page has them: a heading with the name, a row for each column.
fn on_the_page() -> BTreeMap<String, BTreeSet<String>> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut heading = None;
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            let name = title
                .strip_prefix('`')
                .and_then(|name| name.strip_suffix('`'));
            heading = name.map(str::to_owned);
        } else if let (Some(name), Some(row)) = (&heading, line.strip_prefix("| `")) {
            let column = row.split('`').next().unwrap().to_owned();
            assert!(named.entry(name.clone()).or_default().insert(column));
        }
    }
    named
}

fn columns(connection: &Connection, table: &str) -> BTreeSet<String> {
    let mut rows = connection
        .prepare("SELECT name FROM pragma_table_xinfo(?1)")
        .unwrap();
    rows.query_map([table], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn every_column_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    drop(table_in(folder.path()));
    let connection = sql(folder.path());
    let named = on_the_page();
    let promised: Vec<_> = named.keys().map(String::as_str).collect();
    assert_eq!(
        promised,
        [
            "aliases",
            "calls",
            "days",
            "settlements",
            "slacks",
            "statements",
            "totals"
        ]
    );
    for (table, documented) in &named {
        assert_eq!(documented, &columns(&connection, table), "{table}");
    }
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
        .unwrap();
    for table in tables.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        let table = table.unwrap();
        assert!(PAGE.contains(&format!("`{table}`")), "{table}");
    }
    let version = format!("now {}.", super::super::VERSION);
    assert!(PAGE.contains(&version), "{version}");
}

#[test]
fn every_query_on_the_page_answers() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_in(folder.path());
    let crossing = SettledCall {
        span: Some((2_499_000, 2_500_500)),
        verdict: "billed".into(),
        cost: Some(2_000_000_000),
        ..call("c_2")
    };
    put(
        &mut table,
        &[
            Entry::Settled(call("c_1")),
            Entry::Settled(crossing),
            unknown("c_3", None),
        ],
    );
    let connection = sql(folder.path());
    let queries: Vec<_> = PAGE
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(queries.len(), 6);
    for query in queries {
        let mut statement = connection.prepare(query).unwrap();
        let mut rows = statement.query([]).unwrap();
        assert!(rows.next().unwrap().is_some(), "no row: {query}");
    }
    assert_eq!(DAY, 20_779, "the queries name 2026-11-22");
    let settled: String = connection
        .query_row("SELECT settled FROM calls WHERE call = 'c_1'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(settled, "2026-11-22T00:00:01.234Z");
}
