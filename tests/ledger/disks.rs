//! Data directories that cannot be written, are full, or hold what is no ledger any more: the program
//! starts and forwards all the same, says so loudly, and goes on keeping as soon as it can.
//!
//! Knows files, file systems and what people are told; not how an entry is kept.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use harness::chance::Chance;
use harness::clock;
use harness::crowd::{self, Load};
use harness::kept::{self, KEYS, Kept};
use harness::mount::Tmpfs;
use harness::note::Note;
use harness::patience::eventually;
use harness::proxy::Proxy;
use harness::sqlite;
use harness::strace::{self, Fault};
use simulator::{AfterCrossing, Clock};

use crate::grown;

/// Room of the small file systems, in KiB: an empty ledger and some more.
const ROOM: u32 = 1_024;

fn mounted() -> Option<Tmpfs> {
    let mounted = Tmpfs::mount(ROOM);
    if mounted.is_none() {
        eprintln!(
            "SKIPPED: no tmpfs can be mounted here (that needs root): a full or read-only disk was not tried"
        );
    }
    mounted
}

async fn on(disk: &Tmpfs) -> Kept {
    let settings = kept::settings(Clock::System, AfterCrossing::Billed);
    Kept::in_folder(&disk.path().join("data"), settings).await
}

async fn calls(proxy: &Proxy, number: usize, chance: &mut Chance) -> Vec<Note> {
    let notes = crowd::calls(proxy.address(), number, &Load::sound(&KEYS), chance).await;
    for note in &notes {
        assert!(
            note.status == 200 && note.is_whole && note.word.is_some(),
            "{note:?}"
        );
    }
    notes
}

fn all_recorded(notes: &[Note]) -> bool {
    notes.iter().all(Note::is_promised)
}

/// Waits until every call has a row.
async fn all_in(kept: &Kept, notes: &[Note]) {
    let came = || {
        let ledger = sqlite::read(kept.folder()).ok()?;
        let has_row = |note: &Note| ledger.rows.iter().any(|row| row.call == note.call);
        notes.iter().all(has_row).then_some(())
    };
    eventually("every call is in the ledger", came).await;
}

fn stop(mut proxy: Proxy) {
    proxy.terminate();
    let status = proxy.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
}

