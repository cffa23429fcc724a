//! One direction of a WebSocket (RFC 6455, 5): raw bytes at any cut in, the text of its messages out. It must not
//! know what the messages say, nor how the connection came about.

/// Bytes unmasked at a time.
const UNMASK_STEP_BYTES: usize = 4096;
/// The longest head of a frame: two bytes, eight of length, four of mask.
const MOST_HEAD_BYTES: usize = 14;
/// The most bytes a control frame may carry.
const MOST_CONTROL_BYTES: u64 = 125;

/// What a direction consists of, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// More of the current text message, unmasked.
    Text(&'a [u8]),
    /// The current text message is whole.
    End,
}

/// The bytes are no WebSocket without extensions: nothing after them is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotFrames;

/// The reader of one direction.
#[derive(Debug)]
pub(crate) struct Frames {
    at: At,
    /// The message under way, if its last frame has not come.
    message: Option<Kind>,
}

/// Where in a frame the bytes were cut.
#[derive(Debug)]
enum At {
    Head {
        bytes: [u8; MOST_HEAD_BYTES],
        filled: usize,
    },
    Payload {
        left: u64,
        mask: Option<Mask>,
        /// What the payload belongs to; `None`: a control frame, which is passed over.
        of: Option<Kind>,
        is_last: bool,
    },
    Broken,
}

/// What a message consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// The key of a masked payload, turned so that its first byte is the next one's.
#[derive(Debug, Clone, Copy)]
struct Mask([u8; 4]);

impl At {
    const HEAD: Self = Self::Head {
        bytes: [0; MOST_HEAD_BYTES],
        filled: 0,
    };
}

impl Frames {
    pub(crate) const fn new() -> Self {
        Self {
            at: At::HEAD,
            message: None,
        }
    }

