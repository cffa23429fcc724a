//! The UTC day, in which allowances are given and running totals kept. Must not know a clock.

use std::fmt;

const SECONDS: i64 = 86_400;

/// A UTC day, counted in days since 1970-01-01. The allowances are given anew at its 00:00 UTC.
///
/// Shown as `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// 1970-01-01: before every price and every list, so what is dated by it has always held.
    pub const EPOCH: Self = Self(0);

    /// The day that holds this instant (seconds since 1970-01-01 00:00:00 UTC).
    #[must_use]
    pub fn at(unix_seconds: i64) -> Self {
        let days = unix_seconds.div_euclid(SECONDS);
        let nearest = if days < 0 { i32::MIN } else { i32::MAX };
        Self(i32::try_from(days).unwrap_or(nearest))
    }

    /// The day that holds this instant (milliseconds since 1970-01-01 00:00:00 UTC).
    #[must_use]
    pub fn at_milliseconds(unix_milliseconds: i64) -> Self {
        Self::at(unix_milliseconds.div_euclid(1_000))
    }

    /// Whether this instant lies in it.
    #[must_use]
    pub fn holds(self, unix_seconds: i64) -> bool {
        (self.start()..self.start() + SECONDS).contains(&unix_seconds)
    }

    /// The day of a calendar date; `None` where the calendar (proleptic Gregorian, years 1 to 9999) has no such date.
    #[must_use]
    pub fn of_date(year: u16, month: u8, day: u8) -> Option<Self> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        // Counted from 1 March, so that the leap day is the last of its year.
        let (year, month, day) = (i32::from(year), i32::from(month), i32::from(day));
        let march_year = if month > 2 { year } else { year - 1 };
        let march_month = (month + 9) % 12;
        let day_of_year = (153 * march_month + 2) / 5 + day - 1;
        let days = march_year * 365 + march_year.div_euclid(4) - march_year.div_euclid(100)
            + march_year.div_euclid(400)
            + day_of_year;
        let found = Self(days - DAYS_BEFORE_EPOCH);
        // 31 April and its kind come out as a day of the next month.
        (found.date() == (year.into(), i64::from(month), i64::from(day))).then_some(found)
    }

    /// The day of that number of days since 1970-01-01.
    #[must_use]
    pub fn of_number(number: i32) -> Self {
        Self(number)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// Its 00:00:00 UTC, in seconds since 1970-01-01.
    #[must_use]
    pub fn start(self) -> i64 {
        i64::from(self.0) * SECONDS
    }

    /// The next 00:00:00 UTC, when the allowances are given anew.
    #[must_use]
    pub fn end(self) -> i64 {
        (i64::from(self.0) + 1) * SECONDS
    }

    /// Year, month and day of the month (proleptic Gregorian).
    fn date(self) -> (i64, i64, i64) {
        let days = i64::from(self.0) + i64::from(DAYS_BEFORE_EPOCH);
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day)
    }
}

/// Days from 0000-03-01, where the count by March years starts, to 1970-01-01.
const DAYS_BEFORE_EPOCH: i32 = 719_468;

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        if !(0..10_000).contains(&year) {
            return write!(f, "{year:04}-{month:02}-{day:02}");
        }
        // Every tagged answer shows one: each digit is put in its place.
        let mut text = *b"0000-00-00";
        let places = [(year, 0..4), (month, 5..7), (day, 8..10)];
        for (mut number, place) in places {
            for digit in text.iter_mut().take(place.end).skip(place.start).rev() {
                *digit += u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_holds_its_first_second_and_not_its_end() {
        let day = Day::at(1_795_219_200 + 5);
        assert_eq!(Day::at(day.start()), day);
        assert_eq!(Day::at(day.end() - 1), day);
        assert_eq!(Day::at(day.end()).start(), day.end());
        assert_eq!(day.end() - day.start(), 86_400);
        assert_eq!(Day::at(-1), Day(-1));
        assert_eq!(
            Day::at_milliseconds(day.start() * 1_000 - 1).end(),
            day.start()
        );
        assert_eq!(Day::at_milliseconds(day.start() * 1_000), day);
        assert_eq!(Day::at(i64::MAX), Day(i32::MAX));
        assert_eq!(Day::at(i64::MIN), Day(i32::MIN));
    }

    #[test]
    fn days_are_shown_as_dates() {
        assert_eq!(Day::EPOCH.to_string(), "1970-01-01");
        assert_eq!(Day::at(951_782_400).to_string(), "2000-02-29");
        assert_eq!(Day::at(1_795_219_200).to_string(), "2026-11-21");
        assert_eq!(Day(-1).to_string(), "1969-12-31");
    }

    #[test]
    fn every_date_of_twelve_centuries_is_read_as_it_is_shown() {
        let first = Day::of_date(1600, 1, 1).unwrap();
        let last = Day::of_date(2800, 12, 31).unwrap();
        for number in first.0..=last.0 {
            let day = Day(number);
            let (year, month, date) = day.date();
            let read = Day::of_date(
                u16::try_from(year).unwrap(),
                u8::try_from(month).unwrap(),
                u8::try_from(date).unwrap(),
            );
            assert_eq!(read, Some(day));
        }
        assert_eq!(Day::of_date(2026, 11, 21), Some(Day(20_778)));
    }

    #[test]
    fn a_date_the_calendar_does_not_have_is_none() {
        for (year, month, day) in [
            (2026, 2, 29),
            (2026, 4, 31),
            (2026, 0, 1),
            (2026, 13, 1),
            (2026, 1, 0),
            (0, 1, 1),
            (1900, 2, 29),
            (2026, 1, 255),
        ] {
            assert_eq!(Day::of_date(year, month, day), None, "{year}-{month}-{day}");
        }
    }
}
