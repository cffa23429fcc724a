//! `tollfree status`: is the next call free, how large may it be, and what did today cost. It must not know how the
//! figures are drawn, nor how they are kept.

mod programs;
mod show;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use ledger::{Crossing, DayRow};
use meter::Day;

use super::desk::{Desk, NoAnswer, Source};
use super::sums::Sums;
use super::terminal::Terminal;
use super::watch::{Screen, put};
use super::{json, print, refuse};

/// Organizations shown at once, where none is named.
const MOST_ORGANIZATIONS: usize = 5;
/// Between two looks of `--watch`.
const EVERY: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Options {
    /// Only this organization
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Option<String>,
    /// Only what remains of this group, as one integer
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["json", "watch"])]
    pub(crate) remaining: Option<String>,
    /// Again each second, in place; in a pipe a row for each change
    #[arg(long)]
    pub(crate) watch: bool,
    /// One JSON object
    #[arg(long, conflicts_with = "watch")]
    pub(crate) json: bool,
    /// A first line with the names of the columns, where the output is piped
    #[arg(long, conflicts_with = "json")]
    pub(crate) header: bool,
}

/// How all stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// Who said so.
    pub(crate) source: Source,
    /// The UTC day.
    pub(crate) day: Day,
    /// Unix seconds.
    pub(crate) now: i64,
    /// What the running proxy adds to this machine's clock, in milliseconds.
    pub(crate) clock_correction: i64,
    /// What clients take for OpenAI's base URL.
    pub(crate) base_url: String,
    /// Those with something to show.
    pub(crate) organizations: Vec<OrganizationNow>,
    /// How many more there are than are shown.
    pub(crate) further: usize,
    /// Usage tiers are those of the proxy that wrote the ledger.
    pub(crate) has_kept_terms: bool,
    /// How totals are shared with other replicas.
    pub(crate) sharing: Option<admin::Sharing>,
    /// Why the running proxy's ledger is behind.
    pub(crate) ledger_notice: Option<String>,
    /// What does not work, as the running proxy says: the notices of its health.
    pub(crate) notices: Vec<String>,
    /// Calls among those without usage whose usage may yet be seen.
    pub(crate) awaited_calls: u64,
}

/// One organization today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrganizationNow {
    /// Its allowances and totals.
    pub(crate) standing: admin::OrganizationStanding,
    /// What was settled today, by group.
    pub(crate) rows: Vec<DayRow>,
}

impl Status {
    /// Leaves out what no screen would hold.
    fn cut(&mut self) {
        self.further = self.organizations.len().saturating_sub(MOST_ORGANIZATIONS);
        self.organizations.truncate(MOST_ORGANIZATIONS);
    }

    /// Nothing was settled today by any of those that are shown, as far as the ledger has it.
    fn has_no_calls(&self) -> bool {
        self.organizations.iter().all(|one| one.rows.is_empty())
    }
}

impl OrganizationNow {
    fn name(&self) -> &str {
        &self.standing.organization
    }

    /// The call that crossed a group's allowance today.
    fn crossing(&self, group: &str) -> Option<&Crossing> {
        let row = self.rows.iter().find(|row| row.group == group)?;
        row.crossing.as_ref()
    }

    /// The sums of each group that has calls: in the offer's order, then groups that it no longer has, then the calls
    /// that are not eligible (their group is empty).
    fn sums(&self) -> impl Iterator<Item = (&str, Sums)> {
        let groups = || {
            self.standing
                .groups
                .iter()
                .map(|group| group.group.as_str())
        };
        let place = move |name: &str| match groups().position(|group| group == name) {
            Some(place) => place,
            None if name.is_empty() => usize::MAX,
            None => usize::MAX - 1,
        };
        let mut rows: Vec<&DayRow> = self.rows.iter().collect();
        rows.sort_by_key(|row| place(&row.group));
        rows.into_iter()
            .map(|row| (row.group.as_str(), Sums::of(row)))
    }

    fn sums_of(&self, group: &str) -> Sums {
        let row = self.rows.iter().find(|row| row.group == group);
        row.map(Sums::of).unwrap_or_default()
    }

    fn total(&self) -> Sums {
        self.rows
            .iter()
            .map(Sums::of)
            .fold(Sums::default(), Sums::plus)
    }

    /// Whether anything was settled or is under way today.
    fn has_something(&self) -> bool {
        let busy =
            |group: &admin::GroupStanding| group.taken_tokens > 0 || group.in_flight.is_any();
        !self.rows.is_empty() || self.standing.groups.iter().any(busy)
    }
}

