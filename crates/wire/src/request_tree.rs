//! Where in a request body each thing stands, endpoint by endpoint: tables only. It must not know
//! what is made of them.

use crate::Metered;
use crate::json_scan::Node;

/// A wanted value of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    /// The body itself, after all that is in it.
    Body,
    Model,
    Stream,
    StreamOptions,
    IncludeUsage,
    /// Another member of `stream_options`.
    OtherOption,
    ServiceTier,
    /// `n` or `best_of`.
    Choices,
    /// One item of a completion's `prompt`: each string or list of tokens is answered by itself.
    Prompt,
    /// `max_tokens`, `max_completion_tokens` or `max_output_tokens`.
    MostOutput,
    ToolType,
    /// One item of `tools`, after its type.
    Tool,
    /// Context or work that OpenAI adds: nothing bounds it from here.
    Unbounded,
    /// The same, and the model's context is no bound either: it is filled anew for each turn that a hosted tool or
    /// another agent brings about.
    TakesTurns,
    PartType,
    /// One item of a message's content, after its type.
    Part,
    ItemType,
    ItemRole,
    /// One item of `input`, after its type and role.
    Item,
}

static TOOL: Node<Tag> = Node::object(&[("type", Node::raw(Tag::ToolType))]).tagged(Tag::Tool);
static PART: Node<Tag> = Node::object(&[("type", Node::raw(Tag::PartType))]).tagged(Tag::Part);
static PROMPT: Node<Tag> = Node::place(Tag::Prompt);
static OTHER_OPTION: Node<Tag> = Node::place(Tag::OtherOption);

const STREAM_OPTIONS: Node<Tag> =
    Node::object(&[("include_usage", Node::place(Tag::IncludeUsage))])
        .and_others(&OTHER_OPTION)
        .tagged(Tag::StreamOptions);

static MESSAGE: Node<Tag> = Node::object(&[
    ("content", Node::array(&PART)),
    ("audio", Node::place(Tag::Unbounded)),
]);

static ITEM: Node<Tag> = Node::object(&[
    ("type", Node::raw(Tag::ItemType)),
    ("role", Node::place(Tag::ItemRole)),
    ("content", Node::array(&PART)),
    ("output", Node::array(&PART)),
])
.tagged(Tag::Item);

static CHAT: Node<Tag> = Node::object(&[
    ("model", Node::raw(Tag::Model)),
    ("messages", Node::array(&MESSAGE)),
    ("stream", Node::place(Tag::Stream)),
    ("stream_options", STREAM_OPTIONS),
    ("service_tier", Node::raw(Tag::ServiceTier)),
    ("n", Node::raw(Tag::Choices)),
    ("max_tokens", Node::raw(Tag::MostOutput)),
    ("max_completion_tokens", Node::raw(Tag::MostOutput)),
    ("tools", Node::array(&TOOL)),
    ("web_search_options", Node::place(Tag::TakesTurns)),
    ("prediction", Node::place(Tag::Unbounded)),
    ("audio", Node::place(Tag::Unbounded)),
])
.tagged(Tag::Body);

static COMPLETION: Node<Tag> = Node::object(&[
    ("model", Node::raw(Tag::Model)),
    ("prompt", Node::array(&PROMPT)),
    ("stream", Node::place(Tag::Stream)),
    ("stream_options", STREAM_OPTIONS),
    ("service_tier", Node::raw(Tag::ServiceTier)),
    ("n", Node::raw(Tag::Choices)),
    ("best_of", Node::raw(Tag::Choices)),
    ("max_tokens", Node::raw(Tag::MostOutput)),
])
.tagged(Tag::Body);

static RESPONSE: Node<Tag> = Node::object(&[
    ("model", Node::raw(Tag::Model)),
    ("input", Node::array(&ITEM)),
    ("stream", Node::place(Tag::Stream)),
    ("service_tier", Node::raw(Tag::ServiceTier)),
    ("max_output_tokens", Node::raw(Tag::MostOutput)),
    ("tools", Node::array(&TOOL)),
    ("previous_response_id", Node::place(Tag::Unbounded)),
    ("conversation", Node::place(Tag::Unbounded)),
    ("prompt", Node::place(Tag::Unbounded)),
    ("context_management", Node::place(Tag::Unbounded)),
    // Each agent has a context of its own, as each turn with a hosted tool has.
    ("multi_agent", Node::place(Tag::TakesTurns)),
])
.tagged(Tag::Body);

/// Audio, images, embeddings, assistants, compaction.
static OTHER: Node<Tag> = Node::object(&[
    ("model", Node::raw(Tag::Model)),
    ("stream", Node::place(Tag::Stream)),
    ("service_tier", Node::raw(Tag::ServiceTier)),
    ("n", Node::raw(Tag::Choices)),
    ("tools", Node::array(&TOOL)),
])
.tagged(Tag::Body);

/// The table for a request to `endpoint`.
pub(crate) fn of(endpoint: Metered) -> &'static Node<Tag> {
    match endpoint {
        Metered::ChatCompletions => &CHAT,
        Metered::Completions => &COMPLETION,
        Metered::Responses => &RESPONSE,
        _ => &OTHER,
    }
}
