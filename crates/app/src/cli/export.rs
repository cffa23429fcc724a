//! `tollfree export`: settled calls as a file, oldest first, however many. It must not know what they are for.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use ledger::Row;

use super::call_fields;
use super::desk::{Desk, NoAnswer};
use super::outcome;
use super::period::Period;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) period: Period,
    /// Only this organization
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Option<String>,
    /// csv (RFC 4180, with a header) or jsonl (one object a line)
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "FORMAT"
    )]
    pub(crate) format: Format,
}

/// The form of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values.
    #[default]
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// Days exported where nobody says which.
const USUAL_DAYS: u16 = 30;

/// Writes the calls to standard output.
pub(crate) fn run(desk: &Desk, options: &Options) -> ExitCode {
    let written = calls(desk, options, &mut BufWriter::new(io::stdout().lock()));
    match written {
        Ok(written) => outcome(written),
        Err(why) => why.refuse(),
    }
}

fn calls(
    desk: &Desk,
    options: &Options,
    output: &mut impl Write,
) -> Result<io::Result<()>, NoAnswer> {
    let (from, to) = options.period.days(desk.today()?, USUAL_DAYS)?;
    let reader = desk.whole_reader()?;
    desk.known(options.organization.as_deref())?;
    let Some(reader) = reader else {
        return Ok(write_header(options.format, output).and_then(|()| output.flush()));
    };
    let mut outcome = write_header(options.format, output);
    if outcome.is_ok() {
        let organization = options.organization.as_deref();
        reader.each_call(from.number(), to.number(), organization, |row| {
            outcome = write(options.format, &row, output);
            match outcome {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })?;
    }
    Ok(outcome.and_then(|()| output.flush()))
}

fn write_header(format: Format, output: &mut impl Write) -> io::Result<()> {
    if format == Format::Jsonl {
        return Ok(());
    }
    output.write_all(admin::csv_header().as_bytes())
}

fn write(format: Format, row: &Row, output: &mut impl Write) -> io::Result<()> {
    let line = match format {
        Format::Jsonl => call_fields::as_line(row),
        Format::Csv => admin::csv_row(row),
    };
    output.write_all(line.as_bytes())
}
