//! Text in columns: numbers with their commas, tables without lines, wrapping.
//!
//! It must not know what the text says.

/// Between two columns.
pub(crate) const GAP: &str = "  ";

/// A number with a comma at each thousand, whatever the locale.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Rows in columns, text left, numbers right.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let numeric: Vec<bool> = (0..count)
        .map(|column| {
            let mut cells = rows.iter().skip(1).filter_map(|row| row.get(column));
            let first = cells.next().is_some_and(|cell| is_number(cell));
            first && cells.all(|cell| is_number(cell))
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(&widths).zip(&numeric) {
            let cell = if *right {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            };
            line.push_str(&cell);
            line.push_str(GAP);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn is_number(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit())
        && cell.chars().all(|c| c.is_ascii_digit() || c == ',')
}

/// Items side by side as the width allows, each line indented by two; an item that is wider than
/// the line is cut in its middle.
pub(crate) fn side_by_side(items: &[&str], width: usize, ellipsis: &str) -> String {
    let room = width.saturating_sub(GAP.len()).max(1);
    let items: Vec<String> = items
        .iter()
        .map(|item| shortened(item, room, ellipsis))
        .collect();
    let widest = items
        .iter()
        .map(|item| item.chars().count())
        .max()
        .unwrap_or(0);
    let count = ((room + GAP.len()) / (widest + GAP.len())).max(1);
    // Read downwards, as lists are.
    let height = items.len().div_ceil(count).max(1);
    let mut out = String::new();
    for line in 0..height.min(items.len()) {
        let row: Vec<String> = items
            .iter()
            .skip(line)
            .step_by(height)
            .map(|item| format!("{item:<widest$}"))
            .collect();
        out.push_str(GAP);
        out.push_str(row.join(GAP).trim_end());
        out.push('\n');
    }
    out
}

/// A name in at most `room` characters, cut in the middle: both ends tell names apart.
pub(crate) fn shortened(name: &str, room: usize, ellipsis: &str) -> String {
    let length = name.chars().count();
    let marks = ellipsis.chars().count();
    if length <= room || room <= marks {
        return name.to_owned();
    }
    let kept = room - marks;
    let (head, tail) = (kept - kept / 2, kept / 2);
    let mut out: String = name.chars().take(head).collect();
    out.push_str(ellipsis);
    out.extend(name.chars().skip(length - tail));
    out
}

/// A text without the numbers of the system's errors, such as ` (os error 28)`: the words before them say it.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let number = part.chars().take_while(char::is_ascii_digit).count();
        match part.get(number..).and_then(|rest| rest.strip_prefix(')')) {
            Some(rest) => out.push_str(rest),
            None => out.extend([" (os error ", part]),
        }
    }
    out
}

/// Each line moved right by so many columns.
pub(crate) fn indented(text: &str, columns: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out.push_str(&" ".repeat(columns));
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// A text in lines of at most `width`, as far as its words are shorter than that.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && longer > width {
            out.push_str(&line);
            out.push('\n');
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_commas() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), shown);
        }
    }

    #[test]
    fn names_are_cut_in_the_middle_and_only_if_they_must() {
        assert_eq!(
            shortened("gpt-5.4-2026-03-05", 18, "…"),
            "gpt-5.4-2026-03-05"
        );
        assert_eq!(shortened("gpt-5.4-2026-03-05", 12, "…"), "gpt-5.…03-05");
        assert_eq!(shortened("gpt-5.4-2026-03-05", 12, "~"), "gpt-5.~03-05");
        assert_eq!(shortened("gpt", 1, "…"), "gpt");
    }

    #[test]
    fn lists_read_downwards_and_fit() {
        let items = ["a", "bb", "ccc", "dd", "e"];
        assert_eq!(
            side_by_side(&items, 12, "…"),
            "  a    dd\n  bb   e\n  ccc\n"
        );
        assert_eq!(
            side_by_side(&items, 1, "…"),
            "  a\n  bb\n  ccc\n  dd\n  e\n"
        );
        assert_eq!(side_by_side(&[], 12, "…"), "");
    }

    #[test]
    fn the_numbers_of_the_system_are_left_out() {
        let said =
            "cannot write: No space left on device (os error 28). help: make room (os error ";
        assert_eq!(
            without_numbers(said),
            "cannot write: No space left on device. help: make room (os error "
        );
        assert_eq!(without_numbers("é (os error x)"), "é (os error x)");
    }

    #[test]
    fn words_are_never_cut() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree\n");
        assert_eq!(wrapped("one two three", 1), "one\ntwo\nthree\n");
    }
}
