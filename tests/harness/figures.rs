//! The figures that a long run writes down itself, with its commit and date, each under a heading of its
//! own in `docs/reliability.md`; and what a run was asked for.
//!
//! It must not know what is measured.

use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::proxy::BINARY_VARIABLE;

/// The page, seen from the package.
const PAGE: &str = "../docs/reliability.md";
/// How the page begins.
const OPENING: &str = "# Reliability, measured\n\n\
    The tables below are written by `just deep` itself: each names the commit it ran on and the day. What is\n\
    promised, and which suite looks, stands in the suites' own headings (`tests/`).\n";

/// Whether this is the long run (`DEEP=1`), not the gate's sample.
pub fn is_deep() -> bool {
    std::env::var("DEEP").is_ok_and(|deep| deep == "1")
}

/// A number that the environment gives.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// The figures of one run.
#[derive(Debug)]
pub struct Figures {
    heading: &'static str,
    mark: &'static str,
    built: Option<&'static str>,
    lines: Vec<(String, String)>,
}

impl Figures {
    /// None so far, for the table under this heading; `mark` finds it again.
    pub fn of(heading: &'static str, mark: &'static str) -> Figures {
        let lines = Vec::new();
        Figures {
            heading,
            mark,
            built: None,
            lines,
        }
    }

    /// The same of a build that is neither the test's own nor given to it.
    #[must_use]
    pub fn built(self, how: &'static str) -> Figures {
        let built = Some(how);
        Figures { built, ..self }
    }

    /// Adds a line.
    pub fn line(&mut self, what: &str, figure: impl Display) {
        self.lines.push((what.to_owned(), figure.to_string()));
    }

    /// Prints them, and in the long run puts them in their place on the page.
    pub fn keep(&self) {
        println!("{}", self.heading);
        for (what, figure) in &self.lines {
            println!("  {what}: {figure}");
        }
        if is_deep() {
            let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
            let before = std::fs::read_to_string(&page).unwrap_or_else(|_| OPENING.to_owned());
            // Suites run one after the other, so nobody else writes meanwhile.
            let new: PathBuf = page.with_extension("md.new");
            std::fs::write(&new, replaced(&before, self.mark, &self.section())).expect("the page");
            std::fs::rename(new, page).expect("the page");
        }
    }

    fn section(&self) -> String {
        let mut text = format!("## {}\n\n", self.heading);
        let build = match (self.built, std::env::var_os(BINARY_VARIABLE)) {
            (Some(how), _) => how.to_owned(),
            (None, Some(given)) => {
                // Folder and name say what it is; where it lies is nobody's business.
                let names: Vec<_> = Path::new(&given).iter().rev().take(2).collect();
                let names = names.into_iter().rev().collect::<PathBuf>();
                format!("build `{}`", names.display())
            }
            (None, None) if cfg!(debug_assertions) => "debug build".to_owned(),
            (None, None) => "release build".to_owned(),
        };
        let _ = writeln!(
            text,
            "{} at {}, {build}.\n",
            said("date", &["-u", "+%F"]),
            commit()
        );
        text.push_str("| figure | value |\n|---|---|\n");
        for (what, figure) in &self.lines {
            let _ = writeln!(text, "| {what} | {figure} |");
        }
        text
    }
}

fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]);
    let changed = if changed.is_empty() {
        ""
    } else {
        " with changes"
    };
    format!("commit {commit}{changed}")
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.unwrap_or_default()
}

/// The page with this section between its marks: in its place if it has one, else at the end.
fn replaced(page: &str, mark: &str, section: &str) -> String {
    let (open, close) = (
        format!("<!-- {mark}: begin -->\n"),
        format!("<!-- {mark}: end -->\n"),
    );
    let marked = format!("{open}{section}{close}");
    let place = page.find(&open).zip(page.find(&close));
    match place {
        Some((begin, end)) => format!("{}{marked}{}", &page[..begin], &page[end + close.len()..]),
        None => format!("{page}\n{marked}"),
    }
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn a_section_is_put_in_its_place_and_others_stay() {
        let page = replaced("# Page\n", "one", "## One\n");
        let page = replaced(&page, "two", "## Two\n");
        let again = replaced(&page, "one", "## One, later\n");
        assert_eq!(again, page.replace("## One\n", "## One, later\n"));
        assert!(
            again.starts_with("# Page\n") && again.contains("## Two\n"),
            "{again}"
        );
    }
}
