//! Mistakes of the configuration: what is wrong, where, and the right form; shown all at once.
//!
//! It must not know any key: whoever finds a mistake brings the words.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Characters of a source line that are shown; a longer one is cut around the mistake.
const MOST_SHOWN: usize = 120;
/// Characters kept in front of the mistake where a line is cut.
const LEAD: usize = 40;

/// Characters of a message or a form that are shown: it may repeat a name as it was written.
const MOST_TOLD: usize = 1000;
/// Mistakes that are told. Who made more of them gave us another file than was meant, and reading on would only take time.
const MOST_MISTAKES: usize = 100;

/// Mistakes in the configuration stand before those in the offer.
pub(super) const CONFIG_RANK: u8 = 0;
pub(super) const OFFER_RANK: u8 = 1;

/// What comes of mistakes at a start, and in a configuration that was to replace one in force.
const NOT_STARTED: &str = "nothing was started";
const NOT_CHANGED: &str = "nothing was changed";

/// Stands where a line was cut: a terminal of any locale has it.
const CUT: &str = "...";

/// What a value should have been, told by whoever could not read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What is wrong, lower case; empty takes "wrong value for ..." with the key's name.
    pub(crate) message: String,
    /// The right form, shown under the value.
    pub(crate) form: String,
    /// What to do, where the form alone does not say it; shown once at the end.
    pub(crate) help: Option<&'static str>,
    /// The part of the value that is wrong, as a span of the file; the whole value otherwise.
    pub(crate) part: Option<Range<usize>>,
}

impl Wrong {
    /// The value has not this form.
    pub(crate) fn form(form: impl Into<String>) -> Self {
        Self {
            message: String::new(),
            form: form.into(),
            help: None,
            part: None,
        }
    }

    /// The value cannot be, for a reason of its own.
    pub(crate) fn because(message: impl Into<String>, form: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::form(form)
        }
    }

    /// The same, with what to do.
    pub(crate) fn help(self, help: &'static str) -> Self {
        Self {
            help: Some(help),
            ..self
        }
    }

    /// The same, pointing at a part of the value.
    pub(crate) fn at(self, part: Range<usize>) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }
}

/// A piece of what was written, with the mistake marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The line's number from 1; none for a variable.
    number: Option<usize>,
    /// The line, made safe to show.
    line: String,
    /// Characters in front of the marks.
    before: usize,
    /// Marks, at least 1.
    marks: usize,
}

impl Excerpt {
    /// Marks `marks` characters of `line` after the first `before`. Passwords in URLs are covered,
    /// control characters replaced, and a long line is cut.
    pub(crate) fn new(number: Option<usize>, line: &str, before: usize, marks: usize) -> Self {
        let shown = presentable(line);
        let cut = if shown.len() > MOST_SHOWN {
            before.saturating_sub(LEAD)
        } else {
            0
        };
        let mut line: String = shown.iter().skip(cut).take(MOST_SHOWN).collect();
        if cut > 0 {
            line.insert_str(0, CUT);
        }
        if cut + MOST_SHOWN < shown.len() {
            line.push_str(CUT);
        }
        let before = before - cut + if cut > 0 { CUT.len() } else { 0 };
        let room = line.chars().count().saturating_sub(before);
        Self {
            number,
            line,
            before,
            marks: marks.clamp(1, room.max(1)),
        }
    }
}

/// The characters of a text as they may be shown on a terminal, in one line.
fn harmless(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| match c {
        '\t' => ' ',
        c if admin::is_command(c) => '\u{fffd}',
        c => c,
    })
}

/// Whether so many mistakes were found that no further ones are looked for.
pub(crate) fn are_enough(mistakes: &[Mistake]) -> bool {
    // One more than are told: that there are more is told, too.
    mistakes.len() > MOST_MISTAKES
}

/// As much of a message as is shown.
pub(crate) fn told(text: &str) -> String {
    match text.char_indices().nth(MOST_TOLD) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + CUT,
        None => text.to_owned(),
    }
}

/// The same of a line that was written.
fn presentable(line: &str) -> Vec<char> {
    let mut shown: Vec<char> = harmless(line).collect();
    // A URL may hold a password in front of its @.
    let mut covering = false;
    for c in shown.iter_mut().rev() {
        if *c == '@' {
            covering = true;
        } else if matches!(*c, '"' | '\'' | ' ') {
            covering = false;
        } else if covering {
            *c = '*';
        }
    }
    shown
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// What is wrong, lower case, without a full stop.
    pub(crate) message: String,
    /// `tollfree.toml:7:14`, `TOLLFREE_USAGE_TIER` or `--upstream`.
    pub(crate) place: String,
    /// What was written there; none where it must not or cannot be shown.
    pub(crate) excerpt: Option<Excerpt>,
    /// The right form.
    pub(crate) form: String,
    /// What to do.
    pub(crate) help: Option<&'static str>,
    /// Where it stands among the others: (source, offset).
    pub(crate) order: (u8, usize),
}

