//! What the simulated model says: an answer text, an instance of a schema or a function's arguments,
//! cut to a length limit, and cut into deltas. Knows nothing of endpoints.

use serde_json::Value;

use crate::schema;
use crate::steering::{Ending, Steering};
use crate::tokens::{self, BYTES_PER_TOKEN, Usage};

/// What is said when nothing else is asked for.
const ANSWER: &str = "This is a simulated answer.";

/// Bytes of a delta when `[chunks N]` does not say otherwise, about a token's.
const DELTA_BYTES: usize = 5;

/// Deltas of one answer when `[chunks N]` does not say otherwise.
const MOST_DELTAS: usize = 512;

/// What to say, before any limit: filler of the asked length, an instance of the asked format, or the
/// usual words. `format` is `response_format` of a chat or `text.format` of a response.
pub(crate) fn answer(steering: &Steering, format: Option<&Value>) -> String {
    if let Some(bytes) = steering.bytes {
        return ANSWER
            .bytes()
            .chain([b' '])
            .cycle()
            .take(bytes)
            .map(char::from)
            .collect();
    }
    let kind = format.and_then(|format| format.get("type")?.as_str());
    match kind {
        Some("json_schema") => {
            let described = format
                .and_then(|format| format.get("json_schema"))
                .or(format);
            let schema = described.and_then(|described| described.get("schema"));
            schema.map_or_else(
                || "{}".to_owned(),
                |schema| schema::instance(schema).to_string(),
            )
        }
        Some("json_object") => r#"{"answer":"simulated"}"#.to_owned(),
        _ => ANSWER.to_owned(),
    }
}

/// What a function is called with.
pub(crate) fn arguments(parameters: Option<&Value>) -> String {
    parameters.map_or_else(
        || "{}".to_owned(),
        |parameters| schema::instance(parameters).to_string(),
    )
}

/// The text as far as a length limit allows, the ending that goes with it, and the usage of a call
/// that reads `input` tokens and answers `times` such texts.
pub(crate) fn limited(
    mut text: String,
    steering: &Steering,
    limit: Option<u64>,
    input: u64,
    times: u64,
) -> (String, Ending, Usage) {
    let mut ending = steering.ending;
    if let Some(limit) = limit
        && steering.tokens.output.is_none()
        && tokens::of_text(&text) > limit
    {
        let bytes = usize::try_from(limit.saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX);
        text.truncate(text.floor_char_boundary(bytes));
        if ending == Ending::Whole {
            ending = Ending::Incomplete;
        }
    }
    let counted = || tokens::of_text(&text).max(1).saturating_mul(times);
    let output = steering.tokens.output.unwrap_or_else(counted);
    let input = steering.tokens.input.unwrap_or(input);
    let usage = Usage {
        input,
        output,
        cached: steering.tokens.cached.min(input),
        reasoning: steering.tokens.reasoning.min(output),
    };
    (text, ending, usage)
}

/// The text cut into deltas at character boundaries: as many as asked for, if it has as many
/// characters.
pub(crate) fn deltas(text: &str, chunks: Option<usize>) -> Vec<&str> {
    let length = text.len();
    let count = chunks.unwrap_or_else(|| length.div_ceil(DELTA_BYTES).min(MOST_DELTAS));
    let cuts = (0..=count).map(|at| text.floor_char_boundary(at * length / count.max(1)));
    let cuts: Vec<usize> = cuts.collect();
    let pairs = cuts.iter().zip(cuts.iter().skip(1));
    pairs
        .filter_map(|(from, to)| text.get(*from..*to))
        .filter(|delta| !delta.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_make_up_the_text() {
        let text = "ein schöner Tag für 𝄞 und ü";
        for chunks in [None, Some(1), Some(3), Some(7), Some(1000)] {
            assert_eq!(deltas(text, chunks).concat(), text);
        }
        assert_eq!(deltas(ANSWER, Some(3)).len(), 3);
        assert!(deltas("", None).is_empty());
    }

    #[test]
    fn filler_has_the_asked_length() {
        let steering = Steering::read("[bytes 1000]");
        assert_eq!(answer(&steering, None).len(), 1000);
    }

    #[test]
    fn a_limit_cuts_the_text_and_the_usage() {
        let steering = Steering::default();
        let (text, ending, usage) = limited("abcdefghijkl".to_owned(), &steering, Some(2), 5, 1);
        assert_eq!((text.as_str(), ending), ("abcdefgh", Ending::Incomplete));
        assert_eq!((usage.input, usage.output), (5, 2));
    }

    #[test]
    fn steered_tokens_are_exact() {
        let steering = Steering::read("[tokens in=7 out=3 cached=9 reasoning=2]");
        let (_, ending, usage) = limited("abcdefghijkl".to_owned(), &steering, Some(1), 5, 4);
        assert_eq!(ending, Ending::Whole);
        assert_eq!(
            (usage.input, usage.output, usage.cached, usage.reasoning),
            (7, 3, 7, 2)
        );
    }
}
