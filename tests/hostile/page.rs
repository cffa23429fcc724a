//! Readers of the page's port who ask for much and take little: searches that nobody waits for, listeners and readers of
//! files that read nothing. No call is held up by them, and little is held for them.
//!
//! Knows what is asked, what the program weighs meanwhile and what a call is answered; not how it is read or held.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::beside::{self, get};
use harness::chat;
use harness::clock;
use harness::day::{Way, keyed, taking};
use harness::gauge::{MIB, Weight, mib};
use harness::kept::{KEYS, Kept};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request};
use harness::upstream::{Step, Upstream, sized};
use serde_json::Value;
use simulator::{AfterCrossing, Clock};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::grown;

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
/// Organizations of an installation that has many.
const ORGANIZATIONS: usize = 2_000;
/// Pages that listen to it, and read nothing.
const LISTENERS: usize = 16;
/// The longest silence of a page that listens.
const MOST_SILENCE: Duration = Duration::from_secs(30);
/// What either may take, in bytes.
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

/// Names the organization that the call names.
async fn upstream() -> Upstream {
    Upstream::start(|request| {
        let name = request.headers.get("x-whose").unwrap_or_default();
        let usage = format!(",{}", chat::usage(10, 5));
        let body = chat::completion("chatcmpl-1", "gpt-4o-2024-08-06", "Hi", &usage);
        vec![Step::Bytes(sized(
            200,
            &[chat::JSON, ("openai-organization", name)],
            &body,
        ))]
    })
    .await
}

async fn call(connection: &mut Connection, organization: &str) {
    let call = Way::Chat.request("gpt-4o", "Hi");
    let call = keyed(call, &format!("sk-{organization}")).header("x-whose", organization);
    let answer = connection.exchange(&call).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

/// A page that listens.
struct Listener(BufReader<TcpStream>);

impl Listener {
    async fn new(page: SocketAddr) -> Listener {
        let mut stream = TcpStream::connect(page).await.expect("a listener");
        // In this version a body has no frames: it is the rest of the connection.
        let request = format!("GET /api/v1/events HTTP/1.0\r\nhost: {page}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut listener = Listener(BufReader::new(stream));
        let head = listener.part("\r\n").await;
        assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
        listener
    }

    /// Lines until an empty one.
    async fn part(&mut self, end: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let reading = self.0.read_line(&mut line);
            let read = timeout(MOST_SILENCE, reading).await.expect("a line");
            assert!(read.expect("a line") > 0, "it ended after {lines:?}");
            if line == end {
                return lines;
            }
            lines.push(line.trim_end().to_owned());
        }
    }

    /// What the next event says has changed.
    async fn change(&mut self) -> Value {
        loop {
            let lines = self.part("\n").await;
            if lines[0] == "event: change" {
                let data = lines[1].strip_prefix("data: ").expect("data");
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }
}

/// The organizations that a standing tells of, by name.
fn organizations(standing: &Value) -> BTreeMap<String, Value> {
    let all = standing["organizations"].as_array().expect("a list");
    let named = all.iter().map(|one| {
        let name = one["organization"].as_str().expect("a name");
        (name.to_owned(), one.clone())
    });
    named.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_who_read_nothing_cost_little_and_miss_nothing() {
    let upstream = upstream().await;
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().display().to_string();
    let setup = ProxySetup::to(&upstream.url()).variable("TOLLFREE_DATA_DIR", &folder);
    let proxy = Proxy::start(setup);
    let page = beside::address(&proxy);
    let mut client = Connection::open(proxy.address()).await.expect("a listener");
    let name = |number: usize| format!("organization-{number:04}");
    for number in 0..ORGANIZATIONS {
        call(&mut client, &name(number)).await;
    }
    let weight = Weight::of(proxy.id());
    let mut late = Listener::new(page).await;
    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        listeners.push(asking(page, "/api/v1/events").await);
    }
    let mut slowest = Duration::ZERO;
    for number in 0..ORGANIZATIONS {
        let began = Instant::now();
        call(&mut client, &name(number)).await;
        slowest = slowest.max(began.elapsed());
    }
    let grown = weight.grown();
    assert!(grown < MOST_BYTES, "{}", mib(grown));
    assert!(slowest < MOST_CALL, "{slowest:?}");
    let stands = organizations(&beside::json(page, "/api/v1/standing").await);
    assert_eq!(stands.len(), ORGANIZATIONS);
    let (mut told, mut calls) = (BTreeMap::new(), BTreeMap::new());
    while told != stands || calls.len() < ORGANIZATIONS || calls.values().any(|one| *one != 2) {
        let change = late.change().await;
        told.extend(organizations(&change["standing"]));
        for sum in change["sums"].as_array().expect("a list") {
            let name = sum["organization"].as_str().expect("a name").to_owned();
            calls.insert(name, sum["calls"].clone());
        }
    }
    call(&mut client, "another").await;
    let mut told = Value::Null;
    // A call is in the tables a moment after it was settled.
    while told["calls"][0]["organization"] != "another" {
        told = late.change().await;
        let names: Vec<_> = organizations(&told["standing"]).into_keys().collect();
        assert!(names.iter().all(|name| name == "another"), "{names:?}");
    }
    assert_eq!(told["days"][0]["organization"], "another");
    assert_eq!(told["sums"][0]["calls"], 1);
}
