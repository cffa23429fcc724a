//! The calls of the demo's day: the offer's published example on a large model, many small calls beside it, and
//! some that are never free. Pure data; knows nothing of sockets.

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Responses, as JSON.
    Responses,
    /// Chat completions, as JSON.
    Chat,
    /// Chat completions, as a stream that does not ask for its usage.
    ChatStream,
    /// Embeddings: no tokens are free.
    Embeddings,
}

/// One call of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    /// Seconds after 00:00 UTC.
    pub(super) second: i64,
    pub(super) kind: Kind,
    /// The model asked for: an alias, as programs do.
    pub(super) model: &'static str,
    pub(super) input: u64,
    pub(super) output: u64,
}

/// The published example: minute of the day and tokens. The eighth call passes 1,000,000; two more follow it.
const EXAMPLE: [(i64, u64); 10] = [
    (9 * 60 + 15, 120_000),
    (12 * 60 + 40, 140_000),
    (14 * 60 + 30, 150_000),
    (16 * 60, 150_000),
    (18 * 60 + 5, 150_000),
    (20 * 60 + 20, 150_000),
    (22 * 60 + 15, 115_000),
    (23 * 60 + 10, 30_000),
    (23 * 60 + 12, 800),
    (23 * 60 + 40, 2_400),
];
const SMALL_CALLS: i64 = 299;
/// When an embedding is asked for: few of them, and none before the example has begun, which is what the day is about.
const EMBEDDINGS: [i64; 3] = [52_333, 66_333, 80_333];
const DAY_SECONDS: i64 = 86_400;

/// The whole day in the order of time.
pub(super) fn day() -> Vec<Planned> {
    let mut calls: Vec<Planned> = EXAMPLE
        .iter()
        .enumerate()
        .map(|(place, &(minute, tokens))| Planned {
            second: minute * 60,
            kind: if place % 3 == 1 {
                Kind::ChatStream
            } else {
                Kind::Responses
            },
            model: "gpt-5.6",
            input: tokens - tokens / 5,
            output: tokens / 5,
        })
        .collect();
    // Steps that share no factor with the moduli: lively numbers, the same on every run.
    calls.extend((0..SMALL_CALLS).map(|place| Planned {
        second: (place * 297 + 40) % DAY_SECONDS,
        kind: if place % 2 == 0 {
            Kind::Chat
        } else {
            Kind::ChatStream
        },
        model: if place % 3 == 0 {
            "gpt-5-mini"
        } else {
            "gpt-4o-mini"
        },
        input: 400 + (place.unsigned_abs() * 7_919) % 30_000,
        output: 20 + (place.unsigned_abs() * 104_729) % 4_000,
    }));
    calls.extend(EMBEDDINGS.iter().map(|&second| Planned {
        second,
        kind: Kind::Embeddings,
        model: "text-embedding-3-small",
        input: 800 + second.unsigned_abs() * 3 % 2_500,
        output: 0,
    }));
    calls.sort_by_key(|call| call.second);
    calls
}

impl Planned {
    /// Path under `/v1` and JSON body; the words in brackets tell the simulated OpenAI what the call takes.
    pub(super) fn request(&self) -> (&'static str, String) {
        let Planned {
            model,
            input,
            output,
            ..
        } = self;
        let text = format!("What does this cost? [tokens in={input} out={output}]");
        let (path, body) = match self.kind {
            Kind::Responses => (
                "/v1/responses",
                serde_json::json!({"model": model, "input": text}),
            ),
            Kind::Chat | Kind::ChatStream => (
                "/v1/chat/completions",
                serde_json::json!({
                    "model": model,
                    "messages": [{"role": "user", "content": text}],
                    "stream": self.kind == Kind::ChatStream,
                }),
            ),
            Kind::Embeddings => (
                "/v1/embeddings",
                serde_json::json!({"model": model, "input": text}),
            ),
        };
        (path, body.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_in_order_and_tells_the_published_example() {
        let day = day();
        assert_eq!(day.len(), 312);
        assert!(day.windows(2).all(|pair| pair[0].second <= pair[1].second));
        assert!(
            day.iter()
                .all(|call| (0..DAY_SECONDS).contains(&call.second))
        );
        let large: Vec<u64> = day
            .iter()
            .filter(|call| call.model == "gpt-5.6")
            .map(|call| call.input + call.output)
            .collect();
        assert_eq!(large[..8].iter().sum::<u64>(), 1_005_000);
    }
}
