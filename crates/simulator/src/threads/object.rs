//! The run object in each of its states, and the events of its stream. Must not know how they travel.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::json::{NULL, Node, list, object};
use crate::sse;
use crate::steering::{Ending, Steering, UsageShown};
use crate::text;
use crate::tokens::Usage;
use crate::world::Answered;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunStatus {
    Queued,
    InProgress,
    RequiresAction,
    Completed,
    Incomplete,
    Failed,
    Cancelled,
}

impl RunStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::RequiresAction => "requires_action",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress | Self::RequiresAction)
    }
}

/// A run, with what it will come to.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: String,
    /// Whose it is; nobody else finds it.
    pub(crate) organization: String,
    pub(crate) thread: String,
    pub(crate) created: i64,
    pub(crate) completed_at: Option<i64>,
    pub(crate) status: RunStatus,
    pub(crate) model: String,
    pub(crate) request: Arc<Value>,
    pub(crate) usage: Usage,
    pub(crate) shown: UsageShown,
    pub(crate) spoken: String,
    pub(crate) steering: Steering,
    pub(crate) ending: Ending,
    pub(crate) answered: Answered,
}

impl Run {
    /// The object; its usage is null until it has ended.
    pub(crate) fn node(&self) -> Node {
        let echo = |member| self.request.get(member).cloned().unwrap_or(Value::Null);
        object([
            ("id", (&self.id).into()),
            ("object", "thread.run".into()),
            ("created_at", self.created.into()),
            ("assistant_id", echo("assistant_id").into()),
            ("thread_id", (&self.thread).into()),
            ("status", self.status.as_str().into()),
            ("started_at", self.created.into()),
            ("expires_at", NULL),
            ("cancelled_at", NULL),
            ("failed_at", NULL),
            ("completed_at", self.completed_at.map_or(NULL, Into::into)),
            ("required_action", NULL),
            ("last_error", self.error()),
            ("model", (&self.model).into()),
            ("instructions", echo("instructions").into()),
            ("tools", list([])),
            ("metadata", object([])),
            ("incomplete_details", NULL),
            ("usage", self.usage_node()),
        ])
    }

    fn error(&self) -> Node {
        if self.status != RunStatus::Failed {
            return NULL;
        }
        object([
            ("code", "server_error".into()),
            ("message", "Sorry, something went wrong.".into()),
        ])
    }

    /// OpenAI spells the details of a run's input in the singular.
    fn usage_node(&self) -> Node {
        if !self.status.is_terminal() || self.status == RunStatus::Cancelled {
            return NULL;
        }
        match &self.shown {
            UsageShown::LeftOut => NULL,
            UsageShown::Raw(raw) => Node::Raw(raw.clone()),
            UsageShown::True => object([
                ("prompt_tokens", self.usage.input.into()),
                ("completion_tokens", self.usage.output.into()),
                ("total_tokens", self.usage.total().into()),
                (
                    "prompt_token_details",
                    object([("cached_tokens", self.usage.cached.into())]),
                ),
                (
                    "completion_tokens_details",
                    object([("reasoning_tokens", self.usage.reasoning.into())]),
                ),
            ]),
        }
    }

    /// The event that shows it.
    pub(crate) fn event(&self) -> Bytes {
        let name = format!("thread.run.{}", self.status.as_str());
        sse::named(&name, &self.node())
    }

    fn in_state(&self, status: RunStatus) -> Run {
        Run {
            status,
            completed_at: None,
            ..self.clone()
        }
    }

    /// The whole stream of a run that has ended: its usage in its step, again in itself, then `done`.
    pub(crate) fn events(&self, done: Bytes) -> Vec<Bytes> {
        let queued = self.in_state(RunStatus::Queued);
        let mut pieces = vec![
            sse::named("thread.run.created", &queued.node()),
            queued.event(),
            self.in_state(RunStatus::InProgress).event(),
            self.step("thread.run.step.created", "in_progress", NULL),
        ];
        for delta in text::deltas(&self.spoken, self.steering.chunks) {
            let value = object([("value", delta.into())]);
            let part = object([
                ("index", 0_u64.into()),
                ("type", "text".into()),
                ("text", value),
            ]);
            let message = object([
                ("id", self.id.replacen("run_", "msg_", 1).into()),
                ("object", "thread.message.delta".into()),
                ("delta", object([("content", list([part]))])),
            ]);
            pieces.push(sse::named("thread.message.delta", &message));
        }
        pieces.push(self.step("thread.run.step.completed", "completed", self.usage_node()));
        pieces.push(self.event());
        pieces.push(done);
        pieces
    }

    fn step(&self, name: &str, status: &'static str, usage: Node) -> Bytes {
        let step = object([
            ("id", self.id.replacen("run_", "step_", 1).into()),
            ("object", "thread.run.step".into()),
            ("run_id", (&self.id).into()),
            ("thread_id", (&self.thread).into()),
            ("type", "message_creation".into()),
            ("status", status.into()),
            ("usage", usage),
        ]);
        sse::named(name, &step)
    }
}
