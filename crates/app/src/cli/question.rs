//! The commands that answer from the ledger and the running proxy: one place where each is given the desk. It must not
//! know any answer.

use std::process::ExitCode;

use super::control::Control;
use super::desk::Desk;
use super::terminal::{Colour, Stream, Terminal};
use super::{calls, export, refuse, report, status, total};
use crate::config::{Environment, Loaded, Mistakes, Sources, load_as_far_as_it_goes};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// Is the next call free, and what did today cost.
    Status(status::Options),
    /// Calls one by one.
    Calls(calls::Options),
    /// What each day took, cost and saved.
    Report(report::Options),
    /// Today's totals.
    Total(total::Options),
    /// Settled calls as a file.
    Export(export::Options),
}

impl Question {
    /// What is needed for an answer where the configuration has mistakes: a status needs hardly a key of it as long as a
    /// proxy runs, which was started with another one.
    pub(crate) fn despite(&self, mistakes: &Mistakes, sources: &Sources) -> Option<Loaded> {
        if !matches!(self, Question::Status(_)) {
            return None;
        }
        let (loaded, _) = load_as_far_as_it_goes(sources);
        let loaded = loaded?;
        let folder = loaded.config.data_dir.folder()?;
        Control::reach(folder)?;
        let why = format!(
            "warning: the configuration has mistakes: {}. the proxy that runs on {} goes on with the one it had. help: \
             tollfree check shows each mistake\n",
            mistakes.in_brief(),
            folder.display()
        );
        refuse(&why, 0);
        Some(loaded)
    }

    /// Answers on standard output.
    pub(crate) fn answer(
        &self,
        loaded: Loaded,
        colour: Colour,
        environment: &Environment,
    ) -> ExitCode {
        let terminal = Terminal::of(Stream::Output, colour, environment);
        let desk = match Desk::of(loaded) {
            Ok(desk) => desk,
            Err(why) => return why.refuse(),
        };
        match self {
            Question::Status(options) => status::run(&desk, options, &terminal),
            Question::Calls(options) => calls::run(&desk, options, &terminal),
            Question::Report(options) => report::run(&desk, options, &terminal),
            Question::Total(options) => total::run(&desk, options, &terminal),
            Question::Export(options) => export::run(&desk, options),
        }
    }
}
