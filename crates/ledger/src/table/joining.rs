//! Two names become one organization: the sums of every day are added under the name that stays. Rows keep the
//! name they were settled under. Must not know why they are one.

use rusqlite::{Connection, params};

use super::TableError;
use super::cells::{Cells, SumKey};
use super::date;
use super::organizations;

/// Adds all sums of the name that goes to those of the name that stays, and remembers it. What was touched in
/// `cells` must have been written.
pub(super) fn join(
    connection: &Connection,
    cells: &mut Cells,
    stays: &str,
    goes: &str,
) -> Result<(), TableError> {
    let places = connection
        .prepare_cached("SELECT day, model_group FROM totals WHERE organization = ?1")?
        .query_map([goes], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (day, group) in &places {
        let place = |organization| SumKey {
            day: date::day_of(day).unwrap_or_default(),
            organization,
            group,
        };
        let other = cells.take(connection, place(goes))?;
        cells.change(connection, place(stays), |cell| cell.absorb(other))?;
    }
    organizations::join(connection, stays, goes)?;
    connection
        .prepare_cached("UPDATE aliases SET organization = ?1 WHERE organization = ?2")?
        .execute(params![stays, goes])?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO aliases VALUES (?2, ?1)")?
        .execute(params![stays, goes])?;
    Ok(())
}
