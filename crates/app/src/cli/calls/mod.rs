//! `tollfree calls`: settled calls one by one, the newest last; one of them in full; or as they come. It must not know
//! how they are kept.

mod detail;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use ledger::{CallFilter, ReadError, Reader, Row};
use meter::{Certainty, Day, Reason, Verdict};

use super::desk::{Desk, NoAnswer};
use super::figures::{self, NOT_APPLICABLE, UNKNOWN};
use super::layout::grouped;
use super::table::{Cell, Column, Kind, Table};
use super::terminal::{Role, Terminal};
use super::watch::put;
use super::{call_fields, exit, period, print, refuse};

/// Between two looks of `--watch`.
const EVERY: Duration = Duration::from_millis(500);
/// Rows read at once while following.
const MOST_AT_ONCE: usize = 1_000;

/// What a settled call can be, and one that is awaited; the other is of calls that are never settled.
const VERDICTS: [&str; 4] = [
    Verdict::Free.as_str(),
    Verdict::Billed.as_str(),
    Verdict::Unknown.as_str(),
    Verdict::Pending.as_str(),
];
const CERTAINTIES: [&str; 4] = [
    Certainty::Final.as_str(),
    Certainty::Assumed.as_str(),
    Certainty::Confirmed.as_str(),
    Certainty::Estimated.as_str(),
];

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Options {
    /// One call in full: its id, OpenAI's response id or x-request-id, or its number in the list
    #[arg(value_name = "CALL", conflicts_with_all = ["verdict", "certainty", "model", "reason", "organization", "day", "limit", "watch"])]
    pub(crate) call: Option<String>,
    /// Only free, billed, unknown or pending ones
    #[arg(long, value_name = "WORD", hide_possible_values = true, value_parser = PossibleValuesParser::new(VERDICTS))]
    pub(crate) verdict: Option<String>,
    /// Only final, assumed, confirmed or estimated ones
    #[arg(long, value_name = "WORD", hide_possible_values = true, value_parser = PossibleValuesParser::new(CERTAINTIES))]
    pub(crate) certainty: Option<String>,
    /// Only this model, by its exact id
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Only this reason, like crossing-call
    #[arg(long, value_name = "WORD", hide_possible_values = true, value_parser = PossibleValuesParser::new(Reason::ALL.map(Reason::as_str)))]
    pub(crate) reason: Option<String>,
    /// Only this organization
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Option<String>,
    /// Of this day, like 2026-11-20 (UTC) [default: today]
    #[arg(long, value_name = "DAY", value_parser = period::day)]
    pub(crate) day: Option<Day>,
    /// The newest N
    #[arg(long, value_name = "N", default_value_t = 20, allow_negative_numbers = true, value_parser = |text: &str| period::within(text, 1..=1_000_000_u32))]
    pub(crate) limit: u32,
    /// Go on with calls as they are settled
    #[arg(long)]
    pub(crate) watch: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// A first line with the names of the columns, where the output is piped
    #[arg(long, conflicts_with = "json")]
    pub(crate) header: bool,
}

const COLUMNS: [Column; 8] = [
    // The shortest word by which one call can be asked for.
    Column::new("NO", "number", Kind::Number, Some(4)),
    Column::new("UTC", "settled_at", Kind::Word, None),
    Column::new("MODEL", "model", Kind::Name, None),
    Column::new("TOKENS", "tokens", Kind::Number, None),
    Column::new("VERDICT", "verdict", Kind::Word, None),
    // An assumed verdict without it looks like a final one.
    Column::new("CERTAINTY", "certainty", Kind::Word, Some(3)),
    Column::new("REASON", "reason", Kind::Word, Some(1)),
    Column::new("CALL", "call", Kind::Word, Some(0)),
];

/// Stands before the model where the calls are of more than one.
const ORGANIZATION: Column = Column::new("ORGANIZATION", "organization", Kind::Name, Some(2));
const BEFORE_MODEL: usize = 2;

/// Prints calls.
pub(crate) fn run(desk: &Desk, options: &Options, terminal: &Terminal) -> ExitCode {
    let done = match &options.call {
        Some(id) => one(desk, options, id, terminal),
        None => list(desk, options, terminal),
    };
    done.unwrap_or_else(|why| why.refuse())
}

