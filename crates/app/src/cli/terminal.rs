//! What is known about the place the output goes to: terminal or not, width, colour, characters.
//!
//! It must not know what is written there.

use std::io::IsTerminal;

use clap::ValueEnum;

use super::layout::wrapped;
use crate::config::Environment;

/// The width of a terminal that does not say its own.
const USUAL_WIDTH: usize = 80;

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// One of the streams a program writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Data.
    Output,
    /// Everything else.
    Error,
}

/// A role a text has; colour only supports what words and shapes already say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Free.
    Free,
    /// Billed: no fault, so never red.
    Billed,
    /// Not known, or said in passing.
    Dim,
    /// Something does not work.
    Error,
}

/// The facts about one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_field_names,
    clippy::struct_excessive_bools,
    reason = "is_terminal is std's own word for it; each is a fact of its own"
)]
pub(crate) struct Terminal {
    /// A person looks at it; else it is a pipe or a file.
    pub(crate) is_terminal: bool,
    /// Columns.
    pub(crate) width: usize,
    /// What `COLUMNS` says, which beats the terminal.
    pub(crate) columns: Option<usize>,
    /// Lines, where the terminal says how many.
    pub(crate) height: Option<usize>,
    /// Escapes for colour are wanted.
    pub(crate) colour: bool,
    /// It is a terminal that takes commands, such as to move its cursor; one that says `TERM=dumb` takes none.
    pub(crate) moves: bool,
    /// The locale has all characters; else ASCII alone is written.
    pub(crate) utf8: bool,
}

impl Terminal {
    /// A file, which nobody looks at.
    pub(crate) const PLAIN: Self = Self {
        is_terminal: false,
        width: USUAL_WIDTH,
        columns: None,
        height: None,
        colour: false,
        moves: false,
        utf8: false,
    };

    /// The facts about a stream of this process.
    pub(crate) fn of(stream: Stream, colour: Colour, environment: &Environment) -> Self {
        let (is_terminal, size) = match stream {
            Stream::Output => {
                let stream = std::io::stdout();
                (
                    stream.is_terminal(),
                    terminal_size::terminal_size_of(stream),
                )
            }
            Stream::Error => {
                let stream = std::io::stderr();
                (
                    stream.is_terminal(),
                    terminal_size::terminal_size_of(stream),
                )
            }
        };
        let width = size.map(|(width, _)| usize::from(width.0));
        let facts = Self::from_facts(is_terminal, width, colour, environment);
        let height = size.map(|(_, height)| usize::from(height.0));
        Self { height, ..facts }
    }

