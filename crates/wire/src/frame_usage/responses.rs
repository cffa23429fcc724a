//! Upstream's direction of `/v1/responses` and `/v1/realtime`: which responses begin, and what each reports as it
//! ends. It must not know which request a response belongs to.

use meter::Reason;
use percent_encoding::percent_decode_str;

use crate::frame_usage::frames::{Frames, Piece};
use crate::frame_usage::tree::{self, FrameTag};
use crate::json_scan::Scanner;
use crate::json_text::{MOST_TEXT_BYTES, integer, plain, short_text};
use crate::response_facts::Facts;
use crate::response_tree::Tag;
use crate::usage::{Output, UsageFound};
use crate::{Missing, Reading, Reported, Seen, Socket, Status};

/// What upstream told of one response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketEvent {
    /// It is under way.
    Began {
        /// The lane it comes in, where it has one.
        lane: Option<Box<str>>,
        /// Its id.
        response_id: Box<str>,
        /// Its model, where it or its session names one.
        model: Option<Box<str>>,
    },
    /// A part of one that is under way: only of `/v1/responses`.
    Said {
        /// The lane it came in, where it has one.
        lane: Option<Box<str>>,
        /// Bytes of the message.
        bytes: u64,
    },
    /// It ended.
    Ended {
        /// The lane it came in, where it has one.
        lane: Option<Box<str>>,
        /// What it reports.
        reading: Reading,
    },
    /// A request was refused, as with an HTTP error: nothing began.
    Refused {
        /// The lane of the request, where it has one.
        lane: Option<Box<str>>,
    },
    /// Something failed that may be a response under way, which then ends by itself, or a request before its response
    /// began.
    Failed {
        /// The lane of the request, where it has one.
        lane: Option<Box<str>>,
    },
    /// Speech of the client's was written down, by a model of its own.
    Transcribed(Reading),
}

/// Reads upstream's messages.
#[derive(Debug)]
pub struct SocketReader {
    socket: Socket,
    frames: Frames,
    message: Message,
    session: Session,
    is_unreadable: bool,
}

/// What a session says once and its responses do not repeat.
#[derive(Debug, Default)]
struct Session {
    model: Option<Box<str>>,
    transcriber: Option<Box<str>>,
}

/// The message under way.
#[derive(Debug)]
struct Message {
    scanner: Scanner<Tag>,
    facts: Facts,
    kind: Kind,
    lane: Option<Box<str>>,
    item: Option<Box<str>>,
    is_refusal: bool,
    bytes: u64,
    /// What it says of the session.
    session: Session,
}

/// The `type` of a message, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Other,
    Began,
    Ended,
    Transcribed,
    Error,
}

impl Kind {
    fn named(name: &str) -> Self {
        match name {
            "response.created" => Self::Began,
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => Self::Ended,
            "conversation.item.input_audio_transcription.completed" => Self::Transcribed,
            "error" => Self::Error,
            _ => Self::Other,
        }
    }
}

impl SocketReader {
    /// A reader for the first byte after upstream's 101 to a request for `target`, path and query.
    #[must_use]
    pub fn new(socket: Socket, target: &str) -> Self {
        Self {
            socket,
            frames: Frames::new(),
            message: Message {
                scanner: Scanner::new(tree::of_event(socket)),
                facts: Facts::default(),
                kind: Kind::Other,
                lane: None,
                item: None,
                is_refusal: false,
                bytes: 0,
                session: Session::default(),
            },
            session: Session {
                model: model_asked(target),
                transcriber: None,
            },
            is_unreadable: false,
        }
    }

    /// Looks at upstream's next bytes and gives what the messages that end in them tell. Never fails outward: what
    /// is no WebSocket is no longer looked at.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(SocketEvent)) {
        let Self {
            socket,
            frames,
            message,
            session,
            is_unreadable,
        } = self;
        let read = frames.push(bytes, |piece| match piece {
            Piece::Text(text) => message.push(text),
            Piece::End => match message.end(*socket, session) {
                Ok(event) => event.into_iter().for_each(&mut sink),
                Err(NotJson) => *is_unreadable = true,
            },
        });
        *is_unreadable |= read.is_err();
    }

    /// Something could not be read: what has not been told by now may have passed unseen.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }
}

