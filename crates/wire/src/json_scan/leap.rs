//! Members and items that stand whole in one push, which most do: read without a stop at each token.
//! What is cut, escaped or wrong is left to the grammar, from its first byte on. It must not know
//! what any member means.

use super::cursor::{Cursor, past_spaces};
use super::pending::{Level, Pending};
use super::{Found, MOST_KEY_BYTES, MOST_RAW_BYTES, Raw, ScanError, Scanner, string, whole};

impl<T: Copy> Scanner<T> {
    /// Reads on, if the next member or item of the innermost level begins here, as long as one after
    /// the other stands whole.
    pub(super) fn leap(&mut self, cursor: &mut Cursor<'_>, sink: &mut impl FnMut(Found<'_, T>)) {
        while let Some(in_object) = self.grammar.is_before_next(self.levels.len()) {
            let begin = past_spaces(cursor.bytes, cursor.at);
            let leapt = if in_object {
                self.member(begin, cursor, sink)
            } else {
                self.item(begin, cursor, sink)
            };
            if leapt.is_none() {
                return;
            }
            self.separators(cursor, sink);
        }
    }

    /// The member whose key begins here. `None` where the grammar has to look.
    #[inline]
    fn member(
        &mut self,
        begin: usize,
        cursor: &mut Cursor<'_>,
        sink: &mut impl FnMut(Found<'_, T>),
    ) -> Option<()> {
        let bytes = cursor.bytes;
        if *bytes.get(begin)? != b'"' {
            return None;
        }
        let key_end = string::plain_end(bytes, begin + 1)?;
        let key = bytes.get(begin + 1..key_end - 1)?;
        let at = whole::past_colon(bytes, key_end)?;
        let level = self.levels.last_mut()?;
        let node = level.pending.node;
        let found = if key.len() <= MOST_KEY_BYTES {
            node.member(key, false)
        } else {
            node.other()
        };
        let Some((wanted, bit)) = found else {
            cursor.at = whole::value_end(bytes, at)?;
            self.grammar.go_behind_value();
            return Some(());
        };
        let first = *bytes.get(at)?;
        let end = if wanted.looks_inside(first) {
            None
        } else {
            Some(whole::value_end(bytes, at)?)
        };
        let again = level.seen & bit != 0;
        level.seen |= bit;
        let pending = Pending {
            value_start: cursor.base + at,
            first,
            ..Pending::of(wanted, again, cursor.base + begin)
        };
        self.take(pending, at, end, cursor, sink);
        Some(())
    }

    /// The item, or the top value, that begins here. `None` where the grammar has to look.
    #[inline]
    fn item(
        &mut self,
        begin: usize,
        cursor: &mut Cursor<'_>,
        sink: &mut impl FnMut(Found<'_, T>),
    ) -> Option<()> {
        let wanted = match self.levels.last() {
            Some(level) => level.pending.node.item()?,
            None => self.root,
        };
        let first = *cursor.bytes.get(begin)?;
        let end = if wanted.looks_inside(first) {
            None
        } else {
            Some(whole::value_end(cursor.bytes, begin)?)
        };
        let pending = Pending {
            value_start: cursor.base + begin,
            first,
            ..Pending::of(wanted, false, 0)
        };
        self.take(pending, begin, end, cursor, sink);
        Some(())
    }

    /// Takes a wanted value that begins at `at`: whole, or, where something inside it is wanted, its
    /// first byte.
    #[inline]
    fn take(
        &mut self,
        pending: Pending<T>,
        at: usize,
        end: Option<usize>,
        cursor: &mut Cursor<'_>,
        sink: &mut impl FnMut(Found<'_, T>),
    ) {
        let Some(end) = end else {
            cursor.at = at + 1;
            if self.grammar.go_into(pending.first == b'{') {
                self.levels.push(Level { pending, seen: 0 });
            } else {
                self.grammar.break_off(ScanError::TooDeep);
            }
            return;
        };
        cursor.at = end;
        self.grammar.go_behind_value();
        let raw = match cursor.bytes.get(at..end) {
            Some(bytes) if pending.node.is_raw() && bytes.len() <= MOST_RAW_BYTES => {
                Raw::Whole(bytes)
            }
            _ if pending.node.is_raw() => Raw::TooLong,
            _ => Raw::NotTaken,
        };
        pending.give(cursor.position(), raw, sink);
    }

    /// Behind a value of the innermost level: out of the containers that end here, and past a comma.
    #[inline]
    fn separators(&mut self, cursor: &mut Cursor<'_>, sink: &mut impl FnMut(Found<'_, T>)) {
        while let Some(closing) = self.grammar.is_behind_value(self.levels.len()) {
            let at = past_spaces(cursor.bytes, cursor.at);
            match cursor.bytes.get(at) {
                Some(b',') => {
                    cursor.at = at + 1;
                    self.grammar.go_to_next();
                }
                Some(byte) if *byte == closing => {
                    cursor.at = at;
                    self.grammar.leave(cursor);
                    self.end_value(cursor, sink);
                }
                _ => return,
            }
        }
    }
}
