//! How the demo looks: a row for each call worth a look, a moving line for the rest, and the comparison.

use std::io::Write;

use super::client::Learned;
use super::plan::Planned;
use crate::cli::layout::grouped;
use crate::cli::terminal::{Role, Terminal};

/// Writes the demo's rows to standard output.
pub(super) struct Show {
    terminal: Terminal,
    counted: Counted,
    /// Tokens that the large group has taken.
    running_total: u64,
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
            counted: Counted::default(),
            running_total: 0,
        }
    }

    pub(super) fn counted(&self) -> Counted {
        self.counted
    }

    /// Column names; a pipe gets none.
    pub(super) fn begin(&self) {
        if self.terminal.is_terminal {
            let line = row([
                "UTC",
                "MODEL",
                "TOKENS",
                "RUNNING TOTAL",
                "VERDICT",
                "REASON",
                "",
            ]);
            self.write(&format!("{}\n", self.terminal.paint(Role::Dim, &line)));
        }
    }

    /// One call has its final verdict.
    pub(super) fn call(&mut self, planned: &Planned, learned: &Learned) {
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
            self.write(&self.record(planned, learned, is_large));
        } else if is_large || tags.verdict != "free" {
            self.write(&format!(
                "\r\x1b[K{}\n",
                self.line(planned, learned, is_large, before)
            ));
        }
        self.moving_line(planned);
    }

    fn line(&self, planned: &Planned, learned: &Learned, is_large: bool, before: u64) -> String {
        let tags = &learned.tags;
        let note = match (tags.reason.as_str(), tags.allowance_tokens) {
            ("crossing-call", Some(allowance)) => {
                let remained = allowance.saturating_sub(before);
                format!("{} remained: the whole call is billed", grouped(remained))
            }
            _ => String::new(),
        };
        let total = if is_large {
            grouped(self.running_total)
        } else {
            "-".to_owned()
        };
        let (verdict, role) = match tags.verdict.as_str() {
            "free" => ("free", Role::Free),
            "billed" => ("BILLED", Role::Billed),
            other => (other, Role::Dim),
        };
        let tokens = tags.tokens.map_or_else(|| "?".to_owned(), grouped);
        let model = tags.model.as_deref().unwrap_or("?");
        let plain = row([
            &utc(planned.second),
            model,
            &tokens,
            &total,
            verdict,
            &tags.reason,
            &note,
        ]);
        // Coloured after it was laid out: an escape has no width.
        plain.replacen(verdict, &self.terminal.paint(role, verdict), 1)
    }

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

    /// On a terminal, the last line counts along.
    fn moving_line(&self, planned: &Planned) {
        if self.terminal.is_terminal {
            let Counted {
                calls,
                free,
                billed,
            } = self.counted;
            let line = format!(
                "{}  {calls} calls, {free} free, {billed} billed",
                utc(planned.second)
            );
            self.write(&format!(
                "\r\x1b[K{}",
                self.terminal.paint(Role::Dim, &line)
            ));
        }
    }

    /// The day is over: the moving line goes.
    pub(super) fn end(&self) {
        if self.terminal.is_terminal {
            self.write("\r\x1b[K");
        }
    }

    fn write(&self, text: &str) {
        let mut output = std::io::stdout().lock();
        // A reader that left early, as `head` does, is fine.
        let _ = output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush());
    }
}

fn utc(second: i64) -> String {
    format!("{:02}:{:02}", second / 3600, second / 60 % 60)
}

/// Texts left, numbers right, two spaces between.
fn row([utc, model, tokens, total, verdict, reason, note]: [&str; 7]) -> String {
    let line = format!(
        "{utc:<5}  {model:<22}  {tokens:>7}  {total:>13}  {verdict:<7}  {reason:<16}  {note}"
    );
    line.trim_end().to_owned()
}
