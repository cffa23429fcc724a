//! Which UTC days are asked for. It must not know what is looked up on them.

use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::Args;
use meter::Day;

use super::desk::{NoAnswer, day_of_text};
use super::layout::grouped;

/// Days, as flags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Period {
    /// The last N days, today included (UTC)
    #[arg(long, value_name = "N", value_parser = number_of_days, conflicts_with_all = ["from", "to"])]
    pub(crate) days: Option<u16>,
    /// From this day, like 2026-11-20 (UTC)
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub(crate) from: Option<Day>,
    /// To this day, included [default: today]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub(crate) to: Option<Day>,
}

impl Period {
    /// First and last day, both included.
    ///
    /// # Errors
    /// The first comes after the last.
    pub(crate) fn days(&self, today: Day, usual: u16) -> Result<(Day, Day), NoAnswer> {
        let to = self.to.unwrap_or(today);
        let span = i32::from(self.days.unwrap_or(usual)) - 1;
        let from = self
            .from
            .unwrap_or_else(|| Day::of_number(to.number().saturating_sub(span)));
        if from > to {
            let why =
                format!("{from} is after {to}. help: --from the earlier day, --to the later one");
            return Err(NoAnswer::Asked(why));
        }
        Ok((from, to))
    }
}

/// A number of days as a flag.
pub(crate) fn number_of_days(text: &str) -> Result<u16, String> {
    within(text, 1..=u16::MAX)
}

/// A whole number within bounds as a flag.
pub(crate) fn within<T>(text: &str, bounds: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Copy + Into<u64>,
{
    let number = text.parse().ok();
    number
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let [least, most] =
                [bounds.start(), bounds.end()].map(|bound| grouped((*bound).into()));
            format!("a number from {least} to {most}")
        })
}

/// A day as a flag.
pub(crate) fn day(text: &str) -> Result<Day, String> {
    day_of_text(text).ok_or_else(|| "a day like 2026-11-20".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_back_from_the_last_one_and_today_is_one_of_them() {
        let date = |text| day(text).unwrap();
        let today = date("2026-11-21");
        let week = Period::default().days(today, 7).unwrap();
        assert_eq!(week, (date("2026-11-15"), today));
        let one = Period {
            days: Some(1),
            ..Period::default()
        };
        assert_eq!(one.days(today, 7).unwrap(), (today, today));
        let until = Period {
            to: Some(date("2026-11-01")),
            ..Period::default()
        };
        assert_eq!(
            until.days(today, 2).unwrap(),
            (date("2026-10-31"), date("2026-11-01"))
        );
        let backwards = Period {
            from: Some(date("2026-11-22")),
            ..Period::default()
        };
        let refused = backwards.days(today, 7).unwrap_err().to_string();
        assert!(
            refused.starts_with("2026-11-22 is after 2026-11-21"),
            "{refused}"
        );
        assert_eq!(number_of_days("365"), Ok(365));
        for wrong in ["0", "65536", "-1", "week"] {
            let form = Err("a number from 1 to 65,535".to_owned());
            assert_eq!(number_of_days(wrong), form, "{wrong}");
        }
        assert!(day("21.11.2026").is_err() && day("2026-02-30").is_err());
    }
}