/// Answers.
pub(crate) fn run(desk: &Desk, options: &Options, terminal: &Terminal) -> ExitCode {
    let zone = TimeZone::system();
    // Who watches may wait for an organization's first call.
    if !options.watch
        && let Err(why) = desk.known(options.organization.as_deref())
    {
        return why.refuse();
    }
    if let Some(group) = &options.remaining {
        return remaining(desk, options, group);
    }
    if options.watch {
        return watch(desk, options, &zone, terminal);
    }
    let mut status = match status(desk, options) {
        Ok(status) => status,
        Err(why) => return why.refuse(),
    };
    if options.json {
        return print(&json::lines(&programs::as_object(&status)));
    }
    if terminal.is_terminal {
        status.cut();
        return print(&show::for_people(&status, &zone, terminal));
    }
    aside(&status);
    print(&programs::as_rows(&status, options.header))
}

/// What people should know of rows in a pipe, beside them.
fn aside(status: &Status) {
    let nothing = status.has_no_calls() && status.ledger_notice.is_none();
    let nothing = nothing.then(|| "no calls today (UTC)".to_owned());
    for note in show::stopped(status.source, status.day)
        .into_iter()
        .chain(nothing)
        .chain(show::notes(status))
    {
        refuse(&format!("note: {note}\n"), 0);
    }
}

fn watch(desk: &Desk, options: &Options, zone: &TimeZone, terminal: &Terminal) -> ExitCode {
    let mut screen = Screen::new(*terminal);
    let mut header = options.header;
    loop {
        let shown = match status(desk, options) {
            Ok(mut status) if terminal.is_terminal => {
                status.cut();
                show::for_people(&status, zone, &screen.measured())
            }
            Ok(status) => programs::as_rows(&status, false),
            Err(why) => return why.refuse(),
        };
        if std::mem::take(&mut header)
            && !terminal.is_terminal
            && put(&programs::names()).is_break()
        {
            return ExitCode::SUCCESS;
        }
        if screen.show(&shown).is_break() {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(EVERY);
    }
}

/// Prints what remains of one group, as one integer.
fn remaining(desk: &Desk, options: &Options, group: &str) -> ExitCode {
    let all = match desk.standings() {
        Ok(all) => all,
        Err(why) => return why.refuse(),
    };
    if desk.offer().group_named(group).is_none() {
        let names: Vec<&str> = desk
            .offer()
            .groups()
            .map(|(_, group)| group.name.as_ref())
            .collect();
        let why = format!("no group {group}. help: known are {}", names.join(", "));
        return NoAnswer::Asked(why).refuse();
    }
    let organization = match desk.one_organization(&all, options.organization.as_deref()) {
        Ok(organization) => organization,
        Err(why) => return why.refuse(),
    };
    let standing = organization
        .groups
        .iter()
        .find(|standing| standing.group == group);
    if let Some(standing) = standing {
        // A number alone cannot say what it rests on.
        let unsure = show::uncounted(standing.slack.sources.iter());
        for note in show::stopped(all.source, all.day).into_iter().chain(unsure) {
            refuse(&format!("note: {note}\n"), 0);
        }
        return print(&format!("{}\n", standing.remaining_tokens));
    }
    // It was started with another offer.
    let why = format!("the running proxy has no group {group}. help: restart it");
    NoAnswer::Asked(why).refuse()
}

fn status(desk: &Desk, options: &Options) -> Result<Status, NoAnswer> {
    let standings = desk.standings()?;
    let day = standings.day;
    let mut rows = desk.days(day, day, options.organization.as_deref())?;
    // A total that was stated has a row before its group has a call.
    rows.retain(|row| row.calls > 0);
    let awaited_calls = if rows.iter().any(|row| row.unknown_calls > 0) {
        desk.awaited(day, options.organization.as_deref())?
    } else {
        0
    };
    let named = options.organization.as_deref();
    let mut organizations: Vec<OrganizationNow> = standings
        .organizations
        .iter()
        .filter(|standing| named.is_none_or(|name| standing.organization == name))
        .map(|standing| {
            let (own, others) = rows
                .drain(..)
                .partition(|row: &DayRow| row.organization == standing.organization);
            rows = others;
            OrganizationNow {
                standing: standing.clone(),
                rows: own,
            }
        })
        .collect();
    // One that was named is shown even where nothing came of it yet.
    if let (Some(name), true) = (named, organizations.is_empty()) {
        organizations.push(OrganizationNow {
            standing: desk.standing_of_new(name),
            rows,
        });
    } else if named.is_none() && organizations.iter().any(OrganizationNow::has_something) {
        organizations.retain(OrganizationNow::has_something);
    }
    organizations.sort_by_key(|one| (std::cmp::Reverse(one.total().calls), one.name().to_owned()));
    Ok(Status {
        source: standings.source,
        day,
        now: standings.now,
        clock_correction: standings.clock_correction,
        base_url: standings.base_url,
        organizations,
        further: 0,
        has_kept_terms: standings.has_kept_terms,
        sharing: standings.sharing,
        ledger_notice: standings.ledger_notice,
        notices: standings.notices,
        awaited_calls,
    })
}
