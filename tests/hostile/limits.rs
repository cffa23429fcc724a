//! The limits page against the code and the configuration, and the limits of a client's connection against the real
//! binary, made small by the configuration instead of waited for.
//!
//! Knows the page, the keys and the names of constants; not what is done with them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::beside::{self, get};
use harness::chat::{self, MODEL, PATH, ask};
use harness::coding::Coding;
use harness::findings::Findings;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request};
use harness::upstream::{Upstream, sized};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    read("docs/limits.md")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of the page: limit, default, and the quoted words of where it is set.
fn rows() -> Vec<(String, String, Vec<String>)> {
    let page = page();
    let cells = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let quoted = cells[2].split('`').skip(1).step_by(2).map(str::to_owned);
            (cells[0].to_owned(), cells[1].to_owned(), quoted.collect())
        });
    cells.filter(|(limit, ..)| limit != "limit").collect()
}

/// A number with its unit as bytes, milliseconds, or just that many.
fn amount(text: &str) -> Option<u128> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number: u128 = number.replace([',', '_'], "").parse().ok()?;
    let unit = match unit {
        "" | "B" | "ms" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(number * unit)
}

/// What the expression of a constant comes to: products, shifts and durations.
fn value(expression: &str) -> Option<u128> {
    let expression = expression.trim();
    if let Some((left, right)) = expression.split_once("<<") {
        return Some(value(left)? << value(right)?);
    }
    if let Some((left, right)) = expression.split_once('*') {
        return Some(value(left)? * value(right)?);
    }
    if let Some((unit, number)) = expression
        .strip_prefix("Duration::from_")
        .and_then(|rest| rest.split_once('('))
    {
        let unit = match unit {
            "millis" => 1,
            "secs" => 1_000,
            "mins" => 60_000,
            "hours" => 3_600_000,
            _ => return None,
        };
        return Some(value(number.trim_end_matches(')'))? * unit);
    }
    expression.replace('_', "").parse().ok()
}

/// The value of a constant of this file.
fn constant(file: &str, name: &str) -> Option<u128> {
    let text = read(&format!("crates/{file}"));
    let begin = format!("const {name}: ");
    let (_, rest) = text.split_once(&begin)?;
    let (_, rest) = rest.split_once(" = ")?;
    value(rest.split(';').next()?)
}

/// The default of a key, as the shipped file says it.
fn default(key: &str) -> Option<u128> {
    let (section, key) = key.split_once('.')?;
    let file = read("config/tollfree.toml");
    let (_, rest) = file.split_once(&format!("\n[{section}]\n"))?;
    let rest = rest.split("\n[").next()?;
    let line = rest
        .lines()
        .find_map(|line| line.strip_prefix(&format!("#{key} = ")))?;
    amount(line.trim_matches('"'))
}

#[test]
fn the_page_says_what_the_code_and_the_configuration_say() {
    let mut findings = Findings::default();
    let rows = rows();
    assert!(rows.len() > 50, "{rows:#?}");
    for (limit, said, place) in rows {
        let found = match &*place {
            [key] => default(key),
            [file, name] => constant(file, name),
            _ => None,
        };
        let wrong = (amount(&said).is_none() || found != amount(&said))
            .then(|| format!("{said} on the page, {found:?} in {place:?}"));
        findings.add(&limit, wrong.into_iter().collect());
    }
    assert!(findings.is_empty(), "\n{findings}");
}

/// The keys of these sections are limits, all of them but those that are something else.
const SECTIONS: [&str; 5] = ["listener", "upstream", "limits", "ledger", "drain"];
const NO_LIMITS: [&str; 6] = [
    "tls_certificate",
    "tls_key",
    "url",
    "ca_file",
    "proxy",
    "durability",
];

