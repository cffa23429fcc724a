//! 00:00 UTC under load, with a right clock, a wrong one and one that jumps: each call counts on the day on
//! which `OpenAI` bills it, a day begins once, and a call that lies across says so.
//!
//! Knows clocks, days, rows and the bill; the simulated `OpenAI`'s own dates decide. The clock of the program
//! under test is libfaketime's.

mod grown;

use std::collections::BTreeMap;
use std::time::Duration;

use harness::agreement;
use harness::chance::Chance;
use harness::clock::{self, FakedClock, RunningClock};
use harness::crowd::{Crowd, Load};
use harness::figures::Figures;
use harness::findings::Findings;
use harness::kept::{self, Kept};
use harness::proxy::Proxy;
use harness::sqlite::{Ledger, Place, Row};
use simulator::{AfterCrossing, BillLine, Clock, LogEntry};
use tokio::task::JoinSet;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// The load begins so long before midnight and ends so long after it.
const BEFORE: i64 = 5 * SECOND;
const AFTER: i64 = 4 * SECOND;
/// When a clock that jumps does so, and when it is set right again, seen from midnight.
const JUMPS_AT: i64 = -3 * SECOND;
const JUMPS_BACK_AT: i64 = 2 * SECOND;
/// An answer is so long on its way between both clocks: whose usage was complete this close to midnight may
/// arrive on the other side of it.
const TRANSIT: i64 = 250;
/// How exactly `date` tells a wrong clock the time: it counts whole seconds.
const DATE_TELLS: i64 = SECOND;
/// Every call takes as much: whichever comes first, as many are free. The large group is spent before
/// midnight, the small one is not.
const TOKENS: u64 = 40_000;
/// Clients at once, and the time between two events of their streams.
const CLIENTS: usize = 12;
const CHUNK: Duration = Duration::from_millis(60);

/// How the clock of the program differs from `OpenAI`'s, in milliseconds.
#[derive(Clone, Copy, Debug)]
enum Differs {
    /// Not at all.
    Never,
    /// From the start to the end.
    Always(i64),
    /// For a while around midnight.
    ForAWhile(i64),
}

/// What one midnight came to.
#[derive(Debug, Default)]
struct Night {
    calls: usize,
    straddles: usize,
    /// On the other side of midnight than the bill has them, and marked as lying across.
    on_the_line: usize,
    /// The same unmarked, within what `date` can tell a wrong clock.
    untold: usize,
    days: BTreeMap<String, usize>,
    findings: Findings,
}

/// Lives through one midnight.
async fn night(differs: Differs, after_crossing: AfterCrossing) -> (Ledger, Night) {
    let midnight = (clock::real() / DAY + 1) * DAY;
    let apart = midnight - BEFORE - SECOND - clock::real();
    let openai = RunningClock::apart(apart);
    let mut settings = kept::settings(Clock::Shared(openai.shared()), after_crossing);
    settings.chunk_interval = CHUNK;
    let kept = Kept::of(settings).await;
    grown::ledger(kept.folder(), 0, midnight - DAY);
    let ours = FakedClock::apart(match differs {
        Differs::Always(by) => apart + by,
        Differs::Never | Differs::ForAWhile(_) => apart,
    });
    let proxy = Proxy::start(ours.around(kept.setup()));
    let load = Load {
        models: vec!["gpt-4o", "gpt-4o-mini"],
        tokens: (TOKENS, TOKENS),
        words: "[chunks 8]".to_owned(),
        pause: Duration::from_millis(20),
        ..Load::sound(&["sk-sim-acme", "sk-sim-initech"])
    };
    let crowd = Crowd::start(proxy.address(), CLIENTS, &load, &mut Chance::of(29));
    if let Differs::ForAWhile(by) = differs {
        until(&openai, midnight + JUMPS_AT).await;
        ours.set(apart + by);
        until(&openai, midnight + JUMPS_BACK_AT).await;
        ours.set(apart);
    }
    until(&openai, midnight + AFTER).await;
    let seen = crowd.stop().await;
    assert!(seen.cut.is_empty(), "{:?}", seen.cut);
    stop(proxy);
    let ledger = harness::sqlite::read(kept.folder()).expect("a ledger");
    let bill = kept.simulator.bill();
    agreement::calls(&seen.notes, &ledger, &bill).assert_nothing(&format!("{differs:?}"));
    let exact = matches!(differs, Differs::Never);
    let night = judged(&ledger, &bill, &kept.simulator.log(), exact);
    (ledger, night)
}