/// One call in full.
fn one(
    desk: &Desk,
    options: &Options,
    id: &str,
    terminal: &Terminal,
) -> Result<ExitCode, NoAnswer> {
    let rows = match desk.whole_reader()? {
        None => Vec::new(),
        Some(reader) => find(&reader, id)?,
    };
    if rows.is_empty() {
        let why = "error: no such call in the ledger. help: what tollfree calls shows under CALL or NO, or OpenAI's \
                   response id or x-request-id\n";
        return Ok(refuse(why, exit::FAILED));
    }
    let shown: Vec<String> = rows
        .iter()
        .map(|row| match (options.json, terminal.is_terminal) {
            (true, _) => call_fields::as_line(row),
            (false, true) => detail::shown(row, terminal),
            (false, false) => detail::as_rows(row),
        })
        .collect();
    let between = if options.json { "" } else { "\n" };
    Ok(print(&shown.join(between)))
}

/// The rows of a call, the one that was settled first and its corrections after it.
fn find(reader: &Reader, id: &str) -> Result<Vec<Row>, NoAnswer> {
    let Ok(number) = id.parse::<i64>() else {
        return Ok(reader.find_rows(id)?);
    };
    let filter = CallFilter {
        above: Some(number.saturating_sub(1)),
        below: Some(number.saturating_add(1)),
        at_most: 1,
        ..CallFilter::default()
    };
    Ok(reader.calls(&filter)?)
}

fn list(desk: &Desk, options: &Options, terminal: &Terminal) -> Result<ExitCode, NoAnswer> {
    let today = desk.today()?;
    // Who watches may wait for an organization's first call.
    if !options.watch {
        desk.known(options.organization.as_deref())?;
    }
    let day = options.day.unwrap_or(today);
    let filter = options.filter(Some(day));
    let (mut rows, newest) = match desk.whole_reader()? {
        None => (Vec::new(), 0),
        Some(reader) => {
            let newest = reader.newest_number()?;
            (reader.calls(&filter)?, newest)
        }
    };
    let more = rows.len() > options.limit();
    rows.truncate(options.limit());
    rows.reverse();
    if options.watch {
        return Ok(follow(desk, options, rows, newest, terminal));
    }
    if options.json {
        return Ok(print(
            &rows.iter().map(call_fields::as_line).collect::<String>(),
        ));
    }
    if !terminal.is_terminal {
        return Ok(print(&table(&rows, day, false).as_rows(options.header)));
    }
    if rows.is_empty() {
        return Ok(print(&empty(desk, options, day, today)));
    }
    let mut out = table(&rows, day, of_several(&rows)).as_lines(terminal, true);
    if more {
        let note = format!(
            "note: the newest {} of {day} (UTC): tollfree calls --limit {}",
            grouped(rows.len() as u64),
            rows.len() * 10
        );
        out.push_str(&terminal.note(&note));
    }
    Ok(print(&out))
}

/// What to do where there is nothing to show.
fn empty(desk: &Desk, options: &Options, day: Day, today: Day) -> String {
    let such = if options.narrows() { "such " } else { "" };
    let when = if day == today {
        "today (UTC)".to_owned()
    } else {
        format!("on {day} (UTC)")
    };
    let next = if options.narrows() {
        "all of them: tollfree calls".to_owned()
    } else if day == today {
        desk.export_line()
    } else {
        "which days have calls: tollfree report --days 30".to_owned()
    };
    format!("No {such}calls {when}.\n{next}\n")
}

impl Options {
    fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Whether only some of a day's calls are asked for.
    fn narrows(&self) -> bool {
        let words = [&self.verdict, &self.certainty, &self.model, &self.reason];
        words.iter().any(|word| word.is_some()) || self.organization.is_some()
    }

    /// One more than are shown, to know whether there are more.
    fn filter(&self, day: Option<Day>) -> CallFilter {
        CallFilter {
            days: day.map(|day| (day.number(), day.number())),
            counting: true,
            verdict: self.verdict.clone(),
            certainty: self.certainty.clone(),
            organization: self.organization.clone(),
            model: self.model.clone(),
            reason: self.reason.clone(),
            at_most: self.limit() + 1,
            ..CallFilter::default()
        }
    }
}

