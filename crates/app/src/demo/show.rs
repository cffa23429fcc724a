//! How the demo looks: a row for each call worth a look, a moving line for the rest. It must not know how the calls
//! are made, nor the bill.

use std::io::Write;

use super::client::Learned;
use super::plan::Planned;
use crate::cli::figures::counted;
use crate::cli::layout::{grouped, shortened, wrapped};
use crate::cli::terminal::{Role, Terminal};

/// Writes the demo's rows to standard output.
pub(super) struct Show {
    terminal: Terminal,
    columns: Columns,
    counted: Counted,
    /// Tokens that the large group has taken.
    running_total: u64,
    /// Why calls of a model that is not listed are billed was said.
    not_listed: bool,
    /// Characters of the moving line that stands there.
    moving: usize,
}

/// The calls so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) calls: u64,
    pub(super) free: u64,
    pub(super) billed: u64,
}

impl Show {
    pub(super) fn new(terminal: Terminal) -> Show {
        Show {
            terminal,
            columns: Columns::within(terminal.width),
            counted: Counted::default(),
            running_total: 0,
            not_listed: false,
            moving: 0,
        }
    }

    pub(super) fn counted(&self) -> Counted {
        self.counted
    }

    /// Column names; a pipe gets none.
    pub(super) fn begin(&self) {
        if self.terminal.is_terminal {
            let names = Row {
                utc: "UTC",
                model: "MODEL",
                tokens: "TOKENS",
                total: "RUNNING TOTAL",
                verdict: "VERDICT",
                reason: "REASON",
            };
            let line = self.columns.lay(&names, "VERDICT");
            put(&format!("{}\n", self.terminal.paint(Role::Dim, &line)));
        }
    }

    /// One call has its final verdict.
    pub(super) fn call(&mut self, planned: &Planned, learned: &Learned) {
        put(&self.shown(planned, learned));
    }

    /// What a call adds to the output.
    fn shown(&mut self, planned: &Planned, learned: &Learned) -> String {
        let tags = &learned.tags;
        self.counted.calls += 1;
        match tags.verdict.as_str() {
            "free" => self.counted.free += 1,
            "billed" => self.counted.billed += 1,
            _ => {}
        }
        let before = self.running_total;
        let is_large = tags.group.as_deref() == Some("large");
        if is_large {
            self.running_total += tags.tokens.unwrap_or(0);
        }
        if !self.terminal.is_terminal {
            return self.record(planned, learned, is_large);
        }
        let mut out = self.cleared();
        if is_large || tags.verdict != "free" {
            let note = self.note(learned, before);
            out.push_str(&self.lines(planned, learned, is_large, note));
        }
        out.push_str(&self.moving_line(planned));
        out
    }

    /// Why a call is billed, where its reason alone would not be understood.
    fn note(&mut self, learned: &Learned, before: u64) -> Option<String> {
        let tags = &learned.tags;
        match (tags.reason.as_str(), tags.allowance_tokens) {
            ("crossing-call", Some(allowance)) => {
                let remained = grouped(allowance.saturating_sub(before));
                Some(format!("{remained} remained: the whole call is billed"))
            }
            ("model-not-listed", _) if !self.not_listed => {
                self.not_listed = true;
                Some("not one of the offer's models: it has no free tokens".to_owned())
            }
            _ => None,
        }
    }

    /// A row for people, and its note beside it or below.
    fn lines(
        &self,
        planned: &Planned,
        learned: &Learned,
        is_large: bool,
        note: Option<String>,
    ) -> String {
        let tags = &learned.tags;
        let (verdict, role) = match tags.verdict.as_str() {
            "free" => ("free", Role::Free),
            "billed" => ("BILLED", Role::Billed),
            other => (other, Role::Dim),
        };
        let total = if is_large {
            grouped(self.running_total)
        } else {
            "-".to_owned()
        };
        let model = tags.model.as_deref().unwrap_or("?");
        let row = Row {
            utc: &utc(planned.second),
            model: &shortened(model, self.columns.model, self.terminal.glyph("…", "~")),
            tokens: &tags.tokens.map_or_else(|| "?".to_owned(), grouped),
            total: &total,
            verdict,
            reason: &tags.reason,
        };
        let mut line = self.columns.lay(&row, &self.terminal.paint(role, verdict));
        let Some(note) = note else {
            return line + "\n";
        };
        let length = self.columns.lay(&row, verdict).chars().count();
        let room = WIDEST_REASON.saturating_sub(tags.reason.len());
        if length + room + GAP + note.len() <= self.terminal.width {
            line.push_str(&" ".repeat(room + GAP));
            line.push_str(&note);
            line.push('\n');
        } else {
            line.push('\n');
            for part in wrapped(&note, self.terminal.width.saturating_sub(GAP)).lines() {
                line.push_str(&" ".repeat(GAP));
                line.push_str(part);
                line.push('\n');
            }
        }
        line
    }

