//! Bodies and what stands around them, from a client's plain socket to upstream's: chunks with trailers, who waits to be
//! asked for a body, requests sent ahead, heads of many headers, and how a connection goes on or ends behind all that.
//!
//! Knows HTTP/1.1 as RFC 9112 has it; what is refused is another suite.

use harness::chat::{JSON, MODEL, PATH, ask};
use harness::http1::{End, text};
use harness::lines::{BEGIN, CHUNKED, CHUNKS, HOST, OK, PATIENCE, between};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{self, Connection, Request};
use harness::upstream::{Step, Upstream, sized};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test]
async fn whatever_the_method_a_body_in_chunks_arrives() {
    let (upstream, proxy) = between(OK).await;
    for method in ["GET", "DELETE", "POST"] {
        let request = format!("{method} /v1/files HTTP/1.1\r\n{HOST}{CHUNKED}{CHUNKS}");
        let mut connection = Connection::open(proxy.address()).await.expect("a listener");
        connection.send(request.as_bytes()).await.expect("sent");
        let answer = connection.head(method).await.expect("an answer");
        assert_eq!(answer.status, 200, "{method}");
        let received = upstream.received().pop().expect("a request");
        assert_eq!((&*received.method, &*received.body), (method, &b"abc"[..]));
    }
}

#[tokio::test]
async fn trailers_of_a_request_hide_neither_the_call_nor_the_request_behind_it() {
    let (upstream, proxy) = between(OK).await;
    let stream = ask(MODEL, r#","stream":true"#);
    let chunks = |end: &str| {
        let size = stream.len();
        format!("POST {PATH} HTTP/1.1\r\n{HOST}{CHUNKED}\r\n{size:x}\r\n{stream}\r\n0\r\n{end}")
    };
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    let next = format!("GET /v1/models HTTP/1.1\r\n{HOST}\r\n");
    let both = chunks("x-checksum: 1\r\n\r\n") + &next;
    connection.send(both.as_bytes()).await.expect("sent");
    for _ in 0..2 {
        let head = connection.head("POST").await.expect("an answer");
        connection.body(&head).await;
    }
    let received = upstream.received();
    assert_eq!(received.len(), 2, "{received:#?}");
    assert!(
        text(&received[0].body).contains("include_usage"),
        "it was not read: {received:#?}"
    );
    assert_eq!(received[1].target, "/v1/models");

    // Line ends that only some readers take for such.
    for end in ["x: 1\n\r\n", "x: 1\r\n\n", "\n\r\n", "x: 1\r\n y\r\n\r\n"] {
        let before = upstream.received().len();
        let came = raw::bytes(proxy.address(), (chunks(end) + &next).as_bytes(), PATIENCE).await;
        assert!(
            text(&came).starts_with("HTTP/1.1 400 "),
            "{end:?}: {came:?}"
        );
        assert_eq!(upstream.received().len(), before, "{end:?}");
    }
}

#[tokio::test]
async fn what_is_said_with_a_length_and_in_chunks_is_the_last_on_its_connection() {
    let (upstream, proxy) = between(OK).await;
    let both = format!("{BEGIN}{HOST}content-length: 3\r\n{CHUNKED}{CHUNKS}");
    let bytes = format!("{both}GET /v1/smuggled HTTP/1.1\r\n{HOST}\r\n");
    let came = raw::bytes(proxy.address(), bytes.as_bytes(), PATIENCE).await;
    let came = text(&came);
    assert_eq!(came.matches("HTTP/1.1 200 ").count(), 1, "{came}");
    assert!(came.contains("\r\nconnection: close\r\n"), "{came}");
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn who_waits_to_be_asked_for_a_body_is_asked_once_and_only_where_it_waits() {
    let (upstream, proxy) = between(OK).await;
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    let head = format!("{BEGIN}{HOST}expect: 100-continue\r\ncontent-length: 3\r\n\r\n");
    for _ in 0..2 {
        connection.send(head.as_bytes()).await.expect("sent");
        connection.until("HTTP/1.1 100 Continue\r\n\r\n").await;
        connection.send(b"abc").await.expect("sent");
        let answer = connection.head("POST").await.expect("an answer");
        assert_eq!((answer.status, &*answer.interim), (200, &[100_u16][..]));
        connection.body(&answer).await;
        let received = upstream.received().pop().expect("a request");
        assert_eq!(received.body, b"abc");
        assert!(!received.headers.has("expect"), "{received:#?}");
    }
    // It did not wait.
    connection
        .send(format!("{head}abc").as_bytes())
        .await
        .expect("sent");
    let answer = connection.head("POST").await.expect("an answer");
    assert_eq!((answer.status, answer.interim.len()), (200, 0));
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_their_order() {
    let upstream =
        Upstream::start(|received| vec![Step::Bytes(sized(200, &[], received.target.as_bytes()))])
            .await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let request = |number: usize| {
        let body = "x".repeat(number * 50);
        let length = body.len();
        format!("POST /v1/x{number} HTTP/1.1\r\n{HOST}content-length: {length}\r\n\r\n{body}\r\n")
    };
    let all: String = (0..100).map(request).collect();
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    connection.send(all.as_bytes()).await.expect("sent");
    for number in 0..100 {
        let head = connection.head("POST").await.expect("an answer");
        let body = connection.body(&head).await;
        assert_eq!(text(&body.bytes), format!("/v1/x{number}"));
    }
}

#[tokio::test]
async fn an_answer_of_many_headers_passes() {
    let lines: Vec<_> = (0..200)
        .map(|number| (format!("x-{number}"), "y"))
        .collect();
    let lines: Vec<_> = lines
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    let (_upstream, proxy) = between(&sized(200, &lines, b"{}")).await;
    let answer = proxy.exchange(&Request::get("/v1/models")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("x-199"), Some("y"));
}

#[tokio::test]
async fn a_target_that_is_only_a_query_has_a_path() {
    let (upstream, proxy) = between(OK).await;
    let request = format!("GET http://elsewhere.example?x=1 HTTP/1.1\r\n{HOST}\r\n");
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    connection.send(request.as_bytes()).await.expect("sent");
    connection.head("GET").await.expect("an answer");
    let received = upstream.received().pop().expect("a request");
    assert_eq!(received.target, "/?x=1");
}

#[tokio::test]
async fn who_is_refused_amid_its_body_is_told_that_the_connection_ends() {
    // It answers as soon as it was asked.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let upstream = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let refused = sized(413, &[JSON], b"{}");
        stream.write_all(&refused).await.expect("written");
        let mut asked = Vec::new();
        let _ = stream.read_to_end(&mut asked).await;
        asked.starts_with(b"POST /v1/files HTTP/1.1\r\n")
    });
    let proxy = Proxy::start(ProxySetup::to(&format!("http://{address}")));
    let head = format!("POST /v1/files HTTP/1.1\r\n{HOST}content-length: 100000\r\n\r\nabc");
    let came = raw::bytes(proxy.address(), head.as_bytes(), PATIENCE).await;
    let came = text(&came);
    assert!(came.starts_with("HTTP/1.1 413 "), "{came}");
    assert!(came.contains("\r\nconnection: close\r\n"), "{came}");
    assert!(upstream.await.expect("no panic"));
}

#[tokio::test]
async fn an_old_client_sees_that_an_answer_broke_off() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for chunks in [
        "5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\nnone\r\n",
        "ff\r\nhello",
    ] {
        let answer = format!("{head}{chunks}").into_bytes();
        let upstream =
            Upstream::start(move |_| vec![Step::Bytes(answer.clone()), Step::Close]).await;
        let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
        let mut connection = Connection::open(proxy.address()).await.expect("a listener");
        connection
            .send(format!("GET /v1/models HTTP/1.0\r\n{HOST}\r\n").as_bytes())
            .await
            .expect("sent");
        let ended = match connection.head("GET").await {
            Ok(answer) => connection.body(&answer).await.end,
            Err(error) => End::Broken(error.to_string()),
        };
        let is_whole = chunks.ends_with("0\r\n\r\n");
        assert_eq!(
            matches!(ended, End::Broken(_)),
            !is_whole,
            "{chunks:?}: {ended:?}"
        );
    }
}

