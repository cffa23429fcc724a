//! A disk that fails while the ledger writes: system calls refused one at a time, all of them for a while,
//! or answered late. Calls go on, nothing is called recorded that is not, and once the disk is well again
//! everything that was answered is in the ledger or in its slack.
//!
//! Knows which files are written and by which system calls; not what is written. `DEEP=1` refuses each of
//! the first 200 writes, the gate a sample of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::agreement;
use harness::chance::Chance;
use harness::clock;
use harness::crowd::{self, Crowd, Load, Seen};
use harness::figures::{self, Figures};
use harness::kept::{KEYS, Kept};
use harness::note::Note;
use harness::proxy::Proxy;
use harness::raw::{self, Request};
use harness::skip::skipped;
use harness::sqlite;
use harness::strace::{self, Fault};
use serde_json::Value;
use simulator::{AfterCrossing, Clock};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::grown;

/// Writes refused one at a time: the first so many of each file, and the gate's sample of them.
const MOST_WRITE: u64 = 200;
const SAMPLE: [u64; 6] = [1, 2, 3, 7, 20, 75];
/// What the system says.
const ERRORS: [&str; 2] = ["error=ENOSPC", "error=EIO"];
/// The system calls that write a tail, and those that write tables.
const TAIL: &str = "write,writev,pwrite64,fdatasync,fsync,ftruncate";
const TABLES: &str = "write,pwrite64,fdatasync,fsync,ftruncate";
/// Runs at the same time.
const AT_ONCE: usize = 4;
/// How long an answer may wait for the disk, and how much more on a busy machine under a tracer.
const DEADLINE: Duration = Duration::from_millis(250);
const BUSY: Duration = Duration::from_secs(2);
/// Calls after a fault, each as long as its deadline, by which the disk must be found well again: 20 s.
const MOST_TRIES: usize = 80;
/// How long the disk refuses everything.
const OUTAGE: Duration = Duration::from_millis(2_500);
/// A disk this slow holds each write up.
const SLOW: &str = "delay_enter=400000";

/// Which files a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Tail,
    Tables,
    Both,
}

impl Part {
    fn fault<'f>(self, folder: &Path, what: &'f str, when: &'f str) -> Fault<'f> {
        let tail = strace::tail_files(folder);
        let tables = [
            "ledger.sqlite",
            "ledger.sqlite-wal",
            "ledger.lock",
            "key.secret",
        ];
        let tables = tables.map(|name| folder.join(name));
        let (calls, files): (_, Vec<PathBuf>) = match self {
            Part::Tail => (TAIL, tail),
            Part::Tables => (TABLES, tables.to_vec()),
            Part::Both => (TAIL, [tail, tables.to_vec()].concat()),
        };
        Fault {
            calls,
            what,
            when,
            files,
        }
    }
}

/// Whether there is a tracer; a word that cannot be overlooked if not.
fn can_trace() -> bool {
    let missing = strace::missing();
    if let Some(why) = &missing {
        skipped(&format!(
            "no fault can be put into a system call here: {why}"
        ));
    }
    missing.is_none()
}

/// A proxy that has one thread for all calls: its writes are counted in one row.
fn under(kept: &Kept, fault: &Fault<'_>, log: &Path) -> Proxy {
    let setup = kept.setup().variable("TOKIO_WORKER_THREADS", "1");
    Proxy::start(setup.under(&fault.command(log)))
}

/// How often the tracer put its fault in.
fn injected(log: &Path) -> usize {
    let text = std::fs::read_to_string(log).expect("the tracer's log");
    text.matches("(INJECTED)").count() + text.matches("(DELAYED)").count()
}

/// Ends it as a service manager does.
fn stop(mut proxy: Proxy, what: &str) {
    proxy.terminate();
    let status = proxy.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{what}:\n{}", proxy.log());
}

