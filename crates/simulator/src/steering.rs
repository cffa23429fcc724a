//! Steering words: what a test writes into the text of its message to drive the answer, e.g.
//! `[tokens in=120000 out=34]`. Parses text alone; knows nothing of requests or answers.

use std::time::Duration;

use http::StatusCode;
use serde_json::value::RawValue;

/// The steering words, as `--help` and the README list them.
pub const STEERING_WORDS: &str = "\
Steering words, in the text of the last user message (chat, responses), the prompt (completions)
or the input (embeddings):
  [tokens in=120000 out=34]   the usage, exactly; also cached=N (among in) and reasoning=N (among out)
  [bytes N]                   an answer text of N bytes
  [chunks N]                  the answer text in N deltas of a stream
  [delay MS]                  wait before the head of the answer (besides --latency-ms)
  [tier flex]                 the service tier that the answer names and the bill goes by
  [call]                      call the first function tool of the request
  [tool web_search]           run a hosted tool (Responses only): web_search, file_search, code_interpreter
  [incomplete]                the answer ends at its length limit
  [failed]                    a response of status `failed`, with usage (Responses; else as the next)
  [error mid-stream]          half of the stream, then OpenAI's error event; without stream a 500
  [status 429]                this HTTP error, in OpenAI's words; nothing is billed
  [break]                     half of the answer, then a connection reset
  [truncate]                  half of the answer, then an end as if it were whole
  [no usage]                  the usage is left out (Responses: null); it is billed all the same
  [usage \"RAW\"]               RAW as the usage value: a JSON string whose content is put in as it is,
                              JSON or not; any other JSON value is put in itself
Request header `x-simulator-id: N` fixes the ids of the answer (with --seed): the same request with
the same N is answered with the same bytes, `stream_options` aside.";

/// How the answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ending {
    #[default]
    Whole,
    Incomplete,
    Failed,
    ErrorMidStream,
    Break,
    Truncate,
}

/// What becomes of the usage in the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum UsageShown {
    #[default]
    True,
    LeftOut,
    Raw(String),
}

/// `[tokens in=.. out=.. cached=.. reasoning=..]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tokens {
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) cached: u64,
    pub(crate) reasoning: u64,
}

/// All that a text steers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Steering {
    pub(crate) tokens: Tokens,
    pub(crate) bytes: Option<usize>,
    pub(crate) chunks: Option<usize>,
    pub(crate) delay: Duration,
    pub(crate) tier: Option<String>,
    pub(crate) call: bool,
    pub(crate) hosted_tools: Vec<String>,
    pub(crate) ending: Ending,
    pub(crate) status: Option<StatusCode>,
    pub(crate) usage: UsageShown,
}

/// Bytes of an answer text that `[bytes N]` can ask for.
pub(crate) const MOST_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Deltas that `[chunks N]` can ask for.
pub(crate) const MOST_CHUNKS: usize = 100_000;

/// Hosted tools that one text can ask for.
const MOST_HOSTED_TOOLS: usize = 64;

impl Steering {
    /// Reads all steering words in `text`; what is none stays text.
    pub(crate) fn read(text: &str) -> Self {
        let mut steering = Self::default();
        let mut rest = text;
        while let Some(open) = rest.find('[') {
            rest = rest.get(open + 1..).unwrap_or_default();
            if let Some(raw) = rest.strip_prefix("usage ") {
                if let Some(usage) = raw_usage(raw) {
                    steering.usage = UsageShown::Raw(usage);
                }
            } else if let Some((word, _)) = rest.split_once(']') {
                steering.word(word);
            }
        }
        steering
    }

