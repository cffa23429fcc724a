//! A TOML file with its places: syntax mistakes, tables whose values are read one by one, and the
//! line a value stands in.
//!
//! It must not know any key of ours.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::form::Raw;
use super::keys::is_switch;
use super::mistake::{Excerpt, Mistake, Wrong, are_enough, told};

/// Names further apart than this share of the longer one are not proposed.
const ALIKE: f64 = 0.7;
/// Letters of a name for which one that is alike is sought: what it takes grows with the product of both lengths.
const MOST_LETTERS: usize = 256;
/// Bytes of a line that are looked at on either side of a mistake: a file may be one line.
const MOST_LINE: usize = 4096;

/// How the parser begins what it says about text without quotes, and about a header without `]`.
const UNQUOTED: &str = "string values must be quoted";
const UNCLOSED: &str = "unclosed table";

/// A file that was read, as far as its syntax allows.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    name: &'t str,
    text: &'t str,
    /// Where its mistakes stand among those of other sources.
    rank: u8,
    table: Spanned<DeTable<'t>>,
    /// Where each line begins.
    lines: Vec<usize>,
    /// Lines with a syntax mistake: what else is odd in them follows from it.
    broken: HashSet<usize>,
}

impl<'t> Document<'t> {
    /// Parses `text`; syntax mistakes go into `mistakes`, and the rest can still be read.
    pub(crate) fn parse(
        name: &'t str,
        text: &'t str,
        rank: u8,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            name,
            text,
            rank,
            table,
            lines: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(end, _)| end + 1))
                .collect(),
            broken: HashSet::new(),
        };
        let unclosed = errors
            .iter()
            .any(|error| error.message().starts_with(UNCLOSED));
        for error in errors {
            if are_enough(mistakes) {
                break;
            }
            // After an unclosed header the parser takes later ones for repetitions.
            if unclosed && error.message().starts_with("duplicate key") {
                continue;
            }
            let span = error.span().unwrap_or(0..0);
            // One slip often makes the parser stumble more than once.
            if !document.broken.insert(document.line_at(&span)) {
                continue;
            }
            let rest = document.text.get(span.start..).unwrap_or_default();
            let key = document.key_before(&span);
            let (message, form) = syntax(error.message(), key, rest);
            mistakes.push(document.mistake(span, Wrong::because(message, form)));
        }
        document
    }

    /// The table of the whole file.
    pub(crate) fn root(&self) -> Section<'_> {
        Section {
            document: self,
            table: self.table.get_ref(),
            title: String::new(),
            span: 0..0,
        }
    }

    /// Whether the file has syntax mistakes, so that what is missing may only be unread.
    pub(crate) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Where a name is written first, in quotes or as a key; the start of the file if nowhere.
    pub(crate) fn find(&self, name: &str) -> Range<usize> {
        let quoted = format!("\"{name}\"");
        let key = format!("\n{name} =");
        let start = match (self.text.find(&quoted), self.text.find(&key)) {
            (Some(quote), _) => quote + 1,
            (None, Some(line)) => line + 1,
            (None, None) => return 0..0,
        };
        start..start + name.len()
    }

    /// The name of the key whose value is at this place; empty where none is.
    fn key_before(&self, span: &Range<usize>) -> &'t str {
        let before = self.text.get(..span.start).unwrap_or_default();
        let head = before.rsplit('\n').next().unwrap_or_default();
        head.split_once('=').map_or("", |(key, _)| key.trim())
    }

    /// A mistake at a place of this file.
    pub(crate) fn mistake(&self, span: Range<usize>, wrong: Wrong) -> Mistake {
        let span = wrong.part.unwrap_or(span);
        let number = self.line_at(&span);
        let (head, tail) = self.around(number, &span);
        let marked = self.text.get(span.clone()).unwrap_or_default();
        let marks = marked.lines().next().unwrap_or_default().chars().count();
        let place = format!("{}:{number}:{}", self.name, head.chars().count() + 1);
        let (line, before) = near(head, tail);
        Mistake {
            message: told(&wrong.message),
            place,
            excerpt: Some(Excerpt::new(Some(number), &line, before, marks)),
            form: told(&wrong.form),
            help: wrong.help,
            order: (self.rank, span.start),
        }
    }

    fn push(&self, mistakes: &mut Vec<Mistake>, span: Range<usize>, wrong: Wrong) {
        if !are_enough(mistakes) && !self.broken.contains(&self.line_at(&span)) {
            mistakes.push(self.mistake(span, wrong));
        }
    }

    /// The number, from 1, of the line that a span begins in.
    fn line_at(&self, span: &Range<usize>) -> usize {
        self.lines.partition_point(|begin| *begin <= span.start)
    }

    /// What stands in this line before the span, and from there on.
    fn around(&self, number: usize, span: &Range<usize>) -> (&'t str, &'t str) {
        let begin = self.lines.get(number - 1).copied().unwrap_or_default();
        let end = self.lines.get(number).map(|next| next - 1);
        let start = self.text.floor_char_boundary(span.start);
        let head = self.text.get(begin..start).unwrap_or_default();
        let tail = self.text.get(start..end.unwrap_or(self.text.len()));
        (head, tail.unwrap_or_default())
    }
}

