//! `POST /v1/embeddings`: vectors that are a function of their text, and a usage without output tokens.
//! Must not know how a call is billed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::call::{self, Bought, Call};
use crate::errors::ApiError;
use crate::exchange::Reply;
use crate::ids::Ids;
use crate::json::{Node, list, object, object_of};
use crate::models::Kind;
use crate::request;
use crate::steering::{Steering, UsageShown};
use crate::tokens::{self, Usage};

const ENDPOINT: &str = "/v1/embeddings";

/// Texts of one request.
const MOST_INPUTS: usize = 2048;

/// Numbers of one vector.
const MOST_DIMENSIONS: u64 = 3072;

/// Answers a request.
pub(crate) async fn create(call: &Call, body: &Value) -> Result<Reply, ApiError> {
    let model = call::model(body, Kind::Embeddings)?;
    let input = body
        .get("input")
        .ok_or_else(|| ApiError::missing("input"))?;
    let steering = Steering::read(&request::content_text(input));
    call.begin(&steering, &model).await?;
    let inputs = inputs(input);
    let counted: u64 = inputs.iter().map(|input| input_tokens(input)).sum();
    let usage = Usage {
        input: steering.tokens.input.unwrap_or(counted.max(1)),
        output: 0,
        cached: 0,
        reasoning: 0,
    };
    let answered = call.answered(&Bought {
        endpoint: ENDPOINT,
        model: &model,
        service_tier: &call::service_tier(body, &steering),
        response_id: &call.request_id,
        usage,
        stream: false,
        asked_usage: false,
    });
    call.settle(answered, steering.ending, false);
    let usage_shown = match steering.usage {
        UsageShown::True => Some(object([
            ("prompt_tokens", usage.input.into()),
            ("total_tokens", usage.total().into()),
        ])),
        UsageShown::LeftOut => None,
        UsageShown::Raw(raw) => Some(Node::Raw(raw)),
    };
    let dimensions = body.get("dimensions").and_then(Value::as_u64);
    let dimensions = dimensions.unwrap_or(if model.ends_with("-large") {
        3072
    } else {
        1536
    });
    let dimensions = dimensions.clamp(1, MOST_DIMENSIONS);
    let base64 = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = vector(input, dimensions);
        object([
            ("object", "embedding".into()),
            (
                "embedding",
                if base64 {
                    packed(&vector)
                } else {
                    plain(&vector)
                },
            ),
            ("index", index.into()),
        ])
    });
    let node = object_of([
        Some(("object", "list".into())),
        Some(("data", list(data))),
        Some(("model", model.into())),
        usage_shown.map(|usage| ("usage", usage)),
    ]);
    let mut reply = call.json(node.compact(), steering.ending);
    reply.limited_tokens = Some(usage.input);
    Ok(reply)
}

/// The inputs one by one: texts or lists of tokens.
fn inputs(input: &Value) -> Vec<&Value> {
    match input {
        Value::Array(items) if !items.first().is_some_and(Value::is_number) => {
            items.iter().take(MOST_INPUTS).collect()
        }
        one => vec![one],
    }
}

fn input_tokens(input: &Value) -> u64 {
    match input {
        Value::Array(tokens) => tokens.len() as u64,
        other => tokens::of_text(other.as_str().unwrap_or_default()),
    }
}

/// A vector of length about 1 that depends on the input alone.
fn vector(input: &Value, dimensions: u64) -> Vec<f32> {
    let mut hasher = DefaultHasher::new();
    input.to_string().hash(&mut hasher);
    let mut ids = Ids::new(hasher.finish());
    // Evenly spread numbers between -a and a have the mean square a²/3.
    let widest = (3.0 / f64::from(u32::try_from(dimensions).unwrap_or(1))).sqrt();
    (0..dimensions)
        .map(|_| {
            let spread = f64::from(u32::try_from(ids.number() >> 40).unwrap_or(0));
            let between = spread / f64::from(1_u32 << 23) - 1.0;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "embeddings are single precision"
            )]
            let number = (between * widest) as f32;
            number
        })
        .collect()
}

fn plain(vector: &[f32]) -> Node {
    list(vector.iter().map(|number| Node::from(f64::from(*number))))
}

fn packed(vector: &[f32]) -> Node {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    STANDARD.encode(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_depend_on_the_text_and_have_length_one() {
        let (one, other) = (Value::from("one"), Value::from("other"));
        assert_eq!(vector(&one, 64), vector(&one, 64));
        assert_ne!(vector(&one, 64), vector(&other, 64));
        let square: f32 = vector(&one, 1536)
            .iter()
            .map(|number| number * number)
            .sum();
        assert!((square - 1.0).abs() < 0.1, "{square}");
    }

    #[test]
    fn tokens_and_texts_are_inputs() {
        let count = |input: Value| inputs(&input).len();
        assert_eq!(count(serde_json::json!("a")), 1);
        assert_eq!(count(serde_json::json!(["a", "b"])), 2);
        assert_eq!(count(serde_json::json!([1, 2, 3])), 1);
        assert_eq!(count(serde_json::json!([[1, 2], [3]])), 2);
    }
}
