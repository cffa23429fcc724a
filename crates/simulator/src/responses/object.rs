//! The Response object: its fields, in OpenAI's order, in each of its states. Must not know how it
//! travels.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::bill::Payer;
use crate::json::{NULL, Node, list, object, object_of};
use crate::steering::UsageShown;
use crate::tokens::Usage;

/// How far a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Queued,
    InProgress,
    Completed,
    Incomplete,
    Failed,
    Cancelled,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress)
    }
}

/// One item of the output.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Reasoning {
        id: String,
    },
    Hosted {
        id: String,
        tool: String,
    },
    Message {
        id: String,
        text: String,
    },
    Function {
        id: String,
        call_id: String,
        name: String,
        arguments: String,
    },
}

/// A response, whole.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) id: String,
    /// Whose it is; nobody else finds it.
    pub(crate) organization: String,
    pub(crate) created: i64,
    pub(crate) completed_at: Option<i64>,
    pub(crate) status: Status,
    pub(crate) background: bool,
    pub(crate) model: String,
    pub(crate) tier: String,
    pub(crate) request: Arc<Value>,
    pub(crate) output: Vec<Item>,
    pub(crate) usage: Usage,
    pub(crate) shown: UsageShown,
    /// Shown if known.
    pub(crate) payer: Option<Payer>,
}

impl Response {
    /// The response before anything is generated, as the first events of a stream show it.
    pub(crate) fn begun(&self, status: Status) -> Self {
        Self {
            completed_at: None,
            status,
            tier: "auto".to_owned(),
            output: Vec::new(),
            shown: UsageShown::LeftOut,
            payer: None,
            ..self.clone()
        }
    }

    /// The response as the answer to a background request shows it.
    pub(crate) fn queued(&self) -> Self {
        self.begun(Status::Queued)
    }

    /// Whether it can be asked for again; the default is yes.
    pub(crate) fn stored(&self) -> bool {
        self.background || self.request.get("store").and_then(Value::as_bool) != Some(false)
    }

    /// The hosted tools that ran.
    pub(crate) fn hosted_tools(&self) -> impl Iterator<Item = &str> {
        self.output.iter().filter_map(|item| match item {
            Item::Hosted { tool, .. } => Some(tool.as_str()),
            _ => None,
        })
    }

    /// The value of `usage`.
    pub(crate) fn usage_node(&self) -> Node {
        match &self.shown {
            UsageShown::LeftOut => NULL,
            UsageShown::Raw(raw) => Node::Raw(raw.clone()),
            UsageShown::True => object([
                ("input_tokens", self.usage.input.into()),
                (
                    "input_tokens_details",
                    object([
                        ("cache_write_tokens", 0_u64.into()),
                        ("cached_tokens", self.usage.cached.into()),
                    ]),
                ),
                ("output_tokens", self.usage.output.into()),
                (
                    "output_tokens_details",
                    object([("reasoning_tokens", self.usage.reasoning.into())]),
                ),
                ("total_tokens", self.usage.total().into()),
            ]),
        }
    }

    /// A member of the request shown again, or its default.
    fn echo(&self, member: &'static str, default: Value) -> (&'static str, Node) {
        let asked = self.request.get(member).filter(|value| !value.is_null());
        (member, asked.cloned().unwrap_or(default).into())
    }

    fn error(&self) -> Node {
        if self.status != Status::Failed {
            return NULL;
        }
        object([
            ("code", "server_error".into()),
            (
                "message",
                "An error occurred while processing your request.".into(),
            ),
        ])
    }

    fn incomplete_details(&self) -> Node {
        if self.status != Status::Incomplete {
            return NULL;
        }
        object([("reason", "max_output_tokens".into())])
    }

    fn text(&self) -> Value {
        let asked = |member| self.request.get("text")?.get(member).cloned();
        json!({
            "format": asked("format").unwrap_or_else(|| json!({"type": "text"})),
            "verbosity": asked("verbosity").unwrap_or_else(|| json!("medium")),
        })
    }

    fn reasoning(&self) -> Value {
        let asked = |member| self.request.get("reasoning")?.get(member).cloned();
        json!({
            "context": "current_turn",
            "effort": asked("effort").unwrap_or_else(|| json!("medium")),
            "mode": "standard",
            "summary": asked("summary"),
        })
    }

