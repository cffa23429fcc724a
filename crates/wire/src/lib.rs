//! OpenAI's bytes in, readings out. Sans-IO: everything here is pushed bytes and asked for what
//! it found. It must not know of sockets, clocks, verdicts or allowances.
//!
//! - [`classify`] says what a request line asks for,
//! - [`RequestFacts`] reads a request body, [`ask_for_usage`] edits it and [`UsageUnask`] takes
//!   the traces of that edit out of the stream that comes back,
//! - [`ResponseReader`] looks at an answer as it passes and ends in one [`Reading`], [`ListReader`] at a list of earlier
//!   ones and ends in many,
//! - [`SocketRequests`] and [`SocketReader`] do both for the messages of a WebSocket,
//! - [`Coding`] and [`Decoder`] undo content codings on a bounded copy,
//! - [`json_scan`] is the one JSON reader under all of them.

mod decode;
mod decoders;
mod effort;
mod endpoint;
mod event_reader;
mod frame_usage;
pub mod json_scan;
mod json_text;
mod list_reader;
mod multipart;
mod request_reader;
mod request_tree;
mod response_facts;
mod response_reader;
mod response_tree;
mod sse;
mod usage;
mod usage_ask;
mod usage_unask;

pub use decode::{
    Coding, DecodeError, Decoder, MOST_CODINGS, MOST_DECODED_BYTES, MOST_DECODED_RATIO,
};
pub use decoders::{DECODE_STEP_BYTES, RequestDecoder};
pub use effort::Effort;
pub use endpoint::{Endpoint, Metered, Route, Shows, Socket, classify};
pub use frame_usage::{SocketEvent, SocketReader, SocketRequest, SocketRequests};
pub use list_reader::{ListReader, MOST_LISTED};
pub use request_reader::{MOST_REQUEST_BYTES, RequestFacts, Unreadable, UsageAsked};
pub use response_facts::{Seen, Status};
pub use response_reader::{End, Form, Missing, Reading, Reported, ResponseReader};
pub use usage_ask::ask_for_usage;
pub use usage_unask::{MOST_HELD_BYTES, UsageUnask};

/// May stand before events, and before JSON, though no JSON has it (RFC 8259, 8.1): some writers put it there.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
