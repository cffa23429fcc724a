//! `tollfree report`: what each day and group took, what stayed unused, and what it cost and saved. It must not know how
//! the sums are kept.

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::Args;
use ledger::{DayRow, Reader};
use meter::{AfterCrossing, Assumption, Day, Offer};
use serde_json::{Value, json};

use crate::cli::desk::{Desk, NoAnswer, Standings};
use crate::cli::figures::{NOT_APPLICABLE, UNKNOWN};
use crate::cli::json;
use crate::cli::layout::grouped;
use crate::cli::period::number_of_days;
use crate::cli::print;
use crate::cli::sums::{self, Sums};
use crate::cli::table::{BLOCKS_BELOW, Cell, Column, Kind, Table};
use crate::cli::terminal::Terminal;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Options {
    /// The last N days, today included (UTC)
    #[arg(long, value_name = "N", default_value_t = 7, allow_negative_numbers = true, value_parser = number_of_days)]
    pub(crate) days: u16,
    /// Only this organization
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Option<String>,
    /// A file of comma-separated values (RFC 4180)
    #[arg(long, conflicts_with_all = ["json", "header"])]
    pub(crate) csv: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// A first line with the names of the columns, where the output is piped
    #[arg(long, conflicts_with = "json")]
    pub(crate) header: bool,
}

/// The version of the JSON object's shape.
const SCHEMA: u32 = 1;

/// The sums of some days.
#[derive(Debug)]
pub(crate) struct Report<'d> {
    pub(crate) rows: Vec<DayRow>,
    pub(crate) from: Day,
    pub(crate) today: Day,
    pub(crate) offer: &'d Offer,
    pub(crate) after_crossing: AfterCrossing,
    pub(crate) day_start: DayStart,
}

/// Where calls may have been made before counting began.
#[derive(Debug, Default)]
pub(crate) struct DayStart {
    /// The day on which it began, in days since 1970-01-01.
    pub(crate) began: Option<i32>,
    /// Organizations and groups whose total of today may lack some: one that was stated lacks none.
    pub(crate) today: Vec<(String, String)>,
}

/// What of a day's allowance nobody took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unused {
    /// There is no allowance.
    NotApplicable,
    /// The day's allowance is not known.
    Unknown,
    /// The day runs, and there is some left.
    Open,
    /// So many tokens; at most so many, where some may have been taken uncounted.
    Tokens { tokens: u64, at_most: bool },
}

/// Prints the report.
pub(crate) fn run(desk: &Desk, options: &Options, terminal: &Terminal) -> ExitCode {
    match report(desk, options) {
        Err(why) => why.refuse(),
        Ok(report) if options.json => print(&json::lines(&report.as_object())),
        Ok(report) if options.csv => print(&report.as_csv()),
        Ok(report) if !terminal.is_terminal => {
            print(&report.table(terminal).as_rows(options.header))
        }
        Ok(report) if report.rows.is_empty() => {
            let why = format!("No calls from {} to {} (UTC).\n", report.from, report.today);
            print(&format!("{why}{}\n", desk.export_line()))
        }
        Ok(report) => print(&report.for_people(terminal)),
    }
}

fn report<'d>(desk: &'d Desk, options: &Options) -> Result<Report<'d>, NoAnswer> {
    let standings = desk.standings()?;
    let today = standings.day;
    let from = Day::of_number(today.number().saturating_sub(i32::from(options.days) - 1));
    let reader = desk.whole_reader()?;
    desk.known(options.organization.as_deref())?;
    let mut report = Report {
        rows: desk.days(from, today, options.organization.as_deref())?,
        from,
        today,
        offer: desk.offer(),
        after_crossing: desk.loaded().config.offer.after_crossing,
        day_start: day_start(reader.as_ref(), &standings)?,
    };
    report.order();
    Ok(report)
}

fn day_start(reader: Option<&Reader>, standings: &Standings) -> Result<DayStart, NoAnswer> {
    let began = reader.map(Reader::began_at).transpose()?.flatten();
    let day_start = Assumption::DayStart.as_str();
    let organizations = standings.organizations.iter();
    let today = organizations.flat_map(|one| {
        let groups = one.groups.iter();
        let some = groups.filter(|group| group.slack.sources.iter().any(|one| one == day_start));
        some.map(|group| (one.organization.clone(), group.group.clone()))
    });
    Ok(DayStart {
        began: began.map(|at| Day::at(at.div_euclid(1000)).number()),
        today: today.collect(),
    })
}