    /// The whole object.
    pub(crate) fn node(&self) -> Node {
        let billing = self
            .payer
            .map(|payer| object([("payer", payer.as_str().into())]));
        object_of([
            Some(("id", (&self.id).into())),
            Some(("object", "response".into())),
            Some(("created_at", self.created.into())),
            Some(("status", self.status.as_str().into())),
            Some(("background", self.background.into())),
            billing.map(|billing| ("billing", billing)),
            Some(("completed_at", self.completed_at.into())),
            Some(("error", self.error())),
            Some(self.echo("frequency_penalty", json!(0.0))),
            Some(("incomplete_details", self.incomplete_details())),
            Some(self.echo("instructions", Value::Null)),
            Some(self.echo("max_output_tokens", Value::Null)),
            Some(self.echo("max_tool_calls", Value::Null)),
            Some(("model", (&self.model).into())),
            Some(("moderation", NULL)),
            Some((
                "output",
                list(self.output.iter().map(|item| item.node(self.status))),
            )),
            Some(self.echo("parallel_tool_calls", json!(true))),
            Some(self.echo("presence_penalty", json!(0.0))),
            Some(self.echo("previous_response_id", Value::Null)),
            self.request
                .get("prompt")
                .map(|prompt| ("prompt", prompt.clone().into())),
            Some(self.echo("prompt_cache_key", Value::Null)),
            Some(self.echo("prompt_cache_retention", json!("in_memory"))),
            Some(("reasoning", self.reasoning().into())),
            Some(self.echo("safety_identifier", Value::Null)),
            Some(("service_tier", (&self.tier).into())),
            Some(("store", self.stored().into())),
            Some(self.echo("temperature", json!(1.0))),
            Some(("text", self.text().into())),
            Some(self.echo("tool_choice", json!("auto"))),
            Some(("tool_usage", self.tool_usage())),
            Some(self.echo("tools", json!([]))),
            Some(self.echo("top_logprobs", json!(0))),
            Some(self.echo("top_p", json!(1.0))),
            Some(self.echo("truncation", json!("disabled"))),
            Some(("usage", self.usage_node())),
            Some(self.echo("user", Value::Null)),
            Some(self.echo("metadata", json!({}))),
        ])
    }

    /// What the hosted tools took beside the usage.
    fn tool_usage(&self) -> Node {
        let searches = self
            .hosted_tools()
            .filter(|tool| *tool == "web_search")
            .count();
        let details = || {
            object([
                ("image_tokens", 0_u64.into()),
                ("text_tokens", 0_u64.into()),
            ])
        };
        object([
            (
                "image_gen",
                object([
                    ("input_tokens", 0_u64.into()),
                    ("input_tokens_details", details()),
                    ("output_tokens", 0_u64.into()),
                    ("output_tokens_details", details()),
                    ("total_tokens", 0_u64.into()),
                ]),
            ),
            ("web_search", object([("num_requests", searches.into())])),
        ])
    }
}

/// The one part of a message.
pub(crate) fn part(text: &str) -> Node {
    object([
        ("type", "output_text".into()),
        ("annotations", list([])),
        ("logprobs", list([])),
        ("text", text.into()),
    ])
}

impl Item {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Reasoning { id }
            | Self::Hosted { id, .. }
            | Self::Message { id, .. }
            | Self::Function { id, .. } => id,
        }
    }

    /// The item in a response of this status.
    pub(crate) fn node(&self, response: Status) -> Node {
        let status = match response {
            Status::InProgress => "in_progress",
            Status::Incomplete => "incomplete",
            _ => "completed",
        };
        let begun = response != Status::InProgress;
        match self {
            Self::Reasoning { id } => object([
                ("id", id.into()),
                ("type", "reasoning".into()),
                ("content", list([])),
                ("summary", list([])),
            ]),
            Self::Hosted { id, tool } => hosted(id, tool, if begun { "completed" } else { status }),
            Self::Message { id, text } => object([
                ("id", id.into()),
                ("type", "message".into()),
                ("status", status.into()),
                ("content", list(begun.then(|| part(text)))),
                ("role", "assistant".into()),
            ]),
            Self::Function {
                id,
                call_id,
                name,
                arguments,
            } => object([
                ("id", id.into()),
                ("type", "function_call".into()),
                ("status", status.into()),
                (
                    "arguments",
                    if begun { arguments.into() } else { "".into() },
                ),
                ("call_id", call_id.into()),
                ("name", name.into()),
            ]),
        }
    }
}

fn hosted(id: &str, tool: &str, status: &str) -> Node {
    let rest: [(&'static str, Value); 2] = match tool {
        "web_search" => [
            (
                "action",
                json!({"type": "search", "queries": ["simulated"], "query": "simulated"}),
            ),
            ("error", Value::Null),
        ],
        "file_search" => [("queries", json!(["simulated"])), ("results", Value::Null)],
        "code_interpreter" => [
            ("code", json!("print(1)")),
            ("container_id", json!("cntr_simulated")),
        ],
        _ => [("error", Value::Null), ("output", Value::Null)],
    };
    let [first, second] = rest.map(|(name, value)| (name, Node::from(value)));
    let second = (tool != "web_search").then_some(second);
    object_of([
        Some(("id", id.into())),
        Some(("type", format!("{tool}_call").into())),
        Some(("status", status.into())),
        Some(first),
        second,
    ])
}
