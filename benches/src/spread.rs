//! What the rounds of a measurement amount to. It must not know what was measured.

use std::time::Duration;

/// The values of all rounds, sorted.
#[derive(Clone)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// Of values in any order.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value that this share of them does not pass.
    #[must_use]
    pub fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1) as f64;
        let place = (last * share).round() as usize;
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }

    /// The one in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The one that three of four do not pass: what a gate is held against.
    #[must_use]
    pub fn upper_quartile(&self) -> f64 {
        self.at(0.75)
    }

    /// Median, upper quartile, lowest and highest of a ratio.
    #[must_use]
    pub fn as_ratio(&self) -> String {
        format!(
            "{:.2}, {:.2} ({:.2}..{:.2})",
            self.median(),
            self.upper_quartile(),
            self.at(0.0),
            self.at(1.0)
        )
    }
}

/// The latency that this share of the calls does not pass, in microseconds. They are sorted.
#[must_use]
pub fn microseconds_at(sorted: &[Duration], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share) as usize;
    let found = sorted.get(place.min(sorted.len().saturating_sub(1)));
    found.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
}