/// Every call was answered as it would have been without a fault, and none waited for the disk too long.
fn forwarded(seen: &Seen, what: &str) {
    assert!(seen.cut.is_empty(), "{what}: {:?}", seen.cut);
    assert!(!seen.notes.is_empty(), "{what}: no calls");
    for note in &seen.notes {
        assert!(note.status == 200 && note.is_whole, "{what}: {note:?}");
        assert!(note.word.is_some(), "{what}: {note:?}");
        assert!(note.took < DEADLINE + BUSY, "{what}: {note:?}");
    }
}

fn unrecorded(notes: &[Note]) -> usize {
    notes.iter().filter(|note| !note.is_promised()).count()
}

/// Calls that have no row.
fn without_a_row(notes: &[Note], ledger: &sqlite::Ledger) -> usize {
    let has_row = |note: &&Note| !ledger.rows.iter().any(|row| row.call == note.call);
    notes.iter().filter(has_row).count()
}

/// Makes calls until one is recorded again.
async fn recovered(proxy: &Proxy, what: &str, chance: &mut Chance) -> Vec<Note> {
    let mut notes = Vec::new();
    for _ in 0..MOST_TRIES {
        notes.extend(crowd::calls(proxy.address(), 1, &Load::sound(&KEYS), chance).await);
        if unrecorded(&notes) < notes.len() {
            return notes;
        }
    }
    panic!("{what}: nothing is recorded any more:\n{}", proxy.log());
}

/// What one run with a fault came to.
#[derive(Debug, Default)]
struct Outcome {
    runs: usize,
    injected: usize,
    untouched: usize,
    calls: usize,
    unrecorded: usize,
    lost: usize,
}

impl Outcome {
    fn add(&mut self, other: &Outcome) {
        self.runs += other.runs;
        self.injected += other.injected;
        self.untouched += other.untouched;
        self.calls += other.calls;
        self.unrecorded += other.unrecorded;
        self.lost += other.lost;
    }
}

