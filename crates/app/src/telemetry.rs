//! Log lines on standard error. Knows the settings of the log and nothing of what is logged.

use std::borrow::Cow;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::cli::json;
use crate::config::{Log, LogFormat};

/// Whoever watches the configuration's folder tells of each line that is written there: of a log in it, without end.
const WATCHER: &str = "notify=warn";

/// Turns logging on, coloured or not where lines are for people, for the whole process; a second call changes nothing.
pub(crate) fn begin(log: &Log, colour: bool) {
    let mut filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    if let Ok(quiet) = WATCHER.parse() {
        filter = filter.add_directive(quiet);
    }
    let clean: Clean = match log.format {
        LogFormat::Json => json::escaped,
        LogFormat::Pretty => replaced,
    };
    let writer = BoxMakeWriter::new(move || Lines {
        to: io::stderr(),
        clean,
    });
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // A line that cannot be written is lost: told on the same standard error it would end the call.
        .log_internal_errors(false)
        .with_target(false);
    // Another subscriber can only be there if this was called before: then that one stays.
    let _ = match log.format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init(),
        LogFormat::Pretty => lines.with_ansi(colour).try_init(),
    };
}

/// Takes out of a line what a terminal would take for a command.
type Clean = fn(&str) -> Cow<'_, str>;

/// For people; the escapes that colour a line are ASCII, and others in ASCII do not come so far.
fn replaced(line: &str) -> Cow<'_, str> {
    if line.contains(json::is_left) {
        Cow::Owned(line.replace(json::is_left, "\u{fffd}"))
    } else {
        Cow::Borrowed(line)
    }
}

/// Where lines go. Each comes whole: names in it are a stranger's words.
struct Lines<W> {
    to: W,
    clean: Clean,
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) => self.to.write_all((self.clean)(text).as_bytes())?,
            Err(_) => self.to.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(clean: Clean, line: &str) -> String {
        let mut lines = Lines {
            to: Vec::new(),
            clean,
        };
        lines.write_all(line.as_bytes()).unwrap();
        String::from_utf8(lines.to).unwrap()
    }

    #[test]
    fn a_strangers_name_moves_no_cursor_in_either_form() {
        let line = "{\"model\":\"x\u{9b}31m\u{202e}\"}\n";
        let escapes = "{\"model\":\"x\\u009b31m\\u202e\"}\n";
        assert_eq!(written(json::escaped, line), escapes);
        assert_eq!(
            written(replaced, "\u{1b}[2mx\u{9b}31m\u{202e}\n"),
            "\u{1b}[2mx\u{fffd}31m\u{fffd}\n"
        );
    }
}
