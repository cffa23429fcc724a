//! The codings of one body, undone on its way to whoever reads it: in small steps, so that a body that decodes to a
//! thousand times its size never stands in memory. It must not know what the bytes mean.

use crate::{Coding, DecodeError, Decoder, MOST_DECODED_BYTES};

/// Encoded bytes decoded at a time, so that what one push decodes to stays small.
const DECODE_STEP_BYTES: usize = 4096;

/// The decoders of one body, outermost first.
pub(crate) struct Decoders(Vec<Decoder>);

impl Decoders {
    /// For a body in these codings, in the order in which they were applied.
    pub(crate) fn new(codings: &[Coding]) -> Self {
        let decoder = |&coding| Decoder::new(coding, MOST_DECODED_BYTES);
        Self(codings.iter().rev().map(decoder).collect())
    }

    /// Gives what these bytes decode to.
    ///
    /// # Errors
    /// [`DecodeError`]; what was decoded before the fault was given.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), DecodeError> {
        decode(&mut self.0, bytes, &mut sink)
    }

    /// The body ended: gives what is left.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if a coding expected more.
    pub(crate) fn finish(&mut self, mut sink: impl FnMut(&[u8])) -> Result<(), DecodeError> {
        end(&mut self.0, &mut sink)
    }
}

fn decode(
    decoders: &mut [Decoder],
    bytes: &[u8],
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), DecodeError> {
    let Some((outermost, rest)) = decoders.split_first_mut() else {
        sink(bytes);
        return Ok(());
    };
    let mut decoded = Vec::new();
    for step in bytes.chunks(DECODE_STEP_BYTES) {
        decoded.clear();
        outermost.push(step, &mut decoded)?;
        decode(rest, &decoded, sink)?;
    }
    Ok(())
}

fn end(decoders: &mut [Decoder], sink: &mut dyn FnMut(&[u8])) -> Result<(), DecodeError> {
    let Some((outermost, rest)) = decoders.split_first_mut() else {
        return Ok(());
    };
    let mut decoded = Vec::new();
    outermost.finish(&mut decoded)?;
    decode(rest, &decoded, sink)?;
    end(rest, sink)
}