const DAY: Column = word("DAY (UTC)", "day", Kind::Word);
const ORGANIZATION: Column = word("ORGANIZATION", "organization", Kind::Name);
const GROUP: Column = word("GROUP", "group", Kind::Word);
const UNUSED: Column = Column {
    name: "UNUSED FREE",
    field: "unused_free_tokens",
    kind: Kind::Number,
    // Before what was billed.
    goes: Some(2),
};

const COST_IS_MORE: Column = word("COST IS MORE", "cost_is_more", Kind::Word);
const SAVED_IS_MORE: Column = word("SAVED IS MORE", "saved_is_more", Kind::Word);
const UNUSED_IS_AT_MOST: Column = word("UNUSED IS AT MOST", "unused_free_is_at_most", Kind::Word);

const fn word(name: &'static str, field: &'static str, kind: Kind) -> Column {
    Column {
        name,
        field,
        kind,
        goes: None,
    }
}

impl Report<'_> {
    /// Days as they came, groups in the offer's order, calls that are not eligible last.
    pub(crate) fn order(&mut self) {
        let place = |name: &str| match self.offer.group_named(name) {
            Some(group) => group.index(),
            None if name.is_empty() => usize::MAX,
            None => usize::MAX - 1,
        };
        self.rows.sort_by_cached_key(|row| {
            (
                row.day,
                row.organization.clone(),
                place(&row.group),
                row.group.clone(),
            )
        });
    }

    fn has_several_organizations(&self) -> bool {
        let mut names = self.rows.iter().map(|row| &row.organization);
        let first = names.next();
        names.any(|name| Some(name) != first)
    }

    /// For people: the table, its total, and what it counts.
    pub(crate) fn for_people(&self, terminal: &Terminal) -> String {
        let mut out = self.table(terminal).as_seen(terminal);
        let dot = terminal.glyph("·", "-");
        let date = self.offer.price_date();
        let date = date.map_or_else(String::new, |date| format!(" of {date}"));
        let mut notes = vec![format!(
            "list prices{date} {dot} counts what passed through this proxy"
        )];
        if self.total().lacks_prices() {
            notes
                .push("note: the price of some models is not known: ? and > in dollars".to_owned());
        }
        for note in notes {
            out.push_str(&terminal.note(&note));
        }
        out
    }

    fn table(&self, terminal: &Terminal) -> Table {
        let people = terminal.is_terminal;
        let organizations = !people || self.has_several_organizations();
        let mut columns = vec![
            DAY,
            GROUP,
            sums::CALLS,
            sums::FREE_TOKENS,
            sums::BILLED_TOKENS,
        ];
        columns.extend([UNUSED, sums::COST, sums::SAVED]);
        if organizations {
            columns.insert(1, ORGANIZATION);
        }
        if !people {
            columns.push(sums::UNKNOWN_CALLS);
            // Numbers of which a part is not known: what people see as `>`, `?` and `≤`.
            columns.extend([COST_IS_MORE, SAVED_IS_MORE, UNUSED_IS_AT_MOST]);
        }
        let mut table = Table::of(&columns);
        // A block stands alone: there each says its day.
        let repeats = terminal.width < BLOCKS_BELOW;
        let mut before = (None, None);
        for row in &self.rows {
            let day = Day::of_number(row.day).to_string();
            let new_day = before.0 != Some(row.day);
            let new_organization = new_day || before.1 != Some(&row.organization);
            before = (Some(row.day), Some(&row.organization));
            let shown = |is_new: bool, text: &str| {
                if is_new || repeats {
                    Cell::same(text)
                } else {
                    Cell::of("", text)
                }
            };
            let mut cells = vec![shown(new_day, &day)];
            if organizations {
                cells.push(shown(new_organization, &row.organization));
            }
            let group = if row.group.is_empty() {
                "not eligible"
            } else {
                &row.group
            };
            cells.push(Cell::of(
                group,
                if row.group.is_empty() {
                    NOT_APPLICABLE
                } else {
                    group
                },
            ));
            cells.extend(figures(&Sums::of(row), self.unused(row), terminal));
            table.push(cells);
        }
        if people && self.rows.len() > 1 {
            let mut cells = vec![Cell::same("total"), Cell::default()];
            cells.extend(organizations.then(Cell::default));
            cells.extend(figures(&self.total(), self.unused_in_all(), terminal));
            table.push(cells);
        }
        table
    }

    fn total(&self) -> Sums {
        self.rows
            .iter()
            .map(Sums::of)
            .fold(Sums::default(), Sums::plus)
    }

    fn unused(&self, row: &DayRow) -> Unused {
        if row.group.is_empty() {
            return Unused::NotApplicable;
        }
        let Some(allowance) = row.last_allowance else {
            return Unused::Unknown;
        };
        let is_spent = match self.after_crossing {
            AfterCrossing::Billed => row.crossing.is_some() || row.taken >= allowance,
            AfterCrossing::FreeIfItFits => row.fitted >= allowance,
        };
        if row.day == self.today.number() && !is_spent {
            return Unused::Open;
        }
        let tokens = allowance.saturating_sub(row.free_tokens);
        let may_be_less =
            row.unknown_calls > 0 || !row.slack.is_empty() || self.lacks_its_beginning(row);
        Unused::Tokens {
            tokens,
            // Nothing is less than nothing.
            at_most: tokens > 0 && may_be_less,
        }
    }

    fn lacks_its_beginning(&self, row: &DayRow) -> bool {
        if row.day != self.today.number() {
            return self.day_start.began == Some(row.day);
        }
        let mut some = self.day_start.today.iter();
        some.any(|(organization, group)| *organization == row.organization && *group == row.group)
    }

    /// What is known of it, added up; where no number is known, why.
    fn unused_in_all(&self) -> Unused {
        let sum = |sum: Unused, one: Unused| match (sum, one) {
            (
                Unused::Tokens { tokens, at_most },
                Unused::Tokens {
                    tokens: more,
                    at_most: also,
                },
            ) => Unused::Tokens {
                tokens: tokens.saturating_add(more),
                at_most: at_most || also,
            },
            (known @ Unused::Tokens { .. }, _) | (_, known @ Unused::Tokens { .. }) => known,
            (Unused::NotApplicable, other) | (other, Unused::NotApplicable) => other,
            (Unused::Open, _) | (_, Unused::Open) => Unused::Open,
            (Unused::Unknown, Unused::Unknown) => Unused::Unknown,
        };
        let all = self.rows.iter().map(|row| self.unused(row));
        all.fold(Unused::NotApplicable, sum)
    }

    /// For programs: everything, as one object.
    pub(crate) fn as_object(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let mut members = Sums::of(row).as_members();
                members.extend(self.unused(row).members());
                members.insert("day".to_owned(), json!(Day::of_number(row.day).to_string()));
                members.insert("organization".to_owned(), json!(row.organization));
                let group = (!row.group.is_empty()).then_some(&row.group);
                members.insert("group".to_owned(), json!(group));
                members.insert("allowance_tokens".to_owned(), json!(row.last_allowance));
                Value::Object(members)
            })
            .collect();
        let mut total = self.total().as_members();
        total.extend(self.unused_in_all().members());
        json!({
            "schema": SCHEMA,
            "from": self.from.to_string(),
            "to": self.today.to_string(),
            "rows": rows,
            "total": total,
        })
    }

    /// For spreadsheets: RFC 4180, with a header.
    pub(crate) fn as_csv(&self) -> String {
        let table = self.table(&Terminal::PLAIN).as_rows(true);
        table
            .lines()
            .map(|row| admin::csv_line(row.split('\t')))
            .collect()
    }
}

