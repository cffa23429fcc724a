//! The command line: what can be said, and what is printed where nothing has to run.
//!
//! It must not know how a call is metered, nor any socket.

mod bar;
mod call_fields;
pub(crate) mod calls;
pub(crate) mod check;
mod control;
pub(crate) mod desk;
pub(crate) mod export;
pub(crate) mod figures;
pub(crate) mod health;
mod help;
pub(crate) mod json;
pub(crate) mod layout;
mod man;
pub(crate) mod offer;
mod period;
pub(crate) mod question;
pub(crate) mod report;
pub(crate) mod status;
mod sums;
mod table;
pub(crate) mod terminal;
#[cfg(test)]
mod tests;
pub(crate) mod total;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use meter::{Coverage, SharedProjects, UsageTier};

use crate::config::{self, DataDir, Flags, LogFormat, Raw, UpstreamUrl, Wrong};
use question::Question;
use terminal::Colour;

/// How the program ends: the codes of `sysexits.h` where it has one.
pub(crate) mod exit {
    /// The demo's verdicts differ from the simulated bill, the output could not be written, or what was asked for is
    /// not there.
    pub(crate) const FAILED: u8 = 1;
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 64;
    /// The listener could not be had.
    pub(crate) const UNAVAILABLE: u8 = 69;
    /// Another process has the ledger.
    pub(crate) const IN_USE: u8 = 75;
    /// The configuration is wrong; nothing was started.
    pub(crate) const CONFIG: u8 = 78;
    /// The demo was interrupted: the code a shell gives to what SIGINT ended.
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// What the program was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The task.
    pub(crate) command: Command,
    /// Whether to colour.
    pub(crate) colour: Colour,
}

/// The tasks that remain after `--help`, `--version` and mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Run the proxy.
    Serve(Flags),
    /// Show the idea with a simulated OpenAI; the day takes so many seconds.
    Demo(u16),
    /// Show the model list.
    Offer(offer::Options),
    /// Answer from the ledger and the running proxy, under these flags.
    Ask(Question, Flags),
    /// Look whether everything is as it should be, under these flags.
    Check(check::Options, Flags),
    /// Ask the running proxy whether calls can be forwarded, under these flags.
    Health(health::Options, Flags),
}

/// Reads the command line of this process. What only prints (help, version, completions,
/// manual pages) is done here.
///
/// # Errors
/// How to end: the task is done, or the command line was wrong and that was said.
pub(crate) fn parse() -> Result<Asked, ExitCode> {
    parse_from(std::env::args_os())
}

fn parse_from(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, ExitCode> {
    let cli = Cli::well_formed(arguments).map_err(|error| {
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        if error.use_stderr() {
            return ExitCode::from(exit::USAGE);
        }
        outcome(printed)
    })?;
    if cli.version {
        return Err(match config::built_in_offer() {
            Ok(offer) => print(&help::version(&offer)),
            Err(mistakes) => refuse(&mistakes.to_string(), exit::CONFIG),
        });
    }
    // The flags that hold for every command.
    let of_all = || Flags {
        config: cli.config.clone(),
        data_dir: cli.data_dir.clone(),
        ..Flags::default()
    };
    let serve = |flags: Flags| Command::Serve(of_all().or(flags));
    let ask = |question| Command::Ask(question, of_all());
    let command = match cli.command {
        None => serve(cli.serve.flags()),
        Some(Task::Serve(after)) => serve(after.flags().or(cli.serve.flags())),
        Some(Task::Demo { seconds }) => Command::Demo(seconds),
        Some(Task::Offer { json, header }) => Command::Offer(offer::Options {
            json,
            header,
            config: cli.config,
        }),
        Some(Task::Status(options)) => ask(Question::Status(options)),
        Some(Task::Calls(options)) => ask(Question::Calls(options)),
        Some(Task::Report(options)) => ask(Question::Report(options)),
        Some(Task::Total(options)) => ask(Question::Total(options)),
        Some(Task::Export(options)) => ask(Question::Export(options)),
        Some(Task::Check(options)) => Command::Check(options, of_all()),
        Some(Task::Health(options)) => Command::Health(options, of_all()),
        Some(Task::Completions { shell }) => return Err(completions(shell)),
        Some(Task::Man { folder }) => return Err(man::write(&folder, Cli::command())),
        Some(Task::Help { topic }) => return Err(help::topic(&topic, Cli::command())),
    };
    Ok(Asked {
        command,
        colour: cli.color,
    })
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tollfree", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes to standard output. A reader that left early, as `head` does, is fine.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut output = std::io::stdout().lock();
    outcome(
        output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush()),
    )
}

