//! The sums that entries touch, kept in memory between transactions and written once in each: a group of a
//! thousand rows costs the summary one row. Must not know what an entry does to them.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::TableError;
use super::cell::{Cell, Counted, MOST, Uncounted};
use super::date;
use crate::Crossing;

/// Most sums kept in memory; past it they are read again when they are needed.
const MOST_CELLS: usize = 20_000;

/// Whose sums, of which group and day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SumKey<'a> {
    pub(crate) day: i32,
    pub(crate) organization: &'a str,
    /// `""`: not eligible, or any group.
    pub(crate) group: &'a str,
}

impl SumKey<'_> {
    /// The place in one piece, so that a map finds it without owning it.
    pub(super) fn key_into(&self, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(&self.day.to_le_bytes());
        key.extend_from_slice(&self.organization.len().to_le_bytes());
        key.extend_from_slice(self.organization.as_bytes());
        key.extend_from_slice(self.group.as_bytes());
    }
}

struct Known {
    cell: Cell,
    /// As the table has it: most days have none, and then nothing is written.
    slack: Vec<Uncounted>,
    day: String,
    organization: String,
    group: String,
    touched: bool,
}

/// The sums in memory. What they hold is what the tables hold once [`Cells::write`] is committed.
#[derive(Default)]
pub(super) struct Cells {
    known: HashMap<Vec<u8>, Known, ahash::RandomState>,
    touched: Vec<Vec<u8>>,
    key: Vec<u8>,
}

impl Cells {
    /// Does something to the sums of a place.
    pub(super) fn change(
        &mut self,
        connection: &Connection,
        place: SumKey<'_>,
        act: impl FnOnce(&mut Cell),
    ) -> Result<(), TableError> {
        place.key_into(&mut self.key);
        let known = match self.known.get_mut(&self.key) {
            Some(known) => known,
            None => self
                .known
                .entry(self.key.clone())
                .or_insert(Known::read(connection, place)?),
        };
        if !known.touched {
            known.touched = true;
            self.touched.push(self.key.clone());
        }
        act(&mut known.cell);
        Ok(())
    }

    /// Writes what was touched since the last time.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), TableError> {
        for key in self.touched.drain(..) {
            if let Some(known) = self.known.get_mut(&key) {
                known.touched = false;
                known.write(connection)?;
            }
        }
        if self.known.len() > MOST_CELLS {
            self.known.clear();
        }
        Ok(())
    }

    /// Takes the sums of a place away; all that was touched must have been written.
    pub(super) fn take(
        &mut self,
        connection: &Connection,
        place: SumKey<'_>,
    ) -> Result<Cell, TableError> {
        let known = Known::read(connection, place)?;
        for table in ["totals", "slacks"] {
            connection
                .prepare_cached(&format!(
                    "DELETE FROM {table} WHERE day = ?1 AND organization = ?2 AND model_group = ?3"
                ))?
                .execute(params![known.day, place.organization, place.group])?;
        }
        place.key_into(&mut self.key);
        self.known.remove(&self.key);
        Ok(known.cell)
    }

    /// Forgets the days before this one; all that was touched must have been written.
    pub(super) fn forget_before(&mut self, day: &str) {
        self.known.retain(|_, known| *known.day >= *day);
    }
}