    fn word(&mut self, word: &str) {
        let (name, value) = word.split_once(' ').unwrap_or((word, ""));
        match (name, value) {
            ("tokens", values) => self.tokens(values),
            ("bytes", value) => {
                self.bytes = value.parse().ok().map(|n: usize| n.min(MOST_ANSWER_BYTES));
            }
            ("chunks", value) => {
                self.chunks = value.parse().ok().map(|n: usize| n.clamp(1, MOST_CHUNKS));
            }
            ("delay", value) => {
                self.delay = Duration::from_millis(value.parse().unwrap_or_default());
            }
            ("tier", tier) if !tier.is_empty() => self.tier = Some(tier.to_owned()),
            ("call", "") => self.call = true,
            ("tool", tool) if self.hosted_tools.len() < MOST_HOSTED_TOOLS => {
                self.hosted_tools.push(tool.to_owned());
            }
            ("incomplete", "") => self.ending = Ending::Incomplete,
            ("failed", "") => self.ending = Ending::Failed,
            ("error", "mid-stream") => self.ending = Ending::ErrorMidStream,
            ("break", "") => self.ending = Ending::Break,
            ("truncate", "") => self.ending = Ending::Truncate,
            ("status", value) => {
                let status = value
                    .parse()
                    .ok()
                    .filter(|status| (400..600).contains(status));
                self.status = status.and_then(|status| StatusCode::from_u16(status).ok());
            }
            ("no", "usage") => self.usage = UsageShown::LeftOut,
            _ => {}
        }
    }

    fn tokens(&mut self, values: &str) {
        for value in values.split_whitespace() {
            let Some((name, number)) = value.split_once('=') else {
                continue;
            };
            let Ok(number) = number.parse() else {
                continue;
            };
            match name {
                "in" => self.tokens.input = Some(number),
                "out" => self.tokens.output = Some(number),
                "cached" => self.tokens.cached = number,
                "reasoning" => self.tokens.reasoning = number,
                _ => {}
            }
        }
    }
}

/// The value of `[usage VALUE]`, if a JSON value and `]` follow.
fn raw_usage(text: &str) -> Option<String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?.get();
    let after = text.get(values.byte_offset()..)?;
    if !after.starts_with(']') {
        return None;
    }
    Some(serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_among_text() {
        let steering = Steering::read(
            "hi [there] [tokens in=120000 out=34 cached=5 reasoning=7 x=1][tier flex] [call] \
             [tool web_search][tool file_search] [chunks 3] [bytes 100] [delay 20] [break] [x",
        );
        let expected = Steering {
            tokens: Tokens {
                input: Some(120_000),
                output: Some(34),
                cached: 5,
                reasoning: 7,
            },
            bytes: Some(100),
            chunks: Some(3),
            delay: Duration::from_millis(20),
            tier: Some("flex".to_owned()),
            call: true,
            hosted_tools: vec!["web_search".to_owned(), "file_search".to_owned()],
            ending: Ending::Break,
            status: None,
            usage: UsageShown::True,
        };
        assert_eq!(steering, expected);
    }

    #[test]
    fn statuses_are_errors_only() {
        let status = |text| Steering::read(text).status.map(|status| status.as_u16());
        assert_eq!(status("[status 429]"), Some(429));
        assert_eq!(status("[status 200]"), None);
        assert_eq!(status("[status x]"), None);
    }

    #[test]
    fn a_hostile_usage_is_put_in_as_it_is() {
        let usage = |text| Steering::read(text).usage;
        let raw = |raw: &str| UsageShown::Raw(raw.to_owned());
        assert_eq!(usage(r#"[usage {"a":[1]}]"#), raw(r#"{"a":[1]}"#));
        assert_eq!(usage(r#"[usage "1e999, ]"]"#), raw("1e999, ]"));
        assert_eq!(usage(r#"[usage "\"12\""] "#), raw("\"12\""));
        assert_eq!(usage("[usage -3]"), raw("-3"));
        assert_eq!(usage("[usage nonsense]"), UsageShown::True);
        assert_eq!(usage("[no usage]"), UsageShown::LeftOut);
    }

    #[test]
    fn limits_hold() {
        let steering = Steering::read("[bytes 99999999999] [chunks 0]");
        assert_eq!(steering.bytes, Some(MOST_ANSWER_BYTES));
        assert_eq!(steering.chunks, Some(1));
    }
}