    /// Takes the next bytes of the direction and gives the pieces of text that stand in them.
    ///
    /// # Errors
    /// [`NotFrames`], of these bytes or of earlier ones.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        mut sink: impl FnMut(Piece<'_>),
    ) -> Result<(), NotFrames> {
        loop {
            match &mut self.at {
                At::Broken => return Err(NotFrames),
                At::Head {
                    bytes: head,
                    filled,
                } => {
                    let needed = needed(head, *filled);
                    if *filled < needed {
                        let Some((&byte, rest)) = bytes.split_first() else {
                            return Ok(());
                        };
                        if let Some(place) = head.get_mut(*filled) {
                            *place = byte;
                        }
                        *filled += 1;
                        bytes = rest;
                        continue;
                    }
                    let head = *head;
                    self.at = self.begin(head).unwrap_or(At::Broken);
                }
                At::Payload { left: 0, .. } => self.end_frame(&mut sink),
                At::Payload { left, mask, of, .. } => {
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    let taken =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let (now, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
                    *left -= now.len() as u64;
                    bytes = rest;
                    if *of == Some(Kind::Text) {
                        unmask(now, mask, &mut sink);
                    } else if let Some(mask) = mask {
                        mask.turn(now.len());
                    }
                }
            }
        }
    }

    /// The frame that a whole head begins.
    fn begin(&mut self, head: [u8; MOST_HEAD_BYTES]) -> Result<At, NotFrames> {
        let [first, second, ..] = head;
        let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
        // A reserved bit is an extension's, and none was agreed on.
        if first & 0x70 != 0 {
            return Err(NotFrames);
        }
        let extra = length_bytes(second);
        let left = if extra == 0 {
            u64::from(second & 0x7f)
        } else {
            let bytes = head.iter().skip(2).take(extra);
            bytes.fold(0, |length, &byte| length << 8 | u64::from(byte))
        };
        if left > i64::MAX as u64 {
            return Err(NotFrames);
        }
        let mask = (second & 0x80 != 0).then(|| {
            let mut mask = [0; 4];
            for (to, from) in mask.iter_mut().zip(head.iter().skip(2 + extra)) {
                *to = *from;
            }
            Mask(mask)
        });
        let of = match (opcode, self.message) {
            (0, Some(kind)) => Some(kind),
            (1, None) => Some(Kind::Text),
            (2, None) => Some(Kind::Binary),
            (8..=10, _) if is_last && left <= MOST_CONTROL_BYTES => None,
            _ => return Err(NotFrames),
        };
        if of.is_some() {
            self.message = of;
        }
        Ok(At::Payload {
            left,
            mask,
            of,
            is_last,
        })
    }

    fn end_frame(&mut self, sink: &mut impl FnMut(Piece<'_>)) {
        if let At::Payload {
            of: Some(kind),
            is_last: true,
            ..
        } = self.at
        {
            self.message = None;
            if kind == Kind::Text {
                sink(Piece::End);
            }
        }
        self.at = At::HEAD;
    }
}

/// How long the head is, as far as its first bytes tell.
fn needed(head: &[u8; MOST_HEAD_BYTES], filled: usize) -> usize {
    let [_, second, ..] = *head;
    if filled < 2 {
        return 2;
    }
    2 + length_bytes(second) + if second & 0x80 == 0 { 0 } else { 4 }
}

/// Bytes of length that follow a head's second byte.
fn length_bytes(second: u8) -> usize {
    match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

fn unmask(bytes: &[u8], mask: &mut Option<Mask>, sink: &mut impl FnMut(Piece<'_>)) {
    let Some(mask) = mask else {
        sink(Piece::Text(bytes));
        return;
    };
    let mut plain = [0; UNMASK_STEP_BYTES];
    for step in bytes.chunks(UNMASK_STEP_BYTES) {
        let keys = mask.0.iter().cycle();
        for ((to, from), key) in plain.iter_mut().zip(step).zip(keys) {
            *to = from ^ key;
        }
        mask.turn(step.len());
        sink(Piece::Text(plain.get(..step.len()).unwrap_or_default()));
    }
}

impl Mask {
    /// Moves on past so many bytes.
    fn turn(&mut self, bytes: usize) {
        self.0.rotate_left(bytes % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame_usage::written::{close, frame, masked, message, ping};

    /// The messages that stand in these bytes, pushed in pieces of `step`.
    fn read(bytes: &[u8], step: usize) -> Result<Vec<String>, NotFrames> {
        let (mut frames, mut text, mut whole) = (Frames::new(), Vec::new(), Vec::new());
        for bytes in bytes.chunks(step) {
            frames.push(bytes, |piece| match piece {
                Piece::Text(more) => text.extend_from_slice(more),
                Piece::End => whole.push(String::from_utf8(std::mem::take(&mut text)).unwrap()),
            })?;
        }
        Ok(whole)
    }

    #[test]
    fn messages_of_every_length_masked_or_not_at_any_cut() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_001] {
            let text: String = ('a'..='z').cycle().take(length).collect();
            for bytes in [message(&text), masked(&text, [0x37, 0xfa, 0x21, 0x3d])] {
                for step in [1, 3, 4097, bytes.len()] {
                    assert_eq!(
                        read(&bytes, step).unwrap(),
                        [text.as_str()],
                        "{length} {step}"
                    );
                }
            }
        }
    }

    #[test]
    fn fragments_make_one_message_and_control_frames_stand_between_them() {
        let mut bytes = frame(0x01, b"Hel");
        bytes.extend(ping(b"are you there"));
        bytes.extend(frame(0x00, b""));
        bytes.extend(frame(0x80, b"lo"));
        bytes.extend(message("again"));
        bytes.extend(close());
        for step in 1..bytes.len() {
            assert_eq!(read(&bytes, step).unwrap(), ["Hello", "again"], "{step}");
        }
    }

    #[test]
    fn binary_messages_are_passed_over() {
        let mut bytes = frame(0x02, &[0xff; 300]);
        bytes.extend(frame(0x80, b"not text"));
        bytes.extend(message("text"));
        assert_eq!(read(&bytes, 7).unwrap(), ["text"]);
    }

    #[test]
    fn what_is_no_websocket_is_not_read() {
        let mut too_long = vec![0x81, 127];
        too_long.extend([0xff; 8]);
        let mut unfinished = frame(0x01, b"a");
        unfinished.extend(message("b"));
        for bytes in [
            frame(0xc1, b"compressed"),
            frame(0x80, b"continues nothing"),
            frame(0x83, b"of no known kind"),
            frame(0x09, b"a ping in pieces"),
            frame(0x89, &[0; 126]),
            too_long,
            unfinished,
        ] {
            assert!(read(&bytes, 5).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_mistake_ends_the_reading() {
        let mut frames = Frames::new();
        assert!(frames.push(&frame(0xc1, b"x"), |_| {}).is_err());
        assert!(
            frames
                .push(&message("fine"), |_| panic!("was read"))
                .is_err()
        );
    }
}
