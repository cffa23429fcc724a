//! What was read of a connection and belongs to nothing yet. It must not know what the bytes are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// Room for one read: as little as most messages need, and as much as large ones fill.
const LEAST_ROOM: usize = 4 * 1024;
const MOST_ROOM: usize = 64 * 1024;

/// The bytes, and room for more that follows how much comes at a time.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    pub(crate) bytes: BytesMut,
    /// Room for the next read.
    room: usize,
}

impl ReadBuffer {
    /// Nothing, and no room yet.
    pub(crate) fn new() -> Self {
        Self {
            bytes: BytesMut::new(),
            room: LEAST_ROOM,
        }
    }

    /// Reads what there is behind what is there; 0 where the other side has ended.
    pub(crate) fn poll_fill<T: AsyncRead + Unpin>(
        &mut self,
        from: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let free = |bytes: &BytesMut| bytes.capacity() - bytes.len();
        if free(&self.bytes) < self.room / 4 {
            self.bytes.reserve(self.room);
        }
        let free = free(&self.bytes);
        let read = ready!(poll_read_buf(Pin::new(from), cx, &mut self.bytes))?;
        if read == free {
            self.room = (self.room * 2).min(MOST_ROOM);
        } else if read < self.room / 4 {
            self.room = (self.room / 2).max(LEAST_ROOM);
        }
        Poll::Ready(Ok(read))
    }

    /// Gives the room back, where nothing is in it: who waits for long keeps none.
    pub(crate) fn rest(&mut self) {
        if self.bytes.is_empty() {
            *self = Self::new();
        }
    }

    /// The same, but for the little that the next message will need again.
    pub(crate) fn pause(&mut self) {
        if self.room > LEAST_ROOM {
            self.rest();
        }
    }
}
