//! What is read: through a read-only connection of its own, for look-ups, commands and the page, beside a running
//! proxy and after it stopped; and by a start. Must not know who reads.

mod curve;
mod day_row;
mod look_up;
mod not_running;
mod restored;
mod row;

pub use day_row::{Crossing, DayRow};
pub use restored::{CarriedTotal, Restored, SeenKey};
pub use row::Row;

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags, ToSql, named_params};
use thiserror::Error;

use crate::DATABASE;
use crate::table::{self, date};

/// Calls that are read at once where all of them are asked for.
const AT_ONCE: usize = 1_000;

/// How long a read waits while another connection recovers the file.
const BUSY: Duration = Duration::from_secs(2);

/// What SQLite may read in the path of a URI as more than itself.
const NOT_IN_PATH: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');

/// Reads a ledger.
#[derive(Debug)]
pub struct Reader {
    pub(crate) connection: Connection,
    path: PathBuf,
    /// The file that was there when this was opened.
    file: Option<FileId>,
}

/// Why a ledger cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// There is none in that folder.
    #[error("there is no ledger yet")]
    NoLedger,
    /// A newer version of the program wrote it.
    #[error("a newer tollfree wrote this ledger")]
    Newer,
    /// It cannot be read.
    #[error("the ledger cannot be read")]
    Unreadable {
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// Which calls to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// From this day to that, both included.
    pub days: Option<(i32, i32)>,
    /// Only rows that count: none that a later row knows better.
    pub counting: bool,
    /// Only this verdict; `pending`: calls that are awaited, which are not `unknown` then.
    pub verdict: Option<String>,
    /// Only this certainty.
    pub certainty: Option<String>,
    /// Only this organization's, by any of its names.
    pub organization: Option<String>,
    /// Only this model's: the one that answered, else the one asked for.
    pub model: Option<String>,
    /// Only models whose name has this in it.
    pub model_part: Option<String>,
    /// Only this reason.
    pub reason: Option<String>,
    /// Only this model group; empty: none.
    pub group: Option<String>,
    /// Only rows with a smaller number, for paging.
    pub below: Option<i64>,
    /// Only rows with a greater number, for following.
    pub above: Option<i64>,
    /// The oldest of them first, for following without a gap; else the newest.
    pub oldest_first: bool,
    /// At most so many rows.
    pub at_most: usize,
}

/// The rows of these days lie between the first number and the last.
pub(crate) type Numbers = (i64, i64);

impl Reader {
    /// Opens the ledger in `folder` for reading.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where there is none that can be read.
    pub fn open(folder: &Path) -> Result<Reader, ReadError> {
        let path = folder.join(DATABASE);
        let file = file_at(&path);
        if file.is_none() {
            return Err(ReadError::NoLedger);
        }
        // A pipe would keep its reader waiting.
        if !path.is_file() {
            let cannot = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
            let why = Some(format!("{DATABASE} is no file"));
            return Err(rusqlite::Error::SqliteFailure(cannot, why).into());
        }
        let connection = Reader::connect(&path).or_else(|refused| {
            // In a folder that cannot be written, the log's index cannot be made; without a log it is not needed.
            let mut log = path.clone().into_os_string();
            log.push("-wal");
            if Path::new(&log).exists() {
                return Err(refused);
            }
            Reader::connect_unchanging(&path)
        })?;
        let version = table::version(&connection)?;
        if version > table::VERSION {
            return Err(ReadError::Newer);
        }
        if version <= 0 {
            // Made, but nothing was ever kept in it.
            return Err(ReadError::NoLedger);
        }
        Ok(Reader {
            connection,
            path,
            file,
        })
    }

