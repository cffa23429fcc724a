//! `POST /v1/completions`, the legacy endpoint: usage without details, streams without padding, and a
//! `best_of` that bills every attempt. Must not know how a call is billed.

use bytes::Bytes;
use serde_json::Value;

use crate::call::{self, Bought, Call, Playback};
use crate::errors::ApiError;
use crate::exchange::Reply;
use crate::json::{NULL, Node, list, object, object_of};
use crate::models::Kind;
use crate::request;
use crate::sse;
use crate::steering::{Ending, Steering, UsageShown};
use crate::text;
use crate::tokens::{self, Usage};

const ENDPOINT: &str = "/v1/completions";

/// Tokens of an answer where the request sets no limit.
const DEFAULT_LIMIT: u64 = 16;

/// Answers that one request can ask for with `n` or `best_of`.
const MOST_CHOICES: u64 = 128;

/// One text completion before it is rendered.
#[derive(Debug)]
struct Completion {
    id: String,
    created: i64,
    model: String,
    text: String,
    choices: u64,
    ending: Ending,
    usage: Usage,
    shown: UsageShown,
    chunks: Option<usize>,
}

/// Answers a request.
pub(crate) async fn create(call: &Call, body: &Value) -> Result<Reply, ApiError> {
    let model = call::model(body, Kind::Completions)?;
    let prompt = body
        .get("prompt")
        .map(request::content_text)
        .unwrap_or_default();
    let steering = Steering::read(&prompt);
    call.begin(&steering, &model).await?;
    let completion = complete(call, body, model, &prompt, &steering);
    let stream = request::is_true(body, "stream");
    let asked = request::stream_option(body, "include_usage") == Some(true);
    let answered = call.answered(&Bought {
        endpoint: ENDPOINT,
        model: &completion.model,
        service_tier: &call::service_tier(body, &steering),
        response_id: &completion.id,
        usage: completion.usage,
        stream,
        asked_usage: stream && asked,
    });
    let failed = matches!(completion.ending, Ending::Failed | Ending::ErrorMidStream);
    let internal = || {
        let status = http::StatusCode::INTERNAL_SERVER_ERROR;
        ApiError::of_status(status, &completion.model, "")
    };
    let mut reply = if stream {
        let (pieces, settle_before) = completion.pieces(asked);
        call.stream(Playback {
            answered,
            pieces,
            settle_before,
            ending: if failed {
                Ending::ErrorMidStream
            } else {
                completion.ending
            },
            error: vec![sse::data(&object([("error", internal().node())]))],
            stored: None,
            background: false,
        })
    } else if failed {
        return Err(internal());
    } else {
        call.settle(answered, completion.ending, false);
        call.json(completion.node().pretty(), completion.ending)
    };
    reply.model = Some(completion.model);
    Ok(reply.limited(completion.usage.input))
}

fn complete(
    call: &Call,
    body: &Value,
    model: String,
    prompt: &str,
    steering: &Steering,
) -> Completion {
    let number = |member| body.get(member).and_then(Value::as_u64);
    let choices = number("n").unwrap_or(1).clamp(1, MOST_CHOICES);
    let attempts = number("best_of").unwrap_or(1).clamp(choices, MOST_CHOICES);
    let limit = number("max_tokens").unwrap_or(DEFAULT_LIMIT);
    let said = text::answer(steering, None);
    let input = tokens::of_text(prompt).max(1);
    let (text, ending, usage) = text::limited(said, steering, Some(limit), input, attempts);
    Completion {
        id: format!("cmpl-{}", call.ids.part(2).letters(29)),
        created: call.world.now(),
        model,
        text,
        choices,
        ending,
        usage,
        shown: steering.usage.clone(),
        chunks: steering.chunks,
    }
}

impl Completion {
    fn usage(&self) -> Option<Node> {
        match &self.shown {
            UsageShown::True => Some(object([
                ("prompt_tokens", self.usage.input.into()),
                ("completion_tokens", self.usage.output.into()),
                ("total_tokens", self.usage.total().into()),
            ])),
            UsageShown::LeftOut => None,
            UsageShown::Raw(raw) => Some(Node::Raw(raw.clone())),
        }
    }

    fn finish_reason(&self) -> &'static str {
        if self.ending == Ending::Incomplete {
            "length"
        } else {
            "stop"
        }
    }

    fn node(&self) -> Node {
        let choices =
            (0..self.choices).map(|index| choice(index, &self.text, Some(self.finish_reason())));
        object_of([
            Some(("id", (&self.id).into())),
            Some(("object", "text_completion".into())),
            Some(("created", self.created.into())),
            Some(("model", (&self.model).into())),
            Some(("choices", list(choices))),
            self.usage().map(|usage| ("usage", usage)),
        ])
    }

    /// The stream's pieces, and the one before which the call is settled.
    fn pieces(&self, asked: bool) -> (Vec<Bytes>, usize) {
        let chunk = |choices: Node, usage: Node| {
            let node = object_of([
                Some(("id", Node::from(&self.id))),
                Some(("object", "text_completion".into())),
                Some(("created", self.created.into())),
                Some(("choices", choices)),
                Some(("model", (&self.model).into())),
                asked.then_some(("usage", usage)),
            ]);
            sse::data(&node)
        };
        let mut pieces = Vec::new();
        let deltas = text::deltas(&self.text, self.chunks);
        for (at, delta) in deltas.iter().enumerate() {
            let last = at + 1 == deltas.len();
            for index in 0..self.choices {
                let reason = last.then(|| self.finish_reason());
                pieces.push(chunk(list([choice(index, delta, reason)]), NULL));
            }
        }
        let before_usage = pieces.len();
        if let Some(usage) = self.usage().filter(|_| asked) {
            pieces.push(chunk(list([]), usage));
        }
        pieces.push(Bytes::from_static(sse::DONE));
        (pieces, before_usage)
    }
}

fn choice(index: u64, text: &str, finish_reason: Option<&str>) -> Node {
    object([
        ("text", text.into()),
        ("index", index.into()),
        ("logprobs", NULL),
        ("finish_reason", finish_reason.into()),
    ])
}
