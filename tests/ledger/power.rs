//! `ledger.durability = "power-loss"`: no answer's word leaves before its entry is on the disk, and whatever
//! the disk holds when the power is cut, the ledger opens again with every word that was given, each once.
//!
//! Knows system calls, files and answers; not how an entry is written. `DEEP=1` cuts the power 500 times.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use harness::chance::Chance;
use harness::clock;
use harness::crowd::{Crowd, Load};
use harness::disk::Disk;
use harness::figures::{self, Figures};
use harness::http1;
use harness::kept::{KEYS, Kept};
use harness::note::Note;
use harness::proxy::Proxy;
use harness::raw::Request;
use harness::skip::skipped;
use harness::sqlite;
use harness::strace::{self, Fault};
use harness::trace::{self, Call, What};
use harness::websocket::WebSocket;
use ledger::{Durability, Ledger, LedgerSettings, Lock};
use serde_json::json;
use simulator::{AfterCrossing, Clock};
use tempfile::TempDir;

use crate::grown;

/// How often the power is cut: in the gate, and in the long run.
const CUTS: [u64; 2] = [60, 500];
/// How long calls are made, in milliseconds.
const LOAD_MS: [u64; 2] = [1_200, 4_000];
/// How long a sync takes at least that the tracer makes slow.
const SLOW_SYNC: Duration = Duration::from_millis(120);
/// The longest wait for a ledger to open or close.
const MOST_WAIT: Duration = Duration::from_secs(30);

/// A run under the tracer: what the disk held before, every call of the system, and what clients saw.
struct Recorded {
    before: Disk,
    calls: Vec<Call>,
    notes: Vec<Note>,
}

async fn recorded() -> Option<Recorded> {
    if let Some(why) = strace::missing() {
        skipped(&format!(
            "the system calls of the program cannot be recorded here: {why}"
        ));
        return None;
    }
    let deep = usize::from(figures::is_deep());
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    grown::ledger(kept.folder(), 0, clock::real());
    let before = Disk::of(kept.folder());
    let log = kept.folder().with_extension("strace");
    let setup = kept
        .setup()
        .variable("TOLLFREE_LEDGER_DURABILITY", "power-loss");
    let proxy = Proxy::start(setup.under(&strace::record(trace::CALLS, &log)));
    let mut chance = Chance::of(17);
    let crowd = Crowd::start(proxy.address(), 4, &Load::sound(&KEYS), &mut chance);
    tokio::time::sleep(Duration::from_millis(LOAD_MS[deep])).await;
    let seen = crowd.stop().await;
    assert!(seen.cut.is_empty(), "{:?}", seen.cut);
    strace::let_go(proxy.id()).await;
    proxy.kill();
    let calls = trace::read(&log);
    Some(Recorded {
        before,
        calls,
        notes: seen.notes,
    })
}

/// Where in the record the word on each call was given: the head of an answer that was settled before, the
/// end of any other.
fn given(recorded: &Recorded) -> BTreeMap<String, usize> {
    let notes: HashMap<&str, &Note> = recorded
        .notes
        .iter()
        .map(|note| (&*note.call, note))
        .collect();
    let mut answering: HashMap<i64, &Note> = HashMap::new();
    let mut given = BTreeMap::new();
    for call in &recorded.calls {
        let What::Send(socket, bytes) = &call.what else {
            continue;
        };
        let text = http1::text(bytes);
        let name = text.split("x-tollfree-call: ").nth(1);
        let note = name.and_then(|rest| notes.get(rest.split('\r').next()?));
        if let Some(note) = note {
            answering.insert(*socket, note);
            if note.head.is_settled() {
                given.entry(note.call.clone()).or_insert(call.began);
            }
        }
        // A head may end with a number, too.
        let is_end = text == "0\r\n\r\n" || text.ends_with("\r\n0\r\n\r\n");
        if let Some(note) = answering.get(socket).filter(|_| is_end) {
            given.entry(note.call.clone()).or_insert(call.began);
        }
    }
    given
}

fn is_tail(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "tail")
}

