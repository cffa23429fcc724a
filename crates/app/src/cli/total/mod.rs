//! `tollfree total`: what each group has taken today, and a total as an operator read it on OpenAI's dashboard. It must
//! not know how a total is kept.

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use admin::{GroupStanding, OrganizationStanding, StateTotal, StatedTotal};
use clap::{Args, Subcommand};
use ledger::Stated;
use serde_json::{Value, json};

use crate::cli::desk::{Desk, NoAnswer, Source, Standings, now};
use crate::cli::figures;
use crate::cli::layout::{grouped, wrapped};
use crate::cli::table::{Cell, Column, Kind, Table};
use crate::cli::terminal::Terminal;
use crate::cli::{json, print, refuse};

/// The version of the JSON objects' shapes.
const SCHEMA: u32 = 1;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
    #[command(flatten)]
    pub(crate) show: Show,
}

/// What to do instead of showing.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Task {
    /// State a group's total of today as read on OpenAI's dashboard
    ///
    /// It holds from now on, and what may have been taken uncounted before is in it: later verdicts no longer assume
    /// it. Tokens that are in flight while it is stated are added to it when they are settled.
    #[command(before_help = crate::cli::help::TOTAL_SET)]
    Set(Set),
}

/// What is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Show {
    /// Only this organization
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Option<String>,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// A first line with the names of the columns, where the output is piped
    #[arg(long, conflicts_with = "json")]
    pub(crate) header: bool,
}

/// What is stated.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Set {
    /// The model group, like large
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: String,
    /// Its tokens of today, like 412000 or 412,000
    #[arg(value_name = "TOKENS", value_parser = tokens)]
    pub(crate) tokens: u64,
    /// The organization; needed where several are known
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Option<String>,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// So many allowances on one day are more likely a slip than a day's work.
const MANY: u64 = 100;

/// A number of tokens, with or without commas at its thousands.
fn tokens(text: &str) -> Result<u64, String> {
    let plain = text.replace([',', '_'], "");
    let tokens = plain.parse().ok();
    tokens
        .filter(|tokens| *tokens <= meter::Meter::MOST_STATED)
        .ok_or_else(|| "a number of tokens, like 412000".to_owned())
}

/// Shows or states.
pub(crate) fn run(desk: &Desk, options: &Options, terminal: &Terminal) -> ExitCode {
    let done = match &options.task {
        None => show(desk, &options.show, terminal),
        Some(Task::Set(set)) => state(desk, set),
    };
    done.unwrap_or_else(|why| why.refuse())
}

const COLUMNS: [Column; 6] = [
    Column::new("ORGANIZATION", "organization", Kind::Name, None),
    Column::new("GROUP", "group", Kind::Word, None),
    Column::new("TOTAL", "taken_tokens", Kind::Number, None),
    Column::new("ALLOWANCE", "allowance_tokens", Kind::Number, Some(1)),
    Column::new("REMAINING", "remaining_tokens", Kind::Number, None),
    Column::new("UNCOUNTED", "uncounted_tokens", Kind::Number, Some(0)),
];

fn show(desk: &Desk, options: &Show, terminal: &Terminal) -> Result<ExitCode, NoAnswer> {
    desk.known(options.organization.as_deref())?;
    let mut standings = desk.standings()?;
    if let Some(name) = &options.organization {
        standings
            .organizations
            .retain(|one| one.organization == *name);
        if standings.organizations.is_empty() {
            standings.organizations.push(desk.standing_of_new(name));
        }
    }
    if options.json {
        return Ok(print(&json::lines(&as_object(&standings))));
    }
    let table = table(&standings.organizations);
    if !terminal.is_terminal {
        return Ok(print(&table.as_rows(options.header)));
    }
    if standings.organizations.is_empty() {
        return Ok(print(&format!(
            "No calls today (UTC).\n{}\n",
            desk.export_line()
        )));
    }
    Ok(print(&for_people(&standings, &table, terminal)))
}

fn for_people(standings: &Standings, table: &Table, terminal: &Terminal) -> String {
    let stopped = match standings.source {
        Source::Running => "",
        Source::Stopped { .. } => ", no proxy on this ledger",
    };
    let head = format!("tokens of {} UTC{stopped}", standings.day);
    let mut out = wrapped(&head, terminal.width);
    out.push_str(&table.as_seen(terminal));
    let groups = standings.organizations.iter().flat_map(|one| &one.groups);
    let mut sources: Vec<&str> = Vec::new();
    for source in groups.flat_map(|group| &group.slack.sources) {
        if !sources.contains(&source.as_str()) {
            sources.push(source);
        }
    }
    if !sources.is_empty() {
        let note = format!(
            "uncounted: {}. What OpenAI's dashboard says: tollfree total set --group GROUP TOKENS",
            sources.join(", ")
        );
        out.push_str(&terminal.note(&note));
    }
    out
}

