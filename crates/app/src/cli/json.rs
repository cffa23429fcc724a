//! JSON that programs read, and people on a terminal: what a terminal would take for a command is written as an escape. It
//! must not know what the values say.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

/// A value in one line, with its end.
pub(crate) fn line(value: &Value) -> String {
    escaped(&format!("{value}\n")).into_owned()
}

/// A value in lines that people can read.
pub(crate) fn lines(value: &Value) -> String {
    escaped(&format!("{value:#}\n")).into_owned()
}

/// The same JSON without a character that moves a cursor or turns the direction of writing. Such ones stand in strings alone;
/// those below a space are escaped in any JSON.
pub(crate) fn escaped(json: &str) -> Cow<'_, str> {
    if !json.contains(is_left) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_left(c) {
            // Writing to a string cannot fail. All of them are one unit of UTF-16.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a terminal takes a character for a command that JSON lets stand as it is.
pub(crate) fn is_left(c: char) -> bool {
    c > '\u{7e}' && admin::is_command(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_finds_no_command_and_a_program_the_same_value() {
        let name = "x\u{9b}31m\u{202e}\u{2066}\u{7f}\u{1b}[2J\n\u{e9}\u{1f600}";
        let value = serde_json::json!({ name: [name] });
        for text in [line(&value), lines(&value)] {
            let commands = |c: char| admin::is_command(c) && c != '\n';
            assert!(!text.contains(commands), "{text:?}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
        assert_eq!(line(&value).matches('\n').count(), 1);
        assert!(matches!(escaped("{\"a\": \"\u{e9}\"}\n"), Cow::Borrowed(_)));
    }
}
