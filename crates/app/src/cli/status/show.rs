//! How people see a status: a bar for each group, the one sentence that answers whether the next call is free, and a
//! table of today. It must not know where the figures come from.

use admin::{GroupStanding, InFlight};
use jiff::tz::TimeZone;
use ledger::Crossing;
use meter::{Assumption, Day};

use super::{OrganizationNow, Status};
use crate::cli::bar::{Bar, CELLS};
use crate::cli::desk::Source;
use crate::cli::figures::{self, counted};
use crate::cli::layout::{GAP, grouped, indented, wrapped};
use crate::cli::sums::{self, Sums};
use crate::cli::table::{BLOCKS_BELOW, Cell, Column, Kind, Table, one_line};
use crate::cli::terminal::Terminal;

/// What calls are in that no group has.
const NOT_ELIGIBLE: &str = "not eligible";

const TODAY: [Column; 7] = [
    Column {
        name: "TODAY",
        field: "group",
        kind: Kind::Word,
        goes: None,
    },
    sums::CALLS,
    sums::FREE_TOKENS,
    sums::BILLED_TOKENS,
    sums::UNKNOWN_CALLS,
    sums::COST,
    sums::SAVED,
];

/// For people.
pub(super) fn for_people(status: &Status, zone: &TimeZone, terminal: &Terminal) -> String {
    let mut out = String::new();
    if let Some(line) = stopped(status.source, status.day) {
        out.push_str(&wrapped(&line, terminal.width));
    }
    for (place, organization) in status.organizations.iter().enumerate() {
        if place > 0 {
            out.push('\n');
        }
        out.push_str(&wrapped(
            &head(status, organization, zone, terminal),
            terminal.width,
        ));
        for group in &organization.standing.groups {
            out.push_str(&group_lines(organization, group, terminal));
        }
        if organization.rows.is_empty() {
            // Said once below where it is so of all.
            if !status.has_no_calls() {
                out.push_str(&no_calls(status));
            }
        } else {
            if terminal.width < BLOCKS_BELOW {
                out.push_str("today\n");
            }
            out.push_str(&today(organization).as_seen(terminal));
        }
    }
    if status.has_no_calls() {
        out.push_str(&no_calls(status));
    }
    for note in notes(status) {
        out.push_str(&terminal.note(&format!("note: {note}")));
    }
    out
}

/// What comes first where no proxy runs on the ledger. One may run beside it that has another, or cannot write this one.
pub(super) fn stopped(source: Source, today: Day) -> Option<String> {
    let Source::Stopped { as_of } = source else {
        return None;
    };
    Some(match as_of {
        None => "no proxy on this ledger, and no calls in it".to_owned(),
        Some(at) if figures::day_of(at) == today => {
            format!(
                "no proxy on this ledger; as of {} UTC",
                figures::time_of_day(at)
            )
        }
        Some(at) => format!(
            "no proxy on this ledger; as of {} {} UTC",
            figures::day_of(at),
            figures::time_of_day(at)
        ),
    })
}

/// What left tokens uncounted, if anything did.
pub(super) fn uncounted<'a>(sources: impl Iterator<Item = &'a String>) -> Option<String> {
    let sources: Vec<&str> = sources.map(String::as_str).collect();
    if sources.is_empty() {
        return None;
    }
    let words: Vec<String> = sources.iter().map(|source| calls_of(source)).collect();
    let ways = [
        (
            sources.iter().any(|source| *source != OUTSIDE),
            "tollfree total set states today's total",
        ),
        (
            sources.contains(&OUTSIDE),
            "TOLLFREE_COVERAGE=all says that all traffic passes here",
        ),
    ];
    let ways = ways.into_iter().filter(|(is_one, _)| *is_one);
    let ways: Vec<&str> = ways.map(|(_, way)| way).collect();
    Some(format!(
        "at most, since not counted are {}. help: {}",
        words.join(", "),
        ways.join("; ")
    ))
}

const OUTSIDE: &str = Assumption::OutsideUsage.as_str();

/// What may have been taken uncounted, in the page's words.
fn calls_of(source: &str) -> String {
    let words = match source {
        OUTSIDE => "calls that do not pass through this proxy",
        "day-start" => "calls made today before counting began",
        "unknown-calls" => "calls whose usage never came",
        "unclean-stop" => "calls that were open when the proxy was killed",
        "enrolment" => "calls counted as not enrolled",
        "sharing" => "calls of projects counted as not shared",
        "model-list" => "models newer than the model list",
        "service-tier" => "calls in other service tiers",
        "shared-totals" => "calls through other replicas",
        other => return one_line(other),
    };
    words.to_owned()
}