/// A text message was no JSON.
struct NotJson;

impl Message {
    fn push(&mut self, bytes: &[u8]) {
        let Self {
            scanner,
            facts,
            kind,
            lane,
            item,
            is_refusal,
            bytes: length,
            session,
        } = self;
        *length += bytes.len() as u64;
        // An error stays with the scanner, and is asked for at the message's end.
        let _ = scanner.push(bytes, |found| {
            let raw = found.whole().filter(|_| !found.again);
            match found.tag {
                Tag::Type => *kind = raw.and_then(plain).map(Kind::named).unwrap_or_default(),
                Tag::Frame(tag) => match tag {
                    FrameTag::Lane => *lane = raw.and_then(short_text),
                    FrameTag::Refusal => *is_refusal = raw.and_then(integer).is_some(),
                    FrameTag::SessionModel => session.model = raw.and_then(short_text),
                    FrameTag::Transcriber => session.transcriber = raw.and_then(short_text),
                    FrameTag::Item => *item = raw.and_then(short_text),
                },
                _ => facts.take(&found),
            }
        });
    }

    /// What the whole message tells; the next one begins.
    fn end(
        &mut self,
        socket: Socket,
        session: &mut Session,
    ) -> Result<Option<SocketEvent>, NotJson> {
        let is_whole = self.scanner.finish(|_| {}).is_ok();
        self.scanner.reset();
        let mut facts = std::mem::take(&mut self.facts);
        let kind = std::mem::take(&mut self.kind);
        let lane = self.lane.take();
        let item = self.item.take();
        let is_refusal = std::mem::take(&mut self.is_refusal);
        let bytes = std::mem::take(&mut self.bytes);
        let said = std::mem::take(&mut self.session);
        if !is_whole {
            return Err(NotJson);
        }
        session.model = said.model.or(session.model.take());
        session.transcriber = said.transcriber.or(session.transcriber.take());
        let has_one_response = facts.has_response && !facts.is_odd;
        if facts.seen.model.is_none() {
            facts.seen.model.clone_from(&session.model);
        }
        Ok(match kind {
            Kind::Began if has_one_response => {
                let Seen {
                    response_id, model, ..
                } = facts.seen;
                response_id.map(|response_id| SocketEvent::Began {
                    lane,
                    response_id,
                    model,
                })
            }
            Kind::Ended if has_one_response => Some(SocketEvent::Ended {
                lane,
                reading: reading(facts),
            }),
            Kind::Transcribed if socket == Socket::Realtime => {
                facts.seen = Seen {
                    response_id: item,
                    model: session.transcriber.clone(),
                    ..Seen::default()
                };
                Some(SocketEvent::Transcribed(reading(facts)))
            }
            Kind::Error if is_refusal => Some(SocketEvent::Refused { lane }),
            // A realtime session also says so of what is no response.
            Kind::Error if socket == Socket::Responses => Some(SocketEvent::Failed { lane }),
            // What repeats a whole response is no part of it.
            Kind::Other if socket == Socket::Responses && !facts.has_response => {
                Some(SocketEvent::Said { lane, bytes })
            }
            _ => None,
        })
    }
}

fn reading(facts: Facts) -> Reading {
    let has_failed = facts.has_error || facts.seen.status == Some(Status::Failed);
    let seen = facts.seen;
    let why = match facts.usage.found(Output::Needed) {
        UsageFound::Believed(usage) => return Reading::Reported(Reported { usage, seen }),
        UsageFound::None if has_failed => Reason::ErrorResponse,
        UsageFound::None | UsageFound::Odd => Reason::UsageMissing,
    };
    Reading::Missing(Missing { why, seen })
}

/// The model that a request line names: realtime sessions are asked for by `?model=...`.
fn model_asked(target: &str) -> Option<Box<str>> {
    let (_, query) = target.split_once('?')?;
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("model="))?;
    let value = value.replace('+', " ");
    let model = percent_decode_str(&value).decode_utf8().ok()?;
    (!model.is_empty() && model.len() <= MOST_TEXT_BYTES).then(|| model.into_owned().into())
}

#[cfg(test)]
mod tests;
