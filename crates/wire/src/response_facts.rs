//! What an answer says of itself beside its usage. It must not know framing, codings or streams.

use meter::Payer;

use crate::json_scan::Found;
use crate::json_text::{integer, plain, short_text};
use crate::request_reader::is_hosted_tool;
use crate::response_tree::Tag;
use crate::usage::UsageFields;

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

/// The `type` of an event, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum EventKind {
    #[default]
    Other,
    /// The last event of a Responses stream.
    ResponseEnd,
    /// The last event of an image or speech stream.
    MediaEnd,
    Error,
}

impl EventKind {
    fn named(name: &str) -> Self {
        match name {
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => Self::ResponseEnd,
            "image_generation.completed" | "image_edit.completed" | "speech.audio.done" => {
                Self::MediaEnd
            }
            "error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// What one JSON document, an answer or an event's data, says.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, in any combination"
)]
pub(crate) struct Facts {
    pub(crate) seen: Seen,
    pub(crate) usage: UsageFields,
    pub(crate) kind: EventKind,
    /// It has a Responses object inside: an event that repeats the whole answer.
    pub(crate) has_response: bool,
    pub(crate) has_choices: bool,
    pub(crate) has_error: bool,
    pub(crate) is_run: bool,
    /// The Responses object stands in it twice: nothing of either is believed.
    pub(crate) is_odd: bool,
}

impl Facts {
    /// Takes a value the scanner found.
    #[inline]
    pub(crate) fn take(&mut self, found: &Found<'_, Tag>) {
        // A member that stands there twice says nothing.
        let raw = found.whole().filter(|_| !found.again);
        match found.tag {
            Tag::Usage(tag) => self.usage.take(tag, found),
            Tag::Id => self.seen.response_id = raw.and_then(short_text),
            Tag::Model => self.seen.model = raw.and_then(short_text),
            Tag::ServiceTier => self.seen.service_tier = raw.and_then(short_text),
            Tag::Status => self.seen.status = raw.and_then(plain).and_then(Status::named),
            Tag::CompletedAt => {
                self.seen.completed_at = raw.and_then(integer).and_then(|at| at.try_into().ok());
            }
            Tag::Object => self.is_run = raw.and_then(plain) == Some("thread.run"),
            Tag::Type => {
                self.kind = raw
                    .and_then(plain)
                    .map(EventKind::named)
                    .unwrap_or_default();
            }
            Tag::Error => self.has_error |= !found.is_null(),
            Tag::Payer => self.seen.payer = raw.and_then(plain).and_then(payer_named),
            Tag::Choice => self.has_choices = true,
            Tag::OutputItem => {
                self.seen.hosted_tool |= raw.and_then(plain).is_some_and(is_hosted_item);
            }
            // Those that the run was offered: which of them ran stands elsewhere.
            Tag::RunTool => {
                self.seen.hosted_tool |= raw.and_then(plain).is_some_and(is_hosted_tool);
            }
            Tag::ToolRuns => {
                self.seen.hosted_tool |= raw.and_then(integer).is_some_and(|runs| runs > 0);
            }
            Tag::Response => {
                self.is_odd |= self.has_response;
                self.has_response = true;
            }
            // Their reader takes these itself.
            Tag::Frame(_) | Tag::Item => {}
        }
    }
}

fn payer_named(name: &str) -> Option<Payer> {
    match name {
        "openai" => Some(Payer::OpenAi),
        "developer" => Some(Payer::Developer),
        _ => None,
    }
}

/// Whether an item of `output` shows that a tool ran at OpenAI. A call that the client answers
/// (a function, a custom tool, a computer, a local shell, a patch) shows no such thing.
fn is_hosted_item(name: &str) -> bool {
    match name {
        "function_call" | "custom_tool_call" | "computer_call" | "local_shell_call"
        | "apply_patch_call" | "multi_agent_call" => false,
        "mcp_list_tools" => true,
        _ => name.ends_with("_call"),
    }
}