/// As much of a line as is looked at for an excerpt, and how many characters of it stand before the mistake.
fn near(head: &str, tail: &str) -> (String, usize) {
    let far = head.len().saturating_sub(MOST_LINE);
    let head = head.get(head.ceil_char_boundary(far)..).unwrap_or_default();
    let line = match tail.get(..tail.floor_char_boundary(MOST_LINE)) {
        // What is left out may have the @ behind a password: it is covered as if it had.
        Some(some) if some.len() < tail.len() => format!("{head}{some}@"),
        _ => format!("{head}{tail}").trim_end_matches('\r').to_owned(),
    };
    (line, head.chars().count())
}

/// What stands for true and for false elsewhere.
const TRUE: [&str; 3] = ["true", "yes", "on"];
const FALSE: [&str; 3] = ["false", "no", "off"];

/// The right form of what was written for true or false.
fn switched(word: &str) -> String {
    let is_one_of = |words: [&str; 3]| words.iter().any(|one| one.eq_ignore_ascii_case(word));
    let form = if is_one_of(TRUE) {
        "true"
    } else if is_one_of(FALSE) {
        "false"
    } else {
        "true or false, without quotes"
    };
    form.to_owned()
}

/// A syntax mistake in our words where the parser's would mislead. `rest` is the text from there on, `key` stands in front
/// of it.
fn syntax(message: &str, key: &str, rest: &str) -> (String, String) {
    let unquoted = message.starts_with(UNQUOTED) || message.starts_with("invalid boolean");
    let word = rest.split(['\n', '#']).next().unwrap_or_default().trim();
    if unquoted && word.is_empty() {
        return (
            "a value is missing".to_owned(),
            "such as true, 3 or \"text\"".to_owned(),
        );
    }
    if unquoted && is_switch(key) {
        let message = format!("`{word}` is neither true nor false");
        return (message, switched(word));
    }
    if unquoted {
        return ("text needs quotes".to_owned(), format!("\"{word}\""));
    }
    match message.split_once(", expected ") {
        Some((message, expected)) => (message.to_owned(), format!("expected {expected}")),
        None => (message.to_owned(), String::new()),
    }
}

/// One table of a file.
#[derive(Debug, Clone)]
pub(crate) struct Section<'d> {
    document: &'d Document<'d>,
    table: &'d DeTable<'d>,
    /// `[streams]`; empty for the top of the file.
    title: String,
    span: Range<usize>,
}

