//! What it costs to keep a settled call: what its own task pays, what the whole program pays until the row is in
//! the tables, and what the other ways to do it would cost. Needs no network; writes to temporary folders only.
//!
//! Figures with `cpu` in their name are CPU time of all threads, from the scheduler's accounts.

#[path = "../../crates/ledger/src/samples.rs"]
#[expect(dead_code, reason = "the ledger's tests use all of them")]
mod samples;

use std::fs;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use benches::cpu;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ledger::{
    Durability, Entry, Kept, Ledger, LedgerSettings, Lock, OpenCalls, SettledCall, Slack, Tokens,
};
use rusqlite::{Connection, params};
use samples::DAY;
use tempfile::TempDir;

const NOW: i64 = DAY as i64 * 86_400_000;

/// The sample under these ids, with a span of its own.
fn settled(n: u64, ids: &[String; 3]) -> Entry<'_> {
    let [call, response_id, request_id] = ids;
    Entry::Settled(SettledCall {
        response_id: Some(response_id.into()),
        request_id: Some(request_id.into()),
        span: Some((n * 1_000, n * 1_000 + 1_000)),
        ..samples::call(call)
    })
}

/// Ids as they come: ours ordered in time, OpenAI's random.
fn ids(n: u64) -> [String; 3] {
    let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [
        format!("{n:026}"),
        format!("chatcmpl-{random:029x}"),
        format!("req_{:032x}", random.rotate_left(29)),
    ]
}

fn open(durability: Durability) -> (TempDir, Ledger) {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = Lock::take(folder.path(), Duration::ZERO).expect("the lock");
    let settings = LedgerSettings {
        folder: folder.path().to_owned(),
        durability,
        keep_days: 0,
    };
    (folder, Ledger::open(settings, Some(lock), NOW).ledger)
}

fn keep(ledger: &Ledger, n: u64) {
    let ids = ids(n);
    match ledger.keep(&[
        settled(n, &ids),
        samples::open_calls(n as u32, Some(12_000)),
    ]) {
        Kept::Now => {}
        Kept::Later(commit) => assert!(commit.wait()),
        Kept::No => panic!("not kept"),
    }
}

fn wait_moved(ledger: &Ledger) {
    while ledger.health().unmoved_bytes > 0 {
        thread::sleep(Duration::from_millis(1));
    }
}

fn cpu() -> Duration {
    cpu::time_of(process::id()).expect("the scheduler's accounts")
}

fn cpu_of_this_thread() -> Duration {
    let accounts = fs::read_to_string("/proc/thread-self/schedstat").expect("accounts");
    let running = accounts.split_whitespace().next().expect("a number");
    Duration::from_nanos(running.parse().expect("a number"))
}

/// How long the call's own task is busy, with the mover at work beside it.
fn alone(c: &mut Criterion) {
    let mut group = c.benchmark_group("keep");
    let (_folder, ledger) = open(Durability::Crash);
    let mut n = 0;
    group.bench_function("one call and what is open, wall", |b| {
        b.iter(|| {
            n += 1;
            keep(&ledger, n);
        });
    });
    group.bench_function("one call and what is open, cpu of its own thread", |b| {
        b.iter_custom(|iterations| {
            let before = cpu_of_this_thread();
            for _ in 0..iterations {
                n += 1;
                keep(&ledger, n);
            }
            cpu_of_this_thread().saturating_sub(before)
        });
    });
    ledger.close(Duration::from_mins(1)).expect("closed");

    let (_folder, ledger) = open(Durability::PowerLoss);
    group.sample_size(10);
    group.bench_function("power loss, one caller, wall", |b| {
        b.iter(|| {
            n += 1;
            keep(&ledger, n);
        });
    });
    ledger.close(Duration::from_mins(1)).expect("closed");
}

