//! The numbered migrations, and how an empty or older file becomes one of today. Must not know what rows mean.

use rusqlite::{Connection, TransactionBehavior};

use super::TableError;

/// `MIGRATIONS[n]` makes version `n + 1` of version `n`. They are never changed, only added to.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
];

/// The version that this program writes.
pub(crate) const VERSION: i64 = 2;

/// Brings the tables to today's version.
///
/// # Errors
/// [`TableError::Newer`] for a file of a later program, which stays untouched; else as SQLite says.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), TableError> {
    migrate_by(connection, &MIGRATIONS)
}

pub(super) fn migrate_by(
    connection: &mut Connection,
    migrations: &[&str],
) -> Result<(), TableError> {
    let newest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found = version(connection)?;
    if found > newest {
        return Err(TableError::Newer { version: found });
    }
    if found == newest {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again under the lock: another process may have just done it.
    let mut from = version(&transaction)?;
    for migration in migrations
        .iter()
        .skip(usize::try_from(from).unwrap_or(usize::MAX))
    {
        transaction.execute_batch(migration)?;
        from += 1;
        transaction.pragma_update(None, "user_version", from)?;
    }
    transaction.commit()?;
    Ok(())
}

/// The version of a file; 0: nothing of ours is in it. A negative one is no version of ours.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