/// How what was written to standard output ends the program. A closed pipe is nobody's mistake.
pub(crate) fn outcome(written: std::io::Result<()>) -> ExitCode {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let why = format!("error: cannot write the output: {error}\n");
            refuse(&why, exit::FAILED)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Writes to standard error and gives the code to end with.
pub(crate) fn refuse(text: &str, code: u8) -> ExitCode {
    // Nobody is left to be told that even this failed.
    let _ = std::io::stderr().write_all(layout::without_numbers(text).as_bytes());
    ExitCode::from(code)
}

#[derive(Debug, Parser)]
#[command(
    name = "tollfree",
    about = "Says for each OpenAI call whether it was free or billed",
    bin_name = "tollfree",
    override_usage = "tollfree [serve] [OPTIONS]   or: tollfree <COMMAND>",
    before_help = help::EXAMPLE,
    before_long_help = help::EXAMPLES,
    after_long_help = help::AFTER_LONG,
    disable_help_subcommand = true,
    help_template = help::TEMPLATE,
    subcommand_help_heading = "Commands (serve, if none is named)",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Task>,
    #[command(flatten)]
    serve: ServeFlags,
    /// Configuration file [default: ./tollfree.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the ledger; off: none is kept
    #[arg(long, global = true, hide_short_help = true, value_name = "FOLDER", value_parser = form(config::data_dir))]
    data_dir: Option<DataDir>,
    /// Colour: auto, always or never; rows for programs have none
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "WHEN"
    )]
    color: Colour,
    /// Print version and date of the built-in model list
    #[arg(short = 'V', long)]
    version: bool,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run the proxy
    #[command(before_help = help::SERVE)]
    Serve(ServeFlags),
    /// Is the next call free, and what did today cost
    #[command(before_help = help::STATUS)]
    Status(status::Options),
    /// Calls one by one, or one of them in full
    #[command(before_help = help::CALLS)]
    Calls(calls::Options),
    /// What each day took, cost and saved
    #[command(before_help = help::REPORT)]
    Report(report::Options),
    /// Today's totals; total set states one
    #[command(before_help = help::TOTAL)]
    Total(total::Options),
    /// Look whether everything is as it should be
    #[command(before_help = help::CHECK)]
    Check(check::Options),
    /// Can the running proxy forward calls: for containers and scripts
    #[command(hide = true, before_help = help::HEALTH)]
    Health(health::Options),
    /// Settled calls as CSV or JSON lines
    #[command(before_help = help::EXPORT)]
    Export(export::Options),
    /// Show the idea in 20 seconds, simulated: no key, no network
    #[command(before_help = help::DEMO)]
    Demo {
        /// Seconds that the simulated day takes
        #[arg(long, default_value_t = 20, value_name = "SECONDS")]
        seconds: u16,
    },
    /// Show the model list: date, groups with allowances, models
    #[command(before_help = help::OFFER)]
    Offer {
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// A first line with the names of the columns, also where the output is piped
        #[arg(long, conflicts_with = "json")]
        header: bool,
    },
    /// Print a completion script
    #[command(hide = true)]
    Completions {
        /// The shell it is for
        shell: Shell,
    },
    /// Write the manual pages
    #[command(hide = true)]
    Man {
        /// The folder they go to
        folder: PathBuf,
    },
    /// Explain a command or: config, environment, offer-file, exit-codes
    Help {
        /// The command or topic
        topic: Vec<String>,
    },
}

#[derive(Debug, Default, PartialEq, Args)]
struct ServeFlags {
    /// Where to listen [default: 127.0.0.1:8800]
    #[arg(short, long, value_name = "ADDRESS", value_parser = form(config::address))]
    listen: Option<SocketAddr>,
    #[arg(short, long, help = help::UPSTREAM, value_name = "URL", value_parser = form(config::upstream_url))]
    upstream: Option<UpstreamUrl>,
    /// Usage tier, 1 to 5 [default: 1, marked assumed]
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = form(config::usage_tier))]
    usage_tier: Option<UsageTier>,
    /// Enrolled in the offer: true or false
    #[arg(long, hide_short_help = true, value_name = "BOOL", value_parser = form(config::boolean))]
    enrolled: Option<bool>,
    /// Projects that share with OpenAI: all, or ids with commas
    #[arg(long, hide_short_help = true, value_name = "IDS", value_parser = form(config::shared_projects))]
    shared_projects: Option<SharedProjects>,
    /// Traffic that passes here: all or part
    #[arg(long, hide_short_help = true, value_name = "HOW", value_parser = form(config::coverage))]
    coverage: Option<Coverage>,
    /// Log lines: pretty or json [default: pretty]
    #[arg(long, hide_short_help = true, value_name = "FORMAT", value_parser = form(config::log_format))]
    log_format: Option<LogFormat>,
    /// Which log lines, like debug or info,proxy=debug; info has one a call [default: info,call=off]
    #[arg(long, hide_short_help = true, value_name = "FILTER", value_parser = form(config::log_filter))]
    log_filter: Option<String>,
}

impl Cli {
    /// Flags of serve may stand before it or without it, but not with another command.
    fn well_formed(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(arguments)?;
        let other = !matches!(cli.command, None | Some(Task::Serve(_)));
        if other && cli.serve != ServeFlags::default() {
            let message = "only serve takes the flags in front of the command";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        Ok(cli)
    }
}

impl ServeFlags {
    fn flags(self) -> Flags {
        Flags {
            config: None,
            data_dir: None,
            listen: self.listen,
            upstream: self.upstream,
            usage_tier: self.usage_tier,
            enrolled: self.enrolled,
            shared_projects: self.shared_projects,
            coverage: self.coverage,
            log_format: self.log_format,
            log_filter: self.log_filter,
        }
    }
}

/// A flag's value is written as its variable's.
fn form<T>(
    form: impl Fn(Raw<'_>) -> Result<T, Wrong> + Clone,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        form(Raw::Text(text)).map_err(|wrong| match wrong.message.as_str() {
            "" => wrong.form,
            message => format!("{message}: {}", wrong.form),
        })
    }
}
