//! Where in a WebSocket's messages each thing stands: tables only. It must not know what is made of them.

use crate::Socket;
use crate::json_scan::Node;
use crate::response_tree::{INPUT_USAGE, RESPONSE_MEMBERS, Tag};

/// A wanted value that only a socket's messages have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameTag {
    /// `stream_id`: the lane of a connection that carries several responses at once.
    Lane,
    /// `status` of an `error`: the request itself was refused, as with an HTTP error.
    Refusal,
    /// `session.model`, which no response of that session repeats.
    SessionModel,
    /// The model that writes down what a session hears.
    Transcriber,
    /// What was written down belongs to this item of the conversation.
    Item,
}

static RESPONSES: Node<Tag> = Node::object(&[
    ("type", Node::raw(Tag::Type)),
    ("stream_id", Node::raw(Tag::Frame(FrameTag::Lane))),
    ("status", Node::raw(Tag::Frame(FrameTag::Refusal))),
    (
        "response",
        Node::object(RESPONSE_MEMBERS).tagged(Tag::Response),
    ),
    ("error", Node::place(Tag::Error)),
]);

const TRANSCRIPTION: Node<Tag> =
    Node::object(&[("model", Node::raw(Tag::Frame(FrameTag::Transcriber)))]);

static REALTIME: Node<Tag> = Node::object(&[
    ("type", Node::raw(Tag::Type)),
    ("item_id", Node::raw(Tag::Frame(FrameTag::Item))),
    (
        "session",
        Node::object(&[
            ("model", Node::raw(Tag::Frame(FrameTag::SessionModel))),
            (
                "audio",
                Node::object(&[("input", Node::object(&[("transcription", TRANSCRIPTION)]))]),
            ),
            // As sessions spelled it before 2025-08.
            ("input_audio_transcription", TRANSCRIPTION),
        ]),
    ),
    (
        "response",
        Node::object(RESPONSE_MEMBERS).tagged(Tag::Response),
    ),
    ("usage", INPUT_USAGE),
    ("error", Node::place(Tag::Error)),
]);

/// The table for upstream's messages.
pub(crate) fn of_event(socket: Socket) -> &'static Node<Tag> {
    match socket {
        Socket::Responses => &RESPONSES,
        Socket::Realtime => &REALTIME,
    }
}

/// A wanted value of a client's message that is not in the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EnvelopeTag {
    Type,
    Lane,
}

/// The table for what a client's message is, beside the request in it.
pub(crate) static ENVELOPE: Node<EnvelopeTag> = Node::object(&[
    ("type", Node::raw(EnvelopeTag::Type)),
    ("stream_id", Node::raw(EnvelopeTag::Lane)),
]);
