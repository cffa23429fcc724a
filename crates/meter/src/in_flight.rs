//! Calls under way and the tokens they may take, so that the head of a stream can say what is still to come.
//! Must not know verdicts or how a forecast is made.

use std::fmt;
use std::sync::Arc;

use crate::announced::{Announced, Announcement, Level};
use crate::day::Day;
use crate::model_group::GroupId;
use crate::standing::Forecasts;
use crate::sync::{AtomicU64, Ordering};
use crate::totals::DayTotals;
use crate::usage::Usage;

/// What one call may take, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The most it can take; `None`: nothing bounds it.
    pub bound: Option<u64>,
    /// What it is forecast to take; `None`: no forecast is made.
    pub likely: Option<u64>,
}

impl Forecast {
    /// The forecast of a call with this bound, by what calls of its kind usually take at the most.
    #[must_use]
    pub fn new(bound: Option<u64>, usual: Option<u64>) -> Self {
        // A bound past what any call can take bounds nothing.
        let bound = bound.filter(|tokens| *tokens <= Usage::MAX);
        Self {
            bound,
            likely: bound.into_iter().chain(usual).min(),
        }
    }
}

/// The forecasts of one organization, group and day, summed up.
#[derive(Debug)]
pub struct UnderWay {
    /// Shown and announced, never held beside a running total: no model of what threads may see needs these three.
    tokens: std::sync::atomic::AtomicU64,
    bounded: std::sync::atomic::AtomicU64,
    unbounded: std::sync::atomic::AtomicU64,
    likely: AtomicU64,
    unforeseen: AtomicU64,
    announced: Announced,
}

impl UnderWay {
    /// Nothing under way.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "begins with a day, never by default"
    )]
    pub fn new() -> Self {
        Self::after(0)
    }

    /// Nothing under way, where this was the last version announced.
    pub(crate) fn after(version: u32) -> Self {
        Self {
            tokens: std::sync::atomic::AtomicU64::new(0),
            bounded: std::sync::atomic::AtomicU64::new(0),
            unbounded: std::sync::atomic::AtomicU64::new(0),
            likely: AtomicU64::new(0),
            unforeseen: AtomicU64::new(0),
            announced: Announced::nothing_after(version),
        }
    }

    /// A call begins that may take so much.
    pub fn begin(&self, Forecast { bound, likely }: Forecast) {
        match likely {
            Some(tokens) => self.likely.fetch_add(tokens, Ordering::AcqRel),
            None => self.unforeseen.fetch_add(1, Ordering::AcqRel),
        };
        match bound {
            Some(tokens) => {
                self.bounded.fetch_add(1, Ordering::Relaxed);
                self.tokens.fetch_add(tokens, Ordering::AcqRel)
            }
            None => self.unbounded.fetch_add(1, Ordering::AcqRel),
        };
    }

    /// That call ended. Its span must have been taken before, so that a reader who looks here first and at the
    /// running total second meets it at least once.
    pub fn end(&self, Forecast { bound, likely }: Forecast) {
        match likely {
            Some(tokens) => self.likely.fetch_sub(tokens, Ordering::AcqRel),
            None => self.unforeseen.fetch_sub(1, Ordering::AcqRel),
        };
        match bound {
            Some(tokens) => {
                self.bounded.fetch_sub(1, Ordering::Relaxed);
                self.tokens.fetch_sub(tokens, Ordering::AcqRel)
            }
            None => self.unbounded.fetch_sub(1, Ordering::AcqRel),
        };
    }

    /// What is under way now.
    #[must_use]
    pub fn now(&self) -> Forecasts {
        Forecasts {
            tokens: self.tokens.load(Ordering::Acquire),
            bounded: self.bounded.load(Ordering::Relaxed),
            unbounded: self.unbounded.load(Ordering::Acquire),
            likely: self.likely.load(Ordering::Acquire),
            unforeseen: self.unforeseen.load(Ordering::Acquire),
        }
    }

    /// What is to be written down, because more is under way than was announced.
    pub(crate) fn announce(&self) -> Option<Level> {
        self.announced.raise(|| self.now())
    }

    /// What is to be written down, because far less is under way than was announced.
    pub(crate) fn retract(&self) -> Option<Level> {
        self.announced.lower(|| self.now())
    }

    /// The last version announced.
    pub(crate) fn version(&self) -> u32 {
        self.announced.version()
    }
}

/// A call under way. Dropping it ends the call's forecast: drop it after the call is settled.
pub struct InFlight {
    totals: Arc<DayTotals>,
    group: GroupId,
    day: Day,
    forecast: Forecast,
    ended: bool,
}

impl InFlight {
    pub(crate) fn begin(
        totals: Arc<DayTotals>,
        (group, day): (GroupId, Day),
        forecast: Forecast,
    ) -> Self {
        totals.under_way.begin(forecast);
        Self {
            totals,
            group,
            day,
            forecast,
            ended: false,
        }
    }

    /// What must be written down before the call is sent, so that a program that dies without warning knows
    /// afterwards what may have been under way. Most calls are covered by what was announced before.
    #[must_use]
    pub fn announce(&self) -> Option<Announcement> {
        let level = self.totals.under_way.announce()?;
        Some(self.announcement(level))
    }

    /// Ends the forecast; the call is settled. What is given back is to be written down with the settlement.
    #[must_use]
    pub fn end(mut self) -> Option<Announcement> {
        self.leave();
        let level = self.totals.under_way.retract()?;
        Some(self.announcement(level))
    }

    fn announcement(&self, Level { version, at_most }: Level) -> Announcement {
        Announcement {
            organization: Arc::clone(&self.totals.opened_as),
            group: self.group,
            day: self.day,
            version,
            at_most,
        }
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.totals.under_way.end(self.forecast);
        }
    }

    /// Whether the forecast was added to these totals: not so past midnight, or where the call proved another's.
    pub(crate) fn is_in(&self, totals: &Arc<DayTotals>) -> bool {
        Arc::ptr_eq(&self.totals, totals)
    }

    /// What this call may take.
    #[must_use]
    pub fn forecast(&self) -> Forecast {
        self.forecast
    }
}

impl Forecasts {
    /// Whether any call is under way.
    pub(crate) fn is_any(&self) -> bool {
        self.bounded > 0 || self.unbounded > 0
    }

    /// The forecasts of the others, without one call's own where that was begun.
    pub(crate) fn without(self, own: Option<&InFlight>) -> Self {
        let Some(InFlight { forecast, .. }) = own else {
            return self;
        };
        let (is_bounded, is_foreseen) = (forecast.bound.is_some(), forecast.likely.is_some());
        Self {
            tokens: self.tokens.saturating_sub(forecast.bound.unwrap_or(0)),
            bounded: self.bounded.saturating_sub(is_bounded.into()),
            unbounded: self.unbounded.saturating_sub((!is_bounded).into()),
            likely: self.likely.saturating_sub(forecast.likely.unwrap_or(0)),
            unforeseen: self.unforeseen.saturating_sub((!is_foreseen).into()),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("forecast", &self.forecast)
            .finish_non_exhaustive()
    }
}
