//! Splits server-sent events: any cut, LF, CRLF or CR, a byte-order mark, comments, several data
//! lines. Data is passed on in pieces as it comes, never kept. It must not know what the data is.

use memchr::memchr2;

use crate::BYTE_ORDER_MARK;

/// The only field that is read.
const FIELD: &[u8; 4] = b"data";

/// What a stream consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// More of the current event's data; its lines are joined with `\n`.
    Data(&'a [u8]),
    /// The current event is whole. Events without data are not told.
    End,
}

/// Where in a line the stream was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// At the start of the stream, this much of a byte-order mark read.
    Mark(usize),
    /// In the field's name, this much of `data` matched; 0 is a line's start.
    Name(usize),
    /// After the colon of `data:`; one space may follow.
    Colon,
    /// In the data.
    Data,
    /// In a line that is not data.
    Other,
}

/// The splitter, at some point of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Splitter {
    line: Line,
    /// The current event has data.
    has_data: bool,
    /// The last byte was a CR that ended a line: an LF now belongs to it.
    after_cr: bool,
}

impl Splitter {
    pub(crate) const fn new() -> Self {
        Self {
            line: Line::Mark(0),
            has_data: false,
            after_cr: false,
        }
    }

    /// Whether the next byte begins an event.
    pub(crate) fn is_between_events(&self) -> bool {
        self.line == Line::Name(0) && !self.has_data && !self.after_cr
    }

    /// Takes the next bytes of the stream and gives the pieces that stand in them.
    pub(crate) fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Piece<'_>)) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                rest = after;
                continue;
            }
            match self.line {
                Line::Mark(read) => {
                    if BYTE_ORDER_MARK.get(read) == Some(&byte) {
                        rest = after;
                        self.line = if read + 1 == BYTE_ORDER_MARK.len() {
                            Line::Name(0)
                        } else {
                            Line::Mark(read + 1)
                        };
                    } else {
                        // Half a mark is a line of no known field.
                        self.line = if read == 0 {
                            Line::Name(0)
                        } else {
                            Line::Other
                        };
                    }
                }
                Line::Name(matched) => {
                    rest = after;
                    self.name(matched, byte, &mut sink);
                }
                Line::Colon => {
                    self.begin_data(&mut sink);
                    self.line = Line::Data;
                    if byte == b' ' {
                        rest = after;
                    }
                }
                Line::Data | Line::Other => rest = self.run(rest, &mut sink),
            }
        }
    }

    /// The stream ended. An event that no blank line ended still counts.
    pub(crate) fn finish(&mut self, mut sink: impl FnMut(Piece<'_>)) {
        if std::mem::take(&mut self.has_data) {
            sink(Piece::End);
        }
    }

    fn name(&mut self, matched: usize, byte: u8, sink: &mut impl FnMut(Piece<'_>)) {
        let is_field = matched == FIELD.len();
        self.line = match byte {
            b'\n' | b'\r' => {
                if matched == 0 {
                    if std::mem::take(&mut self.has_data) {
                        sink(Piece::End);
                    }
                } else if is_field {
                    self.begin_data(sink);
                }
                self.after_cr = byte == b'\r';
                Line::Name(0)
            }
            b':' if is_field => Line::Colon,
            _ if FIELD.get(matched) == Some(&byte) => Line::Name(matched + 1),
            _ => Line::Other,
        };
    }

    fn begin_data(&mut self, sink: &mut impl FnMut(Piece<'_>)) {
        if std::mem::replace(&mut self.has_data, true) {
            sink(Piece::Data(b"\n"));
        }
    }

    /// Runs to the end of the line, or of the bytes.
    fn run<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        let end = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
        let (text, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        if self.line == Line::Data && !text.is_empty() {
            sink(Piece::Data(text));
        }
        let Some((&ending, rest)) = rest.split_first() else {
            return &[];
        };
        self.line = Line::Name(0);
        self.after_cr = ending == b'\r';
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::new();
        let mut events = vec![];
        let mut data = vec![];
        let mut take = |piece: Piece<'_>| match piece {
            Piece::Data(bytes) => data.extend_from_slice(bytes),
            Piece::End => events.push(std::mem::take(&mut data)),
        };
        for piece in pieces {
            splitter.push(piece, &mut take);
        }
        splitter.finish(&mut take);
        events
    }

    #[test]
    fn events_are_split_as_the_standard_says() {
        for (stream, expected) in [
            (&b"data: a\n\ndata: b\n\n"[..], &[&b"a"[..], b"b"][..]),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", &[b"a", b"b"]),
            (b"data: a\r\rdata:b\r\r", &[b"a", b"b"]),
            (b"data: a\ndata: b\n\n", &[b"a\nb"]),
            (b"data\n\n", &[b""]),
            (b"data\ndata: x\n\n", &[b"\nx"]),
            (b"data:  two spaces\n\n", &[b" two spaces"]),
            (b"data:\n\n", &[b""]),
            (b"\xef\xbb\xbfdata: a\n\n", &[b"a"]),
            (b"\xef\xbbdata: a\n\ndata: b\n\n", &[b"b"]),
            (b": comment\n\ndata: a\n\n", &[b"a"]),
            (b"event: x\nid: 1\nretry: 2\ndata: a\n\n", &[b"a"]),
            (b"event: x\n\n", &[]),
            (b"dat: a\ndatax: b\nDATA: c\n data: d\n\n", &[]),
            (b"data: a", &[b"a"]),
            (b"data: a\n", &[b"a"]),
            (b"data: a\r\n\ndata: b\n\r\n", &[b"a", b"b"]),
            (b"\n\n\n", &[]),
        ] {
            assert_eq!(events(&[stream]), expected, "{}", stream.escape_ascii());
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let cut = [&stream[..first], &stream[first..second], &stream[second..]];
                    assert_eq!(events(&cut), expected, "cut at {first} and {second}");
                }
            }
        }
    }

    #[test]
    fn it_knows_when_it_stands_between_events() {
        let mut splitter = Splitter::new();
        for (bytes, expected) in [
            (&b"data: a\n"[..], false),
            (b"\n", true),
            (b": comment\n", true),
            (b"data: b\r\n\r", false),
            (b"\n", true),
            (b"d", false),
        ] {
            splitter.push(bytes, |_| {});
            assert_eq!(splitter.is_between_events(), expected);
        }
    }
}