/// What a call costs in all until its row is in the tables, at a rate.
fn moved(c: &mut Criterion) {
    let mut group = c.benchmark_group("keep and move, cpu");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(10));
    for rate in [1_000_u32, 5_000, 20_000, 0] {
        let name = if rate == 0 {
            "as fast as it goes".to_owned()
        } else {
            format!("{rate} a second")
        };
        group.bench_with_input(BenchmarkId::from_parameter(name), &rate, |b, rate| {
            let (_folder, ledger) = open(Durability::Crash);
            let mut n = 0;
            b.iter_custom(|iterations| {
                let before = cpu();
                let began = Instant::now();
                for done in 0..iterations {
                    n += 1;
                    keep(&ledger, n);
                    if *rate > 0 && done % 20 == 19 {
                        let due = Duration::from_secs(done) / *rate;
                        thread::sleep(due.saturating_sub(began.elapsed()));
                    }
                }
                wait_moved(&ledger);
                cpu().saturating_sub(before)
            });
            ledger.close(Duration::from_mins(1)).expect("closed");
        });
    }
}

/// How many calls a second go through, wall: two threads keep, and it counts until the last row is moved.
fn sustained(c: &mut Criterion) {
    let mut group = c.benchmark_group("keep and move, wall");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(10));
    group.bench_function("two threads", |b| {
        let (_folder, ledger) = open(Durability::Crash);
        let mut from = 0;
        b.iter_custom(|iterations| {
            let began = Instant::now();
            thread::scope(|scope| {
                for half in 0..2 {
                    let ledger = &ledger;
                    scope.spawn(move || {
                        for n in 0..iterations.div_ceil(2) {
                            keep(ledger, from + n * 2 + half);
                        }
                    });
                }
            });
            from += iterations + 1;
            wait_moved(&ledger);
            began.elapsed()
        });
        ledger.close(Duration::from_mins(1)).expect("closed");
    });
}

/// A table as one would write it first: a row for each call, found by its ids through indexes.
fn naive() -> (TempDir, Connection) {
    let folder = tempfile::tempdir().expect("a folder");
    let tables = Connection::open(folder.path().join("naive.sqlite")).expect("tables");
    let columns: Vec<String> = (0..24).map(|n| format!("c{n}")).collect();
    tables
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE rows (call TEXT PRIMARY KEY, response_id TEXT, request_id TEXT, day INTEGER, {});
             CREATE INDEX by_response ON rows (response_id);
             CREATE INDEX by_request ON rows (request_id);
             CREATE INDEX by_day ON rows (day);",
            columns.join(", ")
        ))
        .expect("a table");
    (folder, tables)
}

fn insert(tables: &Connection, n: u64) {
    let [call, response_id, request_id] = ids(n);
    let values = ", 'acme'".repeat(12) + &", 123456".repeat(12);
    tables
        .prepare_cached(&format!("INSERT INTO rows VALUES (?1, ?2, ?3, ?4{values})"))
        .expect("a statement")
        .execute(params![call, response_id, request_id, DAY])
        .expect("a row");
}

/// The other ways: a row for each call at once, and a thread that writes groups and answers.
fn others(c: &mut Criterion) {
    let mut group = c.benchmark_group("instead");
    group.sample_size(20);
    let (_folder, tables) = naive();
    let mut n = 0;
    group.bench_function("a row for each call, wall", |b| {
        b.iter(|| {
            n += 1;
            insert(&tables, n);
        });
    });
    let (_folder, tables) = naive();
    let (give, given) = mpsc::sync_channel::<(u64, mpsc::SyncSender<()>)>(1_024);
    let writer = thread::spawn(move || {
        while let Ok(first) = given.recv() {
            let all: Vec<_> = std::iter::once(first).chain(given.try_iter()).collect();
            let transaction = tables.unchecked_transaction().expect("a transaction");
            for (n, _) in &all {
                insert(&tables, *n);
            }
            transaction.commit().expect("a commit");
            for (_, done) in all {
                done.send(()).expect("somebody waits");
            }
        }
    });
    let round_trip = |n| {
        let (done, wait) = mpsc::sync_channel(1);
        give.send((n, done)).expect("the writer");
        wait.recv().expect("an answer");
    };
    let mut n = 0;
    group.bench_function("a writer thread with SQLite, one caller, wall", |b| {
        b.iter(|| {
            n += 1;
            round_trip(n);
        });
    });
    group.bench_function("a writer thread with SQLite, one caller, cpu", |b| {
        b.iter_custom(|iterations| {
            let before = cpu();
            for _ in 0..iterations {
                n += 1;
                round_trip(n);
            }
            cpu().saturating_sub(before)
        });
    });
    drop(give);
    writer.join().expect("the writer ends");
}

criterion_group!(benches, alone, moved, sustained, others);
criterion_main!(benches);
