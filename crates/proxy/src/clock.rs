//! What time it is for OpenAI. The day of the offer is OpenAI's, so a wrong local clock is corrected with the
//! `date` headers of its answers. Knows nothing of calls.
//!
//! What is learned is learned against a steady clock, one that nobody sets: a machine whose clock jumps still
//! knows OpenAI's time, from the next moment on.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use meter::Day;

/// Answers whose offset is remembered: the median of these is what counts.
const OFFSETS: usize = 15;
/// Below this the difference is the rounding of a header that counts whole seconds, not a wrong clock.
const TOLERATED: Duration = Duration::from_secs(2);
/// One answer in this time is looked at: parsing a date for each call would buy nothing. The golden section of the
/// second that the header counts in, so that looks fall on all parts of it and the median says more than a second.
const EVERY: Duration = Duration::from_millis(382);
/// No answer has told the time yet.
const NOT_KNOWN: i64 = i64::MIN;

/// A clock that answers in milliseconds since 1970-01-01 UTC.
#[derive(Debug)]
pub struct Clock {
    source: Source,
    /// Milliseconds to add to the steady clock to get OpenAI's time, or [`NOT_KNOWN`].
    apart: AtomicI64,
    /// The steady clock's time of the last look at a `date` header.
    looked: AtomicI64,
    /// The last offsets from the steady clock in milliseconds, oldest first; at most [`OFFSETS`].
    offsets: Mutex<Vec<i64>>,
    /// Unix milliseconds that no answer of today is older than.
    earliest: AtomicI64,
    /// The machine's clock is wrong, and that was said.
    is_wrong: AtomicBool,
}

#[derive(Debug)]
enum Source {
    System(Instant),
    Given(Arc<AtomicI64>),
    #[cfg(test)]
    Both {
        machine: Arc<AtomicI64>,
        steady: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Clock {
        Clock::of(Source::System(Instant::now()))
    }

    /// A clock that somebody else moves, in Unix milliseconds: a simulated day runs through in seconds.
    #[must_use]
    pub fn given(milliseconds: Arc<AtomicI64>) -> Clock {
        Clock::of(Source::Given(milliseconds))
    }

    fn of(source: Source) -> Clock {
        Clock {
            source,
            apart: AtomicI64::new(NOT_KNOWN),
            looked: AtomicI64::new(NOT_KNOWN),
            offsets: Mutex::new(Vec::with_capacity(OFFSETS)),
            earliest: AtomicI64::new(i64::MIN),
            is_wrong: AtomicBool::new(false),
        }
    }

    /// Now, corrected, in Unix milliseconds.
    #[must_use]
    pub fn now_milliseconds(&self) -> i64 {
        let machine = self.machine();
        machine.saturating_add(self.correction_of(machine))
    }

    /// Now, corrected, in whole Unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now_milliseconds().div_euclid(1000)
    }

    /// The correction in force, in milliseconds to add to the local clock; 0 while the two agree.
    #[must_use]
    pub fn correction_milliseconds(&self) -> i64 {
        self.correction_of(self.machine())
    }

    fn correction_of(&self, machine: i64) -> i64 {
        let apart = self.apart.load(Ordering::Relaxed);
        if apart == NOT_KNOWN {
            return 0;
        }
        let difference = self.steady().saturating_add(apart).saturating_sub(machine);
        if is_tolerated(difference) {
            0
        } else {
            difference
        }
    }

    /// The machine's clock, which may be wrong and may be set at any moment.
    fn machine(&self) -> i64 {
        match &self.source {
            Source::Given(milliseconds) => milliseconds.load(Ordering::Relaxed),
            Source::System(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| {
                    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
                }),
            #[cfg(test)]
            Source::Both { machine, .. } => machine.load(Ordering::Relaxed),
        }
    }

    /// Milliseconds since some moment, on a clock that nobody sets. It may stand still while the machine sleeps.
    fn steady(&self) -> i64 {
        match &self.source {
            Source::Given(milliseconds) => milliseconds.load(Ordering::Relaxed),
            Source::System(began) => i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
            #[cfg(test)]
            Source::Both { steady, .. } => steady.load(Ordering::Relaxed),
        }
    }

