//! HTTP/1.1 as bytes (RFC 9112), the same for both sides: heads in and out, bodies in and out, and what was read and belongs
//! to nothing yet. It must not know whose connection it is.

pub(crate) mod answer_head;
pub(crate) mod answer_out;
pub(crate) mod body_decoder;
pub(crate) mod chunked_decoder;
pub(crate) mod head;
pub(crate) mod incoming;
pub(crate) mod lines;
pub(crate) mod message_writer;
pub(crate) mod read_buffer;
pub(crate) mod request_head;
pub(crate) mod request_out;
