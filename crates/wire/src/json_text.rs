//! The text of a JSON string, unescaped and checked: valid UTF-8, no control characters, no lone
//! surrogates. It must not know which string it is.

/// Most bytes of an id, a model's name or a service tier; a longer one is not believed.
pub(crate) const MOST_TEXT_BYTES: usize = 256;

/// The text of the characters between two quotes; `None` if they are no JSON string.
pub(crate) fn unescaped(inside: &[u8]) -> Option<String> {
    let mut quoted = Vec::with_capacity(inside.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(inside);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).ok()
}

/// The text of a JSON string as written, quotes included: not empty and at most
/// [`MOST_TEXT_BYTES`] long.
pub(crate) fn short_text(raw: &[u8]) -> Option<Box<str>> {
    // All bytes are looked at, so that many are at once.
    let is_odd = |text: &&str| {
        let is_odd = |byte: u8| byte == b'\\' || byte < b' ';
        text.bytes().fold(false, |odd, byte| odd | is_odd(byte))
    };
    let text: Box<str> = match plain(raw).filter(|text| !is_odd(text)) {
        Some(text) => text.into(),
        None => serde_json::from_slice(raw).ok()?,
    };
    (!text.is_empty() && text.len() <= MOST_TEXT_BYTES).then_some(text)
}

/// The characters between the quotes of a string as written, if none of them is escaped. For
/// comparison with a closed set of words, which nobody escapes.
pub(crate) fn plain(raw: &[u8]) -> Option<&str> {
    let inside = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(inside).ok()
}

/// A non-negative integer, written as digits alone.
pub(crate) fn integer(raw: &[u8]) -> Option<u64> {
    // The grammar of the number was checked: digits alone have no sign, point or exponent.
    let (first, rest) = raw.split_first()?;
    rest.iter().try_fold(digit(*first)?, |number, &byte| {
        number.checked_mul(10)?.checked_add(digit(byte)?)
    })
}

fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}
