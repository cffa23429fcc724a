//! The running total of one organization, group and day: two atomics for the two readings of the rule. Hands
//! out spans; must not know verdicts, slack or who calls.

use crate::sync::{AtomicU64, Ordering};

/// Set in an emptied total: its tokens were moved to another one, and whoever comes late must follow.
const MOVED: u64 = 1 << 63;

/// What a total is put to at most when it is stated, restored, corrected or merged: whatever a file or a store says,
/// calls have room above it.
const MOST: u64 = 1 << 62;

/// What a call takes of the running total: from `before` up to `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The total before the call, in tokens.
    pub before: u64,
    /// The total after it.
    pub after: u64,
}

/// What came of asking whether a call still fits: the second reading of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fit {
    /// Whether it fits, and so was counted.
    pub fits: bool,
    /// Tokens of the calls that fitted before it.
    pub before: u64,
    /// The same after it.
    pub after: u64,
}

/// This total was merged into another one; the call must be taken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved;

/// Two atomic totals. From `MOST`, beyond which no total is put, calls of at most 2^40 tokens
/// ([`Usage::MAX`](crate::Usage::MAX)) leave room for 4 million calls of that size a day below the `MOVED` bit.
#[derive(Debug)]
pub struct RunningTotal {
    /// Tokens of every eligible call.
    taken: AtomicU64,
    /// Tokens of the calls that fitted into the allowance, each looked at alone.
    fitted: AtomicU64,
    /// 1 + the greatest allowance that `taken` had passed when it was lowered; 0: never lowered from there.
    crossed: AtomicU64,
}

impl RunningTotal {
    /// Nothing taken yet.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a total begins with a day, never by default"
    )]
    pub fn new() -> Self {
        Self {
            taken: AtomicU64::new(0),
            fitted: AtomicU64::new(0),
            crossed: AtomicU64::new(0),
        }
    }

    /// Takes the next span: one wait-free addition.
    ///
    /// # Errors
    /// [`Moved`]: nothing was taken here; take it from the total this one was merged into.
    pub fn take(&self, tokens: u64) -> Result<Span, Moved> {
        let before = self.taken.fetch_add(tokens, Ordering::AcqRel);
        if before >= MOVED {
            Err(Moved)
        } else {
            Ok(Span {
                before,
                after: before + tokens,
            })
        }
    }

    /// Counts the call among those that fit, if it does.
    ///
    /// # Errors
    /// [`Moved`]: nothing was counted here.
    pub fn fit(&self, tokens: u64, allowance: u64) -> Result<Fit, Moved> {
        let fitted = self
            .fitted
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| {
                let after = before.checked_add(tokens)?;
                (before < MOVED && after <= allowance).then_some(after)
            });
        match fitted {
            Ok(before) => Ok(Fit {
                fits: true,
                before,
                after: before + tokens,
            }),
            Err(before) if before >= MOVED => Err(Moved),
            Err(before) => Ok(Fit {
                fits: false,
                before,
                after: before,
            }),
        }
    }

    /// Tokens taken by every eligible call; 0 once moved.
    #[must_use]
    pub fn taken(&self) -> u64 {
        unless_moved(self.taken.load(Ordering::Acquire))
    }

    /// Tokens of the calls that fitted; 0 once moved.
    #[must_use]
    pub fn fitted(&self) -> u64 {
        unless_moved(self.fitted.load(Ordering::Acquire))
    }

    /// Whether the total was ever past this allowance, or a greater one, before it was corrected downwards.
    #[must_use]
    pub fn was_past(&self, allowance: u64) -> bool {
        self.crossed.load(Ordering::Acquire) > allowance
    }

    /// 1 + the greatest allowance that was passed when the total was lowered; 0: never.
    pub(crate) fn crossed(&self) -> u64 {
        self.crossed.load(Ordering::Acquire)
    }

    /// Corrects the total of every eligible call, never below 0; returns the change that was made. A total past
    /// the allowance is remembered before it is lowered, so no call can see it low and unmarked.
    ///
    /// # Errors
    /// [`Moved`]: nothing was changed here.
    pub fn correct_taken(&self, change: i64, allowance: u64) -> Result<i64, Moved> {
        corrected(&self.taken, |before| {
            if before > allowance {
                self.crossed
                    .fetch_max(allowance.saturating_add(1), Ordering::AcqRel);
            }
            before.saturating_add_signed(change)
        })
    }

    /// Corrects the total of the calls that fitted; otherwise as [`RunningTotal::correct_taken`].
    ///
    /// # Errors
    /// [`Moved`]: nothing was changed here.
    pub fn correct_fitted(&self, change: i64) -> Result<i64, Moved> {
        corrected(&self.fitted, |before| before.saturating_add_signed(change))
    }

    /// Puts stated numbers, one for each reading, in place of what was counted; returns the change of `taken`. A
    /// number beyond 2^62 counts as that.
    ///
    /// # Errors
    /// [`Moved`]: nothing was changed here.
    pub fn state(&self, taken: u64, fitted: u64) -> Result<i64, Moved> {
        corrected(&self.fitted, |_| fitted)?;
        let change = corrected(&self.taken, |_| taken)?;
        self.crossed.store(0, Ordering::Release);
        Ok(change)
    }

    /// Adds what was counted before the program last stopped.
    pub fn restore(&self, taken: u64, fitted: u64) {
        for (total, before) in [(&self.taken, taken), (&self.fitted, fitted)] {
            add(total, before);
        }
    }

    /// Remembers that the total was past this allowance.
    pub fn restore_crossed(&self, allowance: u64) {
        self.crossed
            .fetch_max(allowance.saturating_add(1), Ordering::AcqRel);
    }

    /// Empties another total into this one by addition. A call that comes late to the other one sees [`Moved`].
    pub fn absorb(&self, other: &Self) {
        self.crossed
            .fetch_max(other.crossed.load(Ordering::Acquire), Ordering::AcqRel);
        for (here, there) in [(&self.taken, &other.taken), (&self.fitted, &other.fitted)] {
            add(here, unless_moved(there.swap(MOVED, Ordering::AcqRel)));
        }
    }
}

fn unless_moved(total: u64) -> u64 {
    if total >= MOVED { 0 } else { total }
}

/// Adds what was counted elsewhere. Nothing follows where the total was moved meanwhile: one merge at a time.
fn add(total: &AtomicU64, tokens: u64) {
    let _ = corrected(total, |before| before.saturating_add(tokens));
}

fn corrected(total: &AtomicU64, new: impl Fn(u64) -> u64) -> Result<i64, Moved> {
    let new = |before| new(before).min(MOST);
    let changed = total.fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| {
        (before < MOVED).then(|| new(before))
    });
    let before = changed.map_err(|_| Moved)?;
    // Both are below 2^63, so their difference is an i64.
    Ok(new(before).cast_signed() - before.cast_signed())
}
