//! Takes the traces of [`crate::ask_for_usage`] out of a stream again: the member `"usage":null`
//! of each event, and the event that reports the usage. Every other byte passes as it came. It
//! must not know how usage is read.

use std::ops::Range;

use memchr::{memchr2, memmem};

use crate::BYTE_ORDER_MARK;
use crate::json_scan::{Found, Node, Scanner};

/// Most bytes held back while a line or an event is decided: a longer one passes as it came.
pub const MOST_HELD_BYTES: usize = 1024 * 1024;

/// A wanted value of one event's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Usage,
    /// `choices`, after its items.
    Choices,
    Choice,
    /// A member that every event has.
    Usual,
    /// A member that makes the event more than a report of usage, unless each event has it.
    Other,
}

static CHOICE: Node<Tag> = Node::place(Tag::Choice);
static OTHER: Node<Tag> = Node::place(Tag::Other);
static EVENT: Node<Tag> = Node::object(&[
    ("usage", Node::place(Tag::Usage)),
    ("choices", Node::array(&CHOICE).tagged(Tag::Choices)),
    ("id", Node::place(Tag::Usual)),
    ("object", Node::place(Tag::Usual)),
    ("created", Node::place(Tag::Usual)),
    ("model", Node::place(Tag::Usual)),
    ("service_tier", Node::place(Tag::Usual)),
    ("system_fingerprint", Node::place(Tag::Usual)),
    ("obfuscation", Node::place(Tag::Usual)),
])
.and_others(&OTHER);

/// Turns the stream of an asked call into the one a client that never asked would have got.
///
/// Bytes are pushed at any cut. A line of data is held back until it ends, fields that stand
/// before it until it is decided, and an event that reports usage until the blank line that ends
/// it: comments and everything else pass at once.
#[derive(Debug)]
pub struct UsageUnask {
    /// The line under way, as far as it is held back.
    line: Vec<u8>,
    /// The line under way passes: a comment, or too long to be held.
    line_passes: bool,
    /// Lines of the event under way that are held back, with their endings.
    event: Vec<u8>,
    stage: Stage,
    /// Where the CR went that was the last byte: an LF now follows it there.
    after_cr: Option<Way>,
    /// The line under way is the stream's first: a byte-order mark may stand before it.
    is_first_line: bool,
    scanner: Scanner<Tag>,
    /// Members that events with choices had and that are not known here, with their quotes and colons: what each event
    /// has makes none of them more than a report of usage.
    known_others: Vec<Box<[u8]>>,
}

/// Names that are remembered of one stream.
const MOST_OTHERS: usize = 16;

/// How far the event under way is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing of it was data yet.
    Fields,
    /// Its one line of data reports usage and nothing else.
    Report,
    /// It passes.
    Passes,
}

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    Held,
    Dropped,
}

/// What a line of data is.
enum Judgement {
    Keep,
    /// Without these bytes of it.
    Cut(Range<usize>),
    Report,
}

impl Default for UsageUnask {
    fn default() -> Self {
        Self::new()
    }
}

