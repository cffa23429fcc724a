//! The stream of a response: its events in OpenAI's order, numbered from 0. Must not know when they are
//! sent.

use bytes::Bytes;

use crate::json::{NULL, Node, list, object};
use crate::sse::{self, Padding};
use crate::text;

use super::object::{Item, Response, Status, part};

/// The events so far.
#[derive(Debug)]
struct Events<'a> {
    pieces: Vec<Bytes>,
    padding: &'a Padding,
    chunks: Option<usize>,
}

/// The whole stream of a response: its last piece is the terminal event.
pub(crate) fn of(response: &Response, padding: &Padding, chunks: Option<usize>) -> Vec<Bytes> {
    let mut events = Events {
        pieces: Vec::new(),
        padding,
        chunks,
    };
    events.response("response.created", &response.begun(first_status(response)));
    if response.background {
        events.response("response.queued", &response.begun(Status::Queued));
    }
    events.response("response.in_progress", &response.begun(Status::InProgress));
    for (index, item) in response.output.iter().enumerate() {
        events.item(index, item, response.status);
    }
    let name = match response.status {
        Status::Incomplete => "response.incomplete",
        Status::Failed => "response.failed",
        _ => "response.completed",
    };
    let terminal = Response {
        payer: None,
        ..response.clone()
    };
    events.response(name, &terminal);
    events.pieces
}

fn first_status(response: &Response) -> Status {
    if response.background {
        Status::Queued
    } else {
        Status::InProgress
    }
}

/// What a stream says when it fails after `sent` events: the error, then the failed response.
pub(crate) fn error(response: &Response, sent: usize) -> Vec<Bytes> {
    let message = "The server had an error while processing your request. Sorry about that!";
    let error = object([
        ("type", "error".into()),
        ("sequence_number", sent.into()),
        (
            "error",
            object([
                ("type", "server_error".into()),
                ("code", "server_error".into()),
                ("message", message.into()),
                ("param", NULL),
            ]),
        ),
    ]);
    let failed = response.begun(Status::Failed);
    let failed = object([
        ("type", "response.failed".into()),
        ("response", failed.node()),
        ("sequence_number", (sent + 1).into()),
    ]);
    vec![
        sse::named("error", &error),
        sse::named("response.failed", &failed),
    ]
}

impl Events<'_> {
    /// Adds an event: `type`, then its members, in alphabetical order with the number among them.
    fn push(&mut self, name: &str, mut members: Vec<(&'static str, Node)>) {
        members.push(("sequence_number", self.pieces.len().into()));
        members.sort_by_key(|(name, _)| *name);
        members.insert(0, ("type", name.into()));
        self.pieces.push(sse::named(name, &Node::Object(members)));
    }

    fn response(&mut self, name: &str, response: &Response) {
        self.push(name, vec![("response", response.node())]);
    }

    fn item(&mut self, index: usize, item: &Item, status: Status) {
        let whole = |node| vec![("item", node), ("output_index", index.into())];
        self.push(
            "response.output_item.added",
            whole(item.node(Status::InProgress)),
        );
        match item {
            Item::Reasoning { .. } => {}
            Item::Hosted { tool, .. } => self.hosted(index, item, tool),
            Item::Message { text, .. } => self.message(index, item, text),
            Item::Function { arguments, .. } => self.function(index, item, arguments),
        }
        self.push("response.output_item.done", whole(item.node(status)));
    }

    fn hosted(&mut self, index: usize, item: &Item, tool: &str) {
        let working = if tool.ends_with("search") {
            "searching"
        } else {
            "interpreting"
        };
        for step in ["in_progress", working, "completed"] {
            let members = vec![
                ("item_id", item.id().into()),
                ("output_index", index.into()),
            ];
            self.push(&format!("response.{tool}_call.{step}"), members);
        }
    }

    fn message(&mut self, index: usize, item: &Item, text: &str) {
        let place = |more: Vec<(&'static str, Node)>| {
            let mut members = vec![
                ("content_index", 0_u64.into()),
                ("item_id", item.id().into()),
                ("output_index", index.into()),
            ];
            members.extend(more);
            members
        };
        self.push(
            "response.content_part.added",
            place(vec![("part", part(""))]),
        );
        for delta in text::deltas(text, self.chunks) {
            let mut members = place(vec![("delta", delta.into()), ("logprobs", list([]))]);
            members.extend(self.padding.of_delta(self.pieces.len(), delta));
            self.push("response.output_text.delta", members);
        }
        let done = place(vec![("logprobs", list([])), ("text", text.into())]);
        self.push("response.output_text.done", done);
        self.push(
            "response.content_part.done",
            place(vec![("part", part(text))]),
        );
    }

    fn function(&mut self, index: usize, item: &Item, arguments: &str) {
        let place = |member| {
            vec![
                member,
                ("item_id", item.id().into()),
                ("output_index", index.into()),
            ]
        };
        for delta in text::deltas(arguments, self.chunks) {
            let mut members = place(("delta", delta.into()));
            members.extend(self.padding.of_delta(self.pieces.len(), delta));
            self.push("response.function_call_arguments.delta", members);
        }
        let done = place(("arguments", arguments.into()));
        self.push("response.function_call_arguments.done", done);
    }
}
