//! A body of which all bytes are here, of a request or of an answer. Knows nothing of what they are.

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::memory::Reservation;

/// The bytes, until they are taken.
#[derive(Debug)]
pub(crate) struct WholeBody {
    bytes: Option<Bytes>,
    /// Their length is told beforehand, as the sender told it.
    sized: bool,
    /// The memory they take, given back when dropped.
    reserved: Option<Reservation>,
}

impl WholeBody {
    pub(crate) fn new(bytes: Bytes, sized: bool, reserved: Option<Reservation>) -> WholeBody {
        WholeBody {
            bytes: Some(bytes),
            sized,
            reserved,
        }
    }

    /// The bytes, as long as they are here.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        self.bytes.as_ref()
    }

    /// Puts other bytes in their place.
    pub(crate) fn replace(&mut self, with: Bytes) {
        self.bytes = Some(with);
    }

    /// Reserves more memory, for a copy of them, unless all bodies together would pass `most`.
    pub(crate) fn grow(&mut self, bytes: usize, most: usize) -> bool {
        (self.reserved.as_mut()).is_some_and(|reserved| reserved.grow(bytes, most))
    }

    /// Takes the bytes, all in one frame.
    pub(crate) fn take(&mut self) -> Option<Frame<Bytes>> {
        let bytes = self.bytes.take().filter(|bytes| !bytes.is_empty());
        bytes.map(Frame::data)
    }

    /// Whether nothing is left to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    pub(crate) fn is_sized(&self) -> bool {
        self.sized
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.bytes {
            _ if !self.sized => SizeHint::default(),
            Some(bytes) => SizeHint::with_exact(bytes.len() as u64),
            None => SizeHint::with_exact(0),
        }
    }
}
