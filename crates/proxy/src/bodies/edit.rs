//! Takes the traces of our asking for usage out of a stream as it passes. Knows nothing of calls.

use bytes::Bytes;
use wire::{Coding, DECODE_STEP_BYTES, DecodeError, Decoder, Effort, UsageUnask};

use super::memory::Reservation;

/// So many decoded bytes pass at a time, or what one more piece adds to them.
const STEP_BYTES: usize = 16 * 1024;

/// Encoded bytes decoded at once: they come to 8 MiB at the very most (blocks of zstd that repeat one byte).
const PIECE_BYTES: usize = 256;
/// The same of brotli: 13 bytes can be a block of 16 MiB.
const BROTLI_PIECE_BYTES: usize = 8;

/// What a stream may hold beside all others: so much is taken of no limit.
const FREE_HELD_BYTES: usize = 4096;

/// Bytes at a stream's beginning of which nothing was decoded yet: so many are kept, for the case that they are in no
/// coding at all.
const MOST_FIRST_BYTES: usize = 4096;

/// The edit of one stream. It asked for no coding; one that comes in a coding all the same is decoded first,
/// and goes on without, however much it is: nothing is kept of what passes.
pub(crate) struct Edit {
    source: Source,
    effort: Effort,
    /// Taken, not edited yet.
    waiting: Bytes,
    unask: UsageUnask,
    /// Of what all answers may hold together.
    reserved: Reservation,
    most_together: usize,
}

/// What is taken.
enum Source {
    /// The stream itself.
    Plain,
    /// The stream in a coding.
    Coded(Coded),
    /// What stands behind the coding of a stream that had ended: nobody's.
    Over,
}

/// The coding of a stream on its way out.
struct Coded {
    decoder: Decoder,
    /// Encoded bytes decoded at once.
    piece: usize,
    /// What came before anything was decoded; none once it was, or where that is much.
    first: Option<Vec<u8>>,
    /// Told once what stood before it has passed.
    fault: Option<DecodeError>,
}

impl Edit {
    /// For a stream in these codings; none for one in several, which a few bytes could make very long at once. What it
    /// holds is `reserved`, as long as all do not hold more than `most_together`.
    pub(crate) fn new(
        codings: &[Coding],
        reserved: Reservation,
        most_together: usize,
    ) -> Option<Edit> {
        let source = match codings {
            [] => Source::Plain,
            [coding] => Source::Coded(Coded {
                decoder: Decoder::without_budget(*coding),
                piece: match coding {
                    Coding::Brotli => BROTLI_PIECE_BYTES,
                    _ => PIECE_BYTES,
                },
                first: Some(Vec::new()),
                fault: None,
            }),
            _ => return None,
        };
        Some(Edit {
            source,
            effort: Effort::on_answer(),
            waiting: Bytes::new(),
            unask: UsageUnask::new(),
            reserved,
            most_together,
        })
    }

    /// Takes the next bytes, once there are none left of those before.
    pub(crate) fn take(&mut self, bytes: Bytes) {
        self.waiting = bytes;
    }

    /// Whether bytes are left that were taken, or it is still to be told what is wrong with them.
    pub(crate) fn goes_on(&self) -> bool {
        let has_fault = matches!(&self.source, Source::Coded(coded) if coded.fault.is_some());
        !self.waiting.is_empty() || has_fault
    }

    /// What the client is to see next of the bytes taken. A stream whose own end was seen, `has_ended`, is not spoilt by
    /// what follows its coding, and one that is in no coding, whatever its head says, goes on as it is.
    ///
    /// # Errors
    /// [`DecodeError`] when the coding is broken, or only makes work: what follows cannot be shown.
    pub(crate) fn go_on(&mut self, has_ended: bool) -> Result<Vec<u8>, DecodeError> {
        let coded = match &mut self.source {
            Source::Coded(coded) => coded,
            Source::Plain => {
                let bytes = std::mem::take(&mut self.waiting);
                return Ok(self.edited(&bytes));
            }
            Source::Over => {
                self.waiting.clear();
                return Ok(Vec::new());
            }
        };
        if let Some(fault) = coded.fault.take() {
            return Err(fault);
        }
        let mut plain = Vec::with_capacity(self.waiting.len());
        match coded.undo(&mut self.effort, &mut self.waiting, &mut plain) {
            Ok(()) => {}
            Err(DecodeError::Broken(_)) if has_ended => {
                self.waiting.clear();
                self.source = Source::Over;
            }
            Err(fault @ DecodeError::Broken(_)) if plain.is_empty() => {
                plain = coded.first.take().ok_or(fault)?;
                self.source = Source::Plain;
            }
            Err(fault) if plain.is_empty() => return Err(fault),
            Err(fault) => coded.fault = Some(fault),
        }
        Ok(self.edited(&plain))
    }

    fn edited(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len());
        self.unask.push(plain, &mut out);
        let held = self.unask.held().saturating_sub(FREE_HELD_BYTES);
        if !self.reserved.hold(held, self.most_together) {
            self.unask.let_pass(&mut out);
            self.reserved.hold(0, self.most_together);
        }
        out
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
        if let Source::Coded(coded) = &mut self.source {
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
            let mut taken = 0;
            while !waiting.is_empty() && taken < DECODE_STEP_BYTES && plain.len() < STEP_BYTES {
                let piece = waiting.split_to(self.piece.min(waiting.len()));
                taken += piece.len();
                if let Some(first) = &mut self.first {
                    first.extend_from_slice(&piece);
                }
                self.decoder.push(&piece, plain)?;
                self.first = (self.first.take())
                    .filter(|first| plain.is_empty() && first.len() < MOST_FIRST_BYTES);
            }
            Ok(taken + plain.len())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bodies::memory::Memory;

    #[test]
    fn what_all_streams_hold_is_limited_and_what_finds_no_room_passes() {
        const MOST: usize = 10_000;
        let memory = Memory::new();
        let edit = || Edit::new(&[], memory.reserve(), MOST).unwrap();
        let go_on = |edit: &mut Edit, text: String| {
            edit.take(text.into());
            String::from_utf8(edit.go_on(false).unwrap()).unwrap()
        };
        let line = format!(r#"data: {{"usage":null,"a":"{}"#, "x".repeat(8_000));
        let (mut first, mut second) = (edit(), edit());
        assert_eq!(go_on(&mut first, line.clone()), "");
        assert_eq!(go_on(&mut second, line.clone()), "");
        assert_eq!(go_on(&mut second, line.clone()), [&*line, &line].concat());
        assert_eq!(go_on(&mut second, "\n\n".to_owned()), "\n\n");
        // Others still have what they hold, and what comes next is edited again.
        let end = "\"}\n\n".to_owned();
        let edited = [&line.replace(r#""usage":null,"#, ""), &*end].concat();
        assert_eq!(go_on(&mut first, end.clone()), edited);
        let next = [&*line, &end].concat();
        assert_eq!(go_on(&mut second, next), edited);
        assert!(
            memory.reserve().grow(MOST, MOST),
            "all of it was given back"
        );
    }
}