    /// The same from facts alone.
    pub(crate) fn from_facts(
        is_terminal: bool,
        width: Option<usize>,
        colour: Colour,
        environment: &Environment,
    ) -> Self {
        let text = |name| environment.text(name).ok().flatten();
        let columns = text("COLUMNS").and_then(|columns| columns.trim().parse().ok());
        let columns = columns.filter(|columns| *columns > 0);
        let locale = text("LC_ALL").or(text("LC_CTYPE")).or(text("LANG"));
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        let moves = is_terminal && text("TERM") != Some("dumb");
        Self {
            is_terminal,
            width: width_of(columns, width),
            columns,
            height: None,
            colour: match colour {
                Colour::Always => true,
                Colour::Never => false,
                Colour::Auto if text("NO_COLOR").is_some() => false,
                Colour::Auto if text("CLICOLOR_FORCE").is_some_and(|force| force != "0") => true,
                Colour::Auto => moves,
            },
            moves,
            utf8: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// Standard output as it is now: a window may have been made wider or narrower.
    pub(crate) fn again(self) -> Self {
        match terminal_size::terminal_size_of(std::io::stdout()) {
            Some((width, height)) => self.resized(width.0, height.0),
            None => self,
        }
    }

    fn resized(self, width: u16, height: u16) -> Self {
        Self {
            width: width_of(self.columns, Some(width.into())),
            height: Some(height.into()),
            ..self
        }
    }

    /// A text in the colour of its role.
    pub(crate) fn paint(&self, role: Role, text: &str) -> String {
        // The 16 colours of the terminal's own theme.
        let code = match role {
            Role::Free => "36",
            Role::Billed => "33",
            Role::Dim => "2",
            Role::Error => "31",
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Something said in passing, in lines that fit.
    pub(crate) fn note(&self, text: &str) -> String {
        let lines = wrapped(text, self.width);
        let lines: Vec<String> = lines
            .lines()
            .map(|line| self.paint(Role::Dim, line))
            .collect();
        lines.join("\n") + "\n"
    }

    /// `rich` where the locale has it, else `plain`.
    pub(crate) fn glyph(&self, rich: &'static str, plain: &'static str) -> &'static str {
        if self.utf8 { rich } else { plain }
    }
}

/// What `COLUMNS` says, else what the terminal says, else what is usual.
fn width_of(columns: Option<usize>, terminal: Option<usize>) -> usize {
    let said = columns.or(terminal.filter(|width| *width > 0));
    said.unwrap_or(USUAL_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        owned.collect()
    }

    fn facts(is_terminal: bool, colour: Colour, variables: &[(&str, &str)]) -> Terminal {
        Terminal::from_facts(is_terminal, Some(120), colour, &environment(variables))
    }

    #[test]
    fn columns_beat_the_terminal_and_nonsense_beats_nothing() {
        assert_eq!(facts(true, Colour::Auto, &[("COLUMNS", "44")]).width, 44);
        assert_eq!(facts(true, Colour::Auto, &[("COLUMNS", "wide")]).width, 120);
        assert_eq!(facts(true, Colour::Auto, &[("COLUMNS", "0")]).width, 120);
        let resized = facts(true, Colour::Auto, &[]).resized(60, 20);
        assert_eq!((resized.width, resized.height), (60, Some(20)));
        let fixed = facts(true, Colour::Auto, &[("COLUMNS", "44")]);
        assert_eq!(fixed.resized(60, 20).width, 44);
        let unknown = Terminal::from_facts(false, None, Colour::Auto, &environment(&[]));
        assert_eq!(unknown.width, 80);
    }

    #[test]
    fn colour_follows_flag_then_variables_then_terminal() {
        assert!(facts(true, Colour::Auto, &[]).colour);
        assert!(!facts(false, Colour::Auto, &[]).colour);
        assert!(!facts(true, Colour::Auto, &[("TERM", "dumb")]).colour);
        assert!(!facts(true, Colour::Auto, &[("NO_COLOR", "1")]).colour);
        assert!(facts(true, Colour::Auto, &[("NO_COLOR", "")]).colour);
        assert!(facts(false, Colour::Auto, &[("CLICOLOR_FORCE", "1")]).colour);
        assert!(!facts(false, Colour::Auto, &[("CLICOLOR_FORCE", "0")]).colour);
        assert!(facts(false, Colour::Always, &[("NO_COLOR", "1")]).colour);
        assert!(!facts(true, Colour::Never, &[("CLICOLOR_FORCE", "1")]).colour);
    }

    #[test]
    fn a_dumb_terminal_and_a_pipe_take_no_commands() {
        assert!(facts(true, Colour::Auto, &[("TERM", "xterm"), ("NO_COLOR", "1")]).moves);
        assert!(!facts(true, Colour::Always, &[("TERM", "dumb")]).moves);
        assert!(!facts(false, Colour::Always, &[("TERM", "xterm")]).moves);
    }

    #[test]
    fn only_a_utf8_locale_has_marks() {
        assert!(facts(true, Colour::Auto, &[("LANG", "de_DE.UTF-8")]).utf8);
        assert!(facts(true, Colour::Auto, &[("LC_CTYPE", "C.utf8")]).utf8);
        assert!(!facts(true, Colour::Auto, &[("LC_ALL", "C"), ("LANG", "C.UTF-8")]).utf8);
        assert!(!facts(true, Colour::Auto, &[]).utf8);
    }
}
