//! What was settled, as JSON: calls, days, the running total of a day. Must not know who asks, nor how the ledger
//! keeps it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::{CallFilter, DayRow, ReadError, Reader, Row};
use meter::Day;
use serde_json::{Value, json};

use crate::call::{self, instant, of_row};
use crate::file::Page;
use crate::standing::SCHEMA;
use crate::sums::{Amount, sums};

/// Calls in one answer at most.
pub(crate) const MOST_CALLS: usize = 500;
/// Days in one answer at most.
pub(crate) const MOST_DAYS: i32 = 400;

/// The ledger's side of the answers. Blocking: ask on a thread that may wait.
#[derive(Clone, Debug)]
pub(crate) struct History {
    folder: PathBuf,
    /// The reader of the last question, for the next one; opened when first asked, since the ledger may come later than
    /// the program.
    idle: Arc<Mutex<Option<Reader>>>,
}

/// Which calls are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) filter: CallFilter,
    /// In an id or a model.
    pub(crate) search: Option<String>,
}

impl History {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            idle: Arc::default(),
        }
    }

    fn read<T>(&self, ask: impl FnOnce(&Reader) -> Result<T, ReadError>) -> Result<T, ReadError> {
        // Who asks beside a long question opens a reader of its own.
        let idle = self.idle().take();
        let reader = match idle.filter(Reader::is_current) {
            Some(reader) => reader,
            None => Reader::open(&self.folder)?,
        };
        let answer = ask(&reader)?;
        // One that failed is not used again: the file may have been replaced.
        *self.idle() = Some(reader);
        Ok(answer)
    }

    fn idle(&self) -> MutexGuard<'_, Option<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest calls first, and whether there are more.
    pub(crate) fn calls(&self, wanted: &Wanted) -> Result<Value, ReadError> {
        let most = wanted.filter.at_most.clamp(1, MOST_CALLS);
        let rows = self.rows(wanted, most + 1)?;
        let calls: Vec<Value> = rows.iter().take(most).map(of_row).collect();
        Ok(json!({ "schema": SCHEMA, "calls": calls, "more": rows.len() > most }))
    }

    /// Some of them as lines of a file, newest first, and the number below which there may be more.
    pub(crate) fn csv_page(&self, wanted: &Wanted, at_most: usize) -> Result<Page, ReadError> {
        let rows = self.rows(wanted, at_most)?;
        let lines = rows.iter().map(call::csv_row).collect();
        let is_full = rows.len() == at_most;
        let least = rows.iter().map(|row| row.number).min();
        let below = least.filter(|_| is_full);
        Ok((lines, below))
    }

    /// The newest of the calls that were settled after that number, newest first.
    pub(crate) fn settled_after(&self, number: i64) -> Result<Vec<Row>, ReadError> {
        self.read(|reader| {
            reader.calls(&CallFilter {
                above: Some(reader.told_up_to(number)?),
                at_most: MOST_CALLS,
                ..CallFilter::default()
            })
        })
    }

    fn rows(&self, wanted: &Wanted, at_most: usize) -> Result<Vec<Row>, ReadError> {
        let filter = CallFilter {
            at_most,
            ..wanted.filter.clone()
        };
        let Some(words) = &wanted.search else {
            return self.read(|reader| reader.calls(&filter));
        };
        self.read(|reader| {
            let mut by_id = reader.find_rows(words)?;
            if !by_id.is_empty() {
                by_id.retain(|row| {
                    row.counted_by.is_none() && filter.below.is_none_or(|below| row.number < below)
                });
                by_id.truncate(at_most);
                return Ok(by_id);
            }
            reader.calls(&CallFilter {
                model_part: Some(words.clone()),
                ..filter
            })
        })
    }

    /// One call by any of its ids. Whoever may see the page may see any call.
    pub(crate) fn call(&self, id: &str) -> Result<Option<Value>, ReadError> {
        let rows = self.read(|reader| reader.find_rows(id))?;
        Ok(rows.last().map(of_row))
    }

    /// Days, oldest first: each group by itself, and what an organization's groups come to together.
    pub(crate) fn days(
        &self,
        from: Day,
        to: Day,
        organization: Option<&str>,
    ) -> Result<Value, ReadError> {
        let (rows, began) = self.read(|reader| {
            let rows = reader.days(from.number(), to.number(), organization)?;
            Ok((rows, reader.began_at()?))
        })?;
        let days: Vec<Value> = rows.iter().map(|row| day(row, to)).collect();
        Ok(json!({
            "schema": SCHEMA,
            "counting_began_at": began.map(instant),
            "days": days,
            "sums": sums(&rows),
        }))
    }

    /// One day of every organization, as the ledger has it.
    pub(crate) fn rows_of(&self, day: Day) -> Result<Vec<DayRow>, ReadError> {
        self.read(|reader| reader.days(day.number(), day.number(), None))
    }

    /// When on that day nobody took calls here, in Unix milliseconds.
    pub(crate) fn not_running(&self, day: Day) -> Result<Vec<(i64, i64)>, ReadError> {
        self.read(|reader| reader.not_running(day.number()))
    }

    /// The running total of one group over one day, at most a point a minute.
    pub(crate) fn curve(
        &self,
        day: Day,
        organization: &str,
        group: &str,
    ) -> Result<Vec<(i64, u64)>, ReadError> {
        self.read(|reader| reader.curve(day.number(), organization, group))
    }

    /// The newest row alone; none: no call was ever settled.
    pub(crate) fn newest_row(&self) -> Result<Vec<Row>, ReadError> {
        self.read(|reader| Ok(reader.newest()?.into_iter().collect()))
    }

    /// The number of the newest row; 0: no call was ever settled.
    pub(crate) fn newest(&self) -> Result<i64, ReadError> {
        self.read(Reader::newest_number)
    }
}

/// One day of one organization and group; `today` is still open.
pub(crate) fn day(row: &DayRow, today: Day) -> Value {
    let day = Day::of_number(row.day);
    let (cost, saved) = Amount::of(row);
    let crossing = row.crossing.as_ref().map(|crossing| {
        json!({
            "call": crossing.call,
            "at": instant(crossing.at),
            "tokens": crossing.tokens,
            "before_tokens": crossing.before,
        })
    });
    let unused = match row.last_allowance {
        Some(allowance) if day < today || row.crossing.is_some() => {
            Some(allowance.saturating_sub(row.free_tokens))
        }
        _ => None,
    };
    json!({
        "day": day.to_string(),
        "organization": row.organization,
        "group": Some(&row.group).filter(|name| !name.is_empty()),
        "calls": row.calls,
        "free_calls": row.free_calls,
        "billed_calls": row.billed_calls,
        "unknown_calls": row.unknown_calls,
        "lost_calls": row.lost_calls,
        "free_tokens": row.free_tokens,
        "billed_tokens": row.billed_tokens,
        "taken_tokens": row.taken,
        "allowance_tokens": row.last_allowance,
        "unused_free_tokens": unused,
        "unpriced_calls": row.unpriced_calls,
        "cost_usd": cost.exact(),
        "cost_text": cost.text(),
        "saved_usd": saved.exact(),
        "saved_text": saved.text(),
        "crossing": crossing,
    })
}
