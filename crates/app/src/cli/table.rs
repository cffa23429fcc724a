//! Tables: for people as many columns as fit, and blocks where too few do; for programs rows of tabs. It must not know
//! what the rows say.

use super::layout::{GAP, shortened};
use super::terminal::{Role, Terminal};

/// Below so many columns of the terminal each row becomes a block of its own.
pub(crate) const BLOCKS_BELOW: usize = 60;
/// A name is cut no shorter than this.
const SHORTEST_NAME: usize = 8;
/// A longer name is cut as far as this where that keeps a column: one fine-tuned model is no reason to show no verdict's
/// reason.
const LONG_NAME: usize = 16;

/// One column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Its name for people, in capitals, with the unit.
    pub(crate) name: &'static str,
    /// Its name for programs.
    pub(crate) field: &'static str,
    /// How it stands and what becomes of it where there is no room.
    pub(crate) kind: Kind,
    /// Where there is no room the column with the lowest rank goes first; `None` stays.
    pub(crate) goes: Option<u8>,
}

impl Column {
    /// A column of these names.
    pub(crate) const fn new(
        name: &'static str,
        field: &'static str,
        kind: Kind,
        goes: Option<u8>,
    ) -> Self {
        Self {
            name,
            field,
            kind,
            goes,
        }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Left, never cut.
    Word,
    /// Left, cut in its middle where there is no room.
    Name,
    /// Right, never cut.
    Number,
}

/// One cell. Names come from strangers: neither text has control characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// For people.
    pub(crate) shown: String,
    /// For programs.
    pub(crate) raw: String,
    /// Its colour.
    pub(crate) role: Option<Role>,
}

impl Cell {
    /// A cell that says the same to both.
    pub(crate) fn same(text: impl Into<String>) -> Self {
        let text = one_line(&text.into());
        Self {
            shown: text.clone(),
            raw: text,
            role: None,
        }
    }

    /// A number: with commas for people.
    pub(crate) fn number(number: u64) -> Self {
        Self {
            shown: super::layout::grouped(number),
            raw: number.to_string(),
            role: None,
        }
    }

    /// One text for people, another for programs.
    pub(crate) fn of(shown: impl Into<String>, raw: impl Into<String>) -> Self {
        Self {
            shown: one_line(&shown.into()),
            raw: one_line(&raw.into()),
            role: None,
        }
    }

    /// The same in a colour.
    pub(crate) fn painted(mut self, role: Option<Role>) -> Self {
        self.role = role;
        self
    }
}

