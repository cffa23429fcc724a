//! The grammar of JSON, token by token, and where in it a document stands. It must not know what
//! is wanted of a document, only at which depth to stop and tell.

use super::ScanError;
use super::cursor::{Cursor, is_space, past_spaces};
use super::literal::Literal;
use super::number::Number;
use super::stack::Stack;
use super::string::{self, Part};
use crate::BYTE_ORDER_MARK;

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a byte-order mark before the top value, this much of it read.
    InMark(u8),
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
    /// In `true`, `false` or `null`.
    InLiteral(Literal),
    /// After the top value.
    Done,
    /// After an error.
    Broken(ScanError),
}

impl State {
    /// The state after the first byte of a value; `None` if no value begins so.
    fn begun_by(byte: u8) -> Option<Self> {
        Some(match byte {
            b'"' => Self::InText(Part::Plain),
            b'{' => Self::KeyOrEnd,
            b'[' => Self::ItemOrEnd,
            b't' | b'f' | b'n' => Self::InLiteral(Literal::begin(byte)?),
            _ => Self::InNumber(Number::begin(byte)?),
        })
    }
}

/// Where to stop and tell. All deeper tokens are only checked, which is what most of them need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    /// Open containers around the watched members or items.
    pub(super) depth: usize,
    /// The member whose key was told last is wanted: its beginning and its end are told too.
    /// Items are always wanted where they are watched.
    pub(super) is_wanted: bool,
}

/// Why the grammar stopped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The bytes of this push are all read.
    Cut,
    /// A key ended.
    Key(Key),
    /// A value began with the last byte read, this one.
    Begin(u8),
    /// A wanted value, or the container around the watched members or items, ended with the last
    /// byte read, or before the next one if it is a number.
    End,
}

/// A key that ended in this push.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// The place of its closing quote in the push.
    pub(super) end: usize,
    /// It may have escapes: without them it says what is written.
    pub(super) may_be_escaped: bool,
}

/// How far a document is read.
#[derive(Debug)]
pub(super) struct Grammar {
    state: State,
    open: Stack,
    key_start: usize,
}

impl Grammar {
    pub(super) fn new() -> Self {
        Self {
            state: State::Value,
            open: Stack::default(),
            key_start: 0,
        }
    }

    /// Begins a new document.
    pub(super) fn reset(&mut self) {
        self.state = State::Value;
        self.open.clear();
    }

    /// Nothing is read after this error.
    pub(super) fn break_off(&mut self, error: ScanError) {
        self.state = State::Broken(error);
    }

    /// Whether the top value has ended.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Offset in the document of the opening quote of the last key.
    pub(super) fn key_start(&self) -> usize {
        self.key_start
    }

    /// Whether the bytes were cut in a key at this depth.
    pub(super) fn is_in_key(&self, depth: usize) -> bool {
        matches!(self.state, State::InKey(_)) && self.open.depth() == depth
    }

    /// Ends a number at the top, which has no byte that ends it; false if there is none.
    pub(super) fn end_top_number(&mut self) -> bool {
        let ends = self.open.depth() == 0
            && matches!(self.state, State::InNumber(number) if number.may_end());
        if ends {
            self.state = State::Done;
        }
        ends
    }

    /// Whether the innermost container is an object, if there are so many open around the place and
    /// its next member or item begins there.
    #[inline]
    pub(super) fn is_before_next(&self, depth: usize) -> Option<bool> {
        let is_there = match self.state {
            State::KeyOrEnd | State::Key => true,
            State::ItemOrEnd | State::Value => !self.open.in_object(),
            _ => false,
        };
        (is_there && self.open.depth() == depth).then_some(self.open.in_object())
    }

    /// The byte that closes the innermost container, if there are so many open around the place and a
    /// value of it has just ended.
    #[inline]
    pub(super) fn is_behind_value(&self, depth: usize) -> Option<u8> {
        let is_there = matches!(self.state, State::AfterValue) && self.open.depth() == depth;
        is_there.then(|| self.open.closing())
    }

