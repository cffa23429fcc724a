//! Amounts as people read them: dollars, shares, spans of time, instants. It must not know what they are amounts of.

/// Dollars for people, as the page spells them too.
pub(crate) use admin::dollars;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use meter::Day;

use super::layout::grouped;

/// What stands where a number is not known, and where none applies.
pub(crate) const UNKNOWN: &str = "?";
pub(crate) const NOT_APPLICABLE: &str = "-";

/// `46 min`, `5 h 12 min`, `35 s`: from one minute up the nearest minute.
pub(crate) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let minutes = if seconds < 60 { 0 } else { (seconds + 30) / 60 };
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// The share of `whole` that `part` is, in percent, rounded down; `<1 %` above nothing.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if part == 0 {
        return "0 %".to_owned();
    }
    match u128::from(part) * 100 / u128::from(whole.max(1)) {
        0 => "<1 %".to_owned(),
        share => format!("{share} %"),
    }
}

/// The time of day in UTC: `23:10:04`. `at` is in Unix milliseconds.
pub(crate) fn time_of_day(at: i64) -> String {
    let second = at.div_euclid(1000).rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The UTC day of an instant in Unix milliseconds.
pub(crate) fn day_of(at: i64) -> Day {
    Day::at_milliseconds(at)
}

/// The clock time of an instant (Unix seconds) where the viewer is, `01:00`; none where that is UTC's own.
pub(crate) fn clock_here(seconds: i64, zone: &TimeZone) -> Option<String> {
    let at = Timestamp::from_second(seconds).ok()?;
    let here = at.to_zoned(zone.clone());
    (here.offset().seconds() != 0).then(|| here.strftime("%H:%M").to_string())
}

/// A number of a word, with its `s` where there is not exactly one: `1 call`, `1,204 calls`.
pub(crate) fn counted(number: u64, word: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {word}{ending}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_the_nearest_minute_and_below_one_seconds() {
        for (seconds, shown) in [
            (-5, "0 s"),
            (35, "35 s"),
            (60, "1 min"),
            (2_751, "46 min"),
            (3_599, "1 h"),
            (3_600, "1 h"),
            (18_720, "5 h 12 min"),
        ] {
            assert_eq!(duration(seconds), shown);
        }
    }

    #[test]
    fn a_share_is_rounded_down_and_is_0_only_at_nothing() {
        assert_eq!(percent(0, 10), "0 %");
        assert_eq!(percent(1, 1_000), "<1 %");
        assert_eq!(percent(6_118_420, 10_000_000), "61 %");
        assert_eq!(percent(999, 1_000), "99 %");
        assert_eq!(percent(u64::MAX, u64::MAX), "100 %");
        assert_eq!(percent(1, 0), "100 %");
    }

    #[test]
    fn instants_are_utc_and_the_viewers_clock_is_told_once() {
        let at = 1_795_302_604_000;
        assert_eq!(time_of_day(at), "23:10:04");
        assert_eq!(day_of(at).to_string(), "2026-11-21");
        let zone = |hours| TimeZone::fixed(jiff::tz::offset(hours));
        let midnight = day_of(at).end();
        assert_eq!(clock_here(midnight, &zone(1)).as_deref(), Some("01:00"));
        assert_eq!(clock_here(midnight, &zone(-5)).as_deref(), Some("19:00"));
        assert_eq!(clock_here(midnight, &TimeZone::UTC), None);
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(1, "call"), "1 call");
        assert_eq!(counted(0, "call"), "0 calls");
        assert_eq!(counted(1_204, "call"), "1,204 calls");
    }
}