fn table(organizations: &[OrganizationStanding]) -> Table {
    let mut table = Table::of(&COLUMNS);
    for organization in organizations {
        for group in &organization.groups {
            table.push(vec![
                Cell::same(&organization.organization),
                Cell::same(&group.group),
                Cell::number(group.taken_tokens),
                Cell::number(group.allowance_tokens),
                Cell::number(group.remaining_tokens),
                uncounted(group),
            ]);
        }
    }
    table
}

/// What may have been taken uncounted: none, at most so many tokens, or any number.
fn uncounted(group: &GroupStanding) -> Cell {
    if group.slack.without_limit {
        return Cell::same("no limit");
    }
    Cell::number(group.slack.tokens)
}

fn as_object(standings: &Standings) -> Value {
    json!({
        "schema": SCHEMA,
        "running": standings.source == Source::Running,
        "day": standings.day.to_string(),
        "organizations": standings.organizations,
    })
}

fn state(desk: &Desk, set: &Set) -> Result<ExitCode, NoAnswer> {
    if desk.offer().group_named(&set.group).is_none() {
        let groups = desk.offer().groups();
        let names: Vec<&str> = groups.map(|(_, group)| group.name.as_ref()).collect();
        let why = format!(
            "no group {}. help: known are {}",
            set.group,
            names.join(", ")
        );
        return Err(NoAnswer::Asked(why));
    }
    let allowance = allowance(desk, set);
    let stated = match desk.proxy() {
        Some(proxy) => {
            let asked = StateTotal {
                organization: set.organization.clone(),
                group: set.group.clone(),
                tokens: set.tokens,
            };
            proxy.post(admin::TOTALS, &asked)?
        }
        None => in_ledger(desk, set)?,
    };
    let StatedTotal {
        organization,
        group,
        day,
        before_tokens,
        tokens,
        recorded,
        ..
    } = &stated;
    for note in odd(*tokens, *before_tokens, allowance) {
        refuse(&format!("note: {note}\n"), 0);
    }
    if set.json {
        // A struct of texts and numbers cannot fail to be a value.
        let object = serde_json::to_value(&stated).unwrap_or_default();
        return Ok(print(&format!("{object:#}\n")));
    }
    let lasting = if *recorded {
        ""
    } else {
        " (not in the ledger: it holds until a restart)"
    };
    Ok(print(&format!(
        "{organization}, {group}: {} tokens on {day} UTC, was {}{lasting}\n",
        grouped(*tokens),
        grouped(*before_tokens),
    )))
}

/// The group's allowance of today, where it is clear whose is meant.
fn allowance(desk: &Desk, set: &Set) -> Option<u64> {
    let all = desk.standings().ok()?;
    let organization = desk.one_organization(&all, set.organization.as_deref());
    let organization = organization.ok()?;
    let mut groups = organization.groups.iter();
    let group = groups.find(|group| group.group == set.group)?;
    Some(group.allowance_tokens)
}

/// What of a stated total may be a slip. It holds all the same: the dashboard is right, and can be read again.
fn odd(tokens: u64, before: u64, allowance: Option<u64>) -> Vec<String> {
    let mut odd = Vec::new();
    if tokens < before {
        odd.push(format!(
            "fewer than were counted here ({}): the rest is handed out once more. help: state it again if it is a slip",
            grouped(before)
        ));
    }
    if let Some(allowance) = allowance.filter(|allowance| tokens / MANY > *allowance) {
        odd.push(format!(
            "more than {MANY} times the allowance ({}): every call is billed until 00:00 UTC. help: state it again if it \
             is a slip",
            grouped(allowance)
        ));
    }
    odd
}

/// Writes it into the ledger while no proxy runs.
fn in_ledger(desk: &Desk, set: &Set) -> Result<StatedTotal, NoAnswer> {
    let standings = desk.standings()?;
    match &set.organization {
        None if standings.organizations.is_empty() => {
            return Err(NoAnswer::Asked(admin::NO_ORGANIZATION.to_owned()));
        }
        // Before the first call of any there is none that it could be mistaken for.
        Some(_) if standings.organizations.is_empty() => {}
        named => desk.known(named.as_deref())?,
    }
    let organization = desk.one_organization(&standings, set.organization.as_deref())?;
    let name = &organization.organization;
    let at = now() * 1000;
    let day = figures::day_of(at);
    let stated = Stated {
        organization: name.into(),
        group: set.group.as_str().into(),
        day: day.number(),
        at,
        tokens: set.tokens,
        change: 0,
    };
    let declared = desk.loaded().config.organizations.iter();
    let declared = declared.flat_map(|one| {
        let aliases = one.aliases.iter();
        aliases.map(|alias| (&*one.name, &**alias))
    });
    let declared: Vec<_> = declared.collect();
    match ledger::state_total(desk.folder(), &stated, &declared) {
        Ok(Some(change)) => Ok(StatedTotal {
            schema: SCHEMA,
            organization: name.clone(),
            group: set.group.clone(),
            day: day.to_string(),
            before_tokens: set.tokens.saturating_add_signed(change.saturating_neg()),
            tokens: set.tokens,
            recorded: true,
        }),
        Ok(None) => Err(NoAnswer::InUse),
        Err(source) => Err(NoAnswer::NotWritten(source)),
    }
}
