//! Disks that are full, folders that cannot be used, files that are damaged or held by others: nothing blocks,
//! nothing that was committed is lost, and what could not be kept is slack. Must not know how it is done.

#![cfg(test)]

#[path = "../src/samples.rs"]
#[expect(dead_code, reason = "no test here has calls under way")]
mod samples;
#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger::{
    CarriedTotal, Commit, Durability, Entry, HealthState, Kept, Ledger, NotClosed, OpenCalls,
    Reader, SettledCall, Slack, Tokens, fold_tail,
};
use rusqlite::Connection;
use tempfile::TempDir;

use samples::{DAY, settled, unknown};
use support::{LONG, NOW, calls, is_kept, open, settings, until};

/// A small disk of its own, taken away at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, said aloud, where this user may not mount.
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=400k", "none"])
            .arg(folder.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(SmallDisk(folder));
        }
        say("not tested: this user cannot mount a small disk");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{how}")])
            .arg(self.path())
            .status();
        assert!(done.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[expect(clippy::print_stderr, reason = "a test that tests nothing says so")]
fn say(what: &str) {
    eprintln!("{what}");
}

fn is_degraded(ledger: &Ledger) -> bool {
    matches!(ledger.health().state, HealthState::Degraded(_))
}

/// Keeps calls until one is not kept at once, or `most` are; gives what waits and how many there are in all.
fn keep_until_full(ledger: &Ledger, most: usize) -> (Vec<Commit>, usize) {
    for n in 0..most {
        match ledger.keep(&[settled(&n.to_string())]) {
            Kept::Now => {}
            Kept::Later(commit) => return (vec![commit], n + 1),
            Kept::No => panic!("there was room"),
        }
    }
    panic!("the disk did not fill");
}

#[test]
fn a_full_disk_blocks_nobody_and_is_caught_up_with() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let (ledger, ..) = open(disk.path());
    let (mut commits, mut count) = keep_until_full(&ledger, 100_000);
    until("the fault to be seen", || is_degraded(&ledger));
    for _ in 0..1_000 {
        let before = Instant::now();
        let Kept::Later(commit) = ledger.keep(&[settled(&count.to_string())]) else {
            panic!("nothing can be committed, everything can wait");
        };
        assert!(before.elapsed() < Duration::from_millis(250));
        commits.push(commit);
        count += 1;
    }
    assert!(ledger.health().waiting > 0);
    // Some callers leave: what they gave is kept all the same.
    commits.truncate(500);

    disk.remount("size=64m");
    for commit in commits {
        assert!(commit.wait());
    }
    until("all to be moved", || calls(disk.path()).len() == count);
    until("health", || ledger.health().state == HealthState::Ok);
    let health = ledger.health();
    assert_eq!((health.waiting, health.dropped), (0, 0));
    assert!(health.late > 0, "{health:?}");
    ledger.close(LONG).unwrap();
    let expected: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    assert_eq!(calls(disk.path()), expected);
    let tables = Connection::open(disk.path().join("ledger.sqlite")).unwrap();
    let sound: String = tables
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
}

#[test]
fn what_finds_no_room_in_the_queue_is_counted_and_becomes_slack() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let (ledger, ..) = open(disk.path());
    let (mut kept, mut lost_calls, mut lost_tokens) = (0, 0, 0);
    while lost_calls < 20 {
        let id = kept.to_string();
        let (entry, tokens) = if kept % 2 == 0 {
            (settled(&id), 1_000)
        } else {
            (unknown(&id, Some(77)), 77)
        };
        let slack = if kept % 2 == 0 { 0 } else { 77 };
        match ledger.keep(&[entry]) {
            Kept::Now | Kept::Later(_) => {
                kept += 1;
                lost_tokens += slack;
            }
            Kept::No => {
                lost_calls += 1;
                lost_tokens += tokens;
            }
        }
        assert!(kept < 500_000, "the queue has no end");
    }
    assert!(ledger.health().waiting > 60_000);
    assert_eq!(ledger.health().dropped, lost_calls);

    disk.remount("size=512m");
    until("all to be written", || ledger.health().waiting == 0);
    ledger.close(LONG).unwrap();
    assert_eq!(calls(disk.path()).len(), kept);
    let totals = Reader::open(disk.path()).unwrap().totals(DAY).unwrap();
    let total = totals.iter().find(|total| total.group == "small").unwrap();
    let slack: u64 = total.slack.iter().filter_map(|(_, tokens)| *tokens).sum();
    assert_eq!(slack, lost_tokens, "{total:?}");
}

