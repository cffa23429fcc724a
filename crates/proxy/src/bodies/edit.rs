//! Takes the traces of our asking for usage out of a stream as it passes. Knows nothing of calls.

use bytes::{Buf, Bytes};
use wire::{Coding, DecodeError, Decoder, Effort, UsageUnask};

/// So many decoded bytes pass at a time, or what one more encoded byte adds to them.
const STEP_BYTES: usize = 16 * 1024;

/// Bytes at a stream's beginning of which nothing was decoded yet: so many are kept, for the case that they are in no
/// coding at all.
const MOST_FIRST_BYTES: usize = 4096;

/// The edit of one stream. It asked for no coding; one that comes in a coding all the same is decoded first,
/// and goes on without, however much it is: nothing is kept of what passes.
pub(crate) struct Edit {
    coded: Option<Coded>,
    effort: Effort,
    /// Taken, not edited yet.
    waiting: Bytes,
    unask: UsageUnask,
    /// What follows is behind the coding of a stream that had ended: nobody's.
    is_over: bool,
}

/// The coding of a stream on its way out.
struct Coded {
    decoder: Decoder,
    /// What came before anything was decoded; none once it was, or where that is much.
    first: Option<Vec<u8>>,
    /// Told once what stood before it has passed.
    fault: Option<DecodeError>,
}

impl Edit {
    /// For a stream in these codings; none for one in several, which a few bytes could make very long at once.
    pub(crate) fn new(codings: &[Coding]) -> Option<Edit> {
        let coded = match codings {
            [] => None,
            [coding] => Some(Coded {
                decoder: Decoder::without_budget(*coding),
                first: Some(Vec::new()),
                fault: None,
            }),
            _ => return None,
        };
        Some(Edit {
            coded,
            effort: Effort::default(),
            waiting: Bytes::new(),
            unask: UsageUnask::new(),
            is_over: false,
        })
    }

    /// Takes the next bytes, once there are none left of those before.
    pub(crate) fn take(&mut self, bytes: Bytes) {
        self.waiting = bytes;
    }

    /// Whether bytes are left that were taken, or it is still to be told what is wrong with them.
    pub(crate) fn goes_on(&self) -> bool {
        let coded = self.coded.as_ref();
        !self.waiting.is_empty() || coded.is_some_and(|coded| coded.fault.is_some())
    }

    /// What the client is to see next of the bytes taken. A stream whose own end was seen, `has_ended`, is not spoilt by
    /// what follows its coding, and one that is in no coding, whatever its head says, goes on as it is.
    ///
    /// # Errors
    /// [`DecodeError`] when the coding is broken, or only makes work: what follows cannot be shown.
    pub(crate) fn go_on(&mut self, has_ended: bool) -> Result<Vec<u8>, DecodeError> {
        let Some(coded) = &mut self.coded else {
            let bytes = std::mem::take(&mut self.waiting);
            let mut out = Vec::with_capacity(bytes.len());
            if !self.is_over {
                self.unask.push(&bytes, &mut out);
            }
            return Ok(out);
        };
        if let Some(fault) = coded.fault.take() {
            return Err(fault);
        }
        let mut plain = Vec::with_capacity(self.waiting.len());
        match coded.undo(&mut self.effort, &mut self.waiting, &mut plain) {
            Ok(()) => {}
            Err(DecodeError::Broken(_)) if has_ended => {
                self.waiting.clear();
                self.coded = None;
                self.is_over = true;
            }
            Err(fault @ DecodeError::Broken(_)) if plain.is_empty() => {
                plain = coded.first.take().ok_or(fault)?;
                self.coded = None;
            }
            Err(fault) if plain.is_empty() => return Err(fault),
            Err(fault) => coded.fault = Some(fault),
        }
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
        if let Some(coded) = &mut self.coded {
            coded.decoder.finish(&mut plain)?;
        }
        self.unask.push(&plain, &mut out);
        self.unask.finish(&mut out);
        Ok(out)
    }
}

impl Coded {
    /// Takes bytes of those that wait and gives what they decode to, one step of it.
    fn undo(
        &mut self,
        effort: &mut Effort,
        waiting: &mut Bytes,
        plain: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        effort.spend(|| {
            let before = waiting.len();
            while let (Some(byte), true) = (waiting.get(..1), plain.len() < STEP_BYTES) {
                if let Some(first) = &mut self.first {
                    first.extend_from_slice(byte);
                }
                let pushed = self.decoder.push(byte, plain);
                waiting.advance(1);
                pushed?;
                self.first = (self.first.take())
                    .filter(|first| plain.is_empty() && first.len() < MOST_FIRST_BYTES);
            }
            Ok(before - waiting.len() + plain.len())
        })
    }
}