/// Rows under named columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    /// Characters that each column has at least.
    least: Vec<usize>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn of(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
            least: Vec::new(),
        }
    }

    /// Adds a row: a cell for each column.
    pub(crate) fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The same with columns of at least these widths, so that rows that come later stand below.
    pub(crate) fn with_least_widths(mut self, least: &[usize]) -> Self {
        self.least = least.to_vec();
        self
    }

    /// For programs: tabs between the cells, names of the columns only if asked for.
    pub(crate) fn as_rows(&self, header: bool) -> String {
        let mut out = String::new();
        if header {
            let names: Vec<&str> = self.columns.iter().map(|column| column.field).collect();
            out.push_str(&names.join("\t"));
            out.push('\n');
        }
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(|cell| cell.raw.as_str()).collect();
            out.push_str(&cells.join("\t"));
            out.push('\n');
        }
        out
    }

    /// For people: the columns that fit, or blocks.
    pub(crate) fn as_seen(&self, terminal: &Terminal) -> String {
        match self.fitted(terminal.width) {
            Some(fitted) if terminal.width >= BLOCKS_BELOW => self.lines(&fitted, terminal, true),
            _ => self.blocks(terminal),
        }
    }

    /// For people, in lines whatever the width, as far as the columns that stay fit.
    pub(crate) fn as_lines(&self, terminal: &Terminal, header: bool) -> String {
        match self.fitted(terminal.width) {
            Some(fitted) => self.lines(&fitted, terminal, header),
            None => self.blocks(terminal),
        }
    }

    /// The columns that fit with their widths; none where not even those that stay do.
    fn fitted(&self, width: usize) -> Option<Vec<Option<usize>>> {
        let mut widths: Vec<Option<usize>> = (0..self.columns.len())
            .map(|place| Some(self.width(place)))
            .collect();
        loop {
            let over = total(&widths).saturating_sub(width);
            if let Some(fitted) = self.with_names_cut(&widths, over, LONG_NAME) {
                return Some(fitted);
            }
            let kept = self.columns.iter().enumerate();
            let kept = kept.filter(|(place, _)| widths.get(*place).is_some_and(Option::is_some));
            let first = kept
                .filter_map(|(place, column)| column.goes.map(|rank| (rank, place)))
                .min();
            match first.and_then(|(_, place)| widths.get_mut(place)) {
                Some(width) => *width = None,
                None => return self.with_names_cut(&widths, over, SHORTEST_NAME),
            }
        }
    }

    /// The widths with the names shorter by `over` in all, where that leaves none shorter than `shortest`.
    fn with_names_cut(
        &self,
        widths: &[Option<usize>],
        mut over: usize,
        shortest: usize,
    ) -> Option<Vec<Option<usize>>> {
        let mut widths = widths.to_vec();
        for (width, column) in widths.iter_mut().zip(&self.columns) {
            if let (Some(width), Kind::Name) = (width, column.kind) {
                let shortest = shortest.max(column.name.len());
                let cut = over.min(width.saturating_sub(shortest));
                *width -= cut;
                over -= cut;
            }
        }
        (over == 0).then_some(widths)
    }

    fn width(&self, place: usize) -> usize {
        let name = self
            .columns
            .get(place)
            .map_or(0, |column| column.name.len());
        let cells = self.rows.iter().filter_map(|row| row.get(place));
        let widest = cells.map(|cell| cell.shown.chars().count()).max();
        let least = self.least.get(place).copied().unwrap_or(0);
        widest.unwrap_or(0).max(name).max(least)
    }

    fn lines(&self, widths: &[Option<usize>], terminal: &Terminal, header: bool) -> String {
        let mut out = String::new();
        if header {
            let names = self.columns.iter().map(|column| Cell::same(column.name));
            let line = self.line(&names.collect::<Vec<_>>(), widths, terminal);
            out.push_str(&terminal.paint(Role::Dim, &line));
            out.push('\n');
        }
        for row in &self.rows {
            out.push_str(&self.line(row, widths, terminal));
            out.push('\n');
        }
        out
    }

    fn line(&self, row: &[Cell], widths: &[Option<usize>], terminal: &Terminal) -> String {
        let mut line = String::new();
        // Spaces are owed until something follows them: no line ends in one.
        let mut owed = 0;
        for ((cell, column), width) in row.iter().zip(&self.columns).zip(widths) {
            let Some(width) = *width else { continue };
            let shown = shortened(&cell.shown, width, terminal.glyph("…", "~"));
            let room = width.saturating_sub(shown.chars().count());
            let (before, after) = match column.kind {
                Kind::Number => (room, 0),
                Kind::Word | Kind::Name => (0, room),
            };
            if shown.is_empty() {
                owed += width + GAP.len();
                continue;
            }
            line.push_str(&" ".repeat(owed + before));
            match cell.role {
                Some(role) => line.push_str(&terminal.paint(role, &shown)),
                None => line.push_str(&shown),
            }
            owed = after + GAP.len();
        }
        line
    }

    /// Each row under its first cells, one line for each other cell: nothing is dropped, nothing is cut.
    fn blocks(&self, terminal: &Terminal) -> String {
        let is_title = |column: &Column| column.kind != Kind::Number;
        let titles = self
            .columns
            .iter()
            .take_while(|column| is_title(column))
            .count()
            .max(1);
        let mut out = String::new();
        for row in &self.rows {
            let title: Vec<&str> = row
                .iter()
                .take(titles)
                .map(|cell| cell.shown.as_str())
                .collect();
            let title = title.join(" ");
            out.push_str(&super::layout::wrapped(title.trim(), terminal.width));
            let named = || self.columns.iter().zip(row).skip(titles);
            let name = named()
                .map(|(column, _)| column.name.len())
                .max()
                .unwrap_or(0);
            let value = named().map(|(_, cell)| cell.shown.chars().count()).max();
            for (column, cell) in named().filter(|(_, cell)| !cell.shown.is_empty()) {
                let shown = match cell.role {
                    Some(role) => terminal.paint(role, &cell.shown),
                    None => cell.shown.clone(),
                };
                let room = value
                    .unwrap_or(0)
                    .saturating_sub(cell.shown.chars().count());
                let label = column.name.to_lowercase();
                let label = format!("{label:<name$}");
                out.extend([GAP, &label, GAP, &" ".repeat(room), &shown, "\n"]);
            }
        }
        out
    }
}

fn total(widths: &[Option<usize>]) -> usize {
    let kept: Vec<usize> = widths.iter().copied().flatten().collect();
    kept.iter().sum::<usize>() + GAP.len() * kept.len().saturating_sub(1)
}

