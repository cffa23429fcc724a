//! TLS and HTTP/2 on the listener: who speaks what, and calls that share one connection.
//!
//! Certificates are made for each test. HTTP/2 is spoken by a library, so what is looked at here is
//! what a call becomes, not how its frames are cut.

use std::time::{Duration, Instant};

use bytes::Bytes;
use harness::answering::{answering, ask, ask_stream, unasked};
use harness::authority::Authority;
use harness::chat::{self, CHUNKED, DONE, EVENTS, JSON, MODEL};
use harness::lasting::Lasting;
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{self, chunk};
use harness::sqlite;
use harness::upstream::{Gate, Received, Script, Step, Upstream, head, sized};
use http::{HeaderMap, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Streams that one HTTP/2 connection may have open here.
const MOST_STREAMS: usize = 100;
/// Longer than any window of HTTP/2 that is open from the start, in bytes.
const LARGE: usize = 3 * 1024 * 1024;
/// The longest a connection that is of no use may stay open: less than a drain's grace, and less than
/// the handshake below may take.
const MOST_PATIENCE: Duration = Duration::from_secs(20);

/// A client of either version; it ends with its connection.
enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        version: Version,
    ) -> Client {
        let stream = TokioIo::new(stream);
        if version == Version::HTTP_2 {
            let shaken = http2::handshake(TokioExecutor::new(), stream).await;
            let (client, connection) = shaken.expect("HTTP/2");
            tokio::spawn(connection);
            return Client::Http2(client);
        }
        let (client, connection) = http1::handshake(stream).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        Client::Http1(client)
    }

    /// By prior knowledge, without TLS.
    async fn plain(proxy: &Proxy) -> Client {
        let stream = TcpStream::connect(proxy.address())
            .await
            .expect("a listener");
        stream.set_nodelay(true).expect("a socket");
        Client::over(stream, Version::HTTP_2).await
    }

    /// The same connection for another task; only HTTP/2 has that.
    fn clone(&self) -> Client {
        match self {
            Client::Http2(client) => Client::Http2(client.clone()),
            Client::Http1(_) => panic!("HTTP/1.1 has one call at a time"),
        }
    }

    async fn send(
        &mut self,
        request: http::request::Builder,
        body: String,
    ) -> http::Response<Incoming> {
        let mut request = request.body(Full::from(body)).expect("a request");
        let answer = match self {
            Client::Http2(client) => client.send_request(request).await,
            Client::Http1(client) => {
                let path = request.uri().path_and_query().cloned();
                *request.uri_mut() = path.expect("a path").into();
                request
                    .headers_mut()
                    .insert("host", "localhost".parse().expect("a name"));
                client.ready().await.expect("an open connection");
                client.send_request(request).await
            }
        };
        answer.expect("an answer")
    }

    /// A call and its whole answer.
    async fn call(&mut self, body: String) -> (HeaderMap, String) {
        let answer = self.send(post(), body).await;
        assert_eq!(answer.status(), 200);
        let (head, body) = answer.into_parts();
        (head.headers, text(body).await)
    }

    /// What the look-up says of a call, once it is settled.
    async fn settled(&mut self, call: &str) -> Value {
        let target = format!("https://localhost/v1/_tollfree/calls/{call}?wait=20");
        let answer = self.send(Request::get(target), String::new()).await;
        serde_json::from_str(&text(answer.into_body()).await).expect("JSON")
    }
}

fn post() -> http::request::Builder {
    Request::post("https://localhost/v1/chat/completions")
        .header("content-type", "application/json")
}

async fn text(body: Incoming) -> String {
    let whole = body.collect().await.expect("a whole body").to_bytes();
    String::from_utf8(whole.to_vec()).expect("text")
}

fn behind_tls(upstream: &Upstream, authority: &Authority) -> Proxy {
    Proxy::start(ProxySetup::to(&upstream.url()).config(&format!(
        "[listener]\ntls_handshake = \"1 min\"\ntls_certificate = {:?}\ntls_key = {:?}",
        authority.certificate(),
        authority.key()
    )))
}

/// A whole answer, a stream and their look-ups, on one connection.
async fn talks(client: &mut Client) {
    let (head, body) = client.call(ask()).await;
    assert!(body.contains("\"total_tokens\":46"), "{body}");
    assert_eq!(head["x-tollfree-tokens"], "46");
    assert_eq!(head.get_all("set-cookie").iter().count(), 2, "{head:?}");
    let (head, body) = client.call(ask_stream()).await;
    assert_eq!(body.as_bytes(), unasked(), "{body}");
    for name in ["connection", "keep-alive"] {
        assert!(!head.contains_key(name), "{name} in {head:?}");
    }
    let call = head["x-tollfree-call"].to_str().expect("text");
    assert_eq!(client.settled(call).await["tokens"], 46);
}