impl UsageUnask {
    /// A filter at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self {
            line: Vec::new(),
            line_passes: false,
            event: Vec::new(),
            stage: Stage::Fields,
            after_cr: None,
            is_first_line: true,
            scanner: Scanner::new(&EVENT),
            known_others: Vec::new(),
        }
    }

    /// Takes the next bytes, cut anywhere, and appends what leaves now.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(first) = bytes.first() else {
            return;
        };
        let mut rest = bytes;
        if let Some(way) = self.after_cr.take()
            && *first == b'\n'
        {
            self.send(way, b"\n", out);
            rest = bytes.get(1..).unwrap_or_default();
        }
        while !rest.is_empty() {
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                self.hold(rest, out);
                return;
            };
            let (text, after) = rest.split_at_checked(end).unwrap_or_default();
            let is_crlf = after.starts_with(b"\r\n");
            let (ending, after) = after
                .split_at_checked(if is_crlf { 2 } else { 1 })
                .unwrap_or_default();
            let way = self.end_line(text, ending, out);
            if ending == b"\r" && after.is_empty() {
                self.after_cr = Some(way);
            }
            rest = after;
        }
    }

    /// Bytes that are held until it is known whether they pass.
    #[must_use]
    pub fn held(&self) -> usize {
        self.line.len() + self.event.len()
    }

    /// Appends what is held, whatever it says: there is no room for it. What follows of its event passes, too.
    pub fn let_pass(&mut self, out: &mut Vec<u8>) {
        self.pass(out);
        if !self.line.is_empty() {
            self.line_passes = true;
            out.append(&mut std::mem::take(&mut self.line));
        }
    }

    /// The stream ended: appends what was still held. A report of usage that no blank line ended
    /// is one all the same.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.line.is_empty() {
            self.end_line(b"", b"", out);
        }
        if self.stage != Stage::Report {
            out.append(&mut self.event);
        }
        *self = Self::new();
    }

    /// Keeps the beginning of a line whose end has not come.
    fn hold(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.line_passes {
            out.extend_from_slice(text);
            return;
        }
        self.line.extend_from_slice(text);
        let is_comment = self.line.first() == Some(&b':') && self.event.is_empty();
        let is_too_long = self.line.len() + self.event.len() > MOST_HELD_BYTES;
        if is_comment || is_too_long {
            if is_too_long {
                self.stage = Stage::Passes;
            }
            self.line_passes = true;
            out.append(&mut self.event);
            out.append(&mut self.line);
        }
    }

    /// A line ended: `text` is its last part, `ending` what ended it. Says where it went.
    fn end_line(&mut self, text: &[u8], ending: &[u8], out: &mut Vec<u8>) -> Way {
        let is_first = std::mem::take(&mut self.is_first_line);
        if std::mem::take(&mut self.line_passes) {
            out.extend_from_slice(text);
            out.extend_from_slice(ending);
            return Way::Out;
        }
        if self.line.is_empty() {
            return self.whole_line(text, ending, is_first, out);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(text);
        let way = self.whole_line(&line, ending, is_first, out);
        line.clear();
        self.line = line;
        way
    }

    fn whole_line(&mut self, line: &[u8], ending: &[u8], is_first: bool, out: &mut Vec<u8>) -> Way {
        if line.is_empty() {
            return self.end_event(ending, out);
        }
        if self.event.len() + line.len() > MOST_HELD_BYTES {
            let way = self.pass(out);
            self.send(way, line, out);
            self.send(way, ending, out);
            return way;
        }
        let mark = if is_first && line.starts_with(&BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK.len()
        } else {
            0
        };
        let field = line.get(mark..).unwrap_or_default();
        let Some(data) = field.strip_prefix(b"data:") else {
            let way = match self.stage {
                Stage::Fields if field.starts_with(b":") && self.event.is_empty() => Way::Out,
                Stage::Fields | Stage::Report if field != b"data" => Way::Held,
                _ => self.pass(out),
            };
            self.send(way, line, out);
            self.send(way, ending, out);
            return way;
        };
        let judgement = match self.stage {
            Stage::Fields | Stage::Passes => self.judge(data),
            // Data on a second line: the event is more than it seemed.
            Stage::Report => Judgement::Keep,
        };
        let way = match judgement {
            Judgement::Report if self.stage == Stage::Fields => {
                self.stage = Stage::Report;
                self.send(Way::Held, line, out);
                Way::Held
            }
            Judgement::Keep | Judgement::Report => {
                let way = self.pass(out);
                self.send(way, line, out);
                way
            }
            Judgement::Cut(Range { start, end }) => {
                let way = self.pass(out);
                let before = line.len() - data.len();
                self.send(way, line.get(..before + start).unwrap_or_default(), out);
                self.send(way, line.get(before + end..).unwrap_or_default(), out);
                way
            }
        };
        self.send(way, ending, out);
        way
    }

    /// A blank line.
    fn end_event(&mut self, ending: &[u8], out: &mut Vec<u8>) -> Way {
        let way = if self.stage == Stage::Report {
            self.event.clear();
            Way::Dropped
        } else {
            self.pass(out)
        };
        self.stage = Stage::Fields;
        self.send(way, ending, out);
        way
    }

    /// Lets go of what is held of the event under way, and of all that follows of it.
    fn pass(&mut self, out: &mut Vec<u8>) -> Way {
        self.stage = Stage::Passes;
        out.append(&mut self.event);
        Way::Out
    }

    fn send(&mut self, way: Way, bytes: &[u8], out: &mut Vec<u8>) {
        match way {
            Way::Out => out.extend_from_slice(bytes),
            Way::Held => self.event.extend_from_slice(bytes),
            Way::Dropped => {}
        }
    }

    fn judge(&mut self, data: &[u8]) -> Judgement {
        if memmem::find(data, b"\"usage\"").is_none() {
            return Judgement::Keep;
        }
        let mut notes = Notes::default();
        self.scanner.reset();
        let scanned = self
            .scanner
            .push(data, |found| notes.take(&found))
            .and_then(|()| self.scanner.finish(|_| {}));
        if scanned.is_err() {
            return Judgement::Keep;
        }
        let others = std::mem::take(&mut notes.others);
        let mut others = others.into_iter().filter_map(|name| data.get(name));
        match notes.usage {
            Some((_, false)) if notes.has_no_choices && !notes.has_more => {
                if others.all(|name| self.known_others.iter().any(|known| **known == *name)) {
                    Judgement::Report
                } else {
                    Judgement::Keep
                }
            }
            Some((_, false)) | None => Judgement::Keep,
            Some((member, true)) => {
                for name in others {
                    if self.known_others.len() < MOST_OTHERS
                        && self.known_others.iter().all(|known| **known != *name)
                    {
                        self.known_others.push(name.into());
                    }
                }
                Judgement::Cut(with_comma(data, member))
            }
        }
    }
}

