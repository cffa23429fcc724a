//! Help beyond what the flags say of themselves: examples, topics, version.
//!
//! It must not know what the settings do.

use std::process::ExitCode;

use meter::Offer;

use super::layout::columns;
use super::{exit, print, refuse};
use crate::config::{ALL_KEYS, BUILT_IN_OFFER, KEYS, VARIABLES};

/// Stands first in `-h`.
pub(crate) const EXAMPLE: &str = "Example: tollfree --usage-tier 3 --enrolled true --coverage all";

/// What each example of a command begins with.
pub(crate) const EXAMPLE_LABEL: &str = "Example: ";

/// Stands first in the help of the commands.
pub(crate) const SERVE: &str =
    "Example: tollfree serve --usage-tier 3 --enrolled true --coverage all";
pub(crate) const STATUS: &str = "Example: tollfree status --remaining large";
pub(crate) const CALLS: &str = "Example: tollfree calls --verdict billed --limit 100";
pub(crate) const REPORT: &str = "Example: tollfree report --days 30";
pub(crate) const TOTAL: &str = "Example: tollfree total --organization acme";
pub(crate) const TOTAL_SET: &str = "Example: tollfree total set --group large 412000";
pub(crate) const CHECK: &str = "Example: tollfree check --json";
pub(crate) const HEALTH: &str = "Example: tollfree health --strict";
pub(crate) const EXPORT: &str = "Example: tollfree export --days 7 --format jsonl";
pub(crate) const DEMO: &str = "Example: tollfree demo --seconds 60";
pub(crate) const OFFER: &str = "Example: tollfree offer --json";

/// Stands first in `--help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  tollfree                                             proxy on 127.0.0.1:8800, to api.openai.com
  export OPENAI_BASE_URL=http://127.0.0.1:8800/v1      where the client runs; nothing else changes
  tollfree --usage-tier 3 --enrolled true --coverage all
  tollfree --listen 127.0.0.1:8810 --upstream https://eu.api.openai.com
  tollfree demo                                        no key, no network
  tollfree status --watch                              is the next call free, again each second
  tollfree calls --verdict billed                      which calls were billed today, and why
  tollfree report --days 30                            what each day took, cost and saved
";

/// The order of a help: on a usual screen the short one has no line to spare.
pub(crate) const TEMPLATE: &str =
    "{before-help}{about}\n{usage-heading} {usage}\n\n{all-args}{after-help}";

/// What `--upstream` is; not a doc comment, which would take the URL for a link.
pub(crate) const UPSTREAM: &str = "Base URL of the API [default: https://api.openai.com]";

/// Stands last in `--help`.
pub(crate) const AFTER_LONG: &str = "\
Each flag of serve is also a variable and a key of the file; a flag wins over a variable, a variable
over the file. All of them: tollfree help config, tollfree help environment.
Completions: tollfree completions bash (or zsh, fish, ...). Manual pages: tollfree man FOLDER.
For containers: tollfree health.
Exit codes: tollfree help exit-codes.";

/// What the codes mean that the program ends with.
pub(crate) const EXIT_CODES: &str = "\
0    fine; check: at most warnings
1    demo: a verdict differs from the simulated bill
     check: the ledger cannot be read
     health: calls cannot be forwarded, or --strict and something does not work
     status, calls, report, total, export: no such call, or the ledger cannot be read
     serve: stopped, but not everything is in the ledger
     any command: the output could not be written
64   wrong flags, or a group or organization that is not known
69   cannot listen; check: cannot listen, or upstream cannot be reached; health: no proxy answers
75   the ledger is in use by another tollfree
78   mistakes in the configuration; nothing was started
130  demo: interrupted
";

/// `tollfree 0.1.0 (48612f0c1d2e), model list of 2026-09-28`; without the commit where the build does not know it.
pub(crate) fn version(offer: &Offer) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let commit = match env!("TOLLFREE_COMMIT") {
        "" => String::new(),
        commit => format!(" ({commit})"),
    };
    format!(
        "tollfree {version}{commit}, model list of {}\n",
        offer.list_date()
    )
}

/// Prints what is asked for: a topic, a command's help, or the program's.
pub(crate) fn topic(topic: &[String], mut cli: clap::Command) -> ExitCode {
    let name = topic.join(" ");
    match Some(name.as_str()).filter(|name| !name.is_empty()) {
        Some("config") => print(ALL_KEYS),
        Some("offer-file") => print(BUILT_IN_OFFER),
        Some("environment") => print(&environment()),
        Some("exit-codes") => print(EXIT_CODES),
        Some(name) => {
            // Builds the names of the commands as they are called.
            cli.build();
            let known = cli.clone();
            let mut words = topic.iter();
            match words.try_fold(&mut cli, |command, word| command.find_subcommand_mut(word)) {
                Some(command) => print(&command.render_long_help().to_string()),
                None => refuse(&unknown(name, &known), exit::USAGE),
            }
        }
        None => print(&cli.render_long_help().to_string()),
    }
}

fn unknown(name: &str, cli: &clap::Command) -> String {
    let commands = cli.get_subcommands().map(clap::Command::get_name);
    let known: Vec<&str> = ["config", "environment", "offer-file", "exit-codes"]
        .into_iter()
        .chain(commands)
        .collect();
    format!(
        "error: no help on `{name}`\nhelp: known are {}\n",
        known.join(", ")
    )
}

/// Every variable that is read, with one line about it.
pub(crate) fn environment() -> String {
    let keys = KEYS.iter().map(|key| (key.variable, key.about));
    let others = VARIABLES
        .iter()
        .map(|variable| (variable.name, variable.about));
    let rows: Vec<Vec<String>> = keys
        .chain(others)
        .map(|(name, about)| vec![name.to_owned(), about.to_owned()])
        .collect();
    columns(&rows)
}
