//! When each organization was last settled for, and last paid for. Must not know calls.

use rusqlite::{Connection, OptionalExtension, params};

use super::TableError;

/// When an organization was last settled for, and last paid for, Unix milliseconds.
pub(super) type Seen = (i64, Option<i64>);

/// An organization was settled for, and perhaps paid for: later instants than those known are written.
pub(super) fn see(
    connection: &Connection,
    organization: &str,
    (settled_at, paid_at): Seen,
) -> Result<(), TableError> {
    connection
        .prepare_cached(
            "INSERT INTO organizations VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET
               settled_at = max(settled_at, excluded.settled_at),
               paid_at = max(coalesce(paid_at, excluded.paid_at), coalesce(excluded.paid_at, paid_at))",
        )?
        .execute(params![organization, settled_at, paid_at])?;
    Ok(())
}

/// What was seen of one goes to the other.
pub(super) fn join(connection: &Connection, stays: &str, goes: &str) -> Result<(), TableError> {
    let gone: Option<Seen> = connection
        .prepare_cached(
            "DELETE FROM organizations WHERE organization = ?1 RETURNING settled_at, paid_at",
        )?
        .query_row([goes], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    gone.map_or(Ok(()), |seen| see(connection, stays, seen))
}
