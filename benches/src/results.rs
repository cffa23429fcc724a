//! The figures as they are kept: a page of tables, and which gates they meet. It must not know how they were measured.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::sides;

/// One table.
pub struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows.
    #[must_use]
    pub fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// One more row, a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let heads: Vec<String> = self.columns.iter().map(|head| (*head).into()).collect();
        let rule = format!("|{}\n", "---|".repeat(heads.len()));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("## {}\n\n{}{rule}{rows}\n", self.title, line(&heads))
    }
}

/// A limit that a figure is held against.
pub struct Gate {
    /// What is measured.
    pub what: &'static str,
    /// The figure: of a ratio the upper quartile of the rounds.
    pub figure: f64,
    /// The most it may be.
    pub most: f64,
    /// What is tried for.
    pub aim: f64,
}

/// The page: what ran where, which gates are met, the tables.
///
/// # Errors
/// When a version cannot be told or the page cannot be written.
pub fn write(page: &Path, method: &str, gates: &[Gate], tables: &[Table]) -> Result<(), Failure> {
    let mut text = format!(
        "# Side by side\n\nWritten by `cargo run --release -p benches --bin side-by-side`; not edited by hand. \
         Why gates are not met: `docs/performance.md`.\n\n{method}\n\n{}\n",
        setting()?
    );
    let mut judged = Table::new("Gates", &["what", "figure", "gate", "aim", "met"]);
    for gate in gates {
        judged.row([
            gate.what.into(),
            format!("{:.2}", gate.figure),
            format!("{:.2}", gate.most),
            format!("{:.2}", gate.aim),
            if gate.figure <= gate.aim {
                "yes, and the aim".into()
            } else if gate.figure <= gate.most {
                "yes".into()
            } else {
                "no".into()
            },
        ]);
    }
    text.push_str(&judged.text());
    for table in tables {
        text.push_str(&table.text());
    }
    fs::write(page, text.trim_end().to_owned() + "\n")?;
    Ok(())
}

/// Commit, programs and machine.
fn setting() -> Result<String, Failure> {
    let said = |program: &str, arguments: &[&str]| -> String {
        let output = Command::new(program).args(arguments).output();
        let text = output.map_or_else(
            |error| error.to_string(),
            |output| {
                let text = [output.stdout, output.stderr].concat();
                String::from_utf8_lossy(&text).trim().to_owned()
            },
        );
        text.lines().next().unwrap_or_default().to_owned()
    };
    let tollfree = sides::tollfree_program()?;
    let commit = said(
        "git",
        &[
            "describe",
            "--always",
            "--dirty",
            "--abbrev=12",
            "--exclude=*",
        ],
    );
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut text = String::new();
    for (what, value) in [
        ("commit", commit),
        ("date", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        (
            "tollfree",
            said(&tollfree.to_string_lossy(), &["--version"]),
        ),
        ("nginx", said("nginx", &["-v"])),
        ("compiler", said("rustc", &["--version"])),
        (
            "machine",
            format!(
                "{cpu}, {} cores, Linux {}",
                std::thread::available_parallelism()?,
                said("uname", &["-r"])
            ),
        ),
        (
            "load average at the end, the runner's own processes included",
            load.split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
        ),
    ] {
        writeln!(text, "- {what}: {value}")?;
    }
    Ok(text)
}

/// Where the page is kept.
#[must_use]
pub fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md")
}
