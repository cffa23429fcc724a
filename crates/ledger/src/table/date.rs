//! Days as the ledger's tables write them: `YYYY-MM-DD`, so that text order is date order. Must not know tables.

use meter::Day;

/// The first and the last day that are four digits of year long: days outside of them are kept as these.
const FIRST: i32 = -719_162;
const LAST: i32 = 2_932_896;

/// A day (days since 1970-01-01) as text.
pub(crate) fn text_of(day: i32) -> String {
    Day::of_number(day.clamp(FIRST, LAST)).to_string()
}

/// The day that such a text names.
pub(crate) fn day_of(text: &str) -> Option<i32> {
    let mut parts = text.split('-');
    let mut part = || parts.next();
    let (year, month, day) = (part()?, part()?, part()?);
    let date = Day::of_date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
    Some(date.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_it_was_written() {
        for day in [FIRST, -1, 0, 20_778, 20_779, LAST] {
            assert_eq!(day_of(&text_of(day)), Some(day));
        }
        assert_eq!(text_of(20_778), "2026-11-21");
    }

    #[test]
    fn a_day_that_no_calendar_shows_in_four_digits_is_kept_as_the_nearest() {
        assert_eq!(text_of(i32::MIN), "0001-01-01");
        assert_eq!(text_of(i32::MAX), "9999-12-31");
        assert!(text_of(i32::MIN) < text_of(0) && text_of(0) < text_of(i32::MAX));
        for text in ["", "2026", "2026-11", "2026-02-30", "x-y-z"] {
            assert_eq!(day_of(text), None, "{text}");
        }
    }
}
