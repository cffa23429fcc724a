//! The client's direction of `/v1/responses`: each `response.create` is the request of a call. It must not know what
//! becomes of it.

use crate::frame_usage::frames::{Frames, Piece};
use crate::frame_usage::tree::{ENVELOPE, EnvelopeTag};
use crate::json_scan::Scanner;
use crate::json_text::{plain, short_text};
use crate::request_reader::RequestScan;
use crate::{Metered, RequestFacts};

/// The message that asks for a response.
const CREATE: &str = "response.create";

/// A response was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketRequest {
    /// The lane the client wants it in, where it named one (`stream_id`).
    pub lane: Option<Box<str>>,
    /// What the request says; none where it cannot be read.
    pub facts: Option<RequestFacts>,
    /// Bytes of the message.
    pub bytes: u64,
}

/// Reads what a client asks for. Keeps nothing of a message but what is wanted of it.
#[derive(Debug)]
pub struct SocketRequests {
    frames: Frames,
    message: Message,
}

#[derive(Debug)]
struct Message {
    envelope: Scanner<EnvelopeTag>,
    is_create: bool,
    lane: Option<Box<str>>,
    request: RequestScan,
    bytes: u64,
}

impl Message {
    fn new() -> Self {
        Self {
            envelope: Scanner::new(&ENVELOPE),
            is_create: false,
            lane: None,
            request: RequestScan::new(Metered::Responses),
            bytes: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (is_create, lane) = (&mut self.is_create, &mut self.lane);
        // An error stays with the scanners; a message that is no JSON asks for nothing.
        let _ = self.envelope.push(bytes, |found| {
            let raw = found.whole().filter(|_| !found.again);
            match found.tag {
                EnvelopeTag::Type => *is_create = raw.and_then(plain) == Some(CREATE),
                EnvelopeTag::Lane => *lane = raw.and_then(short_text),
            }
        });
        self.request.push(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn end(mut self) -> Option<SocketRequest> {
        let is_whole = self.envelope.finish(|_| {}).is_ok();
        (is_whole && self.is_create).then(|| SocketRequest {
            lane: self.lane,
            facts: self.request.finish().ok(),
            bytes: self.bytes,
        })
    }
}

impl Default for SocketRequests {
    fn default() -> Self {
        Self::new()
    }
}

impl SocketRequests {
    /// A reader for a connection's first byte after the handshake.
    #[must_use]
    pub fn new() -> Self {
        Self {
            frames: Frames::new(),
            message: Message::new(),
        }
    }

    /// Looks at the client's next bytes and gives the requests that end in them. Never fails outward: what is no
    /// WebSocket is no longer looked at.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(SocketRequest)) {
        let message = &mut self.message;
        let _ = self.frames.push(bytes, |piece| match piece {
            Piece::Text(text) => message.push(text),
            Piece::End => {
                let ended = std::mem::replace(message, Message::new());
                ended.end().into_iter().for_each(&mut sink);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame_usage::written::masked;

    fn asked(messages: &[&str], step: usize) -> Vec<SocketRequest> {
        let (mut reader, mut asked) = (SocketRequests::new(), Vec::new());
        let bytes: Vec<u8> = messages
            .iter()
            .flat_map(|text| masked(text, [9, 0, 255, 128]))
            .collect();
        for bytes in bytes.chunks(step) {
            reader.push(bytes, |request| asked.push(request));
        }
        asked
    }

    const CREATES: [&str; 4] = [
        r#"{"type":"response.create","model":"gpt-5","input":"hi","stream_id":"left","max_output_tokens":50}"#,
        r#"{"type":"response.cancel","response":{"type":"response.create"}}"#,
        r#"not JSON, "type":"response.create""#,
        r#"{"model":"gpt-5.6","tools":[{"type":"web_search"}],"type":"response.create"}"#,
    ];

    #[test]
    fn each_create_is_a_request_and_nothing_else_is() {
        for step in [1, 10, 10_000] {
            let asked = asked(&CREATES, step);
            assert_eq!(asked.len(), 2, "{step}");
            let (first, last) = (&asked[0], &asked[1]);
            assert_eq!(first.lane.as_deref(), Some("left"));
            let facts = first.facts.as_ref().unwrap();
            assert_eq!(facts.model.as_deref(), Some("gpt-5"));
            assert_eq!(facts.bound, Some(50 + CREATES[0].len() as u64));
            assert_eq!(first.bytes, CREATES[0].len() as u64);
            assert_eq!(last.lane, None);
            let facts = last.facts.as_ref().unwrap();
            assert!(facts.hosted_tool && facts.bound.is_none());
        }
    }
}
