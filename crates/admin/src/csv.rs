//! Comma-separated values as RFC 4180 wants them, that no spreadsheet takes for formulas and no terminal for commands.
//! It must not know what the values are.

use std::borrow::Cow;

/// One line with its end: fields that hold a comma, a quote or a line end are quoted, quotes inside them doubled.
#[must_use]
pub fn line<'f>(fields: impl IntoIterator<Item = &'f str>) -> String {
    let mut out = String::new();
    for (place, field) in fields.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        let field = &*harmless(field);
        if field.contains([',', '"', '\r', '\n']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
    out
}

/// Whether a terminal takes this character for a command: it moves the cursor or turns the direction of writing.
#[must_use]
pub fn is_command(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same where it is a number or begins like a word; a quote mark before what a spreadsheet would calculate, and a
/// replacement character for what moves a cursor or turns the direction of writing.
fn harmless(field: &str) -> Cow<'_, str> {
    let commands = |c: char| is_command(c) && !matches!(c, '\r' | '\n');
    let mut field = Cow::Borrowed(field);
    if field.contains(commands) {
        field = field.replace(commands, "\u{fffd}").into();
    }
    // A dash alone is ours, for what does not apply, and calculates nothing.
    let begins = field.starts_with(['=', '+', '-', '@', '\r', '\n']);
    if begins && field != "-" && field.parse::<f64>().is_err() {
        field = format!("'{field}").into();
    }
    field
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn what_a_client_names_itself_calculates_nothing_and_moves_no_cursor() {
        assert_eq!(
            line(["=HYPERLINK(1)", "@x", "-5", "+1.5", "-x", "-"]),
            "'=HYPERLINK(1),'@x,-5,+1.5,'-x,-\r\n"
        );
        assert_eq!(line(["a\u{1b}[2Jb\u{202e}c"]), "a\u{fffd}[2Jb\u{fffd}c\r\n");
    }

    #[test]
    fn only_what_must_be_quoted_is() {
        assert_eq!(line(["a", "b c", ""]), "a,b c,\r\n");
        assert_eq!(
            line(["a,b", "say \"hi\"", "x\ny"]),
            "\"a,b\",\"say \"\"hi\"\"\",\"x\ny\"\r\n"
        );
        assert_eq!(line([]), "\r\n");
    }
}