/// One write is refused; every other ledger is a new one, so that its first writes are refused too.
async fn one_refused(part: Part, error: &str, number: u64) -> Outcome {
    let what = format!("{part:?} {error} write {number}");
    let mut chance = Chance::of(number);
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    if number % 2 == 1 {
        grown::ledger(kept.folder(), 0, clock::real());
    }
    let when = number.to_string();
    let log = kept.folder().with_extension("strace");
    let proxy = under(&kept, &part.fault(kept.folder(), error, &when), &log);
    let load = Load {
        // The tables are written in groups: so many writes take so many groups.
        pause: Duration::from_millis(if part == Part::Tail { 0 } else { 2 }),
        ..Load::sound(&KEYS)
    };
    let mut seen = Seen::default();
    // Until the write that is to be refused was asked for, or nothing more comes of waiting.
    for _ in 0..6 {
        let crowd = Crowd::start(proxy.address(), 3, &load, &mut chance);
        tokio::time::sleep(Duration::from_millis(200 + 4 * number)).await;
        let more = crowd.stop().await;
        seen.notes.extend(more.notes);
        seen.cut.extend(more.cut);
        if injected(&log) > 0 {
            break;
        }
    }
    forwarded(&seen, &what);
    seen.notes
        .extend(recovered(&proxy, &what, &mut chance).await);
    stop(proxy, &what);
    let (ledger, agreement) = kept.account(&seen.notes).await;
    agreement.assert_nothing(&what);
    assert_eq!(
        sqlite::integrity(kept.folder()).expect("a ledger"),
        "ok",
        "{what}"
    );
    Outcome {
        runs: 1,
        injected: injected(&log),
        untouched: usize::from(injected(&log) == 0),
        calls: seen.notes.len(),
        unrecorded: unrecorded(&seen.notes),
        lost: without_a_row(&seen.notes, &ledger),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_write_may_fail() {
    if !can_trace() {
        return;
    }
    let numbers: Vec<u64> = if figures::is_deep() {
        (1..=MOST_WRITE).collect()
    } else {
        SAMPLE.to_vec()
    };
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut runs = JoinSet::new();
    for number in numbers {
        for error in ERRORS {
            for part in [Part::Tail, Part::Tables] {
                let places = Arc::clone(&places);
                runs.spawn(async move {
                    let _place = places.acquire().await.expect("open");
                    one_refused(part, error, number).await
                });
            }
        }
    }
    let mut sum = Outcome::default();
    for outcome in runs.join_all().await {
        sum.add(&outcome);
    }
    let mut figures = Figures::of("One write refused (ENOSPC, EIO; tail, tables)", "one-fault");
    figures.line("runs", sum.runs);
    figures.line("system calls refused", sum.injected);
    figures.line("calls, all forwarded", sum.calls);
    figures.line("of these answered as not recorded", sum.unrecorded);
    figures.line("of these without a row in the end", sum.lost);
    figures.line("said to be recorded and not in the ledger", 0);
    figures.line("`PRAGMA integrity_check` other than ok", 0);
    figures.keep();
    assert_eq!(sum.untouched, 0, "runs without a fault: {sum:?}");
}

/// What the admin listener says of the program's health, beside 200.
async fn health(proxy: &Proxy) -> String {
    let line = proxy.wait_for_log("page=\"http://");
    let address = line.split("page=\"http://").nth(1).expect("an address");
    let address = address.split('/').next().expect("an address");
    let address = address.parse().expect("an address");
    // Trouble with the ledger is no reason to take the program out of service.
    let ready = raw::exchange(address, &Request::get("/readyz")).await;
    assert_eq!(ready.status(), 200, "{}", ready.text());
    let health = raw::exchange(address, &Request::get("/healthz")).await;
    assert_eq!(health.status(), 200, "{}", health.text());
    let object: Value = serde_json::from_slice(&health.body.bytes).expect("JSON");
    object["ledger"]["status"]
        .as_str()
        .expect("a word")
        .to_owned()
}

/// The disk refuses everything from some write on, until the tracer lets go.
async fn outage(part: Part, error: &str) -> (usize, usize) {
    let what = format!("{part:?} {error} for a while");
    let mut chance = Chance::of(7);
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    grown::ledger(kept.folder(), 0, clock::real());
    let log = kept.folder().with_extension("strace");
    let proxy = under(&kept, &part.fault(kept.folder(), error, "20+"), &log);
    let load = Load::sound(&KEYS);
    let crowd = Crowd::start(proxy.address(), 4, &load, &mut chance);
    let (until, mut was_degraded) = (Instant::now() + OUTAGE, false);
    while Instant::now() < until {
        was_degraded |= health(&proxy).await == "degraded";
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(was_degraded, "{what}: nobody was told");
    let mut seen = crowd.stop().await;
    forwarded(&seen, &what);
    let in_the_outage = unrecorded(&seen.notes);
    if part == Part::Tables {
        assert_eq!(in_the_outage, 0, "{what}: the tail was well");
    } else {
        assert!(in_the_outage > 0, "{what}: nothing failed");
    }
    strace::let_go(proxy.id()).await;
    // Nothing had to be dropped, so every call must come to be in the ledger.
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let ledger = sqlite::read(kept.folder()).unwrap_or_default();
        match without_a_row(&seen.notes, &ledger) {
            0 => break,
            some => assert!(
                Instant::now() < deadline,
                "{what}: {some} calls never came in"
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = crowd::calls(proxy.address(), 5, &load, &mut chance).await;
    assert_eq!(unrecorded(&after), 0, "{what}: after it: {after:?}");
    seen.notes.extend(after);
    while health(&proxy).await != "ok" {
        assert!(Instant::now() < deadline, "{what}: still not well");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop(proxy, &what);
    let (_, agreement) = kept.account(&seen.notes).await;
    agreement.assert_nothing(&what);
    assert_eq!(
        sqlite::integrity(kept.folder()).expect("a ledger"),
        "ok",
        "{what}"
    );
    (seen.notes.len(), in_the_outage)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_waited_out_and_everything_catches_up() {
    if !can_trace() {
        return;
    }
    let mut figures = Figures::of("Every write refused for 2.5 s", "outage");
    for (part, error) in [
        (Part::Tail, ERRORS[0]),
        (Part::Tables, ERRORS[1]),
        (Part::Both, ERRORS[0]),
        (Part::Both, ERRORS[1]),
    ] {
        let (calls, unrecorded) = outage(part, error).await;
        let came = format!(
            "{calls} calls forwarded, {unrecorded} of them not recorded at once, 0 not in the end"
        );
        figures.line(&format!("{part:?}, {error}"), came);
    }
    figures.keep();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_an_outage_loses_nothing_that_was_promised() {
    if !can_trace() {
        return;
    }
    for part in [Part::Tables, Part::Both] {
        let what = format!("{part:?}, killed");
        let mut chance = Chance::of(11);
        let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
        grown::ledger(kept.folder(), 0, clock::real());
        let log = kept.folder().with_extension("strace");
        let proxy = under(&kept, &part.fault(kept.folder(), ERRORS[1], "12+"), &log);
        let crowd = Crowd::start(proxy.address(), 4, &Load::sound(&KEYS), &mut chance);
        tokio::time::sleep(Duration::from_millis(800)).await;
        proxy.kill();
        let mut seen = crowd.stop().await;
        // What a killed program held in memory is gone, and no disk took a word of it: only what was promised
        // can be asked for, not what was said not to be recorded; of a stream only its look-up says which.
        if part == Part::Both {
            seen.notes.retain(|note| note.word.is_some());
        }
        let measure = if part == Part::Both {
            agreement::calls
        } else {
            agreement::compare
        };
        let proxy = Proxy::start(kept.setup());
        let (_, agreement) = kept.account_by(measure, &seen.notes).await;
        agreement.assert_nothing(&what);
        let after = crowd::calls(proxy.address(), 3, &Load::sound(&KEYS), &mut chance).await;
        assert_eq!(unrecorded(&after), 0, "{what}: after it: {after:?}");
        seen.notes.extend(after);
        stop(proxy, &what);
        let (_, agreement) = kept.account_by(measure, &seen.notes).await;
        agreement.assert_nothing(&what);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_holds_nobody_up() {
    if !can_trace() {
        return;
    }
    let mut figures = Figures::of("Every write takes 400 ms", "slow-disk");
    for part in [Part::Tables, Part::Tail] {
        let what = format!("{part:?}, slow");
        let mut chance = Chance::of(13);
        let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
        grown::ledger(kept.folder(), 0, clock::real());
        let log = kept.folder().with_extension("strace");
        let proxy = under(&kept, &part.fault(kept.folder(), SLOW, "1+"), &log);
        let crowd = Crowd::start(proxy.address(), 8, &Load::sound(&KEYS), &mut chance);
        tokio::time::sleep(Duration::from_secs(4)).await;
        let seen = crowd.stop().await;
        forwarded(&seen, &what);
        assert!(injected(&log) > 0, "{what}: nothing was slow");
        strace::let_go(proxy.id()).await;
        let (_, agreement) = kept.account(&seen.notes).await;
        agreement.assert_nothing(&what);
        let mut took: Vec<_> = seen.notes.iter().map(|note| note.took).collect();
        took.sort_unstable();
        let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
        let late = unrecorded(&seen.notes);
        if part == Part::Tables {
            assert_eq!(late, 0, "{what}: the tail was quick");
        }
        let came = format!(
            "{} calls, {late} of them not recorded in time, median {} ms, longest {} ms",
            took.len(),
            median.as_millis(),
            longest.as_millis()
        );
        figures.line(&format!("{part:?}"), came);
        stop(proxy, &what);
    }
    figures.keep();
}
