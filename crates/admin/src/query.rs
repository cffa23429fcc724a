//! What a question is asked by: the part of a target after its question mark, read as browsers write it. Must not know any
//! answer.

use http::StatusCode;
use ledger::CallFilter;
use meter::{Certainty, Day, Reason, Verdict};
use percent_encoding::percent_decode_str;

use crate::api::Answer;
use crate::history::{MOST_DAYS, Wanted};

/// Days shown where no number is asked for.
const USUAL_DAYS: i32 = 30;
/// Calls shown where no number is asked for.
const USUAL_CALLS: usize = 50;

/// What calls are asked by.
pub(crate) const CALLS: &[&str] = &[
    "day",
    "verdict",
    "certainty",
    "organization",
    "model",
    "reason",
    "group",
    "search",
    "below",
    "above",
    "limit",
];

/// What each answer is asked by; `None`: one that looks at nothing.
pub(crate) fn names(answer: &str) -> Option<&'static [&'static str]> {
    match answer {
        "days" => Some(&["days", "organization"]),
        "calls" => Some(CALLS),
        "curve" => Some(&["organization", "group", "day"]),
        _ => None,
    }
}

/// The part of a target after its question mark.
pub(crate) struct Query<'q>(pub(crate) &'q str);

impl Query<'_> {
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(key, value)| *key == name && !value.is_empty())
            .map(|(_, value)| decoded(&value.replace('+', " ")))
            .next()
    }

    /// That nothing else is asked by: what is not read would be answered as if it had not been said. The token is the
    /// guard's.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), Answer> {
        let pairs = self.0.split('&').filter(|pair| !pair.is_empty());
        let mut asked = pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
        let odd = asked.find(|name| *name != "token" && !names.contains(name));
        odd.map_or(Ok(()), |odd| {
            let why = format!(
                "{} is not asked by here. help: known are {}",
                decoded(odd),
                names.join(", ")
            );
            Err(Answer::refusal(StatusCode::BAD_REQUEST, why))
        })
    }

    /// One of these words.
    fn word(&self, name: &str, words: &[&str]) -> Result<Option<String>, Answer> {
        let said = self.text(name);
        match &said {
            Some(word) if !words.contains(&word.as_str()) => {
                let words = words.join(", ");
                let why = format!("{name} is no such word: {word}. help: known are {words}");
                Err(Answer::refusal(StatusCode::BAD_REQUEST, why))
            }
            _ => Ok(said),
        }
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Answer> {
        self.text(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    Answer::refusal(
                        StatusCode::BAD_REQUEST,
                        format!("{name} is no number: {text}"),
                    )
                })
            })
            .transpose()
    }

    pub(crate) fn day(&self) -> Result<Option<Day>, Answer> {
        self.text("day")
            .map(|text| {
                let date: Option<jiff::civil::Date> = text.parse().ok();
                let day = date.and_then(|date| {
                    Day::of_date(
                        u16::try_from(date.year()).ok()?,
                        u8::try_from(date.month()).ok()?,
                        u8::try_from(date.day()).ok()?,
                    )
                });
                day.ok_or_else(|| {
                    let why = format!("day is no date: {text}. help: day=2026-11-21");
                    Answer::refusal(StatusCode::BAD_REQUEST, why)
                })
            })
            .transpose()
    }

    pub(crate) fn days(&self) -> Result<i32, Answer> {
        let days = self.number("days")?.unwrap_or(USUAL_DAYS);
        if (1..=MOST_DAYS).contains(&days) {
            return Ok(days);
        }
        let why = format!("days is 1 to {MOST_DAYS}");
        Err(Answer::refusal(StatusCode::BAD_REQUEST, why))
    }

    /// How many are wanted at most.
    pub(crate) fn limit(&self) -> Result<Option<usize>, Answer> {
        self.number("limit")
    }

    pub(crate) fn wanted(&self) -> Result<Wanted, Answer> {
        let day = self.day()?.map(|day| (day.number(), day.number()));
        Ok(Wanted {
            filter: CallFilter {
                days: day,
                counting: true,
                verdict: self.word("verdict", &Verdict::ALL.map(Verdict::as_str))?,
                certainty: self.word("certainty", &Certainty::ALL.map(Certainty::as_str))?,
                organization: self.text("organization"),
                model: self.text("model"),
                model_part: None,
                reason: self.word("reason", &Reason::ALL.map(Reason::as_str))?,
                group: self.text("group"),
                below: self.number("below")?,
                above: self.number("above")?,
                oldest_first: false,
                at_most: self.limit()?.unwrap_or(USUAL_CALLS),
            },
            search: self.text("search"),
        })
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_as_browsers_write_it() {
        let asked = Query("organization=a%26b+c&day=2026-11-21&limit=7&verdict=&search=gpt-5.4%2F");
        assert_eq!(asked.text("organization").as_deref(), Some("a&b c"));
        assert_eq!(asked.text("verdict"), None);
        assert_eq!(asked.text("search").as_deref(), Some("gpt-5.4/"));
        let wanted = asked.wanted().ok().unwrap();
        assert_eq!(wanted.filter.at_most, 7);
        let day = Day::of_date(2026, 11, 21).unwrap().number();
        assert_eq!(wanted.filter.days, Some((day, day)));
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%41"), "%zzA");
    }

    #[test]
    fn what_is_no_number_or_date_is_said() {
        for wrong in [
            "limit=many",
            "day=yesterday",
            "day=2026-02-30",
            "below=x",
            "verdict=freee",
            "certainty=sure",
            "reason=foo",
        ] {
            assert!(Query(wrong).wanted().is_err(), "{wrong}");
        }
        assert!(Query("verdikt=free").only(CALLS).is_err());
        assert!(Query("verdict=free&token=x&").only(CALLS).is_ok());
        assert!(Query("days=0").days().is_err());
        assert!(Query("days=9999").days().is_err());
        assert_eq!(Query("").days().ok(), Some(USUAL_DAYS));
    }
}