async fn until(clock: &RunningClock, moment: i64) {
    while clock.now() < moment {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn stop(mut proxy: Proxy) {
    proxy.terminate();
    let status = proxy.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
}

/// Milliseconds between an instant in RFC 3339 with milliseconds and the midnight nearest to it.
fn from_midnight(at: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| -> i64 { at[range].parse().expect("digits") };
    let seconds = (number(11..13) * 60 + number(14..16)) * 60 + number(17..19);
    let since = seconds * SECOND + number(20..23);
    since.min(DAY - since)
}

fn judged(ledger: &Ledger, bill: &[BillLine], log: &[LogEntry], exact: bool) -> Night {
    let mut night = Night {
        calls: ledger.rows.len(),
        ..Night::default()
    };
    let billed: BTreeMap<&str, (&BillLine, &LogEntry)> = bill
        .iter()
        .zip(log)
        .map(|(line, entry)| (&*line.response_id, (line, entry)))
        .collect();
    for row in &ledger.rows {
        let id = row.response_id.as_deref().expect("an id");
        let (line, entry) = billed[id];
        *night.days.entry(row.day.clone()).or_default() += 1;
        night.straddles += usize::from(row.straddles);
        if row.day != line.day {
            // A call that says of itself that it lies across may fall on either side while it is on its way.
            let near = from_midnight(&entry.at);
            if row.straddles && near < TRANSIT.max(if exact { 0 } else { DATE_TELLS }) {
                night.on_the_line += 1;
            } else if !exact && near < DATE_TELLS {
                night.untold += 1;
            } else {
                let wrong = format!("counts on {}, billed at {}: {row:?}", row.day, entry.at);
                night.findings.add(&row.call, vec![wrong]);
            }
        }
        night.findings.add(&row.call, straddling(row));
    }
    night.findings.add("totals", begins_once(ledger));
    let free = free_calls(ledger, &billed);
    for (place, (told, billed)) in free {
        if told.abs_diff(billed) > night.on_the_line + night.untold {
            let wrong = format!("told {told} calls free, {billed} were");
            night.findings.add(&format!("{place:?}"), vec![wrong]);
        }
    }
    night
}

/// A call lies across midnight if it says so, and its free verdict is not certain then.
fn straddling(row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    let (began, settled) = row.instants;
    let across = began.div_euclid(DAY) != settled.div_euclid(DAY);
    if across != row.straddles {
        wrong.push(format!("straddles is {}: {row:?}", row.straddles));
    }
    let says = row.assumes.iter().any(|word| word == "straddles");
    let is_ours = row.certainty.as_deref() != Some("confirmed");
    if row.straddles && row.verdict == "free" && is_ours && !says {
        wrong.push(format!(
            "is free across midnight without assuming it: {row:?}"
        ));
    }
    wrong
}

/// In each total one call begins at nothing, and each other where one ended.
fn begins_once(ledger: &Ledger) -> Vec<String> {
    let mut spans: BTreeMap<Place, Vec<(u64, u64)>> = BTreeMap::new();
    for row in &ledger.rows {
        if let (Some(group), Some(span)) = (&row.group, row.span) {
            let place = (row.organization.clone(), group.clone(), row.day.clone());
            spans.entry(place).or_default().push(span);
        }
    }
    let mut wrong = Vec::new();
    for (place, mut spans) in spans {
        spans.sort_unstable();
        let mut end = 0;
        for (before, after) in spans {
            if before != end {
                wrong.push(format!(
                    "begins anew at {before} where {end} was reached: {place:?}"
                ));
            }
            end = after;
        }
    }
    wrong
}

/// Of each total, how many calls were told to be free and how many were, where that was ours to say.
fn free_calls(
    ledger: &Ledger,
    billed: &BTreeMap<&str, (&BillLine, &LogEntry)>,
) -> BTreeMap<Place, (usize, usize)> {
    let mut free: BTreeMap<Place, (usize, usize)> = BTreeMap::new();
    for row in &ledger.rows {
        let Some(group) = &row.group else { continue };
        let (line, _) = billed[row.response_id.as_deref().expect("an id")];
        let place = |day: &str| (row.organization.clone(), group.clone(), day.to_owned());
        free.entry(place(&row.day)).or_default().0 += usize::from(row.verdict == "free");
        free.entry(place(&line.day)).or_default().1 += usize::from(line.free);
    }
    free
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_counts_on_its_day_whatever_the_clock_does() {
    if clock::library().is_none() {
        eprintln!(
            "SKIPPED: libfaketime is not installed (Debian: apt-get install faketime): no midnight was tried"
        );
        return;
    }
    let clocks = [
        Differs::Never,
        Differs::Always(2 * HOUR),
        Differs::Always(-DAY),
        Differs::ForAWhile(2 * HOUR),
        Differs::ForAWhile(-2 * HOUR),
        Differs::ForAWhile(DAY),
        Differs::ForAWhile(-DAY),
    ];
    let mut nights = JoinSet::new();
    for differs in clocks {
        for reading in [AfterCrossing::Billed, AfterCrossing::FreeIfItFits] {
            nights.spawn(async move { (differs, reading, night(differs, reading).await) });
        }
    }
    let mut nights = nights.join_all().await;
    nights.sort_by_key(|(differs, reading, _)| format!("{differs:?} {reading:?}"));
    let mut figures = Figures::of("Midnight (00:00 UTC under load)", "midnight");
    let mut wrong = String::new();
    for (differs, reading, (_, night)) in &nights {
        let what = format!("clock differs {differs:?} ms, {reading:?}");
        let days: Vec<_> = night.days.values().map(ToString::to_string).collect();
        let came = format!(
            "{} calls ({} by day), {} lie across and say so ({} of them billed on the other day), {} unmarked within \
             the second that `date` tells, {} on a wrong day",
            night.calls,
            days.join(" + "),
            night.straddles,
            night.on_the_line,
            night.untold,
            night.findings.len()
        );
        figures.line(&what, came);
        if !night.findings.is_empty() {
            wrong += &format!("{what}:\n{}", night.findings);
        }
        if night.days.len() != 2 || night.straddles == 0 {
            let days = &night.days;
            wrong += &format!(
                "{what}: {} calls lay across, days {days:?}\n",
                night.straddles
            );
        }
    }
    figures.keep();
    assert!(wrong.is_empty(), "\n{wrong}");
}