    /// A row for programs: tabs, plain integers.
    fn record(&self, planned: &Planned, learned: &Learned, is_large: bool) -> String {
        let tags = &learned.tags;
        let tokens = tags
            .tokens
            .map_or_else(|| "?".to_owned(), |tokens| tokens.to_string());
        let total = if is_large {
            self.running_total.to_string()
        } else {
            "-".to_owned()
        };
        let model = tags.model.as_deref().unwrap_or("?");
        format!(
            "{}\t{model}\t{tokens}\t{total}\t{}\t{}\n",
            utc(planned.second),
            tags.verdict,
            tags.reason
        )
    }

    /// The last line of a terminal counts along, where it fits: a line that wraps cannot be cleared, and one on a
    /// terminal that takes no commands stays.
    fn moving_line(&mut self, planned: &Planned) -> String {
        let Counted {
            calls,
            free,
            billed,
        } = self.counted;
        let line = format!(
            "{}  {}, {free} free, {billed} billed",
            utc(planned.second),
            counted(calls, "call")
        );
        if self.terminal.moves && line.len() < self.terminal.width {
            self.moving = line.len();
            self.terminal.paint(Role::Dim, &line)
        } else {
            String::new()
        }
    }

    /// Spaces over the moving line: every terminal knows how to go back to the beginning of one.
    fn cleared(&mut self) -> String {
        match std::mem::take(&mut self.moving) {
            0 => String::new(),
            length => format!("\r{}\r", " ".repeat(length)),
        }
    }

    /// The day is over: the moving line goes.
    pub(super) fn end(&mut self) {
        put(&self.cleared());
    }
}

/// The day was interrupted: what the shell says next stands in a line of its own.
pub(super) fn interrupted(terminal: &Terminal) {
    if terminal.is_terminal {
        put("\n");
    }
}

fn put(text: &str) {
    let mut output = std::io::stdout().lock();
    // A reader that left early, as `head` does, is fine.
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

fn utc(second: i64) -> String {
    format!("{:02}:{:02}", second / 3600, second / 60 % 60)
}

/// Between two columns.
const GAP: usize = 2;
/// Characters of the longest model's name in the demo, and of the shortest that still says something.
const MODEL: std::ops::RangeInclusive<usize> = 8..=22;
const WIDEST_TOTAL: usize = "RUNNING TOTAL".len();
const WIDEST_REASON: usize = "within-allowance".len();
/// Time, tokens and verdict, with the gaps around them and the model.
const FIXED: usize = 5 + GAP + GAP + 7 + GAP + 7;

/// What fits: first the reason goes, then the model's name is cut, then the running total goes. No number is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    model: usize,
    total: bool,
    reason: bool,
}

struct Row<'a> {
    utc: &'a str,
    model: &'a str,
    tokens: &'a str,
    total: &'a str,
    verdict: &'a str,
    reason: &'a str,
}

impl Columns {
    fn within(width: usize) -> Columns {
        let total = width >= FIXED + MODEL.start() + GAP + WIDEST_TOTAL;
        let taken = FIXED + if total { GAP + WIDEST_TOTAL } else { 0 };
        let reason = width >= taken + MODEL.end() + GAP + WIDEST_REASON;
        Columns {
            model: width
                .saturating_sub(taken)
                .clamp(*MODEL.start(), *MODEL.end()),
            total,
            reason,
        }
    }