/// A text without tabs, line ends and what else a terminal takes for a command.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(admin::is_command, " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Colour;
    use crate::config::Environment;

    const COLUMNS: [Column; 4] = [
        Column {
            name: "MODEL",
            field: "model",
            kind: Kind::Name,
            goes: None,
        },
        Column {
            name: "TOKENS",
            field: "tokens",
            kind: Kind::Number,
            goes: None,
        },
        Column {
            name: "UNKNOWN",
            field: "unknown",
            kind: Kind::Number,
            goes: Some(0),
        },
        Column {
            name: "WHY",
            field: "why",
            kind: Kind::Word,
            goes: Some(1),
        },
    ];

    fn table() -> Table {
        let mut table = Table::of(&COLUMNS);
        for (model, tokens, why) in [
            ("gpt-5.4-2026-03-05", 1_234_567, "crossing-call"),
            ("gpt-6\tsol", 5, ""),
        ] {
            let cell = Cell::same(why).painted(Some(Role::Billed));
            table.push(vec![
                Cell::same(model),
                Cell::number(tokens),
                Cell::number(0),
                cell,
            ]);
        }
        table
    }

    fn terminal(width: usize, colour: Colour) -> Terminal {
        Terminal::from_facts(true, Some(width), colour, &Environment::default())
    }

    fn seen(width: usize) -> String {
        table().as_lines(&terminal(width, Colour::Never), true)
    }

    #[test]
    fn columns_go_in_their_order_and_then_names_are_cut() {
        let wide = "MODEL                  TOKENS  UNKNOWN  WHY\n\
                    gpt-5.4-2026-03-05  1,234,567        0  crossing-call\n";
        assert!(seen(55).starts_with(wide), "{}", seen(55));
        let without_unknown = "MODEL                  TOKENS  WHY\n";
        assert!(seen(50).starts_with(without_unknown), "{}", seen(50));
        let without_both = "MODEL                  TOKENS\ngpt-5.4-2026-03-05  1,234,567\n";
        assert!(seen(30).starts_with(without_both), "{}", seen(30));
        let cut = "MODEL        TOKENS\ngpt-~-05  1,234,567\n";
        assert!(seen(19).starts_with(cut), "{}", seen(19));
    }

    #[test]
    fn a_long_name_is_cut_before_a_column_goes() {
        let mut table = table();
        let long = "ft:gpt-4o-mini-2024-07-18:acme::B1x2y3z4";
        let cells = [
            Cell::same(long),
            Cell::number(7),
            Cell::number(0),
            Cell::same(""),
        ];
        table.push(cells.to_vec());
        let seen = |width| table.as_lines(&terminal(width, Colour::Never), true);
        assert!(seen(80).contains(long), "{}", seen(80));
        for width in [51, 55, 60, 70] {
            assert!(seen(width).contains("UNKNOWN  WHY"), "{}", seen(width));
        }
        assert!(seen(51).contains("ft:gpt-4~1x2y3z4"), "{}", seen(51));
        // Where it is not enough, a column goes and the name has its room.
        assert!(!seen(50).contains("UNKNOWN"), "{}", seen(50));
        assert!(
            seen(50).contains("ft:gpt-4o-mi~e::B1x2y3z4"),
            "{}",
            seen(50)
        );
    }

    #[test]
    fn where_nothing_fits_there_are_blocks_and_every_digit() {
        assert_eq!(
            seen(18).lines().take(4).collect::<Vec<_>>(),
            [
                "gpt-5.4-2026-03-05",
                "  tokens       1,234,567",
                "  unknown              0",
                "  why      crossing-call",
            ]
        );
        let below = table().as_seen(&terminal(59, Colour::Never));
        assert!(below.starts_with("gpt-5.4-2026-03-05\n  tokens"), "{below}");
        assert!(
            table()
                .as_seen(&terminal(60, Colour::Never))
                .starts_with("MODEL")
        );
    }

    #[test]
    fn colour_has_no_width_and_no_line_ends_in_a_space() {
        for width in 10..90 {
            let plain = table().as_lines(&terminal(width, Colour::Never), true);
            let painted = table().as_lines(&terminal(width, Colour::Always), true);
            let bare = ["\x1b[33m", "\x1b[2m", "\x1b[0m"]
                .iter()
                .fold(painted, |text, escape| text.replace(escape, ""));
            assert_eq!(bare, plain, "{width}");
            assert!(plain.lines().all(|line| !line.ends_with(' ')), "{plain}");
            assert!(plain.contains("1,234,567"), "{plain}");
        }
    }

    #[test]
    fn programs_get_tabs_plain_integers_and_a_header_if_they_want_one() {
        let rows = table().as_rows(true);
        assert_eq!(
            rows,
            "model\ttokens\tunknown\twhy\n\
             gpt-5.4-2026-03-05\t1234567\t0\tcrossing-call\n\
             gpt-6 sol\t5\t0\t\n"
        );
        assert_eq!(table().as_rows(false).lines().count(), 2);
    }
}
