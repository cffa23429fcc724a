//! What was last written down about the calls under way, kept above what they may take, so that few calls have
//! to write. Must not know calls, or where it is written.

use std::sync::Arc;

use crate::day::Day;
use crate::model_group::GroupId;
use crate::standing::Forecasts;
use crate::sync::{AtomicU64, Ordering};

/// Tokens are announced in steps of so many.
const STEP_TOKENS: u64 = 4_096;
/// The steps take the low bits; at all ones there is no limit.
const NO_LIMIT: u64 = (1 << VERSION_SHIFT) - 1;
/// The version takes the high bits.
const VERSION_SHIFT: u32 = 32;
/// What is announced is lowered once it is so many times what is under way.
const FAR_ABOVE: u64 = 4;

/// What the calls under way of one organization, group and day may take together: an upper bound, to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The name that the day was opened under. It stays the same where the organization turns out to be another one: that
    /// one counts its own announcements, and neither replaces the other's.
    pub organization: Arc<str>,
    /// The group whose allowance the calls draw on.
    pub group: GroupId,
    /// The day they began on.
    pub day: Day,
    /// Grows with each announcement, wrapping: two may be written in the wrong order, and the later version holds.
    pub version: u32,
    /// Tokens at most; `None`: without limit.
    pub at_most: Option<u64>,
}

/// How much was announced, by a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// Grows with each, wrapping.
    pub(crate) version: u32,
    /// Tokens at most; `None`: without limit.
    pub(crate) at_most: Option<u64>,
}

impl Level {
    fn of(word: u64) -> Self {
        let steps = word & NO_LIMIT;
        Self {
            version: u32::try_from(word >> VERSION_SHIFT).unwrap_or(u32::MAX),
            at_most: (steps != NO_LIMIT).then_some(steps * STEP_TOKENS),
        }
    }

    fn covers(self, now: Forecasts) -> bool {
        self.at_most
            .is_none_or(|at_most| now.unbounded == 0 && now.tokens <= at_most)
    }
}

/// One word: a version and a number of steps.
#[derive(Debug)]
pub(crate) struct Announced(AtomicU64);

impl Announced {
    /// Nothing, where this version was the last.
    pub(crate) fn nothing_after(version: u32) -> Self {
        Self(AtomicU64::new(u64::from(version) << VERSION_SHIFT))
    }

    /// The last version.
    pub(crate) fn version(&self) -> u32 {
        Level::of(self.0.load(Ordering::Acquire)).version
    }

    /// Announces more, if what is under way is more than was announced.
    pub(crate) fn raise(&self, now: impl Fn() -> Forecasts) -> Option<Level> {
        let mut announced = None;
        loop {
            let word = self.0.load(Ordering::Acquire);
            let current = Level::of(word);
            let now = now();
            if current.covers(now) {
                return announced;
            }
            // The first call alone is announced as it is; where there are several, there will be more.
            let room = if current.at_most == Some(0) { 1 } else { 2 };
            announced = self.replace(word, now, room).or(announced);
        }
    }

    /// Announces less, if what is under way is far less than was announced.
    pub(crate) fn lower(&self, now: impl Fn() -> Forecasts) -> Option<Level> {
        let lowered = loop {
            let word = self.0.load(Ordering::Acquire);
            let current = Level::of(word);
            let now = now();
            let far_above = match current.at_most {
                Some(0) => false,
                Some(_) if now.unbounded > 0 => false,
                Some(at_most) => now.tokens == 0 || now.tokens.saturating_mul(FAR_ABOVE) < at_most,
                None => now.unbounded == 0,
            };
            if !far_above {
                return None;
            }
            if let Some(lowered) = self.replace(word, now, 2) {
                break lowered;
            }
        };
        // A call that began meanwhile may have looked before it was lowered.
        Some(self.raise(now).unwrap_or(lowered))
    }

    fn replace(&self, word: u64, now: Forecasts, room: u64) -> Option<Level> {
        let steps = if now.unbounded > 0 {
            NO_LIMIT
        } else {
            let tokens = now.tokens.saturating_mul(room);
            tokens.div_ceil(STEP_TOKENS).min(NO_LIMIT)
        };
        let version = (word >> VERSION_SHIFT).wrapping_add(1) << VERSION_SHIFT;
        let new = version | steps;
        self.0
            .compare_exchange(word, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
            .then(|| Level::of(new))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn under_way(tokens: u64, unbounded: u64) -> impl Fn() -> Forecasts {
        move || Forecasts {
            tokens,
            bounded: u64::from(tokens > 0),
            unbounded,
            ..Forecasts::default()
        }
    }

    #[test]
    fn a_lone_call_is_announced_and_retracted() {
        let announced = Announced::nothing_after(0);
        let one = announced.raise(under_way(5_000, 0)).unwrap();
        assert_eq!((one.version, one.at_most), (1, Some(8_192)));
        let none = announced.lower(under_way(0, 0)).unwrap();
        assert_eq!((none.version, none.at_most), (2, Some(0)));
        assert_eq!(announced.lower(under_way(0, 0)), None);
    }

    #[test]
    fn many_calls_write_little() {
        let announced = Announced::nothing_after(0);
        let written = (1..=1_000)
            .filter(|calls| announced.raise(under_way(calls * 5_000, 0)).is_some())
            .count();
        assert!(written <= 12, "{written}");
        assert_eq!(announced.lower(under_way(4_000_000, 0)), None);
        let lowered = announced.lower(under_way(50_000, 0)).unwrap();
        assert!(lowered.at_most.unwrap() >= 50_000);
    }

    #[test]
    fn a_call_without_bound_has_no_limit_until_it_is_gone() {
        let announced = Announced::nothing_after(0);
        assert_eq!(announced.raise(under_way(10, 1)).unwrap().at_most, None);
        assert_eq!(announced.raise(under_way(99_999, 3)), None);
        assert_eq!(announced.lower(under_way(10, 1)), None);
        assert_eq!(
            announced.lower(under_way(10, 0)).unwrap().at_most,
            Some(4_096)
        );
    }

    #[test]
    fn versions_wrap_and_tokens_past_the_word_have_no_limit() {
        let announced = Announced::nothing_after(u32::MAX);
        let wrapped = announced.raise(under_way(u64::MAX / 2, 0)).unwrap();
        assert_eq!((wrapped.version, wrapped.at_most), (0, None));
    }
}
