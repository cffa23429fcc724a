//! The ledger as people query it: `ledger.sqlite` read with SQL beside the program or after it.
//!
//! It must not know the crate that writes it, only the documented schema.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

/// How long a reader waits where the writer holds the file.
const BUSY: Duration = Duration::from_secs(5);

/// The columns of a [`Row`], in the order it is read in.
const COLUMNS: &str = "call, response_id, request_id, day, organization, model_group, input_tokens, output_tokens, \
    span_before, span_after, remaining_tokens, verdict, certainty, assumes, reason, straddles, adjusts, began_at, \
    settled_at, taken_change, slack_source, slack_tokens";

/// The organization of calls of which nobody knows whose they are.
const UNKNOWN: &str = "unknown";

/// A row of `settlements`, as far as the suites look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Our id of the call.
    pub call: String,
    /// `OpenAI`'s id of the response.
    pub response_id: Option<String>,
    /// `OpenAI`'s `x-request-id`.
    pub request_id: Option<String>,
    /// When it arrived and when its usage did, Unix milliseconds.
    pub instants: (i64, i64),
    /// The day it counts on, as `2026-11-21`.
    pub day: String,
    /// Whose call it is.
    pub organization: String,
    /// The model group.
    pub group: Option<String>,
    /// Input and output tokens; nothing where they never became known.
    pub tokens: Option<u64>,
    /// What it took of the running total: before and after.
    pub span: Option<(u64, u64)>,
    /// What remained after it.
    pub remaining: Option<u64>,
    /// `free`, `billed`, `unknown`.
    pub verdict: String,
    /// How surely.
    pub certainty: Option<String>,
    /// What the verdict assumes, in alphabetical order.
    pub assumes: Vec<String>,
    /// Why.
    pub reason: String,
    /// It began on another day.
    pub straddles: bool,
    /// The call whose row this one adjusts.
    pub adjusts: Option<String>,
    /// Of such a row: its change of the running total.
    pub change: i64,
    /// What it may have taken uncounted: at most so many tokens, or without limit.
    pub slack: Option<Option<u64>>,
}

impl Row {
    /// What it took of the running total, or changed of it.
    pub fn moved(&self) -> i64 {
        let took = self.span.map_or(0, |(before, after)| after - before);
        self.change + i64::try_from(took).expect("fewer tokens")
    }
}

/// Organization, model group, day.
pub type Place = (String, String, String);

/// A running total as a restart goes on from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Tokens taken.
    pub taken: u64,
    /// The same of the calls that fitted: the other reading of the rule.
    pub fitted: u64,
    /// Tokens that may have been taken uncounted, by source; nothing: without limit.
    pub slack: BTreeMap<String, Option<u64>>,
}

/// Everything that the suites look at.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The settlements in the order they were moved in.
    pub rows: Vec<Row>,
    /// The running totals.
    pub totals: BTreeMap<Place, Total>,
}

/// Opens the ledger of this folder to read it.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn open(folder: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(folder.join("ledger.sqlite"), flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Reads the ledger of this folder at one moment.
///
/// # Errors
/// There is none, or it is not as documented.
pub fn read(folder: &Path) -> rusqlite::Result<Ledger> {
    let mut connection = open(folder)?;
    // One transaction: rows and totals of the same moment.
    let moment = connection.transaction()?;
    let mut ledger = Ledger::default();
    let mut query = moment.prepare(&format!(
        "SELECT {COLUMNS} FROM settlements ORDER BY number"
    ))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        ledger.rows.push(settlement(row)?);
    }
    let mut query = moment.prepare(
        "SELECT organization, model_group, day, taken_tokens, fitted_tokens FROM totals",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let total = ledger.totals.entry(place(row)?).or_default();
        total.taken = number(row, 3)?.unwrap_or(0);
        total.fitted = number(row, 4)?.unwrap_or(0);
    }
    let mut query = moment.prepare(
        "SELECT organization, model_group, day, source, tokens, without_limit FROM slacks",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let total = ledger.totals.entry(place(row)?).or_default();
        let bounded = number(row, 4)?.filter(|_| !row.get(5).unwrap_or(true));
        total.slack.insert(row.get(3)?, bounded);
    }
    Ok(ledger)
}