#[test]
fn a_disk_full_at_the_start_is_waited_for() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    fs::write(disk.path().join("ballast"), vec![1; 300_000]).unwrap();
    // The rest of it, to the last page.
    let mut n = 0;
    while fs::write(disk.path().join(format!("ballast-{n}")), [1; 4_096]).is_ok() {
        n += 1;
    }
    let (ledger, restored, troubles) = open(disk.path());
    assert!(!troubles.is_empty());
    assert!(troubles.iter().all(|trouble| trouble.contains("help: ")));
    assert_eq!(restored.began_at, NOW);
    assert!(is_degraded(&ledger));
    let Kept::Later(commit) = ledger.keep(&[settled("a")]) else {
        panic!("there is no room for it");
    };
    disk.remount("size=64m");
    assert!(commit.wait());
    until("the row", || calls(disk.path()) == ["a"]);
    until("health", || ledger.health().state == HealthState::Ok);
    ledger.close(LONG).unwrap();
    assert_eq!(
        fs::read(disk.path().join("key.secret")).unwrap(),
        ledger.key_secret()
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_waited_for() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    disk.remount("ro");
    let opened = Ledger::open(settings(disk.path(), Durability::Crash), None, NOW);
    assert!(!opened.troubles.is_empty());
    let Kept::Later(commit) = opened.ledger.keep(&[settled("a")]) else {
        panic!("nothing can be written");
    };
    disk.remount("rw");
    assert!(commit.wait());
    until("the row", || calls(disk.path()) == ["a"]);
    opened.ledger.close(LONG).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_waited_for() {
    let parent = tempfile::tempdir().unwrap();
    let in_the_way = parent.path().join("file");
    fs::write(&in_the_way, "").unwrap();
    let folder = in_the_way.join("data");
    let opened = Ledger::open(settings(&folder, Durability::PowerLoss), None, NOW);
    let ledger = opened.ledger;
    assert_eq!(opened.troubles.len(), 1, "{:?}", opened.troubles);
    assert!(is_degraded(&ledger));
    let Kept::Later(commit) = ledger.keep(&[settled("a")]) else {
        panic!("nothing can be written");
    };
    let Err(NotClosed::Unwritten { waiting: 1 }) = ledger.close(Duration::ZERO) else {
        panic!("one entry waits");
    };
    fs::remove_file(&in_the_way).unwrap();
    assert!(commit.wait());
    ledger.close(LONG).unwrap();
    assert_eq!(calls(&folder), ["a"]);
}

#[test]
fn a_damaged_ledger_is_put_aside_and_the_tail_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    assert!(is_kept(ledger.keep(&[settled("a")])));
    ledger.close(LONG).unwrap();
    drop(ledger);
    let (ledger, ..) = open(folder.path());
    assert!(is_kept(ledger.keep(&[settled("b")])));
    until("the row", || calls(folder.path()).len() == 2);
    drop(ledger);
    let lock = ledger::Lock::take(folder.path(), LONG).unwrap();
    fs::write(folder.path().join("ledger.sqlite"), [b'x'; 9_000]).unwrap();

    let opened = Ledger::open(settings(folder.path(), Durability::Crash), Some(lock), NOW);
    assert_eq!(opened.troubles.len(), 1, "{:?}", opened.troubles);
    assert!(opened.troubles[0].contains("is damaged"));
    assert_eq!(opened.restored.began_at, NOW);
    assert_eq!(opened.ledger.health().state, HealthState::Ok);
    assert!(is_kept(opened.ledger.keep(&[settled("c")])));
    opened.ledger.close(LONG).unwrap();
    // What the tail still had came back.
    assert_eq!(calls(folder.path()), ["b", "c"]);
    let aside = fs::read_dir(folder.path()).unwrap().any(|file| {
        let file = file.unwrap();
        file.file_name().to_string_lossy().contains(".corrupt-")
            && fs::read(file.path()).unwrap() == [b'x'; 9_000]
    });
    assert!(aside);
}

