//! Takes the traces of our asking for usage out of a stream as it passes. Knows nothing of calls.

use wire::{Coding, DecodeError, Decoder, UsageUnask};

/// The edit of one stream. It asked for no coding; one that comes in a coding all the same is decoded first,
/// and goes on without.
pub(crate) struct Edit {
    decoders: Vec<Decoder>,
    unask: UsageUnask,
}

impl Edit {
    /// For a stream in these codings, in the order in which they were applied.
    pub(crate) fn new(codings: &[Coding]) -> Edit {
        Edit {
            decoders: codings
                .iter()
                .rev()
                // Nothing is kept of what passes, so only the ratio is bounded.
                .map(|coding| Decoder::new(*coding, u64::MAX))
                .collect(),
            unask: UsageUnask::new(),
        }
    }

    /// Takes the next bytes and gives what of them the client is to see now.
    ///
    /// # Errors
    /// [`DecodeError`] when the coding is broken: what follows cannot be shown.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::with_capacity(bytes.len());
        if self.decoders.is_empty() {
            self.unask.push(bytes, &mut out);
            return Ok(out);
        }
        let mut plain = bytes.to_vec();
        for decoder in &mut self.decoders {
            let mut decoded = Vec::with_capacity(plain.len() * 4);
            decoder.push(&plain, &mut decoded)?;
            plain = decoded;
        }
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
        for decoder in &mut self.decoders {
            let mut decoded = Vec::new();
            decoder.push(&plain, &mut decoded)?;
            decoder.finish(&mut decoded)?;
            plain = decoded;
        }
        self.unask.push(&plain, &mut out);
        self.unask.finish(&mut out);
        Ok(out)
    }
}
