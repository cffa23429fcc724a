//! The tables: one read-write connection to `ledger.sqlite`. A group of entries and the place in the tail behind
//! them go in with one transaction, so nothing is moved twice or left out, whenever the program dies. Must not
//! know files of the tail, threads or time.

mod cell;
mod cells;
pub(crate) mod date;
mod error;
mod joining;
mod keys;
mod kinds;
mod names;
mod open_calls;
mod organizations;
mod restore;
mod retention;
mod rows;
mod schema;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use self::state::State;
use crate::{Entry, Restored};

pub(crate) use self::cell::Cell;
pub(crate) use self::cells::{COLUMNS as TOTAL_COLUMNS, cell_of, slack_of};
pub(crate) use self::error::TableError;
pub(crate) use self::names::{find, unsealed_from};
pub(crate) use self::restore::{carried, totals};
pub(crate) use self::rows::{COUNTED_BY, columns as row_columns, is_awaited, row_of};
pub(crate) use self::schema::{VERSION, version};

/// The file of the tables in the data directory.
pub const DATABASE: &str = "ledger.sqlite";

/// How long a transaction waits for another process's.
const BUSY: Duration = Duration::from_secs(1);

/// A file up to this size (bytes) is checked page by page when the last stop was not a clean one.
const CHECKED: u64 = 32 << 20;

/// Prepared statements kept: all there are, with room.
const STATEMENTS: usize = 64;

/// A place in the tail: everything before it is in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Number of the segment.
    pub(crate) segment: u32,
    /// Bytes from its beginning.
    pub(crate) offset: u64,
}

/// The tables, open for writing.
pub(crate) struct Table {
    connection: Connection,
    position: Position,
    /// `None` after a failed transaction: what is in memory may no longer be what is in the tables.
    state: Option<State>,
}

impl Table {
    /// Opens the file, making it (0600) if it is missing, and brings its tables to today's version. After a stop
    /// that was not clean a file of at most 32 MiB is checked first (a quarter of a second).
    ///
    /// # Errors
    /// [`TableError`] by what can be done about it; a newer file is left untouched.
    pub(crate) fn open(path: &Path) -> Result<Table, TableError> {
        let size = make(path).map_err(|source| TableError::NotMade { source })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Before anything is written, so that a newer file stays as it is.
        let found = schema::version(&connection)?;
        if found > VERSION {
            return Err(TableError::Newer { version: found });
        }
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        // What is not synced is still in the tail: a checkpoint syncs, and only then a segment goes.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        schema::migrate(&mut connection)?;
        let (position, clean) =
            connection.query_row("SELECT segment, \"offset\", clean FROM meta", [], |row| {
                let position = Position {
                    segment: row.get(0)?,
                    offset: row.get::<_, i64>(1)?.unsigned_abs(),
                };
                Ok((position, row.get::<_, bool>(2)?))
            })?;
        if !clean && size <= CHECKED {
            check(&connection)?;
        }
        let state = State::read(&connection)?;
        Ok(Table {
            connection,
            position,
            state: Some(state),
        })
    }

    /// Up to where the tail is in the tables.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Puts entries into the tables, and `now`, the place in the tail behind them, in one transaction.
    ///
    /// # Errors
    /// Nothing was done then; the position is as before.
    pub(crate) fn apply(&mut self, entries: &[Entry<'_>], now: Position) -> Result<(), TableError> {
        self.transaction(|connection, state| {
            state.apply(connection, entries)?;
            connection
                .prepare_cached(
                    "UPDATE meta SET segment = ?1, \"offset\" = ?2, clean = ?3, last_number = ?4",
                )?
                .execute(params![
                    now.segment,
                    cells::column(now.offset),
                    state.is_clean(),
                    state.last_number()
                ])?;
            Ok(())
        })?;
        self.position = now;
        Ok(())
    }

    /// What a start goes on from. What was open when the program last died becomes slack, once. `now_ms`: Unix
    /// milliseconds.
    ///
    /// # Errors
    /// Nothing was done then.
    pub(crate) fn restored(&mut self, now_ms: i64) -> Result<Restored, TableError> {
        self.transaction(|connection, state| restore::restore(connection, state, now_ms))
    }

    /// The last day that was settled on; `None`: there is none. Sums that have no rows, such as what a damaged tail left,
    /// do not count.
    ///
    /// # Errors
    /// As SQLite says.
    pub(crate) fn last_day(&self) -> Result<Option<i32>, TableError> {
        let day: Option<String> = self
            .connection
            .prepare_cached(
                "SELECT day FROM totals WHERE last_number IS NOT NULL ORDER BY day DESC LIMIT 1",
            )?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(day.as_deref().and_then(date::day_of))
    }

    /// Deletes at most so many rows of the days before this one; returns how many, 0: none is left.
    ///
    /// # Errors
    /// Nothing was done then.
    pub(crate) fn prune(
        &mut self,
        before_day: i32,
        at_most_rows: usize,
    ) -> Result<usize, TableError> {
        let day = date::text_of(before_day);
        self.transaction(|connection, state| {
            state.forget_before(&day);
            retention::prune(connection, &day, at_most_rows)
        })
    }

    /// A program that takes calls since `began_at` lived at `now`, both in Unix milliseconds.
    ///
    /// # Errors
    /// Nothing was done then.
    pub(crate) fn lives(&mut self, began_at: i64, now: i64) -> Result<(), TableError> {
        self.connection
            .prepare_cached(
                "INSERT INTO runs VALUES (?1, max(?1, ?2))
                 ON CONFLICT DO UPDATE SET last_at = max(last_at, excluded.last_at)",
            )?
            .execute([began_at, now])?;
        Ok(())
    }

    /// Moves SQLite's own log into the main file and syncs it, waiting for no reader; with `truncate` the log
    /// is emptied too, where no reader holds it. Returns whether everything is in the main file and synced.
    ///
    /// # Errors
    /// As SQLite says; what was committed stays committed.
    pub(crate) fn checkpoint(&mut self, truncate: bool) -> Result<bool, TableError> {
        let how = if truncate { "TRUNCATE" } else { "PASSIVE" };
        let sql = format!("PRAGMA wal_checkpoint({how})");
        let (busy, pages, moved): (i64, i64, i64) = self
            .connection
            .query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(busy == 0 && pages == moved)
    }

    fn transaction<T>(
        &mut self,
        act: impl FnOnce(&Connection, &mut State) -> Result<T, TableError>,
    ) -> Result<T, TableError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut state = match self.state.take() {
            Some(state) => state,
            None => State::read(&transaction)?,
        };
        let done = act(&transaction, &mut state)?;
        transaction.commit()?;
        self.state = Some(state);
        Ok(done)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Makes the file if it is missing, readable for its owner alone; returns its size in bytes.
fn make(path: &Path) -> io::Result<u64> {
    // A pipe would keep whoever opens it waiting, and the start with it.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("it is no file"));
    }
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(options.open(path)?.metadata()?.len())
}

/// Looks at every page.
fn check(connection: &Connection) -> Result<(), TableError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(TableError::Corrupt {
        source: rusqlite::Error::SqliteFailure(corrupt, Some(found)),
    })
}
