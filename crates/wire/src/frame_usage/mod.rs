//! Reads a WebSocket's messages as they pass on a copy of the raw bytes: which calls the client makes, and what
//! usage each of upstream's responses reports. Many responses share one connection, interleaved: each is told by
//! itself. It must not know sockets, clocks or verdicts, and never changes or delays a byte.

mod frames;
mod requests;
mod responses;
mod tree;
#[cfg(test)]
mod written;

pub use requests::{SocketRequest, SocketRequests};
pub use responses::{SocketEvent, SocketReader};
pub(crate) use tree::FrameTag;
