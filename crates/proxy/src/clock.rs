//! What time it is for OpenAI. The day of the offer is OpenAI's, so a wrong local clock is corrected with the
//! `date` headers of its answers. Knows nothing of calls.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Answers whose offset is remembered: the median of these is the correction.
const OFFSETS: usize = 15;
/// Below this the offset is the rounding of a header that counts whole seconds, not a wrong clock.
const TOLERATED: Duration = Duration::from_secs(2);
/// One answer in this time is looked at: parsing a date for each call would buy nothing.
const EVERY: Duration = Duration::from_secs(1);

/// A clock that answers in milliseconds since 1970-01-01 UTC.
#[derive(Debug)]
pub struct Clock {
    source: Source,
    /// Milliseconds to add to the source's time.
    correction: AtomicI64,
    /// The source's time of the last look at a `date` header.
    looked: AtomicI64,
    /// The last offsets in milliseconds, oldest first; at most [`OFFSETS`].
    offsets: Mutex<Vec<i64>>,
}

#[derive(Debug)]
enum Source {
    System,
    Given(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Clock {
        Clock::of(Source::System)
    }

    /// A clock that somebody else moves, in Unix milliseconds: a simulated day runs through in seconds.
    #[must_use]
    pub fn given(milliseconds: Arc<AtomicI64>) -> Clock {
        Clock::of(Source::Given(milliseconds))
    }

    fn of(source: Source) -> Clock {
        Clock {
            source,
            correction: AtomicI64::new(0),
            looked: AtomicI64::new(i64::MIN),
            offsets: Mutex::new(Vec::with_capacity(OFFSETS)),
        }
    }

    /// Now, corrected, in Unix milliseconds.
    #[must_use]
    pub fn now_milliseconds(&self) -> i64 {
        self.uncorrected() + self.correction.load(Ordering::Relaxed)
    }

    /// Now, corrected, in whole Unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now_milliseconds().div_euclid(1000)
    }

    /// The correction in force, in milliseconds to add to the local clock; 0 while the two agree.
    #[must_use]
    pub fn correction_milliseconds(&self) -> i64 {
        self.correction.load(Ordering::Relaxed)
    }

    fn uncorrected(&self) -> i64 {
        match &self.source {
            Source::Given(milliseconds) => milliseconds.load(Ordering::Relaxed),
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| {
                    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
                }),
        }
    }

    /// Learns from the `date` header of an answer that just arrived. A header that is no date is passed over.
    pub fn learn(&self, date: &str) {
        let local = self.uncorrected();
        let looked = self.looked.load(Ordering::Relaxed);
        let every = i64::try_from(EVERY.as_millis()).unwrap_or(i64::MAX);
        // A clock that was set back is looked at anew at once.
        if (0..every).contains(&local.saturating_sub(looked))
            || self
                .looked
                .compare_exchange(looked, local, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let Ok(date) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date) else {
            return;
        };
        // The header says whole seconds, cut off: on average half a second has passed since.
        let offset = date.as_millisecond() + 500 - local;
        let Ok(mut offsets) = self.offsets.lock() else {
            return;
        };
        if offsets.len() == OFFSETS {
            offsets.remove(0);
        }
        offsets.push(offset);
        let mut sorted = offsets.clone();
        drop(offsets);
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        let tolerated = i64::try_from(TOLERATED.as_millis()).unwrap_or(i64::MAX);
        let correction = if median.abs() > tolerated { median } else { 0 };
        if self.correction.swap(correction, Ordering::Relaxed) == 0 && correction != 0 {
            tracing::warn!(
                offset_seconds = correction / 1000,
                "this clock differs from OpenAI's; days are taken from OpenAI's date header until it is right. \
                 help: turn on time sync (timedatectl)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 23:59:50 UTC.
    const LATE: i64 = 1_795_305_590_000;

    #[test]
    fn a_right_clock_is_left_alone() {
        let source = Arc::new(AtomicI64::new(LATE));
        let clock = Clock::given(Arc::clone(&source));
        clock.learn("Sat, 21 Nov 2026 23:59:49 GMT");
        assert_eq!(clock.now_milliseconds(), LATE);
    }

    #[test]
    fn a_slow_clock_follows_the_median_of_the_answers() {
        let source = Arc::new(AtomicI64::new(LATE));
        let clock = Clock::given(Arc::clone(&source));
        for minute in 0..5 {
            clock.learn(&format!("Sun, 22 Nov 2026 00:0{minute}:50 GMT"));
            source.fetch_add(60_000, Ordering::Relaxed);
        }
        clock.learn("Mon, 01 Jan 2001 00:00:00 GMT");
        assert_eq!(
            clock.correction_milliseconds(),
            60_500,
            "one lie moves no median"
        );
        assert_eq!(meter::Day::at(clock.now()).to_string(), "2026-11-22");
    }

    #[test]
    fn a_clock_set_back_is_corrected_by_the_next_answers() {
        let source = Arc::new(AtomicI64::new(LATE));
        let clock = Clock::given(Arc::clone(&source));
        clock.learn("Sat, 21 Nov 2026 23:59:50 GMT");
        source.fetch_sub(86_400_000, Ordering::Relaxed);
        for second in 51..55 {
            clock.learn(&format!("Sat, 21 Nov 2026 23:59:{second} GMT"));
            source.fetch_add(1000, Ordering::Relaxed);
        }
        assert_eq!(meter::Day::at(clock.now()).to_string(), "2026-11-21");
    }

    #[test]
    fn no_date_changes_nothing() {
        let clock = Clock::given(Arc::new(AtomicI64::new(LATE)));
        clock.learn("yesterday");
        assert_eq!(clock.correction_milliseconds(), 0);
    }
}
