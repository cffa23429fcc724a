//! `POST /v1/chat/completions`: one JSON object, or a stream of chunks that shows usage only if it was
//! asked for. Must not know how a call is billed.

pub(crate) mod stored;

use bytes::Bytes;
use serde_json::Value;

use crate::call::{self, Bought, Call, Playback};
use crate::errors::ApiError;
use crate::exchange::Reply;
use crate::json::{NULL, Node, list, object, object_of};
use crate::models::Kind;
use crate::request::{self, Conversation};
use crate::sse::{self, Padding};
use crate::steering::{Ending, Steering, UsageShown};
use crate::store::StoredChat;
use crate::text;
use crate::tokens::Usage;

const ENDPOINT: &str = "/v1/chat/completions";

/// Answers that one request can ask for with `n`.
const MOST_CHOICES: u64 = 128;

/// What the model says.
#[derive(Debug)]
enum Said {
    Text(String),
    Call {
        id: String,
        name: String,
        arguments: String,
    },
}

/// One chat completion before it is rendered.
#[derive(Debug)]
struct Completion {
    id: String,
    created: i64,
    model: String,
    tier: String,
    said: Said,
    choices: u64,
    ending: Ending,
    usage: Usage,
    shown: UsageShown,
    chunks: Option<usize>,
}

/// Answers a request.
pub(crate) async fn create(call: &Call, body: &Value) -> Result<Reply, ApiError> {
    let model = call::model(body, Kind::Chat)?;
    let messages = body.get("messages").filter(|messages| messages.is_array());
    let messages = messages.ok_or_else(|| ApiError::missing("messages"))?;
    let conversation = Conversation::of(messages);
    let steering = Steering::read(&conversation.steering_text());
    call.begin(&steering, &model).await?;
    let completion = complete(call, body, model, &conversation, &steering);
    let stream = request::is_true(body, "stream");
    let asked = request::stream_option(body, "include_usage") == Some(true);
    let answered = call.answered(&Bought {
        endpoint: ENDPOINT,
        model: &completion.model,
        service_tier: &completion.tier,
        response_id: &completion.id,
        usage: completion.usage,
        stream,
        asked_usage: stream && asked,
    });
    if stream {
        let padding = Padding::new(
            request::stream_option(body, "include_obfuscation"),
            &call.ids,
        );
        let (pieces, settle_before) = completion.pieces(&padding, asked);
        return Ok(call.stream(Playback {
            answered,
            pieces,
            settle_before,
            ending: if completion.ending == Ending::Failed {
                Ending::ErrorMidStream
            } else {
                completion.ending
            },
            error: vec![sse::data(&object([("error", server_error())]))],
            stored: None,
            background: false,
        }));
    }
    if matches!(completion.ending, Ending::Failed | Ending::ErrorMidStream) {
        return Err(ApiError::of_status(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            &completion.model,
            "",
        ));
    }
    call.settle(answered, completion.ending, false);
    let rendered = completion.node().pretty();
    if request::is_true(body, "store") {
        let chat = StoredChat {
            organization: call.identity.organization.clone(),
            body: rendered.clone(),
        };
        call.world.store.put_chat(&completion.id, chat);
    }
    let reply = call.json(rendered, completion.ending);
    Ok(reply.limited(completion.usage.input))
}

/// The error inside a stream whose head has said 200 already.
fn server_error() -> Node {
    object([
        (
            "message",
            "The server had an error while processing your request. Sorry about that!".into(),
        ),
        ("type", "server_error".into()),
        ("param", NULL),
        ("code", NULL),
    ])
}

fn complete(
    call: &Call,
    body: &Value,
    model: String,
    conversation: &Conversation<'_>,
    steering: &Steering,
) -> Completion {
    let mut ids = call.ids.part(2);
    let id = format!("chatcmpl-{}", ids.letters(29));
    let number = |member| body.get(member).and_then(Value::as_u64);
    let choices = number("n").unwrap_or(1).clamp(1, MOST_CHOICES);
    let limit = number("max_completion_tokens").or_else(|| number("max_tokens"));
    let input = conversation.tokens(&[body.get("tools"), body.get("response_format")]);
    let function = request::function_to_call(body, conversation, steering.call);
    let spoken = function.as_ref().map_or_else(
        || text::answer(steering, body.get("response_format")),
        |function| text::arguments(function.parameters),
    );
    // Half of a function's arguments are of no use to anybody: only texts are cut.
    let limit = limit.filter(|_| function.is_none());
    let (spoken, ending, usage) = text::limited(spoken, steering, limit, input, choices);
    let said = match function {
        None => Said::Text(spoken),
        Some(function) => Said::Call {
            id: format!("call_{}", ids.letters(24)),
            name: function.name.to_owned(),
            arguments: spoken,
        },
    };
    Completion {
        id,
        created: call.world.now(),
        model,
        tier: call::service_tier(body, steering),
        said,
        choices,
        ending,
        usage,
        shown: steering.usage.clone(),
        chunks: steering.chunks,
    }
}

