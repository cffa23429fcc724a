//! `tollfree check`: is everything as it should be, item by item, each trouble with what to do. It must not know how an
//! item is looked at.

mod items;
#[cfg(test)]
mod tests;
mod upstream;

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::layout::{indented, without_numbers, wrapped};
use super::terminal::{Role, Terminal};
use super::{exit, json, print};
use crate::config::{Loaded, Mistakes};

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub(crate) struct Options {
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The version of the JSON object's shape.
const SCHEMA: u32 = 1;

/// How an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// As it should be.
    Ok,
    /// It works, but not as it should.
    Warn,
    /// It does not work; the program would end so.
    Fail(u8),
    /// It could not be looked at, because of another item that is told.
    Unknown,
}

/// What was found of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// Its name: one of config, offer, clock, ledger, ports, upstream.
    item: &'static str,
    state: State,
    /// What is so, in one line.
    text: String,
    /// What to do about it.
    help: Option<String>,
}

impl Finding {
    fn new(item: &'static str, state: State, text: impl Into<String>) -> Self {
        Self {
            item,
            state,
            text: without_numbers(&text.into()),
            help: None,
        }
    }

    /// A text such as `what is so. help: what to do`, as messages are written everywhere.
    fn told(item: &'static str, state: State, message: &str) -> Self {
        let (text, help) = match message.split_once(". help: ") {
            Some((text, help)) => (text, Some(help.to_owned())),
            None => (message, None),
        };
        Self {
            help,
            ..Self::new(item, state, text)
        }
    }
}

/// Looks at everything, stops at nothing, and says what it found.
pub(crate) async fn run(
    loaded: Result<Loaded, Mistakes>,
    options: Options,
    terminal: &Terminal,
) -> ExitCode {
    let findings = match loaded {
        Ok(loaded) => items::all(&loaded).await,
        Err(mistakes) => items::of_mistakes(&mistakes),
    };
    let printed = if options.json {
        print(&json::lines(&as_object(&findings)))
    } else {
        print(&shown(&findings, terminal))
    };
    match code(&findings) {
        0 => printed,
        code => ExitCode::from(code),
    }
}

/// How the program ends: the first trouble that a start would end with, else any other.
fn code(findings: &[Finding]) -> u8 {
    let codes = findings.iter().filter_map(|finding| match finding.state {
        State::Fail(code) => Some(code),
        _ => None,
    });
    let codes: Vec<u8> = codes.collect();
    let first_of_a_start = codes.iter().find(|code| **code != exit::FAILED);
    first_of_a_start.or(codes.first()).copied().unwrap_or(0)
}

fn shown(findings: &[Finding], terminal: &Terminal) -> String {
    let indent = "FAIL  upstream  ".len();
    // What a program reads has a line for a line.
    let room = if terminal.is_terminal {
        terminal.width.saturating_sub(indent)
    } else {
        usize::MAX
    };
    let in_lines = |text: &str| -> Vec<String> {
        // Excerpts of a file keep their lines and their places in them.
        let lines = text.lines().flat_map(|line| {
            if line.starts_with(' ') {
                vec![line.to_owned()]
            } else {
                wrapped(line, room).lines().map(str::to_owned).collect()
            }
        });
        lines.collect()
    };
    let mut out = String::new();
    for finding in findings {
        let (word, role) = finding.state.shown();
        let word = role.map_or_else(|| word.to_owned(), |role| terminal.paint(role, word));
        let help = finding.help.as_deref().map(|help| format!("help: {help}"));
        let mut lines = in_lines(&finding.text);
        lines.extend(help.iter().flat_map(|help| in_lines(help)));
        let item = format!("{word}  {:<8}  ", finding.item);
        // The first line stands beside its item, the others below it.
        let lines = indented(&lines.join("\n"), indent);
        out.push_str(&lines.replacen(&" ".repeat(indent), &item, 1));
    }
    out.push_str(&counts(findings));
    out
}

impl State {
    /// Four characters, and their colour.
    fn shown(self) -> (&'static str, Option<Role>) {
        match self {
            State::Ok => ("ok  ", None),
            State::Warn => ("warn", Some(Role::Billed)),
            State::Fail(_) => ("FAIL", Some(Role::Error)),
            State::Unknown => ("?   ", Some(Role::Dim)),
        }
    }

    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail(_) => "fail",
            State::Unknown => "unknown",
        }
    }
}

/// `4 ok, 1 warning, 1 failed`; what there is none of is left out.
fn counts(findings: &[Finding]) -> String {
    let many = |word: &str| {
        findings
            .iter()
            .filter(|one| one.state.word() == word)
            .count()
    };
    let warnings = match many("warn") {
        1 => "1 warning".to_owned(),
        count => format!("{count} warnings"),
    };
    let counts = [
        (many("ok"), format!("{} ok", many("ok"))),
        (many("warn"), warnings),
        (many("fail"), format!("{} failed", many("fail"))),
        (many("unknown"), format!("{} not known", many("unknown"))),
    ];
    let some = counts.into_iter().filter(|(count, _)| *count > 0);
    let some: Vec<String> = some.map(|(_, text)| text).collect();
    format!("{}\n", some.join(", "))
}

fn as_object(findings: &[Finding]) -> Value {
    let items: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "item": finding.item,
                "state": finding.state.word(),
                "text": finding.text,
                "help": finding.help,
            })
        })
        .collect();
    json!({ "schema": SCHEMA, "exit_code": code(findings), "items": items })
}