#[tokio::test]
async fn https_speaks_the_version_agreed_on() {
    let upstream = Upstream::start(answering).await;
    let authority = Authority::of(&["127.0.0.1"]);
    let proxy = behind_tls(&upstream, &authority);
    let cases: [(&[&str], _); 5] = [
        (&["h2", "http/1.1"], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ];
    for (offers, agreed) in cases {
        let stream = authority.connect(proxy.address(), offers).await;
        let alpn = stream.get_ref().1.alpn_protocol();
        assert_eq!(alpn, agreed.map(str::as_bytes), "{offers:?}");
        let version = if agreed == Some("h2") {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        talks(&mut Client::over(stream, version).await).await;
    }
    assert_eq!(upstream.received().len(), 2 * 5);
}

#[tokio::test]
async fn who_speaks_no_tls_is_let_go_and_others_are_served() {
    let upstream = Upstream::start(answering).await;
    let authority = Authority::of(&["127.0.0.1"]);
    let proxy = behind_tls(&upstream, &authority);
    let plain = raw::Request::post(chat::PATH, ask()).bytes();
    let begun = Instant::now();
    let came = raw::bytes(proxy.address(), &plain, MOST_PATIENCE).await;
    assert!(begun.elapsed() < MOST_PATIENCE, "it is held");
    assert!(
        !came.starts_with(b"HTTP/"),
        "{}",
        String::from_utf8_lossy(&came)
    );
    assert!(upstream.received().is_empty());
    let stream = authority.connect(proxy.address(), &["h2"]).await;
    talks(&mut Client::over(stream, Version::HTTP_2).await).await;
}

/// As who renews a certificate does it: a new file in the old one's place.
fn put(file: &str, place: &str) {
    let beside = format!("{place}.new");
    std::fs::copy(file, &beside).expect("a file");
    std::fs::rename(&beside, place).expect("a file");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_who_comes_next() {
    let upstream = Upstream::start(answering).await;
    let [old, new] = [(); 2].map(|()| Authority::of(&["127.0.0.1"]));
    let proxy = behind_tls(&upstream, &old);
    let over = |stream| Client::over(stream, Version::HTTP_2);
    let mut early = over(old.connect(proxy.address(), &["h2"]).await).await;
    talks(&mut early).await;
    // Half of it: the key is another certificate's. The old one stays.
    put(&new.certificate(), &old.certificate());
    let refused = proxy.wait_for_log("the configuration was not reloaded");
    assert!(refused.contains(&old.key()), "{refused}");
    talks(&mut over(old.connect(proxy.address(), &["h2"]).await).await).await;
    put(&new.key(), &old.key());
    proxy.wait_for_log("configuration reloaded, totals stay");
    talks(&mut over(new.connect(proxy.address(), &["h2"]).await).await).await;
    // Whoever was there already is not disturbed.
    talks(&mut early).await;
}

#[tokio::test]
async fn a_plain_listener_speaks_http2_by_prior_knowledge() {
    let upstream = Upstream::start(answering).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    talks(&mut Client::plain(&proxy).await).await;
}

#[tokio::test]
async fn a_split_cookie_is_joined_for_upstream() {
    let upstream = Upstream::start(answering).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let mut client = Client::plain(&proxy).await;
    let request = post()
        .header("cookie", "a=1")
        .header("x-kept", "one")
        .header("cookie", "b=2; c=3");
    client.send(request.header("x-kept", "two"), ask()).await;
    let headers = upstream.only().headers;
    assert_eq!(headers.all("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(headers.all("x-kept"), ["one", "two"]);
    // What HTTP/2 calls the authority is the proxy's name, not upstream's.
    assert_eq!(headers.all("host"), [upstream.address().to_string()]);
}

#[tokio::test]
async fn bodies_longer_than_a_window_pass_both_ways() {
    let long = "x".repeat(LARGE);
    let answer = chat::completion("j", MODEL, &long, &format!(",{}", chat::usage(12, 34)));
    let upstream = Upstream::constant(sized(200, &[JSON], &answer)).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let mut client = Client::plain(&proxy).await;
    let asked = chat::ask(MODEL, &format!(r#","user":"{long}""#));
    let (head, body) = client.call(asked.clone()).await;
    assert!(
        body.as_bytes() == answer,
        "{} of {} bytes",
        body.len(),
        answer.len()
    );
    let sent = upstream.only().body;
    assert!(
        sent == asked.as_bytes(),
        "{} of {} bytes",
        sent.len(),
        asked.len()
    );
    let call = head["x-tollfree-call"].to_str().expect("text");
    assert_eq!(client.settled(call).await["tokens"], 46);
}

/// A stream that names its call in every event and stops behind a gate after the first.
fn gated(gate: &Gate) -> impl Fn(&Received) -> Script + Send + Sync + 'static {
    let gate = gate.clone();
    move |request| {
        let number = request.headers.get("x-number").expect("a number");
        let tokens: u64 = number.parse().expect("a number");
        let id = format!("s{number}");
        let mut first = head(200, &[EVENTS, CHUNKED]);
        first.extend(chunk(&chat::says(&id, MODEL, "one")));
        let mut rest = chunk(&chat::says(&id, MODEL, "two"));
        rest.extend(chunk(&chat::counts(&id, MODEL, &chat::usage(1000, tokens))));
        rest.extend(chunk(DONE));
        rest.extend(b"0\r\n\r\n");
        vec![
            Step::Bytes(first),
            Step::Until(gate.clone()),
            Step::Bytes(rest),
        ]
    }
}

#[tokio::test]
async fn one_connection_holds_many_streams_at_once() {
    let gate = Gate::closed();
    let upstream = Upstream::start(gated(&gate)).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let client = Client::plain(&proxy).await;
    let mut asking = JoinSet::new();
    for number in 0..MOST_STREAMS {
        let mut client = client.clone();
        let request = post().header("x-number", number);
        asking.spawn(async move { (number, client.send(request, ask_stream()).await) });
    }
    // All heads are here, and not one stream has ended.
    let begun = asking.join_all().await;
    gate.open();
    let mut reading = JoinSet::new();
    for (number, answer) in begun {
        let mut client = client.clone();
        reading.spawn(async move {
            let (head, body) = answer.into_parts();
            let id = format!("s{number}");
            let says = ["one", "two"].map(|word| chat::says(&id, MODEL, word));
            let expected = [says.concat(), DONE.to_vec()].concat();
            assert_eq!(text(body).await.as_bytes(), expected, "stream {number}");
            let call = head.headers["x-tollfree-call"]
                .to_str()
                .expect("text")
                .to_owned();
            let settled = client.settled(&call).await;
            assert_eq!(settled["output-tokens"], number, "{settled}");
            assert_eq!(settled["response-id"], id, "{settled}");
        });
    }
    assert_eq!(reading.join_all().await.len(), MOST_STREAMS);
    assert_eq!(upstream.received().len(), MOST_STREAMS);
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_alone() {
    let gate = Gate::closed();
    let upstream = Upstream::start(gated(&gate)).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let mut client = Client::plain(&proxy).await;
    let left = client
        .send(post().header("x-number", 1), ask_stream())
        .await;
    let kept = client
        .send(post().header("x-number", 2), ask_stream())
        .await;
    let call = |answer: &http::Response<Incoming>| {
        answer.headers()["x-tollfree-call"]
            .to_str()
            .expect("text")
            .to_owned()
    };
    let (left_call, kept_call) = (call(&left), call(&kept));
    drop(left);
    assert_eq!(client.settled(&left_call).await["reason"], "client-gone");
    gate.open();
    assert!(text(kept.into_body()).await.ends_with("data: [DONE]\n\n"));
    assert_eq!(client.settled(&kept_call).await["tokens"], 1002);
}

#[tokio::test]
async fn a_stop_lets_the_streams_of_a_connection_finish() {
    let gate = Gate::closed();
    let upstream = Upstream::start(gated(&gate)).await;
    let mut proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let mut client = Client::plain(&proxy).await;
    let mut open = Vec::new();
    for number in 0..3 {
        let request = post().header("x-number", number);
        open.push(client.send(request, ask_stream()).await);
    }
    proxy.terminate();
    proxy.wait_for_log("stopping");
    let refused = || std::net::TcpStream::connect(proxy.address()).err();
    eventually("no new connection is taken", refused).await;
    gate.open();
    for answer in open {
        assert!(text(answer.into_body()).await.ends_with("data: [DONE]\n\n"));
    }
    // The client would stay, but with the last stream its connection is over, long before the grace is.
    let begun = Instant::now();
    assert!(proxy.wait_for_exit().success(), "{}", proxy.log());
    assert!(begun.elapsed() < MOST_PATIENCE, "{}", proxy.log());
    drop(client);
}

#[tokio::test]
async fn streams_that_a_drain_cuts_are_in_the_ledger() {
    let kept = Lasting::new().await;
    let setup = kept.setup_in(&kept.folder());
    let mut proxy = Proxy::start(setup.config("[drain]\ngrace = \"200 ms\""));
    let client = Client::plain(&proxy).await;
    let (mut calls, mut open) = (Vec::new(), Vec::new());
    for _ in 0..MOST_STREAMS {
        let answer = client.clone().send(post(), ask_stream()).await;
        calls.push(
            answer.headers()["x-tollfree-call"]
                .to_str()
                .expect("a call")
                .to_owned(),
        );
        open.push(answer.into_body());
    }
    proxy.terminate();
    assert_eq!(proxy.wait_for_exit().code(), Some(0), "{}", proxy.log());
    for body in open {
        assert!(body.collect().await.is_err(), "a cut looks like an end");
    }
    let ledger = sqlite::read(&kept.folder()).expect("a ledger");
    let mut rows: Vec<_> = ledger.rows.iter().map(|row| row.call.clone()).collect();
    rows.sort_unstable();
    calls.sort_unstable();
    assert_eq!(rows, calls);
    assert!(ledger.rows.iter().all(|row| row.verdict == "unknown"));
}
