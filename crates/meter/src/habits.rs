//! What calls of each kind and model have really taken here, so that a call nothing bounds can be forecast by what nearly
//! all of the last ones stayed below. A forecast, never a bound. Must not know totals, verdicts or whose calls they were.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

/// Models that are remembered; calls of others are forecast by their bounds alone.
const MOST_MODELS: usize = 1_024;
/// Steps that are remembered of a kind and model.
const STEPS: usize = 16;
/// Calls of one step: the last 960 to 1,024 calls count.
const STEP_CALLS: u64 = 64;
/// Of this many steps the greatest is discarded as an outlier: a few calls in a thousand may take far more than all others, and a
/// forecast by them would leave no room for the rest.
const PASSED_OVER: usize = 4;
/// Calls of a kind and model below which nothing is said of the next.
const LEAST_CALLS: u64 = 16;

/// The habits of all kinds of calls. Only shown and forecast by: no order between threads depends on it.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    by_model: DashMap<Box<str>, Vec<(&'static str, Habit)>, ahash::RandomState>,
}

/// The most that a call of each step took.
#[derive(Debug, Default)]
struct Habit {
    calls: AtomicU64,
    most: [AtomicU64; STEPS],
}

impl Habits {
    /// A call of this kind that asked for this model took so many tokens.
    pub(crate) fn took(&self, kind: &'static str, model: &str, tokens: u64) {
        if let Some(kinds) = self.by_model.get(model)
            && let Some((_, habit)) = kinds.iter().find(|(of, _)| *of == kind)
        {
            habit.took(tokens);
            return;
        }
        if self.by_model.len() >= MOST_MODELS && !self.by_model.contains_key(model) {
            return;
        }
        let mut kinds = self.by_model.entry(model.into()).or_default();
        if !kinds.iter().any(|(of, _)| *of == kind) {
            kinds.push((kind, Habit::default()));
        }
        if let Some((_, habit)) = kinds.iter().find(|(of, _)| *of == kind) {
            habit.took(tokens);
        }
    }

    /// What nearly all of the last calls of this kind and model stayed below; none while there were too few.
    pub(crate) fn high(&self, kind: &str, model: &str) -> Option<u64> {
        let kinds = self.by_model.get(model)?;
        let (_, habit) = kinds.iter().find(|(of, _)| *of == kind)?;
        habit.high()
    }
}

impl Habit {
    fn took(&self, tokens: u64) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let step = usize::try_from(number / STEP_CALLS).unwrap_or_default() % STEPS;
        let Some(most) = self.most.get(step) else {
            return;
        };
        if number.is_multiple_of(STEP_CALLS) {
            most.store(tokens, Ordering::Relaxed);
        } else {
            most.fetch_max(tokens, Ordering::Relaxed);
        }
    }

    fn high(&self) -> Option<u64> {
        let calls = self.calls.load(Ordering::Relaxed);
        if calls < LEAST_CALLS {
            return None;
        }
        let begun = usize::try_from(calls.div_ceil(STEP_CALLS)).unwrap_or(STEPS);
        let mut most = self
            .most
            .each_ref()
            .map(|most| most.load(Ordering::Relaxed));
        most.sort_unstable_by(|one, other| other.cmp(one));
        most.get(begun.min(STEPS) / PASSED_OVER).copied()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_calls_are_forecast_by_once_there_are_enough() {
        let habits = Habits::default();
        habits.took("chat", "m", 9_000);
        for _ in 2..LEAST_CALLS {
            habits.took("chat", "m", 100);
        }
        assert_eq!(habits.high("chat", "m"), None);
        habits.took("chat", "m", 100);
        assert_eq!(habits.high("chat", "m"), Some(9_000));
        assert_eq!(habits.high("responses", "m"), None);
        for _ in LEAST_CALLS..4 * STEP_CALLS {
            habits.took("chat", "m", 150);
        }
        assert_eq!(
            habits.high("chat", "m"),
            Some(150),
            "one of 256 is passed over"
        );
        assert_eq!(habits.high("chat", "other"), None);
        for _ in 0..STEPS as u64 * STEP_CALLS {
            habits.took("chat", "m", 200);
        }
        assert_eq!(
            habits.high("chat", "m"),
            Some(200),
            "what is long ago is forgotten"
        );
    }

    #[test]
    fn models_are_bounded() {
        let habits = Habits::default();
        for number in 0..=MOST_MODELS {
            for _ in 0..LEAST_CALLS {
                habits.took("chat", &number.to_string(), 1);
            }
        }
        assert_eq!(habits.high("chat", "0"), Some(1));
        assert_eq!(habits.high("chat", &MOST_MODELS.to_string()), None);
        assert_eq!(habits.by_model.len(), MOST_MODELS);
    }
}
