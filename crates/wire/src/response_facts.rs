//! What an answer says of itself beside its usage. It must not know framing, codings or streams.

use meter::Payer;

/// What was seen of an answer. Every text is at most 256 bytes and unescaped; a longer one is not
/// believed. Nothing here is to be trusted as a label: it is upstream's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// OpenAI's id of the response, completion or run.
    pub response_id: Option<Box<str>>,
    /// The model that answered, as the answer names it.
    pub model: Option<Box<str>>,
    /// The service tier that answered.
    pub service_tier: Option<Box<str>>,
    /// OpenAI's own word on who pays (`billing.payer`).
    pub payer: Option<Payer>,
    /// A hosted tool ran inside the call, by the items of `output` or by `tool_usage`.
    pub hosted_tool: bool,
    /// Decoded bytes of the body (JSON) or of the events' data (stream) seen.
    pub text_bytes: u64,
    /// The answer's own `status`.
    pub status: Option<Status>,
    /// When a background response or a run was completed, in Unix seconds.
    pub completed_at: Option<i64>,
}

/// The `status` of a Responses object or an assistants run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Accepted, not begun: a background response or a run.
    Queued,
    /// Under way.
    InProgress,
    /// A run that waits for the client's tool outputs.
    RequiresAction,
    /// Ended as asked.
    Completed,
    /// Ended at a limit.
    Incomplete,
    /// Ended by an error.
    Failed,
    /// Ended by the client's wish.
    Cancelled,
    /// Ended unfinished, too late.
    Expired,
}

impl Status {
    /// The status of OpenAI's word for it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "queued" => Self::Queued,
            "in_progress" | "cancelling" => Self::InProgress,
            "requires_action" => Self::RequiresAction,
            "completed" => Self::Completed,
            "incomplete" => Self::Incomplete,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            "expired" => Self::Expired,
            _ => return None,
        })
    }

    /// Whether the usage shown beside this status, if any, is the call's last word.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress | Self::RequiresAction)
    }
}