fn no_calls(status: &Status) -> String {
    if status.ledger_notice.is_some() {
        return "Calls are counted, the ledger is behind.\n".to_owned();
    }
    let how = match &status.source {
        Source::Running => format!("export OPENAI_BASE_URL={}", status.base_url),
        Source::Stopped { .. } => format!(
            "start tollfree, then: export OPENAI_BASE_URL={}",
            status.base_url
        ),
    };
    format!("No calls today (UTC).\n{how}\n")
}

/// `acme · usage tier 3 · 2026-11-21 UTC · resets in 46 min (01:00 here)`.
fn head(
    status: &Status,
    organization: &OrganizationNow,
    zone: &TimeZone,
    terminal: &Terminal,
) -> String {
    let standing = &organization.standing;
    let reset = status.day.end();
    let here = figures::clock_here(reset, zone);
    let here = here.map_or_else(String::new, |clock| format!(" ({clock} here)"));
    let assumed = if standing.usage_tier_declared {
        ""
    } else {
        " assumed"
    };
    let dot = terminal.glyph("·", "-");
    format!(
        "{} {dot} usage tier {}{assumed} {dot} {} UTC {dot} resets in {}{here}",
        one_line(&standing.organization),
        standing.usage_tier,
        status.day,
        figures::duration(reset - status.now),
    )
}

/// A group: its bar, what is taken, and the one sentence that answers whether the next call is free.
fn group_lines(
    organization: &OrganizationNow,
    group: &GroupStanding,
    terminal: &Terminal,
) -> String {
    let crossing = organization.crossing(&group.group);
    let sentence = sentence(group, crossing, terminal);
    let names = organization
        .standing
        .groups
        .iter()
        .map(|group| group.group.chars().count());
    let indent = names.max().unwrap_or(0) + GAP.len();
    let label = format!("{:<indent$}", one_line(&group.group));
    let in_lines = |text: &str, indent: usize| -> String {
        let lines = wrapped(text, terminal.width.saturating_sub(indent));
        indented(&lines, indent)
    };
    if group.allowance_tokens == 0 {
        let lines = in_lines(&sentence, indent);
        return lines.replacen(&" ".repeat(indent), &label, 1);
    }
    let taken = taken(group, crossing);
    let bar = Bar {
        allowance: group.allowance_tokens,
        taken,
        in_flight: group.in_flight.is_any().then_some(group.in_flight.tokens),
        spent: is_spent(group),
        crossed: crossing.is_some(),
    };
    let share = if is_spent(group) {
        "spent".to_owned()
    } else {
        figures::percent(taken, group.allowance_tokens)
    };
    let numbers = format!("{} of {}", grouped(taken), grouped(group.allowance_tokens));
    if terminal.width < BLOCKS_BELOW {
        let mut out = format!("{}\n", label.trim_end());
        if terminal.width >= CELLS {
            out.push_str(&bar.drawn(terminal));
            out.push('\n');
        }
        out.push_str(&in_lines(&format!("{share}, {numbers}"), GAP.len()));
        return out + &in_lines(&sentence, GAP.len());
    }
    let bar = bar.drawn(terminal);
    let beside = format!("{GAP}{share:>5}{GAP}{numbers}");
    let mut out = if indent + CELLS + beside.chars().count() <= terminal.width {
        format!("{label}{bar}{beside}\n")
    } else {
        format!("{label}{bar}\n{}", in_lines(beside.trim_start(), indent))
    };
    out.push_str(&in_lines(&sentence, indent));
    out
}

fn is_spent(group: &GroupStanding) -> bool {
    group.remaining_tokens == 0 && !group.payer_says_billed
}

/// Tokens of the allowance that are gone: up to the crossing call where there is one that ended it.
fn taken(group: &GroupStanding, crossing: Option<&Crossing>) -> u64 {
    match crossing {
        _ if group.payer_says_billed => group.taken_tokens.min(group.allowance_tokens),
        _ if !is_spent(group) => group.allowance_tokens - group.remaining_tokens,
        Some(crossing) => crossing.before,
        None => group.taken_tokens,
    }
}