/// Begins a ledger that is too large to be checked page by page when it is opened.
fn begin_large(folder: &Path) {
    let (ledger, ..) = open(folder);
    assert!(is_kept(ledger.keep(&[settled("old")])));
    ledger.close(LONG).unwrap();
    let tables = Connection::open(folder.join("ledger.sqlite")).unwrap();
    tables
        .execute_batch(
            "CREATE TABLE ballast (bytes);
             INSERT INTO ballast VALUES (zeroblob(40 << 20));
             DROP TABLE ballast",
        )
        .unwrap();
}

/// Overwrites the page on which the sums begin, as a failing disk does.
fn damage(folder: &Path) {
    let path = folder.join("ledger.sqlite");
    let tables = Connection::open(&path).unwrap();
    let number = |sql: &str| {
        tables
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let root = number("SELECT rootpage FROM sqlite_master WHERE name = 'totals'");
    until("all to be in the file", || {
        number("PRAGMA wal_checkpoint(TRUNCATE)") == 0
    });
    let size = number("PRAGMA page_size");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let page = vec![b'x'; usize::try_from(size).unwrap()];
    let at = u64::try_from((root - 1) * size).unwrap();
    file.write_all_at(&page, at).unwrap();
    // Whoever has the page in memory reads it anew.
    tables
        .execute_batch("UPDATE meta SET clean = clean")
        .unwrap();
}

/// The sizes of the files that were put aside.
fn asides(folder: &Path) -> Vec<u64> {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let aside = files.filter(|file| {
        let name = file.file_name().into_string().unwrap();
        name.contains(".corrupt-") && !name.ends_with("-wal") && !name.ends_with("-shm")
    });
    aside.map(|file| file.metadata().unwrap().len()).collect()
}

fn taken(totals: &[CarriedTotal]) -> u64 {
    let total = totals.iter().find(|total| total.group == "small");
    total.map_or(0, |total| total.taken)
}

#[test]
fn a_large_ledger_that_is_damaged_while_it_is_written_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    begin_large(folder.path());
    let (ledger, _, troubles) = open(folder.path());
    assert!(troubles.is_empty(), "{troubles:?}");
    assert!(is_kept(ledger.keep(&[settled("a")])));
    until("the row", || ledger.find_call("a").is_some());
    let damaged_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    damage(folder.path());

    assert!(is_kept(ledger.keep(&[settled("b")])));
    until("the fault to be seen", || is_degraded(&ledger));
    assert!(is_kept(ledger.keep(&[settled("c")])));
    // What the tail still has comes back, and is found.
    until("the rows", || calls(folder.path()) == ["a", "b", "c"]);
    until("health", || ledger.health().state == HealthState::Ok);
    assert!(ledger.find_call("c").is_some());
    assert!(matches!(asides(folder.path())[..], [size] if size > 40 << 20));
    ledger.close(LONG).unwrap();
    assert_eq!(ledger.health().unmoved_bytes, 0);
    drop(ledger);

    let (_ledger, restored, troubles) = open(folder.path());
    assert!(troubles.is_empty(), "{troubles:?}");
    assert_eq!(taken(&restored.totals), 3_000);
    // What the day had taken before is not known, and is day-start slack from now on.
    assert!(restored.began_at >= i64::try_from(damaged_at.as_millis()).unwrap());
}