/// The first row of a call; nothing where it has none yet.
///
/// # Errors
/// There is no ledger, or it is not as documented.
pub fn row_of(folder: &Path, call: &str) -> rusqlite::Result<Option<Row>> {
    let query = format!("SELECT {COLUMNS} FROM settlements WHERE call = ? ORDER BY number LIMIT 1");
    open(folder)?
        .query_row(&query, [call], settlement)
        .optional()
}

fn place(row: &rusqlite::Row<'_>) -> rusqlite::Result<Place> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// A count; `SQLite`'s integers have a sign, ours must not.
fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let number: Option<i64> = row.get(column)?;
    Ok(number.map(|number| u64::try_from(number).expect("a count is never negative")))
}

fn settlement(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let (input, output) = (number(row, 6)?, number(row, 7)?);
    let (before, after) = (number(row, 8)?, number(row, 9)?);
    let assumes: Option<String> = row.get(13)?;
    let assumes = assumes.unwrap_or_default();
    let words = assumes.split(',').map(|word| word.trim().to_owned());
    let mut assumes: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    assumes.sort_unstable();
    let (source, at_most): (Option<String>, _) = (row.get(20)?, number(row, 21)?);
    Ok(Row {
        call: row.get(0)?,
        response_id: row.get(1)?,
        request_id: row.get(2)?,
        instants: (row.get(17)?, row.get(18)?),
        day: row.get(3)?,
        organization: row.get(4)?,
        group: row.get(5)?,
        tokens: input.zip(output).map(|(input, output)| input + output),
        span: before.zip(after),
        remaining: number(row, 10)?,
        verdict: row.get(11)?,
        certainty: row.get(12)?,
        assumes,
        reason: row.get(14)?,
        straddles: row.get(15)?,
        adjusts: row.get(16)?,
        change: row.get::<_, Option<i64>>(19)?.unwrap_or(0),
        slack: source.map(|_| at_most),
    })
}

/// What `SQLite` says of the file's soundness: `ok`, or what is wrong with it.
///
/// # Errors
/// The file cannot even be asked.
pub fn integrity(folder: &Path) -> rusqlite::Result<String> {
    open(folder)?.query_row("PRAGMA integrity_check", [], |row| row.get(0))
}

impl Ledger {
    /// What may have been taken uncounted of this total, by the sources that `counts` accepts; nothing: any
    /// number. Slack of any group, or of calls of which nobody knows whose they were, may be this total's.
    pub fn slack(&self, place: &Place, counts: impl Fn(&str) -> bool) -> Option<u64> {
        let (organization, group, day) = place;
        let mut sum: u64 = 0;
        for whose in [organization.as_str(), UNKNOWN] {
            for group in [group.as_str(), ""] {
                let place = (whose.to_owned(), group.to_owned(), day.clone());
                let slack = self.totals.get(&place).map(|total| &total.slack);
                for (_, at_most) in slack
                    .into_iter()
                    .flatten()
                    .filter(|(source, _)| counts(source))
                {
                    sum = sum.saturating_add((*at_most)?);
                }
            }
        }
        Some(sum)
    }

    /// What the rows themselves took, by place.
    pub fn taken_by_rows(&self) -> BTreeMap<Place, u64> {
        let mut moved: BTreeMap<Place, i64> = BTreeMap::new();
        for row in &self.rows {
            if let (Some(group), true) = (&row.group, row.moved() != 0) {
                let place = (row.organization.clone(), group.clone(), row.day.clone());
                *moved.entry(place).or_insert(0) += row.moved();
            }
        }
        let taken = |(place, moved): (Place, i64)| (place, u64::try_from(moved).expect("a total"));
        moved.into_iter().map(taken).collect()
    }
}
