//! Where in an answer each thing stands, endpoint by endpoint: tables only. It must not know what
//! is made of them.

use crate::Metered;
use crate::frame_usage::FrameTag;
use crate::json_scan::{Member, Node};
use crate::usage::UsageTag;

/// A wanted value of an answer or of one event's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Id,
    Model,
    ServiceTier,
    Status,
    CompletedAt,
    Object,
    /// An event's `type`.
    Type,
    Error,
    Payer,
    /// One item of `choices`.
    Choice,
    /// The `type` of one item of `output`.
    OutputItem,
    /// The type of a tool that a run was offered.
    RunTool,
    /// How often a hosted tool ran, or what it took.
    ToolRuns,
    /// The Responses object inside an event.
    Response,
    Usage(UsageTag),
    /// One item of a list, after its members.
    Item,
    /// Of a WebSocket's message, beside what an answer has.
    Frame(FrameTag),
}

const CACHE: Node<Tag> = Node::object(&[
    ("cached_tokens", Node::raw(Tag::Usage(UsageTag::Cached))),
    (
        "cache_write_tokens",
        Node::raw(Tag::Usage(UsageTag::CacheWrite)),
    ),
    ("audio_tokens", Node::raw(Tag::Usage(UsageTag::AudioInput))),
]);
const THOUGHT: Node<Tag> = Node::object(&[
    (
        "reasoning_tokens",
        Node::raw(Tag::Usage(UsageTag::Reasoning)),
    ),
    ("audio_tokens", Node::raw(Tag::Usage(UsageTag::AudioOutput))),
]);

/// Chat completions, completions, embeddings, assistants. Details stand under a plural name and,
/// in assistants, under a singular one.
const PROMPT_USAGE: Node<Tag> = Node::object(&[
    ("prompt_tokens", Node::raw(Tag::Usage(UsageTag::Input))),
    ("completion_tokens", Node::raw(Tag::Usage(UsageTag::Output))),
    ("total_tokens", Node::raw(Tag::Usage(UsageTag::Total))),
    ("prompt_tokens_details", CACHE),
    ("prompt_token_details", CACHE),
    ("completion_tokens_details", THOUGHT),
    ("completion_token_details", THOUGHT),
])
.tagged(Tag::Usage(UsageTag::Object));

/// Responses, audio, images. Details stand under a plural name and, in audio, under a singular
/// one; transcriptions say `type`.
pub(crate) const INPUT_USAGE: Node<Tag> = Node::object(&[
    ("type", Node::raw(Tag::Usage(UsageTag::Kind))),
    ("input_tokens", Node::raw(Tag::Usage(UsageTag::Input))),
    ("output_tokens", Node::raw(Tag::Usage(UsageTag::Output))),
    ("total_tokens", Node::raw(Tag::Usage(UsageTag::Total))),
    ("input_tokens_details", CACHE),
    ("input_token_details", CACHE),
    ("output_tokens_details", THOUGHT),
    ("output_token_details", THOUGHT),
])
.tagged(Tag::Usage(UsageTag::Object));

static CHOICE: Node<Tag> = Node::place(Tag::Choice);
static OUTPUT_ITEM: Node<Tag> = Node::object(&[("type", Node::raw(Tag::OutputItem))]);

/// Beside `usage`, billed on top of it, and never usage itself.
const TOOL_USAGE: Node<Tag> = Node::object(&[
    (
        "image_gen",
        Node::object(&[("total_tokens", Node::raw(Tag::ToolRuns))]),
    ),
    (
        "web_search",
        Node::object(&[("num_requests", Node::raw(Tag::ToolRuns))]),
    ),
]);

const CHAT_MEMBERS: &[Member<Tag>] = &[
    ("id", Node::raw(Tag::Id)),
    ("choices", Node::array(&CHOICE)),
    ("model", Node::raw(Tag::Model)),
    ("usage", PROMPT_USAGE),
    ("service_tier", Node::raw(Tag::ServiceTier)),
    ("error", Node::place(Tag::Error)),
    ("billing", Node::object(&[("payer", Node::raw(Tag::Payer))])),
];
static CHAT: Node<Tag> = Node::object(CHAT_MEMBERS);
static LISTED_CHAT: Node<Tag> = Node::object(CHAT_MEMBERS).tagged(Tag::Item);
static CHATS: Node<Tag> = Node::object(&[("data", Node::array(&LISTED_CHAT))]);

static RUN_TOOL: Node<Tag> = Node::object(&[("type", Node::raw(Tag::RunTool))]);

const RUN_MEMBERS: &[Member<Tag>] = &[
    ("id", Node::raw(Tag::Id)),
    ("object", Node::raw(Tag::Object)),
    ("status", Node::raw(Tag::Status)),
    ("model", Node::raw(Tag::Model)),
    ("usage", PROMPT_USAGE),
    ("completed_at", Node::raw(Tag::CompletedAt)),
    ("tools", Node::array(&RUN_TOOL)),
    ("error", Node::place(Tag::Error)),
];
static RUN: Node<Tag> = Node::object(RUN_MEMBERS);
static LISTED_RUN: Node<Tag> = Node::object(RUN_MEMBERS).tagged(Tag::Item);
static RUNS: Node<Tag> = Node::object(&[("data", Node::array(&LISTED_RUN))]);

pub(crate) const RESPONSE_MEMBERS: &[Member<Tag>] = &[
    ("id", Node::raw(Tag::Id)),
    ("status", Node::raw(Tag::Status)),
    ("model", Node::raw(Tag::Model)),
    ("usage", INPUT_USAGE),
    ("service_tier", Node::raw(Tag::ServiceTier)),
    ("completed_at", Node::raw(Tag::CompletedAt)),
    ("output", Node::array(&OUTPUT_ITEM)),
    ("billing", Node::object(&[("payer", Node::raw(Tag::Payer))])),
    ("tool_usage", TOOL_USAGE),
    ("error", Node::place(Tag::Error)),
];
static RESPONSE: Node<Tag> = Node::object(RESPONSE_MEMBERS);

static RESPONSE_EVENT: Node<Tag> = Node::object(&[
    ("type", Node::raw(Tag::Type)),
    (
        "response",
        Node::object(RESPONSE_MEMBERS).tagged(Tag::Response),
    ),
    ("error", Node::place(Tag::Error)),
]);

/// Audio and images, and the events of their streams.
static MEDIA: Node<Tag> = Node::object(&[
    ("type", Node::raw(Tag::Type)),
    ("usage", INPUT_USAGE),
    ("error", Node::place(Tag::Error)),
]);

/// The table for a whole JSON answer.
pub(crate) fn of_answer(endpoint: Metered) -> &'static Node<Tag> {
    match endpoint {
        Metered::ChatCompletions | Metered::Completions | Metered::Embeddings => &CHAT,
        Metered::Responses | Metered::ResponsesCompact => &RESPONSE,
        Metered::ThreadRuns => &RUN,
        Metered::Transcriptions
        | Metered::Speech
        | Metered::ImageGenerations
        | Metered::ImageEdits
        | Metered::Realtime => &MEDIA,
    }
}

/// The table for a list of earlier answers.
pub(crate) fn of_list(endpoint: Metered) -> &'static Node<Tag> {
    match endpoint {
        Metered::ThreadRuns => &RUNS,
        _ => &CHATS,
    }
}

/// The table for the data of one event.
pub(crate) fn of_event(endpoint: Metered) -> &'static Node<Tag> {
    match endpoint {
        Metered::Responses | Metered::ResponsesCompact => &RESPONSE_EVENT,
        _ => of_answer(endpoint),
    }
}