/// Goes on with each call as it is settled, whatever becomes of the proxy meanwhile.
fn follow(
    desk: &Desk,
    options: &Options,
    rows: Vec<Row>,
    newest: i64,
    terminal: &Terminal,
) -> ExitCode {
    let mut last = rows.last().map_or(newest, |row| row.number.max(newest));
    let mut header = terminal.is_terminal || options.header;
    let mut new = rows;
    loop {
        if !new.is_empty() || header {
            let text = lines(&new, options, std::mem::take(&mut header), terminal);
            if put(&text).is_break() {
                return ExitCode::SUCCESS;
            }
        }
        // As many as are read at once: there may be more already.
        if new.len() < MOST_AT_ONCE {
            std::thread::sleep(EVERY);
        }
        new = match newer(desk, options, &mut last) {
            Ok(rows) => rows,
            Err(why) => return why.refuse(),
        };
    }
}

/// The next rows after the last one, oldest first.
fn newer(desk: &Desk, options: &Options, last: &mut i64) -> Result<Vec<Row>, NoAnswer> {
    match desk.reader()? {
        Some(reader) => Ok(newer_in(&reader, options, last)?),
        None => Ok(Vec::new()),
    }
}

fn newer_in(reader: &Reader, options: &Options, last: &mut i64) -> Result<Vec<Row>, ReadError> {
    *last = reader.told_up_to(*last)?;
    let filter = CallFilter {
        above: Some(*last),
        oldest_first: true,
        at_most: MOST_AT_ONCE,
        ..options.filter(options.day)
    };
    let rows = reader.calls(&filter)?;
    *last = rows.last().map_or(*last, |row| row.number);
    Ok(rows)
}

/// Rows while following: the columns have fixed widths, since what comes is not known.
fn lines(rows: &[Row], options: &Options, header: bool, terminal: &Terminal) -> String {
    if options.json {
        return rows.iter().map(call_fields::as_line).collect();
    }
    let mut table = Table::of(&COLUMNS);
    for row in rows {
        table.push(cells(row, None));
    }
    if terminal.is_terminal {
        table
            .with_least_widths(&FOLLOWED)
            .as_lines(terminal, header)
    } else {
        table.as_rows(header)
    }
}

/// Characters that a column has at least while following.
const FOLLOWED: [usize; 8] = [6, 8, 24, 9, 7, 9, 24, 32];

/// Whether the calls are of more than one organization.
fn of_several(rows: &[Row]) -> bool {
    let mut names = rows.iter().map(|row| &row.call.organization);
    let first = names.next();
    names.any(|name| Some(name) != first)
}

/// With whose each call is, or without: programs find a column where it always is.
fn table(rows: &[Row], day: Day, organizations: bool) -> Table {
    let mut columns = COLUMNS.to_vec();
    if organizations {
        columns.insert(BEFORE_MODEL, ORGANIZATION);
    }
    let mut table = Table::of(&columns);
    for row in rows {
        let mut cells = cells(row, Some(day));
        if organizations {
            cells.insert(BEFORE_MODEL, Cell::same(row.call.organization.as_ref()));
        }
        table.push(cells);
    }
    table
}

/// A call as cells. One that was settled on another day than its own shows that day too.
fn cells(row: &Row, day: Option<Day>) -> Vec<Cell> {
    let call = &row.call;
    let settled_on = figures::day_of(call.settled_at);
    let time = figures::time_of_day(call.settled_at);
    let time = match day {
        Some(day) if day != settled_on => format!("{settled_on} {time}"),
        _ => time,
    };
    let model = call.model.as_deref().or(call.model_asked.as_deref());
    let tokens = call
        .usage
        .as_ref()
        .map(|usage| usage.input.saturating_add(usage.output));
    let (verdict, role) = verdict(row.verdict());
    vec![
        Cell::of(row.number.to_string(), row.number.to_string()),
        Cell::of(time, admin::instant(call.settled_at)),
        Cell::same(model.unwrap_or(UNKNOWN)),
        tokens.map_or_else(|| Cell::same(UNKNOWN), Cell::number),
        Cell::of(verdict, row.verdict()).painted(role),
        Cell::same(call.certainty.as_deref().unwrap_or(NOT_APPLICABLE)),
        Cell::same(call.reason.as_ref()),
        Cell::same(call.call.as_ref()),
    ]
}

/// The verdict as people see it: billed is no fault, but stands out.
fn verdict(word: &str) -> (String, Option<Role>) {
    match word {
        "free" => ("free".to_owned(), Some(Role::Free)),
        "billed" => ("BILLED".to_owned(), Some(Role::Billed)),
        other => (other.to_owned(), Some(Role::Dim)),
    }
}
