//! Takes the traces of our asking for usage out of a stream as it passes. Knows nothing of calls.

use bytes::{Buf, Bytes};
use wire::{Coding, DecodeError, Decoder, Effort, UsageUnask};

/// So many decoded bytes pass at a time, or what one more encoded byte adds to them.
const STEP_BYTES: usize = 16 * 1024;

/// The edit of one stream. It asked for no coding; one that comes in a coding all the same is decoded first,
/// and goes on without, however much it is: nothing is kept of what passes.
pub(crate) struct Edit {
    decoder: Option<Decoder>,
    effort: Effort,
    /// Taken, not edited yet.
    waiting: Bytes,
    unask: UsageUnask,
}

impl Edit {
    /// For a stream in these codings; none for one in several, which a few bytes could make very long at once.
    pub(crate) fn new(codings: &[Coding]) -> Option<Edit> {
        let decoder = match codings {
            [] => None,
            [coding] => Some(Decoder::without_budget(*coding)),
            _ => return None,
        };
        Some(Edit {
            decoder,
            effort: Effort::default(),
            waiting: Bytes::new(),
            unask: UsageUnask::new(),
        })
    }

    /// Takes the next bytes, once there are none left of those before.
    pub(crate) fn take(&mut self, bytes: Bytes) {
        self.waiting = bytes;
    }

    /// Whether bytes are left that were taken.
    pub(crate) fn goes_on(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What the client is to see next of the bytes taken.
    ///
    /// # Errors
    /// [`DecodeError`] when the coding is broken, or only makes work: what follows cannot be shown.
    pub(crate) fn go_on(&mut self) -> Result<Vec<u8>, DecodeError> {
        let Some(decoder) = &mut self.decoder else {
            let bytes = std::mem::take(&mut self.waiting);
            let mut out = Vec::with_capacity(bytes.len());
            self.unask.push(&bytes, &mut out);
            return Ok(out);
        };
        let mut plain = Vec::with_capacity(self.waiting.len());
        let waiting = &mut self.waiting;
        self.effort.spend(|| {
            let before = waiting.len();
            while let (Some(byte), true) = (waiting.get(..1), plain.len() < STEP_BYTES) {
                decoder.push(byte, &mut plain)?;
                waiting.advance(1);
            }
            Ok(before - waiting.len() + plain.len())
        })?;
        let mut out = Vec::with_capacity(plain.len());
        self.unask.push(&plain, &mut out);
        Ok(out)
    }

    /// What was held back for a decision that no longer comes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.unask.finish(&mut out);
        out
    }

    /// The stream ended: what is left of it.
    ///
    /// # Errors
    /// [`DecodeError`] when the coding had not ended: the client must see that the stream is cut.
    pub(crate) fn finish(&mut self) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::new();
        let mut plain = Vec::new();
        if let Some(decoder) = &mut self.decoder {
            decoder.finish(&mut plain)?;
        }
        self.unask.push(&plain, &mut out);
        self.unask.finish(&mut out);
        Ok(out)
    }
}