#[test]
fn a_large_ledger_that_was_damaged_before_a_start_is_put_aside_by_it() {
    let folder = tempfile::tempdir().unwrap();
    begin_large(folder.path());
    let (ledger, ..) = open(folder.path());
    assert!(is_kept(ledger.keep(&[settled("a")])));
    until("the row", || ledger.find_call("a").is_some());
    drop(ledger);
    drop(ledger::Lock::take(folder.path(), LONG).unwrap());
    damage(folder.path());

    let (ledger, restored, troubles) = open(folder.path());
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert!(troubles[0].contains("is damaged"));
    assert_eq!(ledger.health().state, HealthState::Ok);
    assert_eq!((restored.began_at, taken(&restored.totals)), (NOW, 1_000));
    assert_eq!(asides(folder.path()).len(), 1);
    assert!(is_kept(ledger.keep(&[settled("b")])));
    ledger.close(LONG).unwrap();
    assert_eq!(calls(folder.path()), ["a", "b"]);
}

#[test]
fn a_newer_ledger_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let tables = Connection::open(&path).unwrap();
    tables.pragma_update(None, "user_version", 999).unwrap();
    drop(tables);
    let before = fs::read(&path).unwrap();
    let (ledger, _, troubles) = open(folder.path());
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert!(troubles[0].contains("newer"));
    assert!(is_degraded(&ledger));
    // The tail is ours all the same; whoever understands the tables moves it.
    assert!(is_kept(ledger.keep(&[settled("a")])));
    let Err(NotClosed::Unmoved { bytes }) = ledger.close(Duration::from_millis(10)) else {
        panic!("it cannot be moved");
    };
    assert!(bytes > 0);
    drop(ledger);
    drop(ledger::Lock::take(folder.path(), LONG).unwrap());
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(support::tails(folder.path()) > 0);
}

#[test]
fn somebody_else_in_the_tables_stops_no_call() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    assert!(is_kept(ledger.keep(&[settled("a")])));
    until("the row", || !calls(folder.path()).is_empty());
    let other = Connection::open(folder.path().join("ledger.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for n in 0..1_000 {
        assert!(is_kept(ledger.keep(&[settled(&n.to_string())])));
    }
    until("the fault to be seen", || is_degraded(&ledger));
    assert!(ledger.health().unmoved_bytes > 0);
    other.execute_batch("ROLLBACK").unwrap();
    until("health", || ledger.health().state == HealthState::Ok);
    ledger.close(LONG).unwrap();
    assert_eq!(calls(folder.path()).len(), 1_001);
    assert_eq!(ledger.health().unmoved_bytes, 0);
}

#[test]
fn a_secret_of_the_wrong_length_is_said_and_left() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key.secret"), "short").unwrap();
    let (ledger, _, troubles) = open(folder.path());
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert!(troubles[0].contains("key.secret"));
    assert_ne!(ledger.key_secret(), [0; 32]);
    assert!(is_kept(ledger.keep(&[settled("a")])));
    assert_eq!(
        fs::read(folder.path().join("key.secret")).unwrap(),
        b"short"
    );
}

#[test]
fn a_tail_that_cannot_be_folded_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(folder.path());
    assert!(is_kept(ledger.keep(&[settled("a")])));
    drop(ledger);
    drop(ledger::Lock::take(folder.path(), LONG).unwrap());
    let tail = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "tail"))
        .unwrap();
    let kept = fs::read(&tail).unwrap();
    fs::write(
        &tail,
        [&kept[..4], &9_u32.to_le_bytes(), &kept[8..]].concat(),
    )
    .unwrap();
    let started = Instant::now();
    assert!(fold_tail(folder.path(), NOW).is_err());
    assert!(started.elapsed() < Duration::from_secs(30));
    fs::write(&tail, kept).unwrap();
    drop(ledger::Lock::take(folder.path(), LONG).unwrap());
    assert!(fold_tail(folder.path(), NOW).unwrap());
    assert_eq!(calls(folder.path()), ["a"]);
}

#[test]
fn a_folder_that_cannot_be_used_holds_up_no_end_without_calls() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let opened = Ledger::open(settings(&file, Durability::Crash), None, NOW);
    opened.ledger.takes_calls(NOW);
    let began = std::time::Instant::now();
    opened.ledger.close(LONG).unwrap();
    assert!(began.elapsed() < LONG / 2, "it waited for nothing");
}
