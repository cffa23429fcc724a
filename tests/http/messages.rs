//! Where a message begins and ends, and to whom it goes: requests and answers that two readers could read in
//! two ways are refused, and whatever is passed on is framed anew. Bytes on plain sockets, both sides.
//!
//! Knows HTTP/1.1 as RFC 9112 has it; what a call costs is another suite.

use std::time::Duration;

use harness::chat::{self, JSON, MODEL, PATH, ask, completion};
use harness::findings::Findings;
use harness::http1::{End, Framing, text};
use harness::lines::{BEGIN, CHUNKED, CHUNKS, HOST, OK, PATIENCE, between};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{self, Connection, Request};
use harness::upstream::{Step, Upstream, head, sized};
use serde_json::Value;

/// What is wrong with a refusal: each is a whole answer with a call id, in OpenAI's error shape, and the last word
/// on its connection.
fn wrong_with(came: &[u8], status: u16) -> Vec<String> {
    let came = text(came);
    let Some((head, body)) = came.split_once("\r\n\r\n") else {
        return vec![format!("no answer: {came:?}")];
    };
    let mut wrong = Vec::new();
    if !head.starts_with(&format!("HTTP/1.1 {status} ")) {
        wrong.push(format!("not {status}: {head}"));
    }
    for line in ["\r\nx-tollfree-call: c_", "\r\nconnection: close"] {
        if !head.contains(line) {
            wrong.push(format!("no {line:?} in {head}"));
        }
    }
    let error: Value = serde_json::from_str(body).unwrap_or_default();
    let members = error["error"].as_object().map(serde_json::Map::len);
    if members != Some(4)
        || !error["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("help: "))
    {
        wrong.push(format!("not OpenAI's shape: {body:?}"));
    }
    wrong
}

/// Heads that have no reading, or more than one, and the status of their refusal.
fn refused() -> Vec<(String, u16)> {
    let mut heads: Vec<String> = Vec::new();
    for coding in CODINGS {
        heads.push(format!("{BEGIN}{HOST}{coding}\r\n{CHUNKS}"));
    }
    for length in LENGTHS {
        heads.push(format!("{BEGIN}{HOST}{length}\r\n\r\nabc"));
    }
    for hosts in HOSTS {
        heads.push(format!("{BEGIN}{hosts}content-length: 0\r\n\r\n"));
    }
    for target in [
        "evil.example:443",
        "*",
        "v1/models",
        "/v1/a b",
        "/_tollfree#x",
    ] {
        heads.push(format!("GET {target} HTTP/1.1\r\n{HOST}\r\n"));
    }
    for line in LINES {
        heads.push(format!("{BEGIN}{HOST}{line}\r\n\r\n"));
    }
    for start in STARTS {
        heads.push(format!("{start}\r\n{HOST}\r\n"));
    }
    heads.push(format!("POST /v1/files HTTP/1.0\r\n{CHUNKED}{CHUNKS}"));
    let long = "a".repeat(70_000);
    let too_large = [
        format!("{BEGIN}{HOST}{}\r\n", "x-many: 1\r\n".repeat(101)),
        format!("{BEGIN}{HOST}x-long: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\n{HOST}\r\n"),
    ];
    let malformed = heads.into_iter().map(|head| (head, 400));
    malformed.chain(too_large.map(|head| (head, 431))).collect()
}

const CODINGS: [&str; 15] = [
    "transfer-encoding: identity, chunked",
    "transfer-encoding: chunked, chunked",
    "transfer-encoding: gzip, chunked",
    "transfer-encoding: chunked, gzip",
    "transfer-encoding: ,chunked",
    "transfer-encoding: chunked,",
    "transfer-encoding: xchunked",
    "transfer-encoding: chunked;a=b",
    "transfer-encoding: \"chunked\"",
    "transfer-encoding: \u{b}chunked",
    "transfer-encoding: identity",
    "transfer-encoding: ",
    "transfer-encoding : chunked",
    "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
];
const LENGTHS: [&str; 9] = [
    "content-length: 3, 3",
    "content-length: +3",
    "content-length: -3",
    "content-length: 0x3",
    "content-length: 3.0",
    "content-length: ",
    "content-length: \u{b}3",
    "content-length: 99999999999999999999999",
    "content-length: 3\r\ncontent-length: 4",
];
const HOSTS: [&str; 6] = [
    "",
    "host: a\r\nhost: a\r\n",
    "host: a@evil\r\n",
    "host: a b\r\n",
    "host: a/b\r\n",
    "host: [::1\r\n",
];
const LINES: [&str; 6] = [
    "x-a: b\r\n folded",
    "x-a: b\0c",
    "x-a: b\rc",
    "x a: b",
    ": b",
    "no colon",
];
const STARTS: [&str; 5] = [
    "GET /v1/models HTTP/1.2",
    "GET /v1/models HTTP/2.0",
    "GET /v1/models",
    "hello",
    "\u{16}\u{3}\u{1}TLS",
];

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_and_the_connection_with_it() {
    let (upstream, proxy) = between(OK).await;
    let mut findings = Findings::default();
    for (bytes, status) in refused() {
        // A second request that must not be answered: what follows a refused head is not to be trusted.
        let bytes = format!("{bytes}GET /v1/next HTTP/1.1\r\n{HOST}\r\n");
        let came = raw::bytes(proxy.address(), &harness::http1::untext(&bytes), PATIENCE).await;
        let what: String = bytes.chars().take(120).collect();
        findings.add(&format!("{what:?}"), wrong_with(&came, status));
    }
    let forwarded = upstream.received();
    assert!(forwarded.is_empty(), "forwarded: {forwarded:#?}");
    assert!(findings.is_empty(), "\n{findings}");
}

#[tokio::test]
async fn what_has_one_reading_is_framed_anew() {
    let (upstream, proxy) = between(OK).await;
    let both = |first: &str, second: &str| format!("{BEGIN}{HOST}{first}{second}{CHUNKS}");
    for (bytes, framing) in [
        (
            format!("{BEGIN}{HOST}content-length: 3\r\n\r\nabc"),
            "content-length",
        ),
        (
            format!("{BEGIN}{HOST}content-length: 3\r\ncontent-length: 3\r\n\r\nabc"),
            "content-length",
        ),
        (
            format!("{BEGIN}{HOST}{CHUNKED}{CHUNKS}"),
            "transfer-encoding",
        ),
        (
            format!("{BEGIN}{HOST}transfer-encoding: Chunked\r\n{CHUNKS}"),
            "transfer-encoding",
        ),
        // The chunks win (RFC 9112, 6.3), and nobody upstream sees the length.
        (both("content-length: 30\r\n", CHUNKED), "transfer-encoding"),
        (both(CHUNKED, "content-length: 30\r\n"), "transfer-encoding"),
        (
            format!(
                "{BEGIN}{HOST}{CHUNKED}\r\n3;a=b\r\nabc\r\n0\r\nx-trailer: 1\r\nauthorization: evil\r\n\r\n"
            ),
            "transfer-encoding",
        ),
    ] {
        let mut connection = Connection::open(proxy.address()).await.expect("a listener");
        connection.send(bytes.as_bytes()).await.expect("sent");
        let answer = connection.head("POST").await.expect("an answer");
        assert_eq!(answer.status, 200, "{bytes}");
        let received = upstream.received().pop().expect("a request");
        assert_eq!(received.body, b"abc", "{bytes}");
        let said: Vec<_> = ["content-length", "transfer-encoding"]
            .into_iter()
            .flat_map(|name| received.headers.all(name).into_iter().map(move |_| name))
            .collect();
        assert_eq!(said, [framing], "{bytes}: {received:#?}");
        for name in ["x-trailer", "authorization", "trailer"] {
            assert!(!received.headers.has(name), "{bytes}: {received:#?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_could_be_read_in_two_ways_is_none() {
    for lines in [
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: identity\r\ncontent-length: 2",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "content-length: 2\r\ncontent-length: 3",
        "content-length: -2",
    ] {
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{lines}\r\n{CHUNKS}");
        let (upstream, proxy) = between(answer.as_bytes()).await;
        for request in [
            Request::get("/v1/models"),
            Request::post(PATH, ask(MODEL, "")),
        ] {
            let answer = proxy.exchange(&request).await;
            assert_eq!(answer.status(), 502, "{lines}: {}", answer.text());
            assert!(
                answer.text().contains("upstream_broke"),
                "{lines}: {}",
                answer.text()
            );
        }
        assert_eq!(upstream.received().len(), 2, "{lines}: sent twice");
    }
}

#[tokio::test]
async fn an_answers_length_is_what_its_framing_came_to() {
    let whole = completion(
        "chatcmpl-f",
        MODEL,
        "Hi",
        &format!(",{}", chat::usage(12, 34)),
    );
    let (length, half) = (whole.len(), whole.len() / 2);
    let chunks = |lines: &str| {
        let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{lines}\r\n")
            .into_bytes();
        bytes.extend(raw::chunk(&whole));
        bytes.extend(b"0\r\n\r\n");
        bytes
    };
    let twice = format!("{length}, {length}");
    for (answer, framing) in [
        (sized(200, &[JSON], &whole), Framing::Length(length as u64)),
        (
            [
                head(200, &[JSON, ("content-length", &*twice)]),
                whole.clone(),
            ]
            .concat(),
            Framing::Length(length as u64),
        ),
        (chunks("transfer-encoding: chunked\r\n"), Framing::Chunked),
        (
            chunks(&format!(
                "content-length: {half}\r\ntransfer-encoding: chunked\r\n"
            )),
            Framing::Chunked,
        ),
        (
            chunks(&format!(
                "transfer-encoding: chunked\r\ncontent-length: {half}\r\n"
            )),
            Framing::Chunked,
        ),
    ] {
        let (_upstream, proxy) = between(&answer).await;
        for request in [
            Request::post("/v1/moderations", "{}"),
            Request::post(PATH, ask(MODEL, "")),
        ] {
            let mut connection = Connection::open(proxy.address()).await.expect("a listener");
            // On one connection: what is left over of the first would be the second's.
            for _ in 0..2 {
                let came = connection.exchange(&request).await.expect("an answer");
                assert_eq!(came.head.framing, framing, "{}", text(&answer));
                assert_eq!(came.body.bytes, whole, "{}", text(&answer));
                assert_eq!(came.body.end, End::Complete, "{}", text(&answer));
                assert_eq!(
                    came.head.headers.all("content-length").len(),
                    usize::from(framing != Framing::Chunked)
                );
            }
        }
    }
}

#[tokio::test]
async fn a_304_keeps_the_length_that_its_body_would_have_had() {
    let told = [("etag", "\"1\""), ("content-length", "42")];
    let (_upstream, proxy) = between(&head(304, &told)).await;
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    for _ in 0..2 {
        let request = Request::get("/v1/models");
        let answer = connection.exchange(&request).await.expect("an answer");
        assert_eq!(answer.status(), 304);
        assert_eq!(
            answer.header("content-length"),
            Some("42"),
            "{:#?}",
            answer.head
        );
        assert_eq!(answer.header("transfer-encoding"), None);
    }
}

/// What an upstream may leave on a connection behind its answer.
const STRAY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";

#[tokio::test]
async fn bytes_behind_an_answer_are_never_the_next_answer() {
    for (answer, stray) in [
        (OK.to_vec(), STRAY),
        (OK.to_vec(), b"\r\n"),
        (head(204, &[]), b"evil"),
        (head(204, &[("content-length", "4")]), b"evil"),
        (head(304, &[]), b"evil"),
        ([OK, b"HTTP/1.1 103 Early Hints\r\n\r\n"].concat(), STRAY),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_vec(),
            STRAY,
        ),
    ] {
        let soiled = [&answer[..], stray].concat();
        let upstream = Upstream::start(move |received| {
            let is_second = received.headers.has("x-second");
            let good = || sized(200, &[], b"good");
            vec![Step::Bytes(if is_second { good() } else { soiled.clone() })]
        })
        .await;
        let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
        for _ in 0..10 {
            proxy.exchange(&Request::get("/v1/models")).await;
            let second = Request::get("/v1/models").header("x-second", "yes");
            let second = proxy.exchange(&second).await;
            assert_eq!(
                second.text(),
                "good",
                "{} and {}",
                text(&answer),
                text(stray)
            );
        }
    }
}

/// How long stray bytes have to come before the next request goes out: an answer to it cannot be told from them later.
const LATE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn bytes_that_come_while_a_connection_is_kept_are_never_the_next_answer() {
    let upstream = Upstream::start(|received| {
        if received.headers.has("x-second") {
            return vec![Step::Bytes(sized(200, &[], b"good"))];
        }
        let late = Step::Silence(LATE / 20);
        vec![Step::Bytes(OK.to_vec()), late, Step::Bytes(STRAY.to_vec())]
    })
    .await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    for _ in 0..3 {
        proxy.exchange(&Request::get("/v1/models")).await;
        // Time in which the other side acts, not a wait for something that could be seen.
        tokio::time::sleep(LATE).await;
        let second = Request::get("/v1/models").header("x-second", "yes");
        assert_eq!(proxy.exchange(&second).await.text(), "good");
    }
}

#[tokio::test]
async fn a_post_is_sent_once_whatever_becomes_of_a_connection_that_was_kept() {
    let upstream = Upstream::start(|received| {
        // Taken, read, and never answered: only upstream knows what it did.
        let is_second = received.headers.has("x-second");
        if is_second {
            vec![Step::Close]
        } else {
            vec![Step::Bytes(OK.to_vec())]
        }
    })
    .await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    for number in 0..20 {
        let warm = proxy.exchange(&Request::post("/v1/files", "{}")).await;
        assert_eq!(warm.status(), 200);
        let mark = number.to_string();
        let path = [PATH, "/v1/files"][number % 2];
        let request = Request::post(path, ask(MODEL, "")).header("x-second", &mark);
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.status(), 502, "{}", answer.text());
        assert!(upstream.take("x-second", &mark).is_some(), "not sent");
        assert!(upstream.take("x-second", &mark).is_none(), "sent twice");
    }
}

#[tokio::test]
async fn our_own_paths_are_never_forwarded_however_they_are_spelled() {
    let (upstream, proxy) = between(OK).await;
    for target in [
        "/_tollfree/calls/x",
        "/v1/_tollfree/calls/x",
        "//v1/_tollfree/x",
        "/_tollfree?x",
        "http://elsewhere.example/_tollfree/calls/x",
        "/%5ftollfree/calls/x",
        "/v1/_tollfre%65/calls/x",
        "/v1/./_tollfree/calls/x",
        "/v1/x/../_tollfree/calls/x",
        "/v1/chat/%2e%2E/%5Ftollfree/x",
        "/_tollfree%2fcalls/x",
        "/v1%2F_tollfree/x",
        "/v1//_tollfree/x",
    ] {
        for method in ["GET", "POST"] {
            let answer = proxy.exchange(&Request::new(method, target)).await;
            assert!(
                matches!(answer.status(), 404 | 405),
                "{target}: {}",
                answer.text()
            );
            assert!(answer.header("x-tollfree-call").is_some(), "{target}");
        }
    }
    assert!(upstream.received().is_empty(), "{:#?}", upstream.received());
}