    /// A comma was read.
    #[inline]
    pub(super) fn go_to_next(&mut self) {
        self.state = if self.open.in_object() {
            State::Key
        } else {
            State::Value
        };
    }

    /// A value was read.
    #[inline]
    pub(super) fn go_behind_value(&mut self) {
        self.value(None);
    }

    /// The byte that opens a container was read; false if there is no room for it.
    #[must_use]
    pub(super) fn go_into(&mut self, is_object: bool) -> bool {
        self.state = if is_object {
            State::KeyOrEnd
        } else {
            State::ItemOrEnd
        };
        self.open.push(is_object)
    }

    /// Says that the document ends here.
    pub(super) fn finish(&self) -> Result<(), ScanError> {
        match self.state {
            State::Done => Ok(()),
            State::Broken(error) => Err(error),
            _ => Err(ScanError::Truncated),
        }
    }

    /// Reads on, to the next step that is watched.
    #[expect(
        clippy::inline_always,
        reason = "half of the steps lead right back here, and a call costs more than a token"
    )]
    #[inline(always)]
    pub(super) fn run(&mut self, cursor: &mut Cursor<'_>, watch: Watch) -> Result<Step, ScanError> {
        while let Some(&byte) = cursor.bytes.get(cursor.at) {
            let is_end = match self.state {
                State::KeyOrEnd | State::Key if byte == b'"' => {
                    if let Some(key) = self.begin_key(cursor)?
                        && self.open.depth() == watch.depth
                    {
                        return Ok(Step::Key(key));
                    }
                    false
                }
                State::Colon if byte == b':' => {
                    cursor.at += 1;
                    self.state = State::Value;
                    false
                }
                State::ItemOrEnd if byte == b']' => self.leave(cursor),
                State::KeyOrEnd if byte == b'}' => self.leave(cursor),
                State::Value | State::ItemOrEnd if let Some(begun) = State::begun_by(byte) => {
                    let is_told = self.open.depth() == watch.depth
                        && (watch.is_wanted || !self.open.in_object());
                    cursor.at += 1;
                    self.state = begun;
                    if matches!(byte, b'{' | b'[') && !self.open.push(byte == b'{') {
                        return Err(ScanError::TooDeep);
                    }
                    if is_told {
                        return Ok(Step::Begin(byte));
                    }
                    false
                }
                State::AfterValue if byte == b',' => {
                    cursor.at += 1;
                    if let Some(key) = self.separate(cursor)?
                        && self.open.depth() == watch.depth
                    {
                        return Ok(Step::Key(key));
                    }
                    false
                }
                State::AfterValue if byte == self.open.closing() => self.leave(cursor),
                State::InText(part) => self.text(part, cursor)?,
                State::InNumber(number) => self.number(number, cursor)?,
                State::InLiteral(literal) => self.literal(literal, cursor)?,
                State::InKey(part) => {
                    if let Some(key) = self.key(part, cursor)?
                        && self.open.depth() == watch.depth
                    {
                        return Ok(Step::Key(key));
                    }
                    false
                }
                State::Broken(error) => return Err(error),
                State::InMark(read) => self.mark(read, cursor)?,
                // Whitespace is asked for last: most documents have none.
                _ if is_space(byte) => {
                    cursor.at = past_spaces(cursor.bytes, cursor.at);
                    false
                }
                State::Value if byte == BYTE_ORDER_MARK[0] && cursor.position() == 0 => {
                    self.mark(0, cursor)?
                }
                _ => return Err(ScanError::Malformed),
            };
            if is_end && self.is_told_end(watch) {
                return Ok(Step::End);
            }
        }
        Ok(Step::Cut)
    }

    /// Reads the next byte of a byte-order mark, which ends no value.
    #[cold]
    fn mark(&mut self, read: u8, cursor: &mut Cursor<'_>) -> Result<bool, ScanError> {
        if BYTE_ORDER_MARK.get(usize::from(read)) != cursor.bytes.get(cursor.at) {
            return Err(ScanError::Malformed);
        }
        cursor.at += 1;
        self.state = if usize::from(read) + 1 == BYTE_ORDER_MARK.len() {
            State::Value
        } else {
            State::InMark(read + 1)
        };
        Ok(false)
    }

    /// Whether the end of a value, which is just left, is one to tell.
    fn is_told_end(&self, watch: Watch) -> bool {
        let depth = self.open.depth();
        depth < watch.depth || depth == watch.depth && watch.is_wanted
    }

    /// After a comma. The key is taken with it where it follows at once and ends in this push.
    fn separate(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Key>, ScanError> {
        if !self.open.in_object() {
            self.state = State::Value;
            return Ok(None);
        }
        self.state = State::Key;
        if cursor.bytes.get(cursor.at) != Some(&b'"') {
            return Ok(None);
        }
        self.begin_key(cursor)
    }

    /// Takes the quote that begins a key, and runs on in the key.
    fn begin_key(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Key>, ScanError> {
        self.key_start = cursor.position();
        cursor.at += 1;
        if let Some(end) = string::plain_end(cursor.bytes, cursor.at) {
            cursor.at = end;
            return Ok(Some(self.end_key(false, cursor)));
        }
        self.key(Part::Plain, cursor)
    }

    /// Runs on in a key that has escapes or is cut, and gives it past its end.
    #[inline(never)]
    fn key(&mut self, part: Part, cursor: &mut Cursor<'_>) -> Result<Option<Key>, ScanError> {
        let cut;
        (cursor.at, cut) = string::run(cursor.bytes, cursor.at, part)?;
        if let Some(part) = cut {
            self.state = State::InKey(part);
            return Ok(None);
        }
        Ok(Some(self.end_key(true, cursor)))
    }

    /// A key ended with the last byte read. The colon is taken with it where it follows at once.
    fn end_key(&mut self, may_be_escaped: bool, cursor: &mut Cursor<'_>) -> Key {
        let end = cursor.at.saturating_sub(1);
        self.state = State::Colon;
        if cursor.bytes.get(cursor.at) == Some(&b':') {
            cursor.at += 1;
            self.state = State::Value;
        }
        Key {
            end,
            may_be_escaped,
        }
    }

    /// Runs on in a string that is a value; true past its end.
    fn text(&mut self, part: Part, cursor: &mut Cursor<'_>) -> Result<bool, ScanError> {
        let cut;
        (cursor.at, cut) = string::run(cursor.bytes, cursor.at, part)?;
        Ok(self.value(cut.map(State::InText)))
    }

    /// Runs on in a number; true past its end, which only another byte can tell.
    #[inline]
    fn number(&mut self, number: Number, cursor: &mut Cursor<'_>) -> Result<bool, ScanError> {
        let reached;
        (cursor.at, reached) = number.run(cursor.bytes, cursor.at);
        if cursor.at == cursor.bytes.len() {
            return Ok(self.value(Some(State::InNumber(reached))));
        }
        if !reached.may_end() {
            return Err(ScanError::Malformed);
        }
        Ok(self.value(None))
    }

    /// Runs on in a literal; true past its end.
    fn literal(&mut self, literal: Literal, cursor: &mut Cursor<'_>) -> Result<bool, ScanError> {
        let cut;
        (cursor.at, cut) = literal.run(cursor.bytes, cursor.at)?;
        Ok(self.value(cut.map(State::InLiteral)))
    }

    /// Takes the byte that closes the innermost container, which ends a value: true.
    pub(super) fn leave(&mut self, cursor: &mut Cursor<'_>) -> bool {
        cursor.at += 1;
        self.open.pop();
        self.value(None)
    }

    /// A value is cut in this state, or has ended: true.
    fn value(&mut self, cut: Option<State>) -> bool {
        self.state = match cut {
            Some(state) => state,
            None if self.open.depth() == 0 => State::Done,
            None => State::AfterValue,
        };
        cut.is_none()
    }
}