impl Known {
    fn read(connection: &Connection, place: SumKey<'_>) -> Result<Known, TableError> {
        let day = date::text_of(place.day);
        let mut cell = connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM totals WHERE day = ?1 AND organization = ?2 AND model_group = ?3"
            ))?
            .query_row(params![day, place.organization, place.group], cell_of)
            .optional()?
            .unwrap_or_default();
        cell.slack = slack_of(connection, &day, place.organization, place.group)?;
        Ok(Known {
            slack: cell.slack.clone(),
            cell,
            day,
            organization: place.organization.to_owned(),
            group: place.group.to_owned(),
            touched: false,
        })
    }

    fn write(&mut self, connection: &Connection) -> Result<(), TableError> {
        let (day, organization, group) = (&self.day, &self.organization, &self.group);
        let mut totals = connection.prepare_cached(
            "INSERT OR REPLACE INTO totals VALUES
             (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        bind_cell(&mut totals, &[day, organization, group], &self.cell)?;
        if self.slack == self.cell.slack {
            return Ok(());
        }
        connection
            .prepare_cached(
                "DELETE FROM slacks WHERE day = ?1 AND organization = ?2 AND model_group = ?3",
            )?
            .execute(params![day, organization, group])?;
        let mut slacks =
            connection.prepare_cached("INSERT INTO slacks VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for slack in &self.cell.slack {
            let (tokens, without_limit) = (column(slack.tokens), slack.without_limit);
            slacks.execute(params![
                day,
                organization,
                group,
                slack.source,
                tokens,
                without_limit
            ])?;
        }
        self.slack.clone_from(&self.cell.slack);
        Ok(())
    }
}

/// The columns that [`cell_of`] reads, in its order.
pub(crate) const COLUMNS: &str = "calls, free_calls, billed_calls, unknown_calls, lost_calls, \
    unpriced_calls, free_tokens, billed_tokens, cost_picodollars, saved_picodollars, taken_tokens, fitted_tokens, \
    was_past_tokens, contradictions, stated, allowance_tokens, crossing_call, crossing_at, crossing_tokens, \
    crossing_before, first_number, last_number";

fn bind_cell(
    statement: &mut CachedStatement<'_>,
    place: &[&str; 3],
    cell: &Cell,
) -> Result<(), TableError> {
    let Counted {
        calls,
        free_calls,
        billed_calls,
        unknown_calls,
        unpriced_calls,
        free_tokens,
        billed_tokens,
        cost,
        saved,
    } = cell.counted;
    let crossing = cell.crossing.as_ref();
    let [day, organization, group] = place;
    statement.execute(params![
        day,
        organization,
        group,
        column(calls),
        column(free_calls),
        column(billed_calls),
        column(unknown_calls),
        column(cell.lost_calls),
        column(unpriced_calls),
        column(free_tokens),
        column(billed_tokens),
        column(cost),
        column(saved),
        column(cell.taken),
        column(cell.fitted),
        cell.was_past.map(column),
        cell.contradictions,
        cell.stated,
        cell.allowance.map(column),
        crossing.map(|crossing| &crossing.call),
        crossing.map(|crossing| crossing.at),
        crossing.map(|crossing| column(crossing.tokens)),
        crossing.map(|crossing| column(crossing.before)),
        cell.numbers.map(|(first, _)| first),
        cell.numbers.map(|(_, last)| last),
    ])?;
    Ok(())
}

/// The sums that a row of [`COLUMNS`] holds, without their slack.
pub(crate) fn cell_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Cell> {
    let count = |column| row.get(column).map(i64::unsigned_abs);
    let optional = |column| {
        row.get(column)
            .map(|value: Option<i64>| value.map(i64::unsigned_abs))
    };
    let crossing = match row.get::<_, Option<String>>(16)? {
        Some(call) => Some(Crossing {
            call,
            at: row.get(17)?,
            tokens: count(18)?,
            before: count(19)?,
        }),
        None => None,
    };
    let numbers: (Option<i64>, Option<i64>) = (row.get(20)?, row.get(21)?);
    Ok(Cell {
        counted: Counted {
            calls: count(0)?,
            free_calls: count(1)?,
            billed_calls: count(2)?,
            unknown_calls: count(3)?,
            unpriced_calls: count(5)?,
            free_tokens: count(6)?,
            billed_tokens: count(7)?,
            cost: count(8)?,
            saved: count(9)?,
        },
        lost_calls: count(4)?,
        taken: count(10)?,
        fitted: count(11)?,
        was_past: optional(12)?,
        contradictions: row.get(13)?,
        stated: row.get(14)?,
        allowance: optional(15)?,
        crossing,
        numbers: numbers.0.zip(numbers.1),
        slack: Vec::new(),
    })
}

/// What each source may have left uncounted of one place.
pub(crate) fn slack_of(
    connection: &Connection,
    day: &str,
    organization: &str,
    group: &str,
) -> rusqlite::Result<Vec<Uncounted>> {
    connection
        .prepare_cached(
            "SELECT source, tokens, without_limit FROM slacks
             WHERE day = ?1 AND organization = ?2 AND model_group = ?3",
        )?
        .query_map([day, organization, group], |row| {
            Ok(Uncounted {
                source: row.get(0)?,
                tokens: row.get::<_, i64>(1)?.unsigned_abs(),
                without_limit: row.get(2)?,
            })
        })?
        .collect()
}

/// A number as a column holds it: none is greater than the greatest that fits.
pub(crate) fn column(number: u64) -> i64 {
    number.min(MOST).cast_signed()
}