impl Mistake {
    fn write(&self, colour: bool, out: &mut dyn fmt::Write) -> fmt::Result {
        let (red, plain) = if colour {
            ("\x1b[31m", "\x1b[0m")
        } else {
            ("", "")
        };
        // They may repeat a name as it was written.
        let [message, place, form] =
            [&self.message, &self.place, &self.form].map(|text| harmless(text).collect::<String>());
        writeln!(out, "{red}error{plain}: {message}")?;
        writeln!(out, " --> {place}")?;
        let Some(excerpt) = &self.excerpt else {
            if !form.is_empty() {
                writeln!(out, "    = {form}")?;
            }
            return Ok(());
        };
        match excerpt.number {
            Some(number) => write!(out, "{number:>3} |")?,
            None => write!(out, "    |")?,
        }
        let gutter = excerpt.number.map_or(3, |n| n.to_string().len().max(3));
        writeln!(out, " {}", excerpt.line)?;
        let marks = "^".repeat(excerpt.marks);
        write!(
            out,
            "{:gutter$} | {:before$}{red}{marks}",
            "",
            "",
            before = excerpt.before
        )?;
        if !form.is_empty() {
            write!(out, " {form}")?;
        }
        writeln!(out, "{plain}")
    }
}

/// All mistakes of one start, or as many as are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mistakes {
    list: Vec<Mistake>,
    /// There are more.
    and_more: bool,
    /// The files that were read or looked for: mending one of them may mend the mistake.
    pub(crate) files: Vec<PathBuf>,
}

impl Mistakes {
    /// The mistakes in the order of their places; `None` if there is none.
    pub(crate) fn of(mut list: Vec<Mistake>) -> Option<Self> {
        list.sort_by_key(|mistake| mistake.order);
        let and_more = list.len() > MOST_MISTAKES;
        list.truncate(MOST_MISTAKES);
        (!list.is_empty()).then_some(Self {
            list,
            and_more,
            files: Vec::new(),
        })
    }

    /// The whole message of a start, many lines, with its final newline.
    pub(crate) fn render(&self, colour: bool) -> String {
        self.with(colour, Some(NOT_STARTED))
    }

    /// The same of a command that starts nothing.
    pub(crate) fn of_command(&self, colour: bool) -> String {
        self.with(colour, None)
    }

    /// The same of a configuration that was to replace one in force.
    pub(crate) fn of_reload(&self) -> String {
        self.with(false, Some(NOT_CHANGED))
    }

    fn with(&self, colour: bool, outcome: Option<&str>) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(colour, outcome, &mut out);
        out
    }

    /// Where all keys are explained: those of each kind of file that has a mistake.
    fn topics(&self) -> String {
        let in_offer = |mistake: &Mistake| mistake.order.0 == OFFER_RANK;
        let topics = [
            (!self.list.iter().all(in_offer), "tollfree help config"),
            (self.list.iter().any(in_offer), "tollfree help offer-file"),
        ];
        let some = topics.into_iter().filter(|(is_due, _)| *is_due);
        let some: Vec<&str> = some.map(|(_, topic)| topic).collect();
        some.join(", ")
    }

    /// The first of them in one line, and how many more there are.
    pub(crate) fn in_brief(&self) -> String {
        let first = self.list.first();
        let first = first.map(|first| format!("{} ({})", first.message, first.place));
        let more = match self.list.len() {
            _ if self.and_more => format!(" and at least {MOST_MISTAKES} more"),
            0 | 1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let line = first.unwrap_or_default() + &more;
        harmless(&line).collect()
    }

    fn write(&self, colour: bool, outcome: Option<&str>, out: &mut dyn fmt::Write) -> fmt::Result {
        for mistake in &self.list {
            mistake.write(colour, out)?;
        }
        let count = self.list.len();
        let s = if count == 1 { "" } else { "s" };
        let more = if self.and_more { " and more" } else { "" };
        let outcome = outcome.map_or_else(String::new, |outcome| format!(", {outcome}"));
        let topics = self.topics();
        writeln!(out, "{count} mistake{s}{more}{outcome}. All keys: {topics}")?;
        let mut said: Vec<&str> = Vec::new();
        for help in self.list.iter().filter_map(|mistake| mistake.help) {
            if !said.contains(&help) {
                said.push(help);
                writeln!(out, "help: {help}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(false, Some(NOT_STARTED), f)
    }
}

impl std::error::Error for Mistakes {}