    /// Says from which day on answers may be dated. One that is older was recorded once and is played again: it tells no
    /// time.
    pub fn not_before(&self, day: Day) {
        let milliseconds = day.start().saturating_mul(1000);
        self.earliest.store(milliseconds, Ordering::Relaxed);
    }

    /// Learns from the `date` header of an answer that just arrived. A header that is no date is passed over.
    pub fn learn(&self, date: &str) {
        let steady = self.steady();
        let looked = self.looked.load(Ordering::Relaxed);
        let every = i64::try_from(EVERY.as_millis()).unwrap_or(i64::MAX);
        // A clock that was set back is looked at anew at once.
        if (0..every).contains(&steady.saturating_sub(looked))
            || self
                .looked
                .compare_exchange(looked, steady, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let Ok(date) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date) else {
            return;
        };
        if date.as_millisecond() < self.earliest.load(Ordering::Relaxed) {
            return;
        }
        // The header says whole seconds, cut off: on average half a second has passed since.
        self.learn_instant(date.as_millisecond() + 500, steady);
    }

    fn learn_instant(&self, openai: i64, steady: i64) {
        let (machine, offset) = (self.machine(), openai.saturating_sub(steady));
        let Ok(mut offsets) = self.offsets.lock() else {
            return;
        };
        let slept = !is_tolerated(offset.saturating_sub(median(&offsets).unwrap_or(offset)));
        if slept && is_tolerated(openai.saturating_sub(machine)) {
            // Two witnesses against the steady clock: the machine slept, and it did not count.
            offsets.clear();
        }
        if offsets.len() == OFFSETS {
            offsets.remove(0);
        }
        offsets.push(offset);
        let apart = agreed(&offsets).unwrap_or(NOT_KNOWN);
        drop(offsets);
        self.apart.store(apart, Ordering::Relaxed);
        let correction = self.correction_of(machine);
        if !self.is_wrong.swap(correction != 0, Ordering::Relaxed) && correction != 0 {
            tracing::warn!(
                offset_seconds = correction / 1000,
                "{}",
                wrong_clock(correction)
            );
        }
    }
}

/// What people are told of a clock that differs from OpenAI's, the same words everywhere; `milliseconds` is what is added
/// to it.
#[must_use]
pub fn wrong_clock(milliseconds: i64) -> String {
    let seconds = milliseconds.unsigned_abs() / 1000;
    let minutes = if seconds < 60 { 0 } else { (seconds + 30) / 60 };
    let off = match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    };
    let way = if milliseconds > 0 {
        "behind"
    } else {
        "ahead of"
    };
    format!(
        "this clock is {off} {way} OpenAI's. days are taken from OpenAI's date header until it is right. help: turn on \
         time sync (timedatectl)"
    )
}

fn is_tolerated(milliseconds: i64) -> bool {
    u128::from(milliseconds.unsigned_abs()) <= TOLERATED.as_millis()
}

/// The median, where most of them are about the same: answers whose dates contradict each other tell no time.
fn agreed(offsets: &[i64]) -> Option<i64> {
    let median = median(offsets)?;
    let alike = offsets
        .iter()
        .filter(|offset| is_tolerated(**offset - median));
    (alike.count() * 2 > offsets.len()).then_some(median)
}

