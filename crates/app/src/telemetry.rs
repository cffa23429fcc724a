//! Log lines on standard error. Knows the settings of the log and nothing of what is logged.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::{Log, LogFormat};

/// Whoever watches the configuration's folder tells of each line that is written there: of a log in it, without end.
const WATCHER: &str = "notify=warn";

/// Turns logging on, coloured or not where lines are for people, for the whole process; a second call changes nothing.
pub(crate) fn begin(log: &Log, colour: bool) {
    let mut filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    if let Ok(quiet) = WATCHER.parse() {
        filter = filter.add_directive(quiet);
    }
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(BoxMakeWriter::new(std::io::stderr))
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
