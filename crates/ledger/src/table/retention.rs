//! Days that are no longer kept go, some rows at a time, so that nothing waits for it. Must not know why a day is
//! no longer kept.

use rusqlite::{Connection, OptionalExtension, params};

use super::TableError;
use super::names::{BLOCK, SLICES};

/// Deletes at most so many rows of the days before this one: settlements first, and once there are none, all else
/// that is told of those days. Returns how many; 0: nothing is left of them.
pub(super) fn prune(
    connection: &Connection,
    before_day: &str,
    at_most_rows: usize,
) -> Result<usize, TableError> {
    let at_most = i64::try_from(at_most_rows).unwrap_or(i64::MAX);
    let deleted = settlements(connection, before_day, at_most)?;
    if deleted > 0 {
        return Ok(deleted);
    }
    let first: Option<i64> = connection
        .prepare_cached("SELECT min(number) FROM settled")?
        .query_row([], |row| row.get(0))?;
    if let Some(first) = first {
        let gone = connection
            .prepare_cached(
                "DELETE FROM names WHERE number IN (SELECT number FROM names WHERE number < ?1 LIMIT ?2)",
            )?
            .execute(params![first / BLOCK * SLICES, at_most])?;
        if gone > 0 {
            return Ok(gone);
        }
    }
    for (table, key) in [
        ("totals", "(day, organization, model_group)"),
        ("slacks", "(day, organization, model_group, source)"),
        ("open_calls", "(day, organization, model_group)"),
        ("statements", "(number)"),
        ("kinds", "(kind)"),
    ] {
        let columns = key.trim_matches(['(', ')']);
        let gone = connection
            .prepare_cached(&format!(
                "DELETE FROM {table} WHERE {key} IN (SELECT {columns} FROM {table} WHERE day < ?1 LIMIT ?2)"
            ))?
            .execute(params![before_day, at_most])?;
        if gone > 0 {
            return Ok(gone);
        }
    }
    let gone = connection
        .prepare_cached(
            "DELETE FROM runs WHERE began_at IN (
               SELECT began_at FROM runs WHERE last_at < unixepoch(?1) * 1000 LIMIT ?2)",
        )?
        .execute(params![before_day, at_most])?;
    Ok(gone)
}

/// Rows are numbered as they come, so those of a day lie together, but for a few that came late: the summary says
/// between which numbers.
fn settlements(
    connection: &Connection,
    before_day: &str,
    at_most: i64,
) -> Result<usize, TableError> {
    let numbers: Option<(Option<i64>, Option<i64>)> = connection
        .prepare_cached("SELECT min(first_number), max(last_number) FROM totals WHERE day < ?1")?
        .query_row([before_day], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((Some(first), Some(last))) = numbers else {
        return Ok(0);
    };
    let deleted = connection
        .prepare_cached(
            "DELETE FROM settled WHERE number IN (
               SELECT number FROM settlements WHERE number BETWEEN ?1 AND ?2 AND day < ?3 LIMIT ?4)",
        )?
        .execute(params![first, last, before_day, at_most])?;
    Ok(deleted)
}
