//! One incremental, validating JSON scanner for everything that may be large, cut anywhere or
//! hostile. It finds values by their position in the document and skips all others; it must not
//! know what any member means.
//!
//! Bytes are pushed at any cut. Nothing is built: the scanner holds one bit for each open
//! container, the levels that are watched, and the text of the key or wanted value under way.
//! Structure is validated whole: brackets, colons, commas, literals, numbers, escapes, and
//! nothing but whitespace after the top value. Inside strings it is lenient in three ways, which
//! change no structure: raw control characters, bytes that are not UTF-8, and lone surrogate
//! escapes are let pass. Whoever wants a string's text must unescape it, and is told there.

mod cursor;
mod node;
mod number;
mod pending;
mod stack;
mod string;
#[cfg(test)]
mod tests;

use thiserror::Error;

use cursor::{Cursor, is_space, literal};
pub use node::{Found, Member, Node, Raw};
use number::Number;
use pending::{Level, Pending};
pub use stack::MOST_NESTING;
use stack::Stack;
use string::Part;

/// Most bytes of one wanted value that are given: a longer one is [`Raw::TooLong`].
pub const MOST_RAW_BYTES: usize = 16 * 1024;
/// Most bytes of one key, as written, that are compared: a longer one is nobody's name.
pub const MOST_KEY_BYTES: usize = 256;

/// Why bytes are not one JSON value. Once said, it is said of every later push too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScanError {
    /// A byte that JSON does not allow where it stands.
    #[error("not JSON")]
    Malformed,
    /// More than [`MOST_NESTING`] containers inside each other.
    #[error("JSON nested too deep")]
    TooDeep,
    /// The value was still open when the bytes ended.
    #[error("JSON ends early")]
    Truncated,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value: at the top, after a colon, after a comma of an array.
    Value,
    /// After `[`: an item or the end.
    ItemOrEnd,
    /// After `{`: a key or the end.
    KeyOrEnd,
    /// After a comma of an object.
    Key,
    /// After a key.
    Colon,
    /// After a value: a comma or the container's end.
    AfterValue,
    /// In a key.
    InKey(Part),
    /// In a string that is a value.
    InText(Part),
    /// In a number.
    InNumber(Number),
    /// In `true`, `false` or `null`, with this much still to come.
    InLiteral(&'static [u8]),
    /// After the top value.
    Done,
    /// After an error.
    Broken(ScanError),
}

/// The scanner. `T` names the wanted values of one tree of [`Node`]s.
#[derive(Debug)]
pub struct Scanner<T: 'static> {
    root: &'static Node<T>,
    state: State,
    open: Stack,
    /// The watched containers: always the outermost ones, so the current container is watched
    /// exactly if there are as many levels as open containers.
    levels: Vec<Level<T>>,
    /// The wanted value that comes next.
    next: Option<Pending<T>>,
    /// The wanted value under way whose inside is not looked at, and the depth it stands at.
    leaf: Option<(Pending<T>, usize)>,
    /// The text under way that came with earlier pushes.
    text: Vec<u8>,
    text_is_too_long: bool,
    /// Offset in the document of the next push's first byte.
    base: usize,
    key_start: usize,
}

impl<T: Copy> Scanner<T> {
    /// A scanner for one document, looking for what `root` wants.
    #[must_use]
    pub fn new(root: &'static Node<T>) -> Self {
        let mut scanner = Self {
            root,
            state: State::Value,
            open: Stack::default(),
            levels: Vec::new(),
            next: None,
            leaf: None,
            text: Vec::new(),
            text_is_too_long: false,
            base: 0,
            key_start: 0,
        };
        scanner.reset();
        scanner
    }

    /// Begins a new document, keeping what is allocated.
    pub fn reset(&mut self) {
        self.state = State::Value;
        self.open.clear();
        self.levels.clear();
        self.leaf = None;
        self.base = 0;
        self.clear_text();
        self.next = Some(Pending::of(self.root, false, 0));
    }

    /// Takes the document's next bytes, cut anywhere, and gives every wanted value that ends in
    /// them to `sink`, in the order of their ends: members before the object that holds them.
    ///
    /// # Errors
    /// [`ScanError`] as soon as the bytes cannot be JSON. What was given before may then stand
    /// in a document that is none: believe it only after [`Scanner::finish`].
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(Found<'_, T>),
    ) -> Result<(), ScanError> {
        let mut cursor = Cursor {
            bytes,
            at: 0,
            mark: 0,
        };
        let scanned = self.scan(&mut cursor, &mut sink);
        if let Err(error) = scanned {
            self.state = State::Broken(error);
            return scanned;
        }
        self.keep_text(&cursor);
        self.base += bytes.len();
        Ok(())
    }