/// The usage object of chat completions.
fn usage_node(usage: Usage) -> Node {
    object([
        ("prompt_tokens", usage.input.into()),
        ("completion_tokens", usage.output.into()),
        ("total_tokens", usage.total().into()),
        (
            "prompt_tokens_details",
            object([
                ("cached_tokens", usage.cached.into()),
                ("audio_tokens", 0_u64.into()),
            ]),
        ),
        (
            "completion_tokens_details",
            object([
                ("reasoning_tokens", usage.reasoning.into()),
                ("audio_tokens", 0_u64.into()),
                ("accepted_prediction_tokens", 0_u64.into()),
                ("rejected_prediction_tokens", 0_u64.into()),
            ]),
        ),
    ])
}

impl Completion {
    fn usage(&self) -> Option<Node> {
        match &self.shown {
            UsageShown::True => Some(usage_node(self.usage)),
            UsageShown::LeftOut => None,
            UsageShown::Raw(raw) => Some(Node::Raw(raw.clone())),
        }
    }

    fn finish_reason(&self) -> &'static str {
        match (&self.said, self.ending) {
            (Said::Call { .. }, _) => "tool_calls",
            (Said::Text(_), Ending::Incomplete) => "length",
            (Said::Text(_), _) => "stop",
        }
    }

    fn node(&self) -> Node {
        let message = match &self.said {
            Said::Text(text) => object([
                ("role", "assistant".into()),
                ("content", text.into()),
                ("refusal", NULL),
                ("annotations", list([])),
            ]),
            Said::Call {
                id,
                name,
                arguments,
            } => object([
                ("role", "assistant".into()),
                ("content", NULL),
                ("tool_calls", list([tool_call(None, id, name, arguments)])),
                ("refusal", NULL),
                ("annotations", list([])),
            ]),
        };
        let choices = (0..self.choices).map(|index| {
            object([
                ("index", index.into()),
                ("message", message.clone()),
                ("finish_reason", self.finish_reason().into()),
            ])
        });
        object_of([
            Some(("id", (&self.id).into())),
            Some(("object", "chat.completion".into())),
            Some(("created", self.created.into())),
            Some(("model", (&self.model).into())),
            Some(("choices", list(choices))),
            self.usage().map(|usage| ("usage", usage)),
            Some(("service_tier", (&self.tier).into())),
            Some(("system_fingerprint", NULL)),
        ])
    }

    /// The stream's pieces, and the one before which the call is settled: the usage chunk if usage was
    /// asked for, else the end.
    fn pieces(&self, padding: &Padding, asked: bool) -> (Vec<Bytes>, usize) {
        let mut chunks: Vec<(Node, Node)> = Vec::new();
        for deltas in self.deltas() {
            for index in 0..self.choices {
                chunks.push((choice(index, deltas.clone(), None), NULL));
            }
        }
        for index in 0..self.choices {
            let end = choice(index, object([]), Some(self.finish_reason()));
            chunks.push((end, NULL));
        }
        let before_usage = chunks.len();
        if let Some(usage) = self.usage().filter(|_| asked) {
            chunks.push((list([]), usage));
        }
        let rendered = chunks
            .into_iter()
            .enumerate()
            .map(|(at, (choices, usage))| {
                let mut members = vec![
                    ("id", Node::from(&self.id)),
                    ("object", "chat.completion.chunk".into()),
                    ("created", self.created.into()),
                    ("model", (&self.model).into()),
                    ("service_tier", (&self.tier).into()),
                    ("system_fingerprint", NULL),
                    ("choices", choices),
                ];
                if asked {
                    members.push(("usage", usage));
                }
                padding.chunk(at, members)
            });
        let mut pieces: Vec<Bytes> = rendered.collect();
        pieces.push(Bytes::from_static(sse::DONE));
        (pieces, before_usage)
    }

    /// The deltas of one choice, its role first.
    fn deltas(&self) -> Vec<Node> {
        let role = |content| {
            object([
                ("role", "assistant".into()),
                ("content", content),
                ("refusal", NULL),
            ])
        };
        match &self.said {
            Said::Text(text) => {
                let texts = text::deltas(text, self.chunks).into_iter();
                let texts = texts.map(|delta| object([("content", delta.into())]));
                std::iter::once(role("".into())).chain(texts).collect()
            }
            Said::Call {
                id,
                name,
                arguments,
            } => {
                let first = tool_call(Some(0), id, name, "");
                let parts = text::deltas(arguments, self.chunks)
                    .into_iter()
                    .map(|part| {
                        object([
                            ("index", 0_u64.into()),
                            ("function", object([("arguments", part.into())])),
                        ])
                    });
                let calls = std::iter::once(first).chain(parts);
                let calls = calls.map(|call| object([("tool_calls", list([call]))]));
                std::iter::once(role(NULL)).chain(calls).collect()
            }
        }
    }
}

fn choice(index: u64, delta: Node, finish_reason: Option<&str>) -> Node {
    list([object([
        ("index", index.into()),
        ("delta", delta),
        ("finish_reason", finish_reason.into()),
    ])])
}

fn tool_call(index: Option<u64>, id: &str, name: &str, arguments: &str) -> Node {
    object_of([
        index.map(|index| ("index", index.into())),
        Some(("id", id.into())),
        Some(("type", "function".into())),
        Some((
            "function",
            object([("name", name.into()), ("arguments", arguments.into())]),
        )),
    ])
}