#[tokio::test]
async fn behind_an_answer_that_frames_what_may_not_be_there_nothing_is_asked() {
    for line in ["content-length: 45", "transfer-encoding: chunked"] {
        let nothing = format!("HTTP/1.1 204 No Content\r\n{line}\r\n\r\n");
        let upstream = Upstream::constant(nothing).await;
        let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
        for _ in 0..3 {
            let answer = proxy.exchange(&Request::get("/v1/models")).await;
            assert_eq!(answer.status(), 204, "{line}");
        }
        let connections: Vec<_> = upstream
            .received()
            .iter()
            .map(|one| one.connection)
            .collect();
        assert_eq!(connections, [0, 1, 2], "{line}");
    }
}

#[tokio::test]
async fn a_target_that_grows_too_long_on_its_way_is_refused() {
    let upstream = Upstream::constant(OK).await;
    let setup = ProxySetup::to(&upstream.url());
    let proxy = Proxy::start(setup.config("[listener]\nmost_head_bytes = \"1 MiB\""));
    let target = format!(
        "/chat/completions?{}",
        "a".repeat(65_533 - "/chat/completions?".len())
    );
    let answer = proxy
        .exchange(&Request::post(&target, ask(MODEL, "")))
        .await;
    assert_eq!(answer.status(), 414, "{}", answer.text());
    assert!(upstream.received().is_empty());
}