impl<'d> Section<'d> {
    /// The names in this table with their values, in the order of the file.
    pub(crate) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'d Spanned<DeString<'d>>, &'d Spanned<DeValue<'d>>)> + use<'d> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries.into_iter()
    }

    /// The value of a name, as it stands.
    pub(crate) fn get(&self, name: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.table.get(name)
    }

    /// Reads the value of a name by its form. A value of another form is a mistake and counts as
    /// not there.
    pub(crate) fn value<T>(
        &self,
        name: &str,
        form: impl FnOnce(Raw<'_>) -> Result<T, Wrong>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<T> {
        let value = self.get(name)?;
        self.read(name, value, form, mistakes)
    }

    /// Reads a value of this table by its form.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        form: impl FnOnce(Raw<'_>) -> Result<T, Wrong>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<T> {
        match form(Raw::Toml(value.get_ref())) {
            Ok(read) => Some(read),
            Err(wrong) => {
                let wrong = self.named(name, wrong);
                self.document.push(mistakes, value.span(), wrong);
                None
            }
        }
    }

    /// As [`Section::value`], for a name that must be there.
    pub(crate) fn required<T>(
        &self,
        name: &str,
        form: impl FnOnce(Raw<'_>) -> Result<T, Wrong>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<T> {
        if self.get(name).is_none() {
            if !self.document.is_broken() {
                let message = format!("`{name}` is missing{}", self.place());
                self.refuse(
                    Wrong::because(message, format!("`{name}` belongs here")),
                    mistakes,
                );
            }
            return None;
        }
        self.value(name, form, mistakes)
    }

    /// The table under a name. Something else under that name is a mistake.
    pub(crate) fn section(&self, name: &str, mistakes: &mut Vec<Mistake>) -> Option<Section<'d>> {
        let value = self.get(name)?;
        let title = if self.title.is_empty() {
            format!("[{name}]")
        } else {
            format!("[{}.{name}]", self.title.trim_matches(['[', ']']))
        };
        self.sub(value, title, mistakes)
    }

    /// A value of this table as a table of its own, called `title`.
    pub(crate) fn sub(
        &self,
        value: &'d Spanned<DeValue<'d>>,
        title: String,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Section<'d>> {
        let Some(table) = value.get_ref().as_table() else {
            let wrong = Wrong::because(
                format!("{title} is a section"),
                format!("keys and values under {title}"),
            );
            self.document.push(mistakes, value.span(), wrong);
            return None;
        };
        Some(Section {
            document: self.document,
            table,
            title,
            span: value.span(),
        })
    }

    /// Reports each name that is not among `known`. `elsewhere` says where a name belongs that is
    /// known in another place.
    pub(crate) fn only(
        &self,
        known: &[&str],
        elsewhere: impl Fn(&str) -> Option<String>,
        mistakes: &mut Vec<Mistake>,
    ) {
        for (name, value) in self.entries() {
            if are_enough(mistakes) {
                return;
            }
            let text = name.get_ref().as_ref();
            if known.contains(&text) {
                continue;
            }
            let is_section = value.get_ref().is_table() && self.title.is_empty();
            let what = if is_section {
                format!("unknown section [{text}]")
            } else {
                format!("unknown key `{text}`{}", self.place())
            };
            let form = match (nearest(text, known.iter().copied()), elsewhere(text)) {
                (_, Some(place)) => place,
                (Some(near), None) if is_section => format!("did you mean [{near}]?"),
                (Some(near), None) => format!("did you mean `{near}`?"),
                (None, None) => format!("known here: {}", known.join(", ")),
            };
            self.document
                .push(mistakes, name.span(), Wrong::because(what, form));
        }
    }

    /// A mistake of the table as a whole, shown at its head.
    pub(crate) fn refuse(&self, wrong: Wrong, mistakes: &mut Vec<Mistake>) {
        self.document.push(mistakes, self.span.clone(), wrong);
    }

    /// A mistake at the value of a name of this table.
    pub(crate) fn refuse_value(&self, name: &str, wrong: Wrong, mistakes: &mut Vec<Mistake>) {
        let span = self.get(name).map_or(self.span.clone(), Spanned::span);
        let wrong = self.named(name, wrong);
        self.document.push(mistakes, span, wrong);
    }

    fn named(&self, name: &str, mut wrong: Wrong) -> Wrong {
        if wrong.message.is_empty() {
            wrong.message = format!("wrong value for `{name}`{}", self.place());
        }
        wrong
    }

    fn place(&self) -> String {
        if self.title.is_empty() {
            String::new()
        } else {
            format!(" in {}", self.title)
        }
    }
}

/// The known name most like `name`, if one is alike.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let letters = name.chars().count();
    let may_be = |known: &&str| {
        let known = known.chars().count();
        letters.max(known) <= MOST_LETTERS && letters.max(known) <= 2 * letters.min(known)
    };
    known
        .filter(may_be)
        .map(|known| (strsim::normalized_damerau_levenshtein(name, known), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