#[test]
fn every_limit_of_the_configuration_and_of_the_path_of_a_call_is_on_the_page() {
    let page = page();
    let mut missing = Vec::new();
    let file = read("config/tollfree.toml");
    for section in SECTIONS {
        let (_, rest) = file
            .split_once(&format!("\n[{section}]\n"))
            .expect("a section");
        let keys = rest.split("\n[").next().unwrap_or_default().lines();
        let keys = keys.filter_map(|line| {
            line.strip_prefix('#')?
                .split_once(" = ")
                .map(|(key, _)| key)
        });
        for key in keys.filter(|key| !key.contains(' ') && !NO_LIMITS.contains(key)) {
            if !page.contains(&format!("`{section}.{key}`")) {
                missing.push(format!("{section}.{key}"));
            }
        }
    }
    for room in ["net", "proxy"] {
        let mut folders = vec![root().join(format!("crates/{room}/src"))];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("text");
                let names = text.lines().filter_map(|line| {
                    line.trim_start_matches("pub(crate) ")
                        .strip_prefix("const MOST_")
                });
                for name in
                    names.map(|rest| format!("MOST_{}", rest.split(':').next().unwrap_or_default()))
                {
                    if !page.contains(&format!("`{name}`")) {
                        missing.push(format!("{}: {name}", path.display()));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "not on the page: {missing:#?}");
}

/// What is set small waits this long, and may take that much longer on a busy machine.
const SMALL: Duration = Duration::from_millis(400);
const LATEST: Duration = Duration::from_secs(8);

async fn limited(config: &str) -> (Upstream, Proxy) {
    let json = ("content-type", "application/json");
    let upstream = Upstream::constant(sized(200, &[json], b"{}")).await;
    let setup = ProxySetup::to(&upstream.url()).config(config);
    (upstream, Proxy::start(setup))
}

/// Everything that comes until the other side closes, and how long that took.
async fn until_closed(stream: &mut TcpStream) -> (Vec<u8>, Duration) {
    let began = Instant::now();
    let mut came = Vec::new();
    let closed = tokio::time::timeout(LATEST * 2, stream.read_to_end(&mut came)).await;
    assert!(closed.is_ok(), "it is never closed");
    (came, began.elapsed())
}

#[tokio::test]
async fn slow_heads_and_long_pauses_end_the_connection() {
    let config = "[listener]\nhead_timeout = \"400 ms\"\nidle_timeout = \"4 s\"";
    let (_upstream, proxy) = limited(config).await;
    let get = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    for (name, first, begin, least) in [
        ("nothing is said", false, &b""[..], SMALL),
        ("a head has begun", false, b"GET /v1/mod", SMALL),
        (
            "the preface of HTTP/2 has begun",
            false,
            b"PRI * HTT",
            SMALL,
        ),
        ("the second head has begun", true, b"GET /v1/mod", SMALL),
        ("the second head never begins", true, b"", SMALL * 10),
    ] {
        let mut stream = TcpStream::connect(proxy.address())
            .await
            .expect("a listener");
        if first {
            stream.write_all(get).await.expect("sent");
            let mut room = [0; 4096];
            assert!(
                stream.read(&mut room).await.expect("an answer") > 0,
                "{name}"
            );
        }
        stream.write_all(begin).await.expect("sent");
        let (_, took) = until_closed(&mut stream).await;
        assert!(
            took > least / 2 && took < least + LATEST,
            "{name}: {took:?}"
        );
    }
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_the_next_one_served() {
    let (_upstream, proxy) = limited("[listener]\nmost_connections = 2").await;
    let mut first = Connection::open(proxy.address()).await.expect("a listener");
    let mut second = Connection::open(proxy.address()).await.expect("a listener");
    let request = Request::post(PATH, ask(MODEL, ""));
    for connection in [&mut first, &mut second] {
        let answer = connection.exchange(&request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    let mut calls = Vec::new();
    for _ in 0..2 {
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.status(), 503);
        let error: Value = serde_json::from_str(&answer.text()).expect("JSON");
        assert_eq!(error["error"]["type"], "server_error", "{error}");
        assert_eq!(error["error"]["code"], "overloaded", "{error}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("x-tollfree-verdict"), Some("none"));
        calls.push(answer.header("x-tollfree-call").expect("a call").to_owned());
    }
    assert_ne!(calls[0], calls[1], "each has an id of its own");
    assert_eq!(
        second.exchange(&request).await.expect("an answer").status(),
        200
    );
    drop(first);
    let deadline = Instant::now() + LATEST;
    while proxy.exchange(&request).await.status() != 200 {
        assert!(Instant::now() < deadline, "the place is never free again");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_and_its_upstream_with_it() {
    let mut answer = sized(200, &[("content-type", "application/octet-stream")], b"");
    let length = 64 * 1024 * 1024;
    answer = String::from_utf8(answer)
        .expect("text")
        .replace("content-length: 0", &format!("content-length: {length}"))
        .into_bytes();
    answer.resize(answer.len() + length, b'x');
    let upstream = Upstream::constant(answer).await;
    let config = "[listener]\nwrite_stall = \"400 ms\"\n[log]\nfilter = \"info,net=debug\"";
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()).config(config));
    let mut stream = TcpStream::connect(proxy.address())
        .await
        .expect("a listener");
    stream
        .write_all(b"GET /v1/files/f/content HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    // Nothing is read before it is cut: what then comes is what its socket had taken.
    let stalled = || {
        proxy
            .log()
            .contains("took no byte for too long")
            .then_some(())
    };
    harness::patience::eventually("it is cut", stalled).await;
    let (came, _) = until_closed(&mut stream).await;
    assert!(came.len() < length, "all of it came");
}

#[tokio::test]
async fn a_client_that_stops_amid_its_request_is_told_so_and_its_upstream_left() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", upstream.local_addr().expect("an address"));
    let config = "[listener]\nread_stall = \"400 ms\"";
    let proxy = Proxy::start(ProxySetup::to(&url).config(config));
    // What a metered call asks is read first; the other goes upstream as it comes.
    for (path, leaves) in [(PATH, false), ("/v1/files", true)] {
        let mut stream = TcpStream::connect(proxy.address())
            .await
            .expect("a listener");
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n");
        for piece in [head.as_bytes(), b"{\"a\""] {
            stream.write_all(piece).await.expect("sent");
        }
        let began = Instant::now();
        if leaves {
            let (mut there, _) = upstream.accept().await.expect("a connection");
            let (came, _) = until_closed(&mut there).await;
            let came = String::from_utf8(came).expect("text");
            assert!(came.ends_with("{\"a\""), "{came}");
        }
        let (came, _) = until_closed(&mut stream).await;
        assert!(began.elapsed() > SMALL / 2, "{path}");
        let came = String::from_utf8(came).expect("text");
        let (head, body) = came.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 408 "), "{path}: {head}");
        assert!(head.contains("x-tollfree-verdict: none"), "{path}: {head}");
        let error: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(error["error"]["type"], "invalid_request_error", "{error}");
        assert_eq!(error["error"]["code"], "request_stalled", "{error}");
    }
}

#[tokio::test]
async fn what_is_closed_at_a_limit_is_counted_by_its_reason() {
    let upstream = Upstream::constant(sized(200, &[], b"{}")).await;
    let config =
        "[listener]\nhead_timeout = \"400 ms\"\nidle_timeout = \"400 ms\"\nread_stall = \"400 ms\"";
    let setup = ProxySetup::to(&upstream.url()).config(config);
    let proxy = Proxy::start(setup);
    let request = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    let upload = "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\na";
    for said in [
        "GET /v1/mod",
        request,
        upload,
        "\u{16}\u{3}\u{1} hello in TLS",
    ] {
        let mut stream = TcpStream::connect(proxy.address())
            .await
            .expect("a listener");
        stream.write_all(said.as_bytes()).await.expect("sent");
        until_closed(&mut stream).await;
    }
    let wanted = [
        "connections_total 4",
        "connections_closed_total{reason=\"slow-head\"} 1",
        "connections_closed_total{reason=\"idle\"} 1",
        "connections_closed_total{reason=\"stalled-read\"} 1",
        "connections_closed_total{reason=\"spoke-tls\"} 1",
        "connections_closed_total{reason=\"over-limit\"} 0",
        "upstream_connections_total{outcome=\"failed\"} 0",
        "upstream_connections_total{outcome=\"opened\"} 1",
    ];
    // Each is counted once its client's connection is gone.
    let deadline = Instant::now() + LATEST;
    loop {
        let metrics = get(beside::address(&proxy), "/metrics").await.text();
        let is_there = |line: &&str| {
            let line = format!("tollfree_{line}");
            metrics.lines().any(|one| one == line)
        };
        let Some(missing) = wanted.iter().find(|line| !is_there(line)) else {
            break;
        };
        assert!(Instant::now() < deadline, "no {missing} in\n{metrics}");
    }
}

#[tokio::test]
async fn heads_are_as_long_as_is_configured_and_no_longer() {
    let (upstream, proxy) =
        limited("[listener]\nmost_head_bytes = \"16 KiB\"\nmost_headers = 20").await;
    let with = |lines: usize, bytes: usize| {
        let mut request = Request::get("/v1/models");
        for number in 0..lines {
            request = request.header(&format!("x-{number}"), &"a".repeat(bytes));
        }
        request
    };
    for (lines, bytes, status) in [
        (10, 1_000, 200),
        (10, 2_000, 431),
        (19, 1, 200),
        (20, 1, 431),
    ] {
        let answer = proxy.exchange(&with(lines, bytes)).await;
        assert_eq!(answer.status(), status, "{lines} of {bytes}");
        assert!(
            answer.header("x-tollfree-call").is_some(),
            "{lines} of {bytes}"
        );
    }
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn an_answer_is_held_while_it_is_short_as_it_came_and_decoded() {
    let usage = format!(",{}", chat::usage(12, 34));
    for (length, coding, is_held) in [
        (1_000_000, None, true),
        (1_200_000, None, false),
        (1_000_000, Some(Coding::Gzip), true),
        (1_200_000, Some(Coding::Gzip), false),
    ] {
        let whole = chat::completion("chatcmpl-l", MODEL, &"x".repeat(length), &usage);
        let mut lines = vec![chat::JSON];
        let body = coding.map_or(whole.clone(), |coding| coding.encode(&whole));
        lines.extend(coding.map(|coding| ("content-encoding", coding.name())));
        let upstream = Upstream::constant(sized(200, &lines, &body)).await;
        let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
        let request = Request::post(PATH, ask(MODEL, "")).header("accept-encoding", "gzip");
        let answer = proxy.exchange(&request).await;
        let what = format!("{length} {coding:?}");
        assert_eq!(answer.body.bytes, body, "{what}");
        let told = answer.header("x-tollfree-tokens");
        assert_eq!(told, is_held.then_some("46"), "{what}: {:#?}", answer.head);
        assert_eq!(
            proxy.settled(&answer).await.number("tokens"),
            Some(46),
            "{what}"
        );
    }
}
