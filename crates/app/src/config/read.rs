//! Reading one key: file, then variable on top; every value that is there is checked, also one
//! that another overrides.
//!
//! It must not know which keys there are beyond their table.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::document::{Document, Section};
use super::environment::{Environment, NotText};
use super::form::Raw;
use super::keys::{KEYS, Key, SECRETS, name_of, section_of};
use super::mistake::{Excerpt, Mistake, Wrong, are_enough};

/// Bytes of a file that are read.
const MOST_FILE_BYTES: u64 = 16 << 20;

/// Mistakes in variables stand after those of the files.
const RANK: u8 = 8;

/// The file and the variables, and the mistakes found in them so far.
pub(crate) struct Reader<'a> {
    document: Option<&'a Document<'a>>,
    environment: &'a Environment,
    /// What went wrong so far.
    pub(crate) mistakes: Vec<Mistake>,
    /// The files that were named beside the configuration, and are read again with it.
    pub(crate) files: Vec<PathBuf>,
}

impl<'a> Reader<'a> {
    /// A reader over the file, if there is one, and the variables.
    pub(crate) fn new(
        document: Option<&'a Document<'a>>,
        environment: &'a Environment,
        mistakes: Vec<Mistake>,
    ) -> Self {
        Self {
            document,
            environment,
            mistakes,
            files: Vec::new(),
        }
    }

    /// The top of the file.
    pub(crate) fn root(&self) -> Option<Section<'a>> {
        self.document.map(Document::root)
    }

    /// The value of a key: the variable's, else the file's.
    pub(crate) fn value<T>(
        &mut self,
        path: &str,
        form: impl Fn(Raw<'_>) -> Result<T, Wrong>,
    ) -> Option<T> {
        let in_file = self
            .section(section_of(path))
            .and_then(|section| section.value(name_of(path), &form, &mut self.mistakes));
        let in_variable = KEYS
            .iter()
            .find(|key| key.path == path)
            .and_then(|key| self.variable(key, &form));
        in_variable.or(in_file)
    }

    /// The variables of a key, read by its form.
    fn variable<T>(&mut self, key: &Key, form: impl Fn(Raw<'_>) -> Result<T, Wrong>) -> Option<T> {
        let (name, text) = match self.environment.text(key.variable) {
            Ok(Some(text)) => (key.variable.to_owned(), text.to_owned()),
            Ok(None) if SECRETS.contains(&key.path) => self.secret_file(key)?,
            Ok(None) => return None,
            Err(NotText) => {
                self.refuse_variable(key.variable, None, Wrong::because("not UTF-8", "text"));
                return None;
            }
        };
        match form(Raw::Text(&text)) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let shown = (!SECRETS.contains(&key.path)).then_some(text.as_str());
                self.refuse_variable(&name, shown, wrong);
                None
            }
        }
    }

    /// The value that stands in the file which `..._FILE` names, and that variable.
    fn secret_file(&mut self, key: &Key) -> Option<(String, String)> {
        let name = format!("{}_FILE", key.variable);
        let path = self.environment.get(&name)?;
        self.files.push(path.into());
        match text_of(Path::new(path)) {
            Ok(text) => Some((name, text.trim_end().to_owned())),
            Err(why) => {
                let shown = path.to_string_lossy().into_owned();
                let message = format!("cannot read {shown}: {why}");
                let wrong = Wrong::because(message, "a file that can be read");
                self.refuse_variable(&name, Some(&shown), wrong);
                None
            }
        }
    }

    /// A mistake at the place a key's value came from.
    pub(crate) fn refuse(&mut self, path: &str, wrong: Wrong) {
        let key = KEYS.iter().find(|key| key.path == path);
        if let Some(key) = key
            && let Ok(Some(text)) = self.environment.text(key.variable)
        {
            let shown = (!SECRETS.contains(&path)).then(|| text.to_owned());
            self.refuse_variable(key.variable, shown.as_deref(), wrong);
        } else if let Some(section) = self.section(section_of(path)) {
            section.refuse_value(name_of(path), wrong, &mut self.mistakes);
        }
    }

    /// A mistake in the value of a flag.
    pub(crate) fn refuse_flag(&mut self, flag: &str, shown: &str, wrong: Wrong) {
        self.refuse_variable(flag, Some(shown), wrong);
    }

    /// Whether a key's value comes from its variable.
    pub(crate) fn is_from_variable(&self, path: &str) -> bool {
        let key = KEYS.iter().find(|key| key.path == path);
        key.is_some_and(|key| self.environment.get(key.variable).is_some())
    }

    /// A mistake in a variable; `shown` is its value where it may be shown.
    fn refuse_variable(&mut self, name: &str, shown: Option<&str>, mut wrong: Wrong) {
        if wrong.message.is_empty() {
            wrong.message = format!("wrong value for {name}");
        }
        if are_enough(&self.mistakes) {
            return;
        }
        self.mistakes.push(Mistake {
            message: wrong.message,
            place: name.to_owned(),
            excerpt: shown.map(|text| Excerpt::new(None, text, 0, text.chars().count())),
            form: wrong.form,
            help: wrong.help,
            order: (RANK, self.mistakes.len()),
        });
    }

    /// A section of the file; one that is no table was reported when the sections were checked.
    fn section(&self, name: &str) -> Option<Section<'a>> {
        let root = self.root()?;
        if name.is_empty() {
            Some(root)
        } else {
            root.section(name, &mut Vec::new())
        }
    }
}

/// Opens a file, or says why not. A pipe would keep whoever reads it waiting, and has nothing left for a reload; a device
/// may never end.
pub(crate) fn opened(path: &Path) -> Result<File, String> {
    let found = std::fs::metadata(path).map_err(|error| reason(&error))?;
    if found.is_dir() {
        return Err("is a directory".to_owned());
    }
    if !found.is_file() {
        return Err("is no file but a pipe or a device, and a reload reads it again".to_owned());
    }
    File::open(path).map_err(|error| reason(&error))
}

/// The text of a file, or why there is none.
pub(crate) fn text_of(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = opened(path)?
        .take(MOST_FILE_BYTES + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| reason(&error))?;
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(format!("longer than {} MiB", MOST_FILE_BYTES >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(at);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8")
    })
}

/// Why a file could not be read, without the number only the system understands.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_lowercase(),
        None => text,
    }
}

/// A path of the file as it counts from the folder of the file, not from the one the program was
/// started in.
pub(crate) fn beside(file: Option<&Path>, path: std::path::PathBuf) -> std::path::PathBuf {
    match file.and_then(Path::parent) {
        Some(folder) if path.is_relative() => folder.join(path),
        _ => path,
    }
}