impl Unused {
    fn cell(self, terminal: &Terminal) -> Cell {
        match self {
            Self::NotApplicable => Cell::same(NOT_APPLICABLE),
            Self::Unknown => Cell::same(UNKNOWN),
            Self::Open => Cell::same("open"),
            Self::Tokens { tokens, at_most } => {
                let most = if at_most {
                    terminal.glyph("≤", "<=")
                } else {
                    ""
                };
                Cell::of(format!("{most}{}", grouped(tokens)), tokens.to_string())
            }
        }
    }

    fn members(self) -> [(String, Value); 2] {
        let (tokens, at_most) = match self {
            Self::Tokens { tokens, at_most } => (json!(tokens), at_most),
            Self::Open => (json!("open"), false),
            Self::NotApplicable | Self::Unknown => (Value::Null, false),
        };
        [
            ("unused_free_tokens".to_owned(), tokens),
            ("unused_free_is_at_most".to_owned(), json!(at_most)),
        ]
    }
}

fn figures(sums: &Sums, unused: Unused, terminal: &Terminal) -> Vec<Cell> {
    let mut cells = vec![
        sums.calls_cell(),
        sums.free_tokens_cell(),
        sums.billed_tokens_cell(),
        unused.cell(terminal),
        sums.cost_cell(),
        sums.saved_cell(),
    ];
    if !terminal.is_terminal {
        let is_at_most = matches!(unused, Unused::Tokens { at_most: true, .. });
        let marks = [sums.cost.is_more(), sums.saved.is_more(), is_at_most];
        cells.push(sums.unknown_cell());
        cells.extend(marks.map(|mark| Cell::same(mark.to_string())));
    }
    cells
}