    /// Says that the document ends here.
    ///
    /// # Errors
    /// [`ScanError`] if it is not one whole JSON value.
    pub fn finish(&mut self, mut sink: impl FnMut(Found<'_, T>)) -> Result<(), ScanError> {
        if let State::InNumber(number) = self.state
            && number.may_end()
            && self.open.depth() == 0
        {
            // Only a number at the top has no byte that ends it.
            self.end_value(
                &Cursor {
                    bytes: &[],
                    at: 0,
                    mark: 0,
                },
                &mut sink,
            );
        }
        match self.state {
            State::Done => Ok(()),
            State::Broken(error) => Err(error),
            _ => Err(ScanError::Truncated),
        }
    }

    /// Whether the top value has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn scan(
        &mut self,
        cursor: &mut Cursor<'_>,
        sink: &mut impl FnMut(Found<'_, T>),
    ) -> Result<(), ScanError> {
        while let Some(&byte) = cursor.bytes.get(cursor.at) {
            match self.state {
                State::InKey(part) => match string::run(cursor, part)? {
                    Some(part) => self.state = State::InKey(part),
                    None => self.end_key(cursor),
                },
                State::InText(part) => match string::run(cursor, part)? {
                    Some(part) => self.state = State::InText(part),
                    None => self.end_value(cursor, sink),
                },
                State::InNumber(number) => {
                    let number = number.run(cursor);
                    self.state = State::InNumber(number);
                    if cursor.at < cursor.bytes.len() {
                        if !number.may_end() {
                            return Err(ScanError::Malformed);
                        }
                        self.end_value(cursor, sink);
                    }
                }
                State::InLiteral(rest) => {
                    let rest = literal(cursor, rest)?;
                    self.state = State::InLiteral(rest);
                    if rest.is_empty() {
                        self.end_value(cursor, sink);
                    }
                }
                State::Broken(error) => return Err(error),
                _ if is_space(byte) => cursor.skip_spaces(),
                _ => self.token(byte, cursor, sink)?,
            }
        }
        Ok(())
    }

    /// Takes the one byte that begins the next token.
    fn token(
        &mut self,
        byte: u8,
        cursor: &mut Cursor<'_>,
        sink: &mut impl FnMut(Found<'_, T>),
    ) -> Result<(), ScanError> {
        match (self.state, byte) {
            (State::Value | State::ItemOrEnd, b'"') => {
                self.begin_value(byte, cursor);
                self.state = State::InText(Part::Plain);
            }
            (State::KeyOrEnd | State::Key, b'"') => {
                if self.is_watched() {
                    self.key_start = self.base + cursor.at;
                    cursor.mark = cursor.at + 1;
                    self.clear_text();
                }
                self.state = State::InKey(Part::Plain);
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::AfterValue, b',') => self.separate(),
            (State::Value | State::ItemOrEnd, b'{' | b'[') => self.enter(byte, cursor)?,
            (State::KeyOrEnd, b'}') | (State::ItemOrEnd, b']') => {
                cursor.at += 1;
                self.leave(cursor, sink);
                return Ok(());
            }
            (State::AfterValue, b'}') if self.open.in_object() => {
                cursor.at += 1;
                self.leave(cursor, sink);
                return Ok(());
            }
            (State::AfterValue, b']') if !self.open.in_object() => {
                cursor.at += 1;
                self.leave(cursor, sink);
                return Ok(());
            }
            (State::Value | State::ItemOrEnd, _) => self.begin_scalar(byte, cursor)?,
            _ => return Err(ScanError::Malformed),
        }
        cursor.at += 1;
        Ok(())
    }

    /// A comma: the next member or item follows.
    fn separate(&mut self) {
        if self.open.in_object() {
            self.state = State::Key;
        } else {
            self.state = State::Value;
            self.expect_item();
        }
    }

    fn begin_scalar(&mut self, byte: u8, cursor: &mut Cursor<'_>) -> Result<(), ScanError> {
        self.state = match byte {
            b't' => State::InLiteral(b"rue"),
            b'f' => State::InLiteral(b"alse"),
            b'n' => State::InLiteral(b"ull"),
            _ => State::InNumber(Number::begin(byte).ok_or(ScanError::Malformed)?),
        };
        self.begin_value(byte, cursor);
        Ok(())
    }

    /// A value begins: if it is wanted, its text is kept from here on.
    fn begin_value(&mut self, first: u8, cursor: &mut Cursor<'_>) {
        if let Some(mut pending) = self.next.take() {
            pending.value_start = self.base + cursor.at;
            pending.first = first;
            cursor.mark = cursor.at;
            self.clear_text();
            self.leaf = Some((pending, self.open.depth()));
        }
    }

    /// `{` or `[`.
    fn enter(&mut self, byte: u8, cursor: &mut Cursor<'_>) -> Result<(), ScanError> {
        let is_object = byte == b'{';
        if self
            .next
            .as_ref()
            .is_some_and(|pending| pending.node.looks_inside(is_object))
        {
            if let Some(mut pending) = self.next.take() {
                pending.value_start = self.base + cursor.at;
                pending.first = byte;
                self.levels.push(Level { pending, seen: 0 });
            }
        } else {
            self.begin_value(byte, cursor);
        }
        if !self.open.push(is_object) {
            return Err(ScanError::TooDeep);
        }
        if is_object {
            self.state = State::KeyOrEnd;
        } else {
            self.state = State::ItemOrEnd;
            self.expect_item();
        }
        Ok(())
    }

    /// The current container ended before `cursor.at`.
    fn leave(&mut self, cursor: &Cursor<'_>, sink: &mut impl FnMut(Found<'_, T>)) {
        // An empty array leaves the item it did not have.
        self.next = None;
        let was_watched = self.is_watched();
        self.open.pop();
        if was_watched && let Some(Level { pending, .. }) = self.levels.pop() {
            pending.give(self.base + cursor.at, Raw::NotTaken, sink);
        }
        self.end_value(cursor, sink);
    }

    /// The current value ended before `cursor.at`.
    fn end_value(&mut self, cursor: &Cursor<'_>, sink: &mut impl FnMut(Found<'_, T>)) {
        let depth = self.open.depth();
        if self.leaf.as_ref().is_some_and(|&(_, at)| at == depth)
            && let Some((pending, _)) = self.leaf.take()
        {
            let end = self.base + cursor.at;
            let raw = if pending.node.is_raw() {
                self.raw_text(cursor, cursor.at)
            } else {
                Raw::NotTaken
            };
            pending.give(end, raw, sink);
        }
        self.state = if depth == 0 {
            State::Done
        } else {
            State::AfterValue
        };
    }

