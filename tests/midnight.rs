//! 00:00 UTC under load, with a right clock, a wrong one and one that jumps: each call counts on the day on
//! which `OpenAI` bills it, a day begins once, and a call that lies across says so.
//!
//! Knows clocks, days, rows and the bill; the simulated `OpenAI`'s own dates decide. The clock of the program
//! under test is libfaketime's. Fourteen nights pass at once: a program of its own, so that nothing else runs beside them.

mod grown;

use std::collections::BTreeMap;
use std::time::Duration;

use harness::agreement;
use harness::chance::Chance;
use harness::clock::{self, FakedClock, RunningClock};
use harness::crowd::{Crowd, Load};
use harness::figures::Figures;
use harness::kept::{self, Kept};
use harness::night::{DATE_TELLS, DAY, Night};
use harness::proxy::Proxy;
use harness::sqlite::{Ledger, Place};
use simulator::{AfterCrossing, BillLine, Clock};
use tokio::task::JoinSet;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
/// How long before midnight the load begins, and how long after it the load ends.
const BEFORE: i64 = 5 * SECOND;
const AFTER: i64 = 4 * SECOND;
/// When a clock that jumps does so, and when it is set right again, seen from midnight.
const JUMPS_AT: i64 = -3 * SECOND;
const JUMPS_BACK_AT: i64 = 2 * SECOND;
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

/// Lives through one midnight.
async fn night(differs: Differs, after_crossing: AfterCrossing) -> Night {
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
    let unnoticed = match differs {
        Differs::Never => 0,
        Differs::Always(_) | Differs::ForAWhile(_) => DATE_TELLS,
    };
    let mut night = Night::of(&ledger, &bill, &kept.simulator.log(), unnoticed);
    judged(&mut night, &ledger, &bill);
    night
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

/// Adds what of the totals is not as the bill has it.
fn judged(night: &mut Night, ledger: &Ledger, bill: &[BillLine]) {
    let free = free_calls(ledger, bill);
    for (place, (told, billed)) in free {
        if told.abs_diff(billed) > night.on_the_line {
            let wrong = format!("told {told} calls free, {billed} were");
            night.findings.add(&format!("{place:?}"), vec![wrong]);
        }
    }
}

/// Of each total, how many calls were told to be free and how many were, where that was ours to say.
fn free_calls(ledger: &Ledger, bill: &[BillLine]) -> BTreeMap<Place, (usize, usize)> {
    let billed: BTreeMap<&str, &BillLine> =
        bill.iter().map(|line| (&*line.response_id, line)).collect();
    let mut free: BTreeMap<Place, (usize, usize)> = BTreeMap::new();
    for row in &ledger.rows {
        let Some(group) = &row.group else { continue };
        let line = billed[row.response_id.as_deref().expect("an id")];
        let place = |day: &str| (row.organization.clone(), group.clone(), day.to_owned());
        free.entry(place(&row.day)).or_default().0 += usize::from(row.verdict == "free");
        free.entry(place(&line.day)).or_default().1 += usize::from(line.free);
    }
    free
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_counts_on_its_day_whatever_the_clock_does() {
    if clock::library_or_skip("no midnight was tried").is_none() {
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
    for (differs, reading, night) in &nights {
        let what = format!("clock differs {differs:?} ms, {reading:?}");
        figures.line(&what, night.told());
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
