//! A read-only connection of its own, for commands and the page: works beside a running proxy and after it
//! stopped. Must not know who reads.

use std::ops::ControlFlow;
use std::path::Path;

use thiserror::Error;

use crate::{CarriedTotal, Row};

/// Reads a ledger.
#[derive(Debug)]
pub struct Reader(());

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
    /// Only this verdict.
    pub verdict: Option<String>,
    /// Only this certainty.
    pub certainty: Option<String>,
    /// Only this organization's.
    pub organization: Option<String>,
    /// Only this model's.
    pub model: Option<String>,
    /// Only this reason.
    pub reason: Option<String>,
    /// Only this model group.
    pub group: Option<String>,
    /// Only rows with a smaller number, for paging.
    pub below: Option<i64>,
    /// Only rows with a greater number, for following.
    pub above: Option<i64>,
    /// At most so many rows.
    pub at_most: usize,
}

/// The call that crossed a day's allowance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crossing {
    /// Our id of the call.
    pub call: String,
    /// When it was settled, Unix milliseconds.
    pub at: i64,
    /// Its tokens.
    pub tokens: u64,
    /// The running total before it.
    pub before: u64,
}

/// The sums of one organization, model group and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayRow {
    /// The day, in days since 1970-01-01.
    pub day: i32,
    /// The organization's name.
    pub organization: String,
    /// The model group's name; empty: calls that are not eligible.
    pub group: String,
    /// Settled calls.
    pub calls: u64,
    /// Of them free.
    pub free_calls: u64,
    /// Of them billed.
    pub billed_calls: u64,
    /// Of them unknown.
    pub unknown_calls: u64,
    /// Tokens of the free ones.
    pub free_tokens: u64,
    /// Tokens of the billed ones.
    pub billed_tokens: u64,
    /// List price of the billed ones, in picodollars.
    pub cost_pico: u64,
    /// List price of the free ones, in picodollars.
    pub saved_pico: u64,
    /// Calls with tokens whose price is not known.
    pub unpriced_calls: u64,
    /// The running total, in tokens.
    pub taken: u64,
    /// The other reading's total, in tokens.
    pub fitted: u64,
    /// The call that crossed the allowance.
    pub crossing: Option<Crossing>,
    /// The day's allowance as last known.
    pub last_allowance: Option<u64>,
    /// Sources and tokens that may have been taken uncounted; `None`: without limit.
    pub slack: Vec<(String, Option<u64>)>,
}

impl Reader {
    /// Opens the ledger in `folder` for reading.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where there is none that can be read.
    pub fn open(folder: &Path) -> Result<Reader, ReadError> {
        let _ = folder;
        Err(ReadError::NoLedger)
    }

    /// Calls, newest first.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn calls(&self, filter: &CallFilter) -> Result<Vec<Row>, ReadError> {
        let _ = filter;
        Err(ReadError::NoLedger)
    }

    /// Days from the summary, oldest first.
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
        let _ = (from, to, organization);
        Err(ReadError::NoLedger)
    }

    /// The totals of a day.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn totals(&self, day: i32) -> Result<Vec<CarriedTotal>, ReadError> {
        let _ = day;
        Err(ReadError::NoLedger)
    }

    /// Organizations, the most recent first.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn organizations(&self) -> Result<Vec<String>, ReadError> {
        Err(ReadError::NoLedger)
    }

    /// When the last call was settled, Unix milliseconds.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn last_settled_at(&self) -> Result<Option<i64>, ReadError> {
        Err(ReadError::NoLedger)
    }

    /// Every call of these days, oldest first, one at a time.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`].
    pub fn each_call(
        &self,
        from: i32,
        to: i32,
        organization: Option<&str>,
        f: impl FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let _ = (from, to, organization, f);
        Err(ReadError::NoLedger)
    }
}