/// Where in the record each call's entry was on the disk for sure.
fn synced(recorded: &Recorded) -> HashMap<&str, usize> {
    let mut written: Vec<(&str, usize, &Path)> = Vec::new();
    let mut synced = HashMap::new();
    for call in &recorded.calls {
        match &call.what {
            What::Write { path, bytes, .. } if is_tail(path) => {
                let inside = |note: &&Note| http1::find(bytes, note.call.as_bytes()).is_some();
                let notes = recorded.notes.iter().filter(inside);
                written.extend(notes.map(|note| (&*note.call, call.ended, &**path)));
            }
            What::Sync(path) => {
                for (name, ended, of) in &written {
                    if of == path && *ended < call.began {
                        synced.entry(*name).or_insert(call.ended);
                    }
                }
            }
            _ => {}
        }
    }
    synced
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_word_leaves_before_it_is_on_the_disk_and_every_cut_leaves_a_sound_ledger() {
    let Some(recorded) = recorded().await else {
        return;
    };
    let (given, synced) = (given(&recorded), synced(&recorded));
    let promised: Vec<_> = recorded
        .notes
        .iter()
        .filter(|note| note.is_promised())
        .collect();
    assert!(promised.len() > 20, "{} calls", promised.len());
    for note in &promised {
        let given = given.get(&note.call);
        let given = given.unwrap_or_else(|| panic!("its answer is not in the record: {note:?}"));
        let synced = synced.get(&*note.call);
        let synced = synced.unwrap_or_else(|| panic!("never synced: {note:?}"));
        assert!(
            synced < given,
            "given at {given}, synced at {synced}: {note:?}"
        );
    }
    let cuts = CUTS[usize::from(figures::is_deep())];
    let rows = cut_everywhere(&recorded, &given, cuts);
    let mut figures = Figures::of("Power loss (`durability = \"power-loss\"`)", "power");
    figures.line("calls", recorded.notes.len());
    figures.line("given before they were synced", 0);
    figures.line(
        "not recorded in time, and said so",
        recorded.notes.len() - promised.len(),
    );
    figures.line("power cuts", cuts);
    figures.line("ledgers that were not sound after", 0);
    figures.line("rows found in all of them", rows);
    figures.keep();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_on_a_websocket_is_on_the_disk_before_it_goes_up() {
    if let Some(why) = strace::missing() {
        skipped(&format!(
            "the system calls of the program cannot be recorded here: {why}"
        ));
        return;
    }
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    let log = kept.folder().with_extension("strace");
    // Before its first start there is no tail yet.
    let setup = || {
        let setup = kept.setup();
        setup.variable("TOLLFREE_LEDGER_DURABILITY", "power-loss")
    };
    Proxy::start(setup()).kill();
    let slow = Fault {
        calls: "fdatasync",
        what: "delay_exit=120000",
        when: "1+",
        files: strace::tail_files(kept.folder()),
    };
    let proxy = Proxy::start(setup().under(&slow.command(&log)));
    // The first answer tells whose key it is.
    let models = Request::get("/v1/models").header("authorization", &format!("Bearer {}", KEYS[0]));
    proxy.exchange(&models).await;
    let mut socket = WebSocket::open(proxy.address(), "/v1/responses", KEYS[0]).await;
    let asked = Instant::now();
    let create = json!({"type": "response.create", "model": "gpt-5-mini", "input": "x"});
    socket.say(&create).await;
    socket.hear_until("response.created").await;
    let took = asked.elapsed();
    assert!(took >= SLOW_SYNC, "went up after {took:?}");
    strace::let_go(proxy.id()).await;
}

/// Cuts the power at so many places of the record, opens what the disk may hold, and counts the rows found.
fn cut_everywhere(recorded: &Recorded, given: &BTreeMap<String, usize>, cuts: u64) -> usize {
    let promised: BTreeSet<&str> = recorded
        .notes
        .iter()
        .filter(|note| note.is_promised())
        .map(|note| &*note.call)
        .collect();
    let mut chance = Chance::of(23);
    let changes: Vec<usize> = places_of_changes(&recorded.calls);
    let mut places: Vec<usize> = (0..cuts).map(|_| *chance.of_these(&changes)).collect();
    places.sort_unstable();
    let (mut disk, mut followed, mut rows) = (recorded.before.clone(), 0, 0);
    for place in places {
        for call in &recorded.calls[followed..=place] {
            disk.follow(call);
        }
        followed = followed.max(place + 1);
        let now = recorded.calls[place].ended;
        let folder = TempDir::new().expect("a temporary folder");
        disk.cut_power(folder.path(), &mut chance);
        let ledger = reopened(folder.path());
        let held: Vec<&str> = ledger.rows.iter().map(|row| &*row.call).collect();
        let once: BTreeSet<&str> = held.iter().copied().collect();
        assert_eq!(
            once.len(),
            held.len(),
            "cut at {now}: a call is there twice"
        );
        for (call, at) in given.iter().filter(|(call, _)| promised.contains(&***call)) {
            assert!(
                *at > now || once.contains(&**call),
                "cut at {now}: {call}, given at {at}, is lost"
            );
        }
        for row in &ledger.rows {
            let note = recorded.notes.iter().find(|note| note.call == row.call);
            let same = note.is_none_or(|note| row.tokens == Some(note.tokens));
            assert!(same, "cut at {now}: {row:?}");
        }
        let by_rows = ledger.taken_by_rows();
        for (place, total) in &ledger.totals {
            let sum = by_rows.get(place).copied().unwrap_or(0);
            assert_eq!(total.taken, sum, "cut at {now}: {place:?}");
        }
        rows += held.len();
    }
    rows
}

/// Every call that changes what a disk may hold.
fn places_of_changes(calls: &[Call]) -> Vec<usize> {
    let changes = |what: &What| !matches!(what, What::Open(_) | What::Send(..));
    let places = calls.iter().enumerate();
    places
        .filter(|(_, call)| changes(&call.what))
        .map(|(place, _)| place)
        .collect()
}

/// Opens what is left as the next start would, and reads it once everything is in its place.
fn reopened(folder: &Path) -> sqlite::Ledger {
    let settings = LedgerSettings {
        folder: folder.to_owned(),
        durability: Durability::PowerLoss,
        keep_days: 400,
    };
    let lock = Lock::take(folder, MOST_WAIT).expect("a folder of our own");
    let opened = Ledger::open(settings, Some(lock), clock::real());
    let troubles = opened.troubles.join("\n");
    assert!(!troubles.contains("corrupt"), "{troubles}");
    opened.ledger.close(MOST_WAIT).expect("closed");
    drop(opened);
    assert_eq!(sqlite::integrity(folder).expect("a ledger"), "ok");
    sqlite::read(folder).expect("a ledger")
}