/// The disk is well again: what waited comes into the ledger, what follows is recorded, and nothing is missing in the end.
async fn heals(kept: &Kept, proxy: Proxy, mut notes: Vec<Note>, chance: &mut Chance) {
    all_in(kept, &notes).await;
    let after = calls(&proxy, 5, chance).await;
    assert!(all_recorded(&after), "{after:?}");
    notes.extend(after);
    stop(proxy);
    let (_, agreement) = kept.account(&notes).await;
    agreement.assert_nothing("in the end");
    assert_eq!(sqlite::integrity(kept.folder()).expect("a ledger"), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_runs_full_is_waited_for() {
    let Some(disk) = mounted() else {
        return;
    };
    let mut chance = Chance::of(1);
    let kept = on(&disk).await;
    grown::ledger(kept.folder(), 0, clock::real());
    let proxy = Proxy::start(kept.setup());
    let mut notes = calls(&proxy, 10, &mut chance).await;
    assert!(all_recorded(&notes), "{notes:?}");
    disk.fill();
    let full = calls(&proxy, 40, &mut chance).await;
    assert!(!all_recorded(&full), "a full disk recorded everything");
    notes.extend(full);
    disk.make_room();
    heals(&kept, proxy, notes, &mut chance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_full_disk_is_degraded_and_heals() {
    let Some(disk) = mounted() else {
        return;
    };
    let mut chance = Chance::of(2);
    let kept = on(&disk).await;
    disk.fill();
    let proxy = Proxy::start(kept.setup());
    let notes = calls(&proxy, 10, &mut chance).await;
    assert!(notes.iter().all(|note| !note.is_promised()), "{notes:?}");
    disk.make_room();
    heals(&kept, proxy, notes, &mut chance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_folder_is_degraded_and_heals() {
    let Some(disk) = mounted() else {
        return;
    };
    let mut chance = Chance::of(3);
    let kept = on(&disk).await;
    grown::ledger(kept.folder(), 0, clock::real());
    disk.set_read_only(true);
    let proxy = Proxy::start(kept.setup());
    let log = proxy.log();
    assert!(
        log.contains("WARN") || log.contains("ERROR"),
        "nothing was said:\n{log}"
    );
    let notes = calls(&proxy, 10, &mut chance).await;
    assert!(notes.iter().all(|note| !note.is_promised()), "{notes:?}");
    disk.set_read_only(false);
    heals(&kept, proxy, notes, &mut chance).await;
}

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Garbage,
    Truncated,
    ZerosInTheMiddle,
}

impl Harm {
    fn done_to(self, file: &Path) {
        let length = fs::metadata(file).expect("a file").len();
        let mut open = OpenOptions::new().write(true).open(file).expect("a file");
        match self {
            Harm::Truncated => open.set_len(length / 3).expect("shorter"),
            Harm::Garbage => {
                let mut chance = Chance::of(length);
                let noise: Vec<u8> = (0..length)
                    .map(|_| chance.word().to_le_bytes()[0])
                    .collect();
                open.write_all(&noise).expect("written");
            }
            Harm::ZerosInTheMiddle => {
                open.seek(SeekFrom::Start(length / 4)).expect("a place");
                let half = usize::try_from(length / 2).expect("small");
                open.write_all(&vec![0; half]).expect("written");
            }
        }
    }
}

fn named(folder: &Path, begin: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let begins = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.starts_with(begin)
    };
    paths.filter(begins).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_ledger_any_more_is_moved_aside() {
    for harm in [Harm::Garbage, Harm::Truncated, Harm::ZerosInTheMiddle] {
        let mut chance = Chance::of(4);
        let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
        grown::ledger(kept.folder(), 2_000, clock::real());
        let proxy = Proxy::start(kept.setup());
        let before = calls(&proxy, 5, &mut chance).await;
        all_in(&kept, &before).await;
        proxy.kill();
        // What the harmed file held must not come back from its companion.
        for wal in named(kept.folder(), "ledger.sqlite-") {
            fs::remove_file(wal).expect("a file");
        }
        harm.done_to(&kept.folder().join("ledger.sqlite"));
        let proxy = Proxy::start(kept.setup());
        let log = proxy.log();
        assert_eq!(
            log.matches("corrupt-").count(),
            1,
            "{harm:?}: said once:\n{log}"
        );
        let aside = named(kept.folder(), "ledger.sqlite.corrupt-");
        assert!(!aside.is_empty(), "{harm:?}: not moved aside");
        let load = Load {
            models: vec!["gpt-4o-mini"],
            ways: vec![harness::day::Way::ChatStream],
            ..Load::sound(&KEYS[..1])
        };
        let first = crowd::calls(proxy.address(), 1, &load, &mut chance)
            .await
            .remove(0);
        let word = first.word.as_ref().expect("a verdict");
        assert!(first.is_promised(), "{harm:?}: {first:?}");
        assert_eq!(
            word.text("certainty"),
            Some("assumed"),
            "{harm:?}: {word:?}"
        );
        assert!(word.assumes().contains(&"day-start"), "{harm:?}: {word:?}");
        all_in(&kept, &[first]).await;
        stop(proxy);
        assert_eq!(
            sqlite::integrity(kept.folder()).expect("a ledger"),
            "ok",
            "{harm:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_with_a_harmed_middle_is_said_and_becomes_slack() {
    if let Some(why) = strace::missing() {
        eprintln!("SKIPPED: nothing keeps the tail from being moved here: {why}");
        return;
    }
    let mut chance = Chance::of(5);
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    grown::ledger(kept.folder(), 0, clock::real());
    let tables = ["ledger.sqlite", "ledger.sqlite-wal"].map(|name| kept.folder().join(name));
    let fault = Fault {
        calls: "pwrite64,fdatasync",
        what: "error=EIO",
        when: "1+",
        files: tables.to_vec(),
    };
    let log = kept.folder().with_extension("strace");
    let proxy = Proxy::start(kept.setup().under(&fault.command(&log)));
    let notes = calls(&proxy, 30, &mut chance).await;
    assert!(all_recorded(&notes), "the tail was well: {notes:?}");
    proxy.kill();
    let length = |path: &PathBuf| fs::metadata(path).expect("a file").len();
    let mut tails = named(kept.folder(), "ledger-");
    tails.sort_by_key(length);
    let tail = tails.last().expect("a tail");
    let middle = length(tail) / 2;
    let mut file = OpenOptions::new().write(true).open(tail).expect("a file");
    file.seek(SeekFrom::Start(middle)).expect("a place");
    file.write_all(&[0xff; 64]).expect("written");
    let proxy = Proxy::start(kept.setup());
    let said = proxy.log();
    assert!(
        said.contains("WARN") || said.contains("ERROR"),
        "nothing was said:\n{said}"
    );
    let ledger = eventually("the sound part is in the ledger", || {
        let ledger = sqlite::read(kept.folder()).ok()?;
        (!ledger.rows.is_empty()).then_some(ledger)
    })
    .await;
    assert!(
        ledger.rows.len() < notes.len(),
        "{} rows",
        ledger.rows.len()
    );
    for row in &ledger.rows {
        let note = notes.iter().find(|note| note.call == row.call);
        let note = note.unwrap_or_else(|| panic!("nobody made {row:?}"));
        assert_eq!(row.tokens, Some(note.tokens), "{row:?}");
    }
    let next = calls(&proxy, 12, &mut chance).await;
    for note in next {
        let word = note.word.as_ref().expect("a verdict");
        let is_free = word.verdict() == "free" && word.text("certainty") != Some("confirmed");
        assert!(
            !is_free || word.text("certainty") == Some("assumed"),
            "{word:?}"
        );
    }
    stop(proxy);
    assert_eq!(sqlite::integrity(kept.folder()).expect("a ledger"), "ok");
}