/// What is noted of an event's data.
#[derive(Default)]
struct Notes {
    /// Where the member stands, and whether it is null; another value than null or an object, or
    /// a second one, is none of ours.
    usage: Option<(Range<usize>, bool)>,
    has_choice: bool,
    has_no_choices: bool,
    /// A usual member stands there twice.
    has_more: bool,
    /// Where the names of other members stand that are not null.
    others: Vec<Range<usize>>,
}

impl Notes {
    fn take(&mut self, found: &Found<'_, Tag>) {
        match found.tag {
            Tag::Usage => {
                let is_ours = !found.again && matches!(found.first, b'n' | b'{');
                self.usage = is_ours.then(|| (found.key_start..found.value_end, found.is_null()));
            }
            Tag::Choice => self.has_choice = true,
            Tag::Choices => {
                self.has_no_choices = found.first == b'[' && !self.has_choice && !found.again;
            }
            Tag::Usual => self.has_more |= found.again,
            Tag::Other if found.is_null() => {}
            Tag::Other => self.others.push(found.key_start..found.value_start),
        }
    }
}

/// The member with one adjoining comma: the one before it, else the one after it.
fn with_comma(data: &[u8], member: Range<usize>) -> Range<usize> {
    let before = data.get(..member.start).unwrap_or_default();
    if let Some(before) = before.trim_ascii_end().strip_suffix(b",") {
        return before.len()..member.end;
    }
    let after = data.get(member.end..).unwrap_or_default();
    match after.trim_ascii_start().strip_prefix(b",") {
        Some(rest) => member.start..data.len() - rest.len(),
        None => member,
    }
}

#[cfg(test)]
mod tests;
