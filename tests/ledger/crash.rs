//! What a client was told survives the program: it is killed at random moments under a mixed load, started
//! anew on the same data directory, and its ledger is held against what clients saw and what the simulated
//! `OpenAI` billed.
//!
//! Knows answers, look-ups, tables and bills; not how an entry is kept. `ROUNDS` says how many kills, `SEED`
//! which calls and moments; `DEEP=1` stands for 200 kills and a million rows.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use harness::agreement::Agreement;
use harness::chance::Chance;
use harness::clock;
use harness::crowd::{self, Crowd, Load};
use harness::day::Way;
use harness::figures::{self, Figures};
use harness::kept::{KEYS, Kept};
use harness::note::{Note, Word};
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::Request;
use harness::sqlite::{self, Ledger, Row};
use simulator::{AfterCrossing, Clock};

use crate::grown;

/// Kills where nobody says how many: in the gate, and in the long run.
const ROUNDS: [u64; 2] = [20, 200];
/// Rows of a ledger that has grown.
const ROWS: [usize; 2] = [100_000, 1_000_000];
/// Clients at once.
const CLIENTS: usize = 8;
/// How long the program lives under load, least and most, in milliseconds.
const LIFE: (u64, u64) = (30, 900);
/// Of a hundred kills, those in the middle of a start; so soon, at most, in milliseconds.
const EARLY: u64 = 25;
const MOST_EARLY: u64 = 60;
/// Calls of earlier lives that are looked up after each start.
const LOOK_UPS: usize = 5;
/// Of a hundred lives, those with `durability = "power-loss"`.
const SYNCED: u64 = 25;
/// A start is at most this long until the port accepts. An unoptimised program on a busy machine gets more.
const MOST_RESTART: Duration = if cfg!(debug_assertions) {
    Duration::from_secs(5)
} else {
    Duration::from_secs(1)
};

/// What was counted over all rounds.
#[derive(Debug, Default)]
struct Sum {
    kills: u64,
    early: u64,
    calls: usize,
    open: usize,
    promised: usize,
    restarts: Vec<Duration>,
}

fn start(setup: ProxySetup, sum: &mut Sum) -> Proxy {
    let began = Instant::now();
    let proxy = Proxy::start(setup);
    sum.restarts.push(began.elapsed());
    proxy
}

/// Calls of one client after a restart: each must go on where the ledger's rows end, and lower what remains
/// by what it takes.
async fn goes_on(proxy: &Proxy, kept: &Kept, before: &Ledger, chance: &mut Chance) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut taken = before.taken_by_rows();
    for (key, organization) in [(KEYS[0], "acme"), (KEYS[1], "initech")] {
        for (model, group, allowance) in [
            ("gpt-4o", "large", 1_000_000),
            ("gpt-4o-mini", "small", 10_000_000),
        ] {
            let load = Load {
                models: vec![model],
                ways: vec![Way::Chat],
                ..Load::sound(&[key])
            };
            let probe = crowd::calls(proxy.address(), 1, &load, chance)
                .await
                .remove(0);
            let row = eventually("the probe is in the ledger", || {
                sqlite::row_of(kept.folder(), &probe.call).expect("a ledger")
            })
            .await;
            let place = (organization.to_owned(), group.to_owned(), row.day.clone());
            let sum = taken.entry(place).or_insert(0);
            assert_eq!(
                row.span,
                Some((*sum, *sum + probe.tokens)),
                "{probe:?} {row:?}"
            );
            *sum += probe.tokens;
            let word = probe.word.as_ref().expect("a verdict");
            let remains = word.number("remaining-tokens").expect("what remains");
            // Where OpenAI bills the group, nothing of it is free however much is left.
            let is_billed = word.text("reason") == Some("payer-says-billed");
            let left = if is_billed {
                0
            } else {
                allowance_left(allowance, *sum)
            };
            assert_eq!(remains, left, "{probe:?}");
            notes.push(probe);
        }
    }
    notes
}

fn allowance_left(allowance: u64, taken: u64) -> u64 {
    allowance.saturating_sub(taken)
}

/// Calls of earlier lives are still found by their ids, with the word that was given then.
async fn remembers(proxy: &Proxy, notes: &[Note], chance: &mut Chance) {
    let told = |note: &&Note| note.is_promised() && note.word.is_some();
    let told: Vec<&Note> = notes.iter().filter(told).collect();
    for _ in 0..LOOK_UPS.min(told.len()) {
        let note = *chance.of_these(&told);
        let target = format!("/_tollfree/calls/{}", note.call);
        let answer = proxy.exchange(&Request::get(&target)).await;
        let word = Word::of_lookup(&answer).unwrap_or_else(|| panic!("forgotten: {note:?}"));
        let then = note.word.as_ref().expect("told");
        for tag in [
            "verdict",
            "certainty",
            "reason",
            "tokens",
            "remaining-tokens",
        ] {
            assert_eq!(word.text(tag), then.text(tag), "{tag}: {note:?}");
        }
    }
}