    /// Whether this still reads the ledger of its folder. A damaged one is put aside while the program runs, and another
    /// one begun in its place.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.file == file_at(&self.path)
    }

    fn connect(path: &Path) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        table::version(&connection)?;
        Ok(connection)
    }

    pub(crate) fn connect_unchanging(path: &Path) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let path = percent_encode(path.as_os_str().as_encoded_bytes(), &NOT_IN_PATH);
        Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
    }

    /// Calls, newest first, or oldest first where that is asked for.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn calls(&self, filter: &CallFilter) -> Result<Vec<Row>, ReadError> {
        let mut from_number = filter.above.map_or(0, |above| above.saturating_add(1));
        let mut to_number = filter
            .below
            .map_or(i64::MAX, |below| below.saturating_sub(1));
        if let Some((from, to)) = filter.days {
            let Some((first, last)) = self.numbers(from, to)? else {
                return Ok(Vec::new());
            };
            from_number = from_number.max(first);
            to_number = to_number.min(last);
        }
        let days = filter.days.unwrap_or((i32::MIN, i32::MAX));
        let (from, to) = (date::text_of(days.0), date::text_of(days.1));
        let at_most = i64::try_from(filter.at_most).unwrap_or(i64::MAX);
        let mut conditions = vec![
            "number BETWEEN :least AND :greatest",
            "day BETWEEN :from AND :to",
        ];
        let mut values: Vec<(&str, &dyn ToSql)> = named_params! {
            ":least": from_number, ":greatest": to_number, ":from": from, ":to": to, ":at_most": at_most,
        }
        .to_vec();
        let (counts, verdict) = (
            format!("{} IS NULL", table::COUNTED_BY),
            format!(
                "iif({}, 'pending', verdict) = :verdict",
                table::is_awaited()
            ),
        );
        if filter.counting {
            conditions.push(&counts);
        }
        let choices: [(&str, &str, &Option<String>); 7] = [
            (":verdict", &verdict, &filter.verdict),
            (":certainty", "certainty = :certainty", &filter.certainty),
            (":organization", OF_ORGANIZATION, &filter.organization),
            (
                ":model",
                "coalesce(model, model_asked) = :model",
                &filter.model,
            ),
            (
                ":model_part",
                "instr(coalesce(model, model_asked), :model_part) > 0",
                &filter.model_part,
            ),
            (":reason", "reason = :reason", &filter.reason),
            (
                ":group",
                "coalesce(model_group, '') = :group",
                &filter.group,
            ),
        ];
        for (name, condition, value) in &choices {
            if let Some(value) = value {
                conditions.push(condition);
                values.push((name, value));
            }
        }
        let order = if filter.oldest_first { "ASC" } else { "DESC" };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {} FROM settlements WHERE {} ORDER BY number {order} LIMIT :at_most",
            table::row_columns(),
            conditions.join(" AND "),
        ))?;
        let rows = statement.query_map(values.as_slice(), table::row_of)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The newest row, if there is any.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn newest(&self) -> Result<Option<Row>, ReadError> {
        let filter = CallFilter {
            at_most: 1,
            ..CallFilter::default()
        };
        Ok(self.calls(&filter)?.pop())
    }

    /// The number of the newest row; 0: there is none.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn newest_number(&self) -> Result<i64, ReadError> {
        Ok(self.newest()?.map_or(0, |row| row.number))
    }

    /// The number that the rows have behind them which are new to whoever was told up to `told`: that one, or 0 where a
    /// damaged ledger was put aside meanwhile and the numbers of the new one began anew.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn told_up_to(&self, told: i64) -> Result<i64, ReadError> {
        let is_another = self.newest_number()? < told;
        Ok(if is_another { 0 } else { told })
    }

    /// Between which numbers the rows of these days lie; `None`: there are none.
    pub(crate) fn numbers(&self, from: i32, to: i32) -> rusqlite::Result<Option<Numbers>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT min(first_number), max(last_number) FROM totals WHERE day BETWEEN ?1 AND ?2",
        )?;
        statement.query_row([date::text_of(from), date::text_of(to)], |row| {
            let first: Option<i64> = row.get(0)?;
            Ok(first.zip(row.get(1)?))
        })
    }

    /// Days from the summary, oldest first; of every organization, or of one by any of its names. Quick however
    /// many calls there were.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn days(
        &self,
        from: i32,
        to: i32,
        organization: Option<&str>,
    ) -> Result<Vec<DayRow>, ReadError> {
        let columns = table::TOTAL_COLUMNS;
        let place = columns.split(',').count();
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {columns}, day, organization, model_group FROM totals
             WHERE day BETWEEN :from AND :to AND (:organization IS NULL OR {OF_ORGANIZATION})
             ORDER BY day, organization, model_group"
        ))?;
        let mut rows = statement.query(named_params! {
            ":from": date::text_of(from), ":to": date::text_of(to), ":organization": organization,
        })?;
        let mut days = Vec::new();
        while let Some(row) = rows.next()? {
            let day: String = row.get(place)?;
            let place_of_day = (day, row.get(place + 1)?, row.get(place + 2)?);
            days.push(self.day_row(table::cell_of(row)?, place_of_day)?);
        }
        Ok(days)
    }

    fn day_row(
        &self,
        cell: table::Cell,
        (day, organization, group): (String, String, String),
    ) -> rusqlite::Result<DayRow> {
        let slack = table::slack_of(&self.connection, &day, &organization, &group)?
            .into_iter()
            .map(|uncounted| {
                let at_most = (uncounted.without_limit == 0).then_some(uncounted.tokens);
                (uncounted.source, at_most)
            })
            .collect();
        let counted = cell.counted;
        Ok(DayRow {
            day: date::day_of(&day).unwrap_or_default(),
            organization,
            group,
            calls: counted.calls,
            free_calls: counted.free_calls,
            billed_calls: counted.billed_calls,
            unknown_calls: counted.unknown_calls,
            lost_calls: cell.lost_calls,
            free_tokens: counted.free_tokens,
            billed_tokens: counted.billed_tokens,
            cost_pico: counted.cost,
            saved_pico: counted.saved,
            unpriced_calls: counted.unpriced_calls,
            taken: cell.taken,
            fitted: cell.fitted,
            crossing: cell.crossing,
            last_allowance: cell.allowance,
            slack,
        })
    }

    /// The totals of a day.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn totals(&self, day: i32) -> Result<Vec<CarriedTotal>, ReadError> {
        Ok(table::totals(&self.connection, day, day)?)
    }

    /// Organizations, the most recent first; one that has several names by the one it is known under.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn organizations(&self) -> Result<Vec<String>, ReadError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT organization FROM organizations ORDER BY settled_at DESC, organization",
        )?;
        let organizations = statement.query_map([], |row| row.get(0))?;
        Ok(organizations.collect::<rusqlite::Result<_>>()?)
    }

    /// When the last call was settled, Unix milliseconds.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn last_settled_at(&self) -> Result<Option<i64>, ReadError> {
        let sql = "SELECT max(settled_at) FROM organizations";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// Since when this ledger counts, Unix milliseconds: what came before it is not in it. `None`: no proxy has
    /// started with it yet.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn began_at(&self) -> Result<Option<i64>, ReadError> {
        let sql = "SELECT began_at FROM meta";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// What standings are made of, as a start at `now_ms` (Unix milliseconds) would find it; the keys are left out.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn restored(&self, now_ms: i64) -> Result<Restored, ReadError> {
        Ok(table::carried(&self.connection, now_ms)?)
    }

    /// Every call of these days, oldest first, one at a time. They are read some at once, and nothing is open while `f`
    /// has one: whoever takes its time keeps no old pages of the ledger alive.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn each_call(
        &self,
        from: i32,
        to: i32,
        organization: Option<&str>,
        mut f: impl FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let Some((first, last)) = self.numbers(from, to)? else {
            return Ok(());
        };
        let mut some = CallFilter {
            days: Some((from, to)),
            organization: organization.map(str::to_owned),
            above: Some(first.saturating_sub(1)),
            below: Some(last.saturating_add(1)),
            oldest_first: true,
            at_most: AT_ONCE,
            ..CallFilter::default()
        };
        loop {
            let rows = self.calls(&some)?;
            let Some(newest) = rows.last() else {
                return Ok(());
            };
            some.above = Some(newest.number);
            let are_all = rows.len() < AT_ONCE;
            if rows.into_iter().any(|row| f(row).is_break()) || are_all {
                return Ok(());
            }
        }
    }
}

/// Device and number of a file.
type FileId = (u64, u64);

/// Which file is there; `None`: none that can be looked at.
fn file_at(path: &Path) -> Option<FileId> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// The organization of this name, or one that it is another name of, or that has it as another name.
const OF_ORGANIZATION: &str = "organization IN (
    SELECT :organization
    UNION SELECT organization FROM aliases WHERE name = :organization
    UNION SELECT name FROM aliases WHERE organization = coalesce(
        (SELECT organization FROM aliases WHERE name = :organization), :organization))";

impl From<rusqlite::Error> for ReadError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Unreadable { source }
    }
}
