//! The codings of one body, undone on its way to whoever reads it: in small steps, so that a body that decodes to a
//! thousand times its size never stands in memory. It must not know what the bytes mean.

use crate::{Coding, DecodeError, Decoder, Effort, MOST_DECODED_BYTES};

/// Encoded bytes decoded at a time, so that what one push decodes to stays small.
pub const DECODE_STEP_BYTES: usize = 1024;

/// The decoders of one body, outermost first.
pub(crate) struct Decoders {
    decoders: Vec<Decoder>,
    effort: Effort,
}

impl Decoders {
    /// For a body in these codings, in the order in which they were applied.
    pub(crate) fn new(codings: &[Coding]) -> Self {
        Self::to_most(codings, MOST_DECODED_BYTES, Effort::on_answer())
    }

    /// The same, where each coding may decode to so many bytes at most.
    fn to_most(codings: &[Coding], most_bytes: u64, effort: Effort) -> Self {
        let decoder = |&coding| Decoder::new(coding, most_bytes);
        Self {
            decoders: codings.iter().rev().map(decoder).collect(),
            effort,
        }
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
        decode(&mut self.decoders, &mut self.effort, bytes, &mut sink)
    }

    /// The body ended: gives what is left.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if a coding expected more.
    pub(crate) fn finish(&mut self, mut sink: impl FnMut(&[u8])) -> Result<(), DecodeError> {
        end(&mut self.decoders, &mut self.effort, &mut sink)
    }
}

fn decode(
    decoders: &mut [Decoder],
    effort: &mut Effort,
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
        let worked = effort.spend(|| {
            outermost.push(step, &mut decoded)?;
            Ok(step.len() + decoded.len())
        });
        // What stood before a fault was the body's.
        decode(rest, effort, &decoded, sink)?;
        worked?;
    }
    Ok(())
}

fn end(
    decoders: &mut [Decoder],
    effort: &mut Effort,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), DecodeError> {
    let Some((outermost, rest)) = decoders.split_first_mut() else {
        return Ok(());
    };
    let mut decoded = Vec::new();
    let finished = outermost.finish(&mut decoded);
    decode(rest, effort, &decoded, sink)?;
    finished?;
    end(rest, effort, sink)
}

/// A request held whole, decoded step by step: whoever has others to serve lets them between two steps.
pub struct RequestDecoder {
    decoders: Decoders,
    decoded: Vec<u8>,
}

impl RequestDecoder {
    /// For a body in these codings, none of which may decode to more than `most_bytes`.
    #[must_use]
    pub fn new(codings: &[Coding], most_bytes: u64) -> Self {
        Self {
            decoders: Decoders::to_most(codings, most_bytes, Effort::on_request()),
            decoded: Vec::new(),
        }
    }

    /// Takes the next encoded bytes: [`DECODE_STEP_BYTES`] of them, but for the last ones.
    ///
    /// # Errors
    /// [`DecodeError`] where a coding is broken, gives too much, or makes too much work.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let decoded = &mut self.decoded;
        self.decoders
            .push(bytes, |bytes| decoded.extend_from_slice(bytes))
    }

    /// The decoded body.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if a coding expected more.
    pub fn finish(mut self) -> Result<Vec<u8>, DecodeError> {
        let decoded = &mut self.decoded;
        self.decoders
            .finish(|bytes| decoded.extend_from_slice(bytes))?;
        Ok(self.decoded)
    }
}
