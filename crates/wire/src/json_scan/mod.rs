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
mod grammar;
mod leap;
mod literal;
mod node;
mod number;
mod pending;
mod stack;
mod string;
#[cfg(test)]
mod tests;
mod text;
mod whole;

use thiserror::Error;

use cursor::Cursor;
use grammar::{Grammar, Key, Step, Watch};
pub use node::{Found, Member, Node, Raw};
use pending::{Level, Pending};
pub use stack::MOST_NESTING;
use text::Text;

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

/// The scanner. `T` names the wanted values of one tree of [`Node`]s.
#[derive(Debug)]
pub struct Scanner<T: 'static> {
    root: &'static Node<T>,
    grammar: Grammar,
    /// The watched containers: always the outermost ones, so the current container is watched
    /// exactly if there are as many levels as open containers.
    levels: Vec<Level<T>>,
    /// The wanted value that comes next, or is under way and not looked into.
    pending: Option<Pending<T>>,
    /// The key or wanted value under way.
    text: Text,
    /// Offset in the document of the next push's first byte.
    base: usize,
}

impl<T: Copy> Scanner<T> {
    /// A scanner for one document, looking for what `root` wants.
    #[must_use]
    pub fn new(root: &'static Node<T>) -> Self {
        Self {
            root,
            grammar: Grammar::new(),
            levels: Vec::new(),
            pending: None,
            text: Text::default(),
            base: 0,
        }
    }

    /// Begins a new document, keeping what is allocated.
    pub fn reset(&mut self) {
        self.grammar.reset();
        self.levels.clear();
        self.pending = None;
        self.text.clear();
        self.base = 0;
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
            base: self.base,
        };
        let scanned = self.scan(&mut cursor, &mut sink);
        if let Err(error) = scanned {
            self.grammar.break_off(error);
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
        if self.grammar.end_top_number() {
            let nothing = Cursor {
                bytes: &[],
                at: 0,
                base: self.base,
            };
            self.end_value(&nothing, &mut sink);
        }
        self.grammar.finish()
    }

    /// Whether the top value has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.grammar.is_done()
    }

    fn scan(
        &mut self,
        cursor: &mut Cursor<'_>,
        sink: &mut impl FnMut(Found<'_, T>),
    ) -> Result<(), ScanError> {
        loop {
            self.leap(cursor, sink);
            let watch = Watch {
                depth: self.levels.len(),
                is_wanted: self.pending.is_some(),
            };
            match self.grammar.run(cursor, watch)? {
                Step::Key(key) => self.end_key(key, cursor),
                Step::Begin(first) => self.begin_value(first, cursor),
                Step::End => self.end_value(cursor, sink),
                Step::Cut => return Ok(()),
            }
        }
    }

    /// A key of the innermost level ended.
    fn end_key(&mut self, key: Key, cursor: &Cursor<'_>) {
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        let node = level.pending.node;
        let key_start = self.grammar.key_start();
        let last = cursor.between(key_start + 1, key.end);
        let found = match self.text.whole(last) {
            Raw::Whole(name) if name.len() <= MOST_KEY_BYTES => {
                node.member(name, key.may_be_escaped)
            }
            _ => node.other(),
        };
        self.text.clear();
        if let Some((wanted, bit)) = found {
            let again = level.seen & bit != 0;
            level.seen |= bit;
            self.pending = Some(Pending::of(wanted, again, key_start));
        }
    }

    /// A wanted member, an item of the innermost level or the top value began with the last byte.
    fn begin_value(&mut self, first: u8, cursor: &Cursor<'_>) {
        let (root, levels) = (self.root, &self.levels);
        let pending = self.pending.get_or_insert_with(|| {
            // What is no member is an item, or stands in no container at all.
            let item = levels.last().and_then(|level| level.pending.node.item());
            Pending::of(item.unwrap_or(root), false, 0)
        });
        pending.value_start = cursor.position().saturating_sub(1);
        pending.first = first;
        if pending.node.looks_inside(first)
            && let Some(pending) = self.pending.take()
        {
            self.levels.push(Level { pending, seen: 0 });
        }
    }

    /// The wanted value under way ended before `cursor.at`; if none is, the innermost level did.
    fn end_value(&mut self, cursor: &Cursor<'_>, sink: &mut impl FnMut(Found<'_, T>)) {
        let end = cursor.position();
        if let Some(pending) = self.pending.take() {
            let raw = match pending.text_start() {
                Some(start) => self.text.whole(cursor.between(start, cursor.at)),
                None => Raw::NotTaken,
            };
            pending.give(end, raw, sink);
            self.text.clear();
        } else if let Some(Level { pending, .. }) = self.levels.pop() {
            pending.give(end, Raw::NotTaken, sink);
        }
    }

    /// Keeps the part of the text under way that stands in this push.
    fn keep_text(&mut self, cursor: &Cursor<'_>) {
        let start = if self.grammar.is_in_key(self.levels.len()) {
            Some(self.grammar.key_start() + 1)
        } else {
            self.pending.as_ref().and_then(Pending::text_start)
        };
        if let Some(start) = start {
            self.text.keep(cursor.between(start, cursor.bytes.len()));
        }
    }
}
