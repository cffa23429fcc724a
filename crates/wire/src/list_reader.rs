//! Looks on while a list of earlier calls passes, and says at its end what each of them showed. It must not know HTTP,
//! clocks or verdicts, and never changes or delays a byte.

use crate::decoders::Decoders;
use crate::json_scan::Scanner;
use crate::response_facts::Facts;
use crate::response_reader::{Outcome, outcome_of_object};
use crate::response_tree::{self, Tag};
use crate::{Coding, Metered, Missing, Reading, Reported};
use meter::Reason;

/// Calls of one list that are looked at; OpenAI shows at most 100 on a page.
pub const MOST_LISTED: usize = 256;

/// Reads one page of a list: stored chat completions, the runs of a thread.
pub struct ListReader {
    scanner: Scanner<Tag>,
    decoders: Decoders,
    items: Items,
    /// The coding is broken or over its budget, or the list is no JSON: nothing of it is believed.
    is_unreadable: bool,
}

struct Items {
    endpoint: Metered,
    /// The item under way.
    facts: Facts,
    read: Vec<Reading>,
}

impl ListReader {
    /// A reader for a list of calls of `endpoint`, encoded as `codings` say.
    #[must_use]
    pub fn new(endpoint: Metered, codings: &[Coding]) -> Self {
        Self {
            scanner: Scanner::new(response_tree::of_list(endpoint)),
            decoders: Decoders::new(codings),
            items: Items {
                endpoint,
                facts: Facts::default(),
                read: Vec::new(),
            },
            is_unreadable: false,
        }
    }

    /// Looks at the next bytes as they pass.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_unreadable {
            return;
        }
        let (scanner, items) = (&mut self.scanner, &mut self.items);
        let decoded = self
            .decoders
            .push(bytes, |bytes| items.push(scanner, bytes));
        self.is_unreadable = decoded.is_err();
    }

    /// Whether the end of the list was seen.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.scanner.is_done()
    }

    /// What each call of a list that ended whole showed, in its order; nothing of any other.
    #[must_use]
    pub fn finish(mut self) -> Vec<Reading> {
        if !self.ended() && !self.is_unreadable {
            let (scanner, items) = (&mut self.scanner, &mut self.items);
            let decoded = self.decoders.finish(|bytes| items.push(scanner, bytes));
            self.is_unreadable = decoded.is_err();
        }
        let is_whole = self.scanner.finish(|_| {}).is_ok() && !self.is_unreadable;
        if is_whole {
            self.items.read
        } else {
            Vec::new()
        }
    }
}

impl Items {
    fn push(&mut self, scanner: &mut Scanner<Tag>, bytes: &[u8]) {
        // An error stays with the scanner, and is asked for at the end.
        let _ = scanner.push(bytes, |found| match found.tag {
            Tag::Item => self.end(),
            _ => self.facts.take(&found),
        });
    }

    fn end(&mut self) {
        let facts = std::mem::take(&mut self.facts);
        if self.read.len() == MOST_LISTED {
            return;
        }
        let why = match outcome_of_object(self.endpoint, &facts) {
            Outcome::Usage(usage) => {
                let seen = facts.seen;
                self.read.push(Reading::Reported(Reported { usage, seen }));
                return;
            }
            Outcome::Error => Reason::ErrorResponse,
            Outcome::Odd | Outcome::Nothing | Outcome::Unreadable => Reason::UsageMissing,
        };
        let seen = facts.seen;
        self.read.push(Reading::Missing(Missing { why, seen }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: &str = r#"{"object":"list","data":[
        {"id":"run_3","object":"thread.run","status":"in_progress","usage":null},
        {"id":"run_2","object":"thread.run","status":"completed","model":"gpt-4o","usage":{"prompt_tokens":381,"completion_tokens":89,"total_tokens":470,"prompt_token_details":{"cached_tokens":12}}},
        7,
        {"id":"run_1","object":"thread.run","status":"expired","usage":null},
        {"id":"step_1","object":"thread.run.step","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}],
        "first_id":"run_3","usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18},"has_more":false}"#;

    fn read(text: &str, codings: &[Coding], step: usize) -> Vec<(Option<Box<str>>, Option<u64>)> {
        let mut reader = ListReader::new(Metered::ThreadRuns, codings);
        for piece in text.as_bytes().chunks(step) {
            reader.push(piece);
        }
        let read = reader.finish().into_iter().map(|reading| match reading {
            Reading::Reported(reported) => {
                (reported.seen.response_id, Some(reported.usage.tokens()))
            }
            Reading::Missing(missing) => (missing.seen.response_id, None),
        });
        read.collect()
    }

    #[test]
    fn each_call_is_read_by_itself_at_any_cut() {
        let id = |id: &str| Some(id.into());
        let expected = vec![
            (id("run_3"), None),
            (id("run_2"), Some(470)),
            (None, None),
            (id("run_1"), None),
            (id("step_1"), None),
        ];
        for step in [1, 7, 100_000] {
            assert_eq!(read(RUNS, &[], step), expected, "{step}");
        }
    }

    #[test]
    fn a_list_that_is_not_whole_shows_nothing() {
        for end in [0, 1, 200, RUNS.len() - 1] {
            assert_eq!(read(&RUNS[..end], &[], 64), [], "{end}");
        }
        assert_eq!(read(RUNS, &[Coding::Gzip], 64), []);
        assert_eq!(read(&format!("{RUNS}x"), &[], 64), []);
    }

    #[test]
    fn no_more_are_kept_than_the_limit() {
        let item = r#"{"id":"run","object":"thread.run"}"#;
        let items = vec![item; MOST_LISTED + 1].join(",");
        let list = format!(r#"{{"data":[{items}]}}"#);
        assert_eq!(read(&list, &[], 4096).len(), MOST_LISTED);
    }
}