/// What was billed of calls that have no row: only calls that were open when the program was killed, and all
/// of it within the slack that says so.
fn open_calls_are_slack(ledger: &Ledger, kept: &Kept) -> usize {
    let ids = |row: &Row| [row.response_id.clone(), row.request_id.clone()];
    let known: HashSet<String> = ledger.rows.iter().flat_map(ids).flatten().collect();
    let mut bill = kept.simulator.bill();
    bill.retain(|line| !known.contains(&line.response_id) && !known.contains(&line.request_id));
    for (place, billed) in harness::agreement::billed_totals(&bill) {
        let slack = ledger.slack(&place, |source| source == "unclean-stop");
        let covered = slack.is_none_or(|slack| slack >= billed);
        assert!(
            covered,
            "{place:?}: {billed} tokens of calls without a row, slack {slack:?}"
        );
    }
    bill.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_saw_survives_every_kill() {
    let rounds = figures::number("ROUNDS").unwrap_or(ROUNDS[usize::from(figures::is_deep())]);
    let seed = figures::number("SEED").unwrap_or(1);
    let mut chance = Chance::of(seed);
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    grown::ledger(kept.folder(), 0, clock::real());
    Proxy::start(kept.setup()).kill();
    let (mut sum, mut notes) = (Sum::default(), Vec::new());
    let mut last = Agreement::default();
    for round in 0..=rounds {
        if chance.percent(EARLY) {
            let after = Duration::from_millis(chance.between(0, MOST_EARLY));
            Proxy::start_and_kill(kept.setup(), after);
            sum.early += 1;
        }
        let durability = if chance.percent(SYNCED) {
            "power-loss"
        } else {
            "crash"
        };
        let setup = kept
            .setup()
            .variable("TOLLFREE_LEDGER_DURABILITY", durability);
        let proxy = start(setup, &mut sum);
        let (ledger, agreement) = kept.account(&notes).await;
        agreement.assert_nothing(&format!("seed {seed}, after kill {round}"));
        sum.open = open_calls_are_slack(&ledger, &kept);
        remembers(&proxy, &notes, &mut chance).await;
        notes.extend(goes_on(&proxy, &kept, &ledger, &mut chance).await);
        last = agreement;
        if round == rounds {
            stop(proxy);
            break;
        }
        let crowd = Crowd::start(proxy.address(), CLIENTS, &Load::mixed(&KEYS), &mut chance);
        tokio::time::sleep(Duration::from_millis(chance.between(LIFE.0, LIFE.1))).await;
        proxy.kill();
        sum.kills += 1;
        let left = crowd.stop().await;
        let forgot = |why: &&String| why.contains(crowd::NO_WORD);
        let forgotten: Vec<_> = left.cut.iter().filter(forgot).collect();
        assert!(forgotten.is_empty(), "{forgotten:?}");
        notes.extend(left.notes);
    }
    let (_, agreement) = kept.account(&notes).await;
    agreement.assert_nothing("after a clean stop");
    assert_eq!(sqlite::integrity(kept.folder()).expect("a ledger"), "ok");
    sum.calls = notes.len();
    sum.promised = last.promised.max(agreement.promised);
    report(seed, &mut sum, &agreement);
}

/// Ends it as a service manager does.
fn stop(mut proxy: Proxy) {
    proxy.terminate();
    let status = proxy.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
}

fn report(seed: u64, sum: &mut Sum, found: &Agreement) {
    sum.restarts.sort_unstable();
    let median = sum.restarts[sum.restarts.len() / 2];
    let longest = *sum.restarts.last().expect("a restart");
    let mut figures = Figures::of("Kills", "crash");
    figures.line("kills under load", sum.kills);
    figures.line("kills in the middle of a start", sum.early);
    figures.line("seed", seed);
    figures.line("calls seen by clients", sum.calls);
    figures.line("of these promised to be kept", sum.promised);
    figures.line("missing", found.missing);
    figures.line("twice", found.twice);
    figures.line("wrong", found.wrong);
    figures.line(
        "billed without a row (open at a kill), all within the slack",
        sum.open,
    );
    figures.line("restart, median", format!("{} ms", median.as_millis()));
    figures.line("restart, longest", format!("{} ms", longest.as_millis()));
    figures.keep();
    assert!(longest < MOST_RESTART, "a restart took {longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grown_ledger_is_open_again_within_a_second() {
    let rows = ROWS[usize::from(figures::is_deep())];
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    grown::ledger(kept.folder(), rows, clock::real());
    Proxy::start(kept.setup()).kill();
    let (mut sum, mut chance) = (Sum::default(), Chance::of(1));
    let load = Load::sound(&KEYS[..1]);
    for _ in 0..3 {
        let proxy = start(kept.setup(), &mut sum);
        let notes = crowd::calls(proxy.address(), 3, &load, &mut chance).await;
        assert!(notes.iter().all(|note| note.word.is_some()), "{notes:?}");
        proxy.kill();
    }
    let clean = start(kept.setup(), &mut sum);
    stop(clean);
    stop(start(kept.setup(), &mut sum));
    let held: i64 = sqlite::open(kept.folder())
        .and_then(|file| file.query_row("SELECT count(*) FROM settlements", [], |row| row.get(0)))
        .expect("a count");
    assert_eq!(held, i64::try_from(rows).expect("few") + 9);
    let mut figures = Figures::of("Restart of a grown ledger", "grown");
    figures.line("rows", rows);
    let names = [
        "after a kill",
        "after a kill",
        "after a kill",
        "after a kill",
        "after a clean stop",
    ];
    for (took, after) in sum.restarts.iter().zip(names) {
        figures.line(
            &format!("restart {after}"),
            format!("{} ms", took.as_millis()),
        );
    }
    figures.keep();
    let longest = *sum.restarts.iter().max().expect("a restart");
    assert!(longest < MOST_RESTART, "a restart took {longest:?}");
}