/// Whether the next call is free: how large it may be, or since when it cannot be.
fn sentence(group: &GroupStanding, crossing: Option<&Crossing>, terminal: &Terminal) -> String {
    if group.allowance_tokens == 0 {
        return "no free tokens: declared as not enrolled".to_owned();
    }
    if group.payer_says_billed {
        return "OpenAI bills this group until 00:00 UTC: every call is billed".to_owned();
    }
    let crossed = crossing.map(|crossing| {
        format!(
            "crossing call {} at {} UTC ({} tokens)",
            one_line(&crossing.call),
            figures::time_of_day(crossing.at),
            grouped(crossing.tokens)
        )
    });
    if is_spent(group) {
        return match crossed {
            Some(crossed) => format!("{crossed}; later ones are billed"),
            None => "nothing is left: every call is billed".to_owned(),
        };
    }
    let most = if group.at_most { "at most " } else { "" };
    let largest = grouped(group.largest_free_call_tokens);
    let mut sentence = format!("largest free call: {most}{largest} tokens");
    if group.in_flight.is_any() {
        let mark = terminal.glyph("▒", "~");
        sentence.extend(["; ", mark, " ", &in_flight(group.in_flight)]);
    }
    match crossed {
        Some(crossed) => format!("{sentence}; {crossed}, a smaller one may still fit"),
        None => sentence,
    }
}

/// `2 in flight, up to 12,000`.
fn in_flight(calls: InFlight) -> String {
    let bounded = format!("up to {}", grouped(calls.tokens));
    let unbounded = format!("{} without bound", grouped(calls.unbounded));
    let most = match (calls.tokens, calls.unbounded) {
        (_, 0) => bounded,
        (0, _) => unbounded,
        _ => format!("{bounded} and {unbounded}"),
    };
    format!("{} in flight, {most}", grouped(calls.calls))
}

/// The table of today: a row for each group that has calls, in the offer's order, and their total.
fn today(organization: &OrganizationNow) -> Table {
    let mut table = Table::of(&TODAY);
    for (name, sums) in organization.sums() {
        table.push(row(name, &sums));
    }
    if organization.rows.len() > 1 {
        table.push(row("total", &organization.total()));
    }
    table
}

fn row(name: &str, sums: &Sums) -> Vec<Cell> {
    let name = if name.is_empty() { NOT_ELIGIBLE } else { name };
    let mut cells = vec![Cell::same(name)];
    cells.extend(sums.cells());
    cells
}

/// What the numbers do not say by themselves.
pub(super) fn notes(status: &Status) -> Vec<String> {
    let totals = status.organizations.iter().map(OrganizationNow::total);
    let total = totals.fold(Sums::default(), Sums::plus);
    let organizations = status.organizations.iter().map(|one| &one.standing);
    let correction = status.clock_correction;
    // Out of step is among the notices, with what to do.
    let sharing = status.sharing.as_ref();
    let sharing = sharing.filter(|sharing| sharing.in_step || status.notices.is_empty());
    let mut notes = status.notices.clone();
    let known = [
        status.ledger_notice.clone(),
        sharing.map(admin::Sharing::line),
        (correction != 0).then(|| proxy::wrong_clock(correction)),
        admin::OrganizationStanding::payer_says_billed(organizations),
    ];
    for note in known.into_iter().flatten() {
        // The proxy's notices say the same in the same words, if it is no older one.
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    // Whose usage comes later is told apart: nobody has to do anything about it.
    let unknown = total.unknown_calls.saturating_sub(status.awaited_calls);
    if unknown > 0 {
        notes.push(format!(
            "{} without usage: see tollfree calls --verdict unknown",
            counted(unknown, "call")
        ));
    }
    if status.awaited_calls > 0 {
        notes.push(format!(
            "{} pending, among the unknown ones until an answer shows their usage: see tollfree calls --verdict pending",
            counted(status.awaited_calls, "call")
        ));
    }
    let mut sources: Vec<&String> = Vec::new();
    let groups = status
        .organizations
        .iter()
        .flat_map(|one| &one.standing.groups);
    for source in groups.flat_map(|group| &group.slack.sources) {
        // Calls without usage have a note of their own.
        let told = source == "unknown-calls" && total.unknown_calls > 0;
        if !told && !sources.contains(&source) {
            sources.push(source);
        }
    }
    notes.extend(uncounted(sources.into_iter()));
    if status.has_kept_terms {
        notes.push(
            "usage tiers are those of the ledger's last calls: none is declared here".to_owned(),
        );
    }
    if total.lacks_prices() {
        notes.push("the price of some models is not known: ? and > in dollars".to_owned());
    }
    if status.further > 0 {
        notes.push(format!(
            "{} not shown: tollfree status --organization NAME",
            counted(status.further as u64, "organization")
        ));
    }
    notes
}
