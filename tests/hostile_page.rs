//! Readers of the page's port who ask for much and take little: searches that nobody waits for, readers of files that read
//! nothing. No call is held up by them, and little is held for them.
//!
//! Knows what is asked, what the program weighs meanwhile and what a call is answered; not how it is read or held.

mod grown;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::beside::{self, get};
use harness::clock;
use harness::day::{Way, keyed, taking};
use harness::gauge::{MIB, Weight, mib};
use harness::kept::{KEYS, Kept};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request};
use simulator::{AfterCrossing, Clock};

/// Settlements of a ledger in which a search takes a while.
const ROWS: usize = 60_000;
/// Searches that nobody waits for: more than there are threads that may wait.
const SEARCHES: usize = 600;
/// The longest that a call may take beside them.
const MOST_CALL: Duration = Duration::from_secs(2);
/// Threads of the program beside them: a few that read, and those that there always are.
const MOST_THREADS: usize = 40;
/// Files that are asked for at once, and read by nobody.
const FILES: usize = 30;
/// What they may take, in bytes.
const MOST_BYTES: u64 = 64 * MIB;

async fn asking(page: SocketAddr, target: &str) -> Connection {
    let mut connection = Connection::open(page).await.expect("a listener");
    let request = Request::get(target).bytes();
    connection.send(&request).await.expect("sent");
    connection
}

fn threads(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count)
}

async fn kept() -> Kept {
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    grown::ledger(kept.folder(), ROWS, clock::real());
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_that_nobody_waits_for_hold_up_no_call() {
    let kept = kept().await;
    // A name is looked up for each new connection, by threads that may wait.
    let upstream = format!("http://localhost:{}", kept.simulator.address().port());
    let setup = ProxySetup::to(&upstream).config("[upstream]\nmost_idle = 0");
    let folder = kept.folder().display().to_string();
    let proxy = Proxy::start(setup.variable("TOLLFREE_DATA_DIR", &folder));
    let page = beside::address(&proxy);
    let call = keyed(Way::Chat.request("gpt-4o-mini", &taking(100)), KEYS[0]);
    assert_eq!(proxy.exchange(&call).await.status(), 200);
    for number in 0..SEARCHES {
        drop(asking(page, &format!("/api/v1/calls?search=zz{number}")).await);
    }
    let before = threads(proxy.id());
    let began = Instant::now();
    let answer = proxy.exchange(&call).await;
    let took = began.elapsed();
    assert_eq!(answer.status(), 200, "{took:?}: {}", answer.text());
    assert!(took < MOST_CALL, "{took:?}");
    let most = threads(proxy.id()).max(before);
    assert!(most < MOST_THREADS, "{most} threads");
    beside::json(page, "/api/v1/days").await;
    assert!(began.elapsed() < MOST_CALL * 2, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_whole_and_those_that_nobody_reads_cost_little() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let page = beside::address(&proxy);
    let weight = Weight::of(proxy.id());
    let file = get(page, "/api/v1/calls.csv").await;
    let mut readers = Vec::new();
    for _ in 0..FILES {
        readers.push(asking(page, "/api/v1/calls.csv").await);
    }
    for reader in &mut readers {
        reader.head("GET").await.expect("a head");
    }
    let grown = weight.grown();
    assert!(grown < MOST_BYTES, "{}", mib(grown));
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = file.text();
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    let numbers: Vec<usize> = lines
        .map(|line| line.split(',').next().expect("a number"))
        .map(|number| number.parse().expect("a number"))
        .collect();
    assert!(header.starts_with("number,call,"), "{header}");
    assert!(
        numbers.iter().rev().copied().eq(1..=ROWS),
        "{}",
        numbers.len()
    );
    drop(readers);
    for (asked, lines) in [
        ("limit=7", 8),
        ("limit=501&verdict=free", 502),
        ("limit=900&model=gpt-4o-2024-08-06&below=801", 801),
        ("search=req_grown000000000000000000000000012", 2),
        ("search=none-such", 1),
    ] {
        let file = get(page, &format!("/api/v1/calls.csv?{asked}")).await;
        assert_eq!(file.text().lines().count(), lines, "{asked}");
    }
    let wrong = get(page, "/api/v1/calls.csv?limit=many").await;
    assert_eq!(wrong.status(), 400, "{}", wrong.text());
}