    /// A key ended before `cursor.at`, which is past its closing quote.
    fn end_key(&mut self, cursor: &Cursor<'_>) {
        self.state = State::Colon;
        if !self.is_watched() {
            return;
        }
        let Some(level) = self.levels.last() else {
            return;
        };
        let node = level.pending.node;
        let found = match self.raw_text(cursor, cursor.at.saturating_sub(1)) {
            Raw::Whole(key) if key.len() <= MOST_KEY_BYTES => node.member(key),
            _ => node.other(),
        };
        let Some((wanted, bit)) = found else {
            return;
        };
        let again = self.levels.last_mut().is_some_and(|level| {
            let again = level.seen & bit != 0;
            level.seen |= bit;
            again
        });
        self.next = Some(Pending::of(wanted, again, self.key_start));
    }

    fn is_watched(&self) -> bool {
        self.levels.len() == self.open.depth()
    }

    /// The next value of a watched array is one of its items.
    fn expect_item(&mut self) {
        if self.is_watched()
            && let Some(level) = self.levels.last()
            && let Some(item) = level.pending.node.item()
        {
            self.next = Some(Pending::of(item, false, 0));
        }
    }

    /// The text from where the key or wanted value began to `end` in the current push.
    fn raw_text<'a>(&'a mut self, cursor: &Cursor<'a>, end: usize) -> Raw<'a> {
        if self.text.is_empty() && !self.text_is_too_long {
            let text = cursor.bytes.get(cursor.mark..end).unwrap_or_default();
            return if text.len() <= MOST_RAW_BYTES {
                Raw::Whole(text)
            } else {
                Raw::TooLong
            };
        }
        // A key cut between its last letter and its quote has nothing in this push.
        let rest = cursor.bytes.get(..end).unwrap_or_default();
        if self.text_is_too_long || self.text.len() + rest.len() > MOST_RAW_BYTES {
            return Raw::TooLong;
        }
        self.text.extend_from_slice(rest);
        Raw::Whole(&self.text)
    }

    /// Keeps the part of the text under way that stands in this push.
    fn keep_text(&mut self, cursor: &Cursor<'_>) {
        let is_wanted = match self.state {
            State::InKey(_) if self.is_watched() => true,
            _ => self
                .leaf
                .as_ref()
                .is_some_and(|(pending, _)| pending.node.is_raw()),
        };
        if !is_wanted || self.text_is_too_long {
            return;
        }
        let text = cursor.bytes.get(cursor.mark..).unwrap_or_default();
        if self.text.len() + text.len() > MOST_RAW_BYTES {
            self.text_is_too_long = true;
            self.text = Vec::new();
        } else {
            self.text.extend_from_slice(text);
        }
    }

    fn clear_text(&mut self) {
        self.text.clear();
        self.text_is_too_long = false;
    }
}
