//! What a client wrote down of a call: what it asked, what the answer's tags said, and what the look-up
//! said later.
//!
//! It must not know what is right, only how tags and look-ups are read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::http1::Headers;
use crate::raw::Answer;

/// What all our header names begin with.
const PREFIX: &str = "x-tollfree-";

/// What was said of a call: the tags by their names without prefix, all as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word(BTreeMap<String, String>);

impl Word {
    /// The tags of an answer.
    pub fn of_headers(headers: &Headers) -> Word {
        let tag = |(name, value): &(String, String)| {
            let name = name.to_ascii_lowercase();
            Some((name.strip_prefix(PREFIX)?.to_owned(), value.clone()))
        };
        Word(headers.0.iter().filter_map(tag).collect())
    }

    /// What a look-up answered; nothing if it found nothing.
    pub fn of_lookup(answer: &Answer) -> Option<Word> {
        if answer.status() != 200 {
            return None;
        }
        let object: Value = serde_json::from_slice(&answer.body.bytes).expect("JSON");
        let text = |(name, value): (&String, &Value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Array(words) => {
                    let words = words.iter().filter_map(Value::as_str);
                    words.collect::<Vec<_>>().join(",")
                }
                other => other.to_string(),
            };
            (name.clone(), text)
        };
        let members = object.as_object().expect("an object");
        Some(Word(members.iter().map(text).collect()))
    }

    /// A tag's text; nothing if it was left out.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| &**text)
    }

    /// A tag's number; nothing if it was left out.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The verdict.
    pub fn verdict(&self) -> &str {
        self.text("verdict").unwrap_or_default()
    }

    /// The set of assumptions, in one fixed order.
    pub fn assumes(&self) -> Vec<&str> {
        let words = self.text("assumes").unwrap_or_default().split(',');
        let mut words: Vec<_> = words
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        words.sort_unstable();
        words
    }

    /// Whether it is the last word: settled, not a forecast.
    pub fn is_settled(&self) -> bool {
        matches!(self.verdict(), "free" | "billed" | "unknown")
            && self.text("certainty") != Some("expected")
    }

    /// Whether it says of itself that it is not in the ledger yet.
    pub fn is_unrecorded(&self) -> bool {
        self.text("recorded") == Some("false")
    }
}

/// A call as its client saw it.
#[derive(Clone, Debug)]
pub struct Note {
    /// Our id of the call.
    pub call: String,
    /// The API key it was made with.
    pub key: &'static str,
    /// Tokens that the request's steering words made it take.
    pub tokens: u64,
    /// The status of the answer.
    pub status: u16,
    /// Its body came to the end that its framing promised.
    pub is_whole: bool,
    /// The tags of its head.
    pub head: Word,
    /// The last word on it: the head's where that was settled, else the look-up's.
    pub word: Option<Word>,
    /// From the request's last byte to the answer's last.
    pub took: Duration,
}

impl Note {
    /// Whether a client may rely on finding it in the ledger: the program's last word was given as recorded, or
    /// the answer came to its end.
    pub fn is_promised(&self) -> bool {
        if !(200..300).contains(&self.status) || self.head.verdict() == "none" {
            return false;
        }
        match &self.word {
            Some(word) => !word.is_unrecorded() && !self.head.is_unrecorded(),
            None => self.is_whole && !self.head.is_unrecorded(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Word;
    use crate::http1::Headers;

    fn word(lines: &[(&str, &str)]) -> Word {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Word::of_headers(&Headers(lines.iter().map(own).collect()))
    }

    #[test]
    fn tags_are_read_without_their_prefix_and_a_forecast_is_no_last_word() {
        let settled = word(&[
            ("X-Tollfree-Verdict", "free"),
            ("x-tollfree-certainty", "assumed"),
            ("x-tollfree-assumes", "unclean-stop,enrolment"),
            ("content-length", "12"),
        ]);
        assert!(settled.is_settled() && !settled.is_unrecorded());
        assert_eq!(settled.assumes(), ["enrolment", "unclean-stop"]);
        assert_eq!(settled.text("content-length"), None);
        let forecast = [
            ("x-tollfree-verdict", "free"),
            ("x-tollfree-certainty", "expected"),
        ];
        assert!(!word(&forecast).is_settled());
        assert!(!word(&[("x-tollfree-verdict", "none")]).is_settled());
        assert!(word(&[("x-tollfree-recorded", "false")]).is_unrecorded());
    }
}