fn median(offsets: &[i64]) -> Option<i64> {
    let mut sorted = offsets.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 23:59:50 UTC.
    const LATE: i64 = 1_795_305_590_000;

    #[test]
    fn a_wrong_clock_is_said_as_people_say_it() {
        for (milliseconds, said) in [
            (-11_520_000, "3 h 12 min ahead of"),
            (61_000, "1 min behind"),
            (-3_599_726, "1 h ahead of"),
            (3_600_139, "1 h behind"),
            (2_500, "2 s behind"),
        ] {
            let begins = format!("this clock is {said} OpenAI's. ");
            let text = wrong_clock(milliseconds);
            assert!(text.starts_with(&begins), "{text}");
        }
    }

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
        assert_eq!(Day::at(clock.now()).to_string(), "2026-11-22");
    }

    #[test]
    fn answers_that_were_recorded_once_tell_no_time() {
        let source = Arc::new(AtomicI64::new(LATE));
        let clock = Clock::given(Arc::clone(&source));
        clock.not_before(Day::of_date(2026, 9, 28).unwrap());
        for date in [
            "Thu, 12 Feb 2026 10:00:00 GMT",
            "Thu, 12 Feb 2026 10:00:01 GMT",
            "Mon, 16 Nov 2026 10:00:00 GMT",
            "Sat, 21 Nov 2026 23:59:50 GMT",
            "Fri, 02 Oct 2026 00:00:00 GMT",
        ] {
            source.fetch_add(1000, Ordering::Relaxed);
            clock.learn(date);
            if !date.contains("16 Nov") {
                assert_eq!(clock.correction_milliseconds(), 0, "{date}");
            }
        }
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
        assert_eq!(Day::at(clock.now()).to_string(), "2026-11-21");
    }

    /// A machine's clock and a steady one, and what is asked for the time.
    struct Machine {
        shown: Arc<AtomicI64>,
        steady: Arc<AtomicI64>,
        clock: Clock,
    }

    impl Machine {
        fn right() -> Machine {
            let (shown, steady) = (Arc::new(AtomicI64::new(LATE)), Arc::default());
            let clock = Clock::of(Source::Both {
                machine: Arc::clone(&shown),
                steady: Arc::clone(&steady),
            });
            Machine {
                shown,
                steady,
                clock,
            }
        }

        fn passes(&self, milliseconds: i64) {
            self.shown.fetch_add(milliseconds, Ordering::Relaxed);
            self.steady.fetch_add(milliseconds, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_clock_that_jumps_is_not_followed_from_the_first_moment_on() {
        for jump in [7_200_000, -7_200_000, 86_400_000, -86_400_000] {
            let time = Machine::right();
            time.clock.learn("Sat, 21 Nov 2026 23:59:50 GMT");
            time.passes(1_000);
            time.shown.fetch_add(jump, Ordering::Relaxed);
            let off = time.clock.now_milliseconds() - (LATE + 1_000);
            assert!(off.abs() <= 500, "{jump}: {off}");
            assert_eq!(Day::at(time.clock.now()).to_string(), "2026-11-21");
            time.shown.fetch_sub(jump, Ordering::Relaxed);
            assert_eq!(time.clock.now_milliseconds(), LATE + 1_000, "right again");
        }
    }

    #[test]
    fn a_machine_that_slept_is_believed_once_openai_says_the_same() {
        let time = Machine::right();
        for second in 50..58 {
            time.clock
                .learn(&format!("Sat, 21 Nov 2026 23:59:{second} GMT"));
            time.passes(1_000);
        }
        // An hour of sleep, which the steady clock does not count.
        time.shown.fetch_add(3_600_000, Ordering::Relaxed);
        time.clock.learn("Sun, 22 Nov 2026 00:59:58 GMT");
        assert_eq!(time.clock.now_milliseconds(), LATE + 3_608_000);
        assert_eq!(time.clock.correction_milliseconds(), 0);
    }

    #[test]
    fn looks_fall_on_all_parts_of_the_second_the_header_counts_in() {
        let time = Machine::right();
        // Two hours behind, and a quarter of a second into OpenAI's second at the first look.
        let openai = LATE + 7_200_250;
        for answer in 0..800 {
            let instant = jiff::Timestamp::from_millisecond(openai + answer * 10).unwrap();
            let date = jiff::fmt::rfc2822::DateTimePrinter::new();
            time.clock
                .learn(&date.timestamp_to_rfc9110_string(&instant).unwrap());
            time.passes(10);
        }
        let off = time.clock.now_milliseconds() - (openai + 8_000);
        assert!(off.abs() < 50, "{off}");
    }

    #[test]
    fn no_date_changes_nothing() {
        let clock = Clock::given(Arc::new(AtomicI64::new(LATE)));
        clock.learn("yesterday");
        assert_eq!(clock.correction_milliseconds(), 0);
    }
}
