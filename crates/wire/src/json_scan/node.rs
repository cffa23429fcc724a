//! The trees that say which values are wanted, and what is given of one that was found. It must
//! not know how they are found.

use crate::json_text;

/// A member that is wanted: its name and what is wanted of its value.
pub type Member<T> = (&'static str, Node<T>);

/// What is wanted of the value at one position. Trees of nodes are static tables.
#[derive(Debug)]
pub struct Node<T: 'static> {
    tag: Option<T>,
    is_raw: bool,
    members: &'static [Member<T>],
    others: Option<&'static Node<T>>,
    item: Option<&'static Node<T>>,
}

impl<T: Copy> Node<T> {
    const NONE: Self = Self {
        tag: None,
        is_raw: false,
        members: &[],
        others: None,
        item: None,
    };

    /// The value's bytes are wanted, as they are written.
    #[must_use]
    pub const fn raw(tag: T) -> Self {
        Self {
            tag: Some(tag),
            is_raw: true,
            ..Self::NONE
        }
    }

    /// Only that the value stands there is wanted, where, and its first byte.
    #[must_use]
    pub const fn place(tag: T) -> Self {
        Self {
            tag: Some(tag),
            ..Self::NONE
        }
    }

    /// If the value is an object, these members of it are wanted.
    ///
    /// # Panics
    /// If there are more than 32: when the table is compiled.
    #[must_use]
    pub const fn object(members: &'static [Member<T>]) -> Self {
        assert!(members.len() <= 32, "each member has a bit");
        Self {
            members,
            ..Self::NONE
        }
    }

    /// If the value is an array, this is wanted of each item.
    #[must_use]
    pub const fn array(item: &'static Node<T>) -> Self {
        Self {
            item: Some(item),
            ..Self::NONE
        }
    }

    /// The value itself is wanted as well: it is given after what is inside it.
    #[must_use]
    pub const fn tagged(self, tag: T) -> Self {
        Self {
            tag: Some(tag),
            is_raw: self.is_raw,
            members: self.members,
            others: self.others,
            item: self.item,
        }
    }

    /// Every member that is not named is wanted as `others`. Duplicates of these are not told.
    #[must_use]
    pub const fn and_others(self, others: &'static Node<T>) -> Self {
        Self {
            tag: self.tag,
            is_raw: self.is_raw,
            members: self.members,
            others: Some(others),
            item: self.item,
        }
    }

    /// Whether something inside a value that begins with this byte is wanted.
    pub(super) fn looks_inside(&self, first: u8) -> bool {
        match first {
            b'{' => !self.members.is_empty() || self.others.is_some(),
            b'[' => self.item.is_some(),
            _ => false,
        }
    }

    pub(super) fn tag(&self) -> Option<T> {
        self.tag
    }

    pub(super) fn is_raw(&self) -> bool {
        self.is_raw
    }

    pub(super) fn item(&self) -> Option<&'static Self> {
        self.item
    }

    /// What is wanted of the member of this key, given as written between its quotes, and the
    /// member's bit.
    pub(super) fn member(&self, key: &[u8], may_be_escaped: bool) -> Option<(&'static Self, u32)> {
        let mut bit = 1;
        for (name, node) in self.members {
            if name.as_bytes() == key {
                return Some((node, bit));
            }
            bit <<= 1;
        }
        if may_be_escaped
            && key.contains(&b'\\')
            && let Some(key) = json_text::unescaped(key)
        {
            // `"us\u0061ge"` is the same name to every reader of JSON.
            return self.member(key.as_bytes(), false);
        }
        self.other()
    }

    /// What is wanted of a member that is not named.
    pub(super) fn other(&self) -> Option<(&'static Self, u32)> {
        self.others.map(|others| (others, 0))
    }
}

/// A wanted value that was found. Offsets count bytes from the document's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a, T> {
    /// Which of the wanted values it is.
    pub tag: T,
    /// A member of this name stood in the same object before.
    pub again: bool,
    /// Offset of the opening quote of its key; 0 for an item or the top value.
    pub key_start: usize,
    /// Offset of the value's first byte.
    pub value_start: usize,
    /// Offset past the value's last byte.
    pub value_end: usize,
    /// The value's first byte, which tells its kind: `{`, `[`, `"`, `t`, `f`, `n`, `-` or a digit.
    pub first: u8,
    /// The value's bytes, if they are wanted.
    pub raw: Raw<'a>,
}

impl<'a, T> Found<'a, T> {
    /// The value's bytes as they are written, if they were wanted and are not too many.
    #[must_use]
    pub fn whole(&self) -> Option<&'a [u8]> {
        match self.raw {
            Raw::Whole(bytes) => Some(bytes),
            Raw::TooLong | Raw::NotTaken => None,
        }
    }

    /// The value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.first == b'n'
    }
}

/// The bytes of a found value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw<'a> {
    /// All of them, as they are written.
    Whole(&'a [u8]),
    /// More than [`super::MOST_RAW_BYTES`].
    TooLong,
    /// Not wanted.
    NotTaken,
}