    /// Texts left, numbers right. The verdict is given once more as it is painted: an escape has no width.
    fn lay(self, row: &Row<'_>, painted: &str) -> String {
        let Row {
            utc,
            model,
            tokens,
            total,
            verdict,
            reason,
        } = row;
        let mut line = format!("{utc:<5}  {model:<width$}  {tokens:>7}", width = self.model);
        if self.total {
            line.push_str("  ");
            line.push_str(&" ".repeat(WIDEST_TOTAL.saturating_sub(total.len())));
            line.push_str(total);
        }
        line.push_str("  ");
        line.push_str(painted);
        if self.reason {
            line.push_str(&" ".repeat(7_usize.saturating_sub(verdict.len()) + GAP));
            line.push_str(reason);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::client::Tags;
    use super::*;
    use crate::cli::terminal::Colour;
    use crate::config::Environment;

    fn show(is_terminal: bool, width: usize, colour: Colour) -> Show {
        let terminal =
            Terminal::from_facts(is_terminal, Some(width), colour, &Environment::default());
        Show::new(terminal)
    }

    /// The end of the published example: free, never free, crossing, after it.
    fn rows(mut show: Show) -> String {
        show.running_total = 860_000;
        let calls = [
            (
                1335,
                "gpt-5.6-sol",
                Some("large"),
                115_000,
                "free",
                "within-allowance",
            ),
            (
                1336,
                "gpt-5-mini-2025-08-07",
                Some("small"),
                9_000,
                "free",
                "within-allowance",
            ),
            (
                1338,
                "text-embedding-3-small",
                None,
                1_799,
                "billed",
                "model-not-listed",
            ),
            (
                1390,
                "gpt-5.6-sol",
                Some("large"),
                30_000,
                "billed",
                "crossing-call",
            ),
            (
                1392,
                "gpt-5.6-sol",
                Some("large"),
                800,
                "billed",
                "allowance-spent",
            ),
        ];
        let mut out = String::new();
        for (minute, model, group, tokens, verdict, reason) in calls {
            let planned = Planned {
                second: minute * 60,
                ..super::super::plan::day()[0]
            };
            let tags = Tags {
                verdict: verdict.to_owned(),
                reason: reason.to_owned(),
                model: Some(model.to_owned()),
                group: group.map(str::to_owned),
                tokens: Some(tokens),
                allowance_tokens: group.map(|_| 1_000_000),
            };
            let request_id = String::new();
            out.push_str(&show.shown(&planned, &Learned { request_id, tags }));
        }
        // Each clearing begins a line anew: what stood there is gone.
        assert!(!out.contains("\x1b[K"), "{out}");
        out.split('\n')
            .map(|line| line.rsplit('\r').next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The text of the picture's lines: between its tags.
    fn pictured() -> Vec<String> {
        let picture = include_str!("../../../../docs/images/terminal.svg");
        let text = |line: &str| {
            let parts = line.split('<').filter_map(|part| part.split_once('>'));
            parts.map(|(_, text)| text).collect()
        };
        picture.lines().map(text).collect()
    }

    #[test]
    fn the_readme_shows_what_is_printed() {
        let readme = include_str!("../../../../README.md");
        assert!(readme.contains("docs/images/terminal.svg"));
        let rows = rows(show(true, 100, Colour::Never));
        let mut rows: Vec<&str> = rows.lines().collect();
        assert_eq!(rows.pop(), Some("23:12  5 calls, 2 free, 3 billed"));
        assert_eq!(rows.len(), 6);
        let pictured = pictured();
        for row in rows {
            assert!(pictured.iter().any(|line| line == row), "{row}");
        }
    }

    #[test]
    fn eighty_columns_have_every_column() {
        assert_snapshot!(rows(show(true, 80, Colour::Never)), @"
        22:15  gpt-5.6-sol             115,000        975,000  free     within-allowance
        22:18  text-embedding-3-small    1,799              -  BILLED   model-not-listed
          not one of the offer's models: it has no free tokens
        23:10  gpt-5.6-sol              30,000      1,005,000  BILLED   crossing-call
          25,000 remained: the whole call is billed
        23:12  gpt-5.6-sol                 800      1,005,800  BILLED   allowance-spent
        23:12  5 calls, 2 free, 3 billed
        ");
    }

    #[test]
    fn sixty_columns_lose_the_reason_and_forty_the_total() {
        assert_snapshot!(rows(show(true, 60, Colour::Never)), @"
        22:15  gpt-5.6-sol           115,000        975,000  free
        22:18  text-embed~g-3-small    1,799              -  BILLED
          not one of the offer's models: it has no free tokens
        23:10  gpt-5.6-sol            30,000      1,005,000  BILLED
          25,000 remained: the whole call is billed
        23:12  gpt-5.6-sol               800      1,005,800  BILLED
        23:12  5 calls, 2 free, 3 billed
        ");
        assert_snapshot!(rows(show(true, 40, Colour::Never)), @"
        22:15  gpt-5.6-sol      115,000  free
        22:18  text-em~3-small    1,799  BILLED
          not one of the offer's models: it has
          no free tokens
        23:10  gpt-5.6-sol       30,000  BILLED
          25,000 remained: the whole call is
          billed
        23:12  gpt-5.6-sol          800  BILLED
        23:12  5 calls, 2 free, 3 billed
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_colour_has_no_width() {
        for width in 33..130 {
            let plain = rows(show(true, width, Colour::Never));
            let widest = plain.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{width}:\n{plain}");
            let painted = rows(show(true, width, Colour::Always));
            let bare = ["\x1b[36m", "\x1b[33m", "\x1b[2m", "\x1b[0m"]
                .iter()
                .fold(painted, |text, escape| text.replace(escape, ""));
            assert_eq!(bare, plain);
        }
    }

    #[test]
    fn a_terminal_without_commands_gets_rows_alone() {
        let mut dumb = show(true, 80, Colour::Never);
        dumb.terminal.moves = false;
        let with_moving_line = rows(show(true, 80, Colour::Never));
        let (rows_alone, _) = with_moving_line.rsplit_once('\n').unwrap();
        assert_eq!(rows(dumb), format!("{rows_alone}\n"));
    }

    #[test]
    fn a_pipe_gets_every_call_in_tabs() {
        let rows = rows(show(false, 80, Colour::Never));
        assert_eq!(rows.lines().count(), 5);
        assert!(rows.contains("22:16\tgpt-5-mini-2025-08-07\t9000\t-\tfree\twithin-allowance\n"));
        assert!(rows.contains("23:10\tgpt-5.6-sol\t30000\t1005000\tbilled\tcrossing-call\n"));
    }
}
