//! WebSockets through the proxy, byte by byte: opened only where upstream opens them, bytes unchanged, whatever upstream
//! says; and every way in which such a connection can end.
//!
//! Knows what a client sends and sees and what reaches upstream; how frames are read is the product's affair.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::day::ACME;
use harness::http1::{Head, Source};
use harness::proxy::{Proxy, ProxySetup, Settled};
use harness::raw::Request;
use harness::websocket::{CLOSE, TEXT, ask, asking, create, frame, opening, plain_frame};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const RESPONSES: &str = "/v1/responses";
const MODEL: &str = "gpt-5-mini-2025-08-07";
/// Far more than what is waited for takes; shorter than any limit of the product's.
const SOON: Duration = Duration::from_secs(5);

/// An upstream that opens what it is asked to: gives the head it saw and the connection.
async fn upstream() -> (TcpListener, Proxy) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, Proxy::start(ProxySetup::to(&url)))
}

/// The next request: its head and the connection. Reads not one byte more.
async fn asked(listener: &TcpListener) -> (Head, TcpStream) {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.expect("a head"));
    }
    let head = Source::new(&bytes[..]).head().await;
    (head.expect("a head").expect("a head"), stream)
}

/// Opens a WebSocket from end to end, and gives both ends and what each side saw.
async fn opened(
    listener: &TcpListener,
    at: SocketAddr,
    lines: &str,
) -> (Head, Head, TcpStream, TcpStream) {
    let head = asking(RESPONSES, lines);
    let (client, upstream) = tokio::join!(ask(at, &head), async {
        let (head, mut stream) = asked(listener).await;
        let answer = opening("openai-organization: acme\r\nX-Odd: 1\r\n");
        stream.write_all(answer.as_bytes()).await.expect("a socket");
        (head, stream)
    });
    (client.0, upstream.0, client.1, upstream.1)
}

#[tokio::test]
async fn the_handshake_passes_whole_but_for_extensions() {
    let (listener, proxy) = upstream().await;
    let lines = "authorization: Bearer sk-1\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
        Sec-WebSocket-Protocol: realtime, b\r\nOpenAI-Beta: responses_multi_agent=v1\r\nx-tollfree-verdict: free\r\n";
    let (answer, request, ..) = opened(&listener, proxy.address(), lines).await;
    assert_eq!(request.start, "GET /v1/responses HTTP/1.1");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "realtime, b"),
        ("openai-beta", "responses_multi_agent=v1"),
        ("authorization", "Bearer sk-1"),
    ] {
        assert_eq!(request.headers.all(name), [value], "{request:?}");
    }
    for name in [
        "sec-websocket-extensions",
        "x-tollfree-verdict",
        "content-length",
        "transfer-encoding",
    ] {
        assert!(!request.headers.has(name), "{request:?}");
    }
    assert!(answer.start.contains(" 101 "), "{answer:?}");
    assert!(!answer.headers.has("content-length"), "{answer:?}");
    for (name, value) in [
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("x-odd", "1"),
        ("x-tollfree-verdict", "none"),
    ] {
        assert_eq!(answer.headers.all(name), [value], "{answer:?}");
    }
}

/// Bytes without a pattern.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed.to_be_bytes()[1]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The end of a response.
fn completed(id: &str) -> Value {
    let usage = json!({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15});
    json!({"type": "response.completed", "response": {"id": id, "object": "response", "status": "completed",
        "model": MODEL, "usage": usage}})
}

/// The client asks, upstream sees it and says these bytes, and the client has them.
async fn said(client: &mut TcpStream, upstream: &mut TcpStream, ask: &Value, says: &[u8]) {
    let asked = frame(TEXT, ask.to_string().as_bytes());
    client.write_all(&asked).await.expect("sent");
    let mut came = vec![0; asked.len()];
    upstream.read_exact(&mut came).await.expect("a socket");
    upstream.write_all(says).await.expect("sent");
    let mut read = vec![0; says.len()];
    let reading = timeout(SOON, client.read_exact(&mut read)).await;
    reading.expect("in time").expect("a socket");
    assert_eq!(read, says);
}

#[tokio::test]
async fn a_request_that_fails_before_its_response_leaves_the_next_one_alone() {
    let (listener, proxy) = upstream().await;
    let key = format!("authorization: Bearer {ACME}\r\n");
    let (_, _, mut client, mut upstream) = opened(&listener, proxy.address(), &key).await;
    let failed =
        json!({"type": "error", "sequence_number": 0, "error": {"code": "server_is_overloaded"}});
    let mut first = create("hi", None);
    first["service_tier"] = json!("flex");
    for (ask, answer) in [
        (first, failed),
        (create("hi", None), completed("resp_next")),
    ] {
        let says = plain_frame(TEXT, answer.to_string().as_bytes());
        said(&mut client, &mut upstream, &ask, &says).await;
    }
    let look_up = Request::get("/_tollfree/calls/resp_next");
    let look_up = look_up.header("authorization", &format!("Bearer {ACME}"));
    let word = Settled::of(&proxy.exchange(&look_up).await);
    assert_eq!(word.verdict(), "free", "{word:?}");
    let assumes = word.text("assumes").unwrap_or_default();
    assert!(!assumes.contains("service-tier"), "{word:?}");
}

/// How often a response was settled of which upstream says this, behind one question.
async fn settlements(says: &[Value]) -> usize {
    let data = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let setup = ProxySetup::to(&url);
    let folder = data.path().to_str().expect("text");
    let mut proxy = Proxy::start(setup.variable("TOLLFREE_DATA_DIR", folder));
    let (_, _, mut client, mut upstream) = opened(&listener, proxy.address(), "").await;
    let frames = says
        .iter()
        .map(|event| plain_frame(TEXT, event.to_string().as_bytes()));
    let frames = frames.collect::<Vec<_>>().concat();
    said(&mut client, &mut upstream, &create("hi", None), &frames).await;
    drop((client, upstream));
    proxy.terminate();
    assert!(proxy.wait_for_exit().success());
    let ledger = harness::sqlite::read(data.path()).expect("a ledger");
    ledger.rows.len()
}

#[tokio::test]
async fn what_is_said_again_of_a_response_is_no_other_call() {
    let end = completed("resp_again");
    // An end before its beginning is another story.
    let ends = [end.clone(), end.clone(), end.clone()];
    assert_eq!(settlements(&ends).await, 1, "ends");
    let begin = json!({"type": "response.created", "response": {"id": "resp_again", "object": "response",
        "status": "in_progress", "model": MODEL, "usage": null}});
    let begins = [begin.clone(), begin.clone(), end.clone(), begin];
    assert_eq!(settlements(&begins).await, 1, "beginnings");
}

#[tokio::test]
async fn bytes_pass_unchanged_both_ways_whatever_they_are() {
    let (listener, proxy) = upstream().await;
    let text = noise(70_000, 3)
        .iter()
        .map(|byte| char::from(b' ' + byte % 64))
        .collect::<String>();
    let mut frames = plain_frame(0x01, b"{\"type\":\"resp");
    frames.extend(plain_frame(0x89, b"ping"));
    frames.extend(plain_frame(0x80, b"onse.completed\"}"));
    frames.extend(plain_frame(TEXT, text.as_bytes()));
    frames.extend(plain_frame(0xc1, b"compressed, unasked"));
    for sent in [frames, noise(1_000_000, 1), Vec::new()] {
        let (_, _, client, upstream) = opened(&listener, proxy.address(), "").await;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_upstream, mut to_upstream) = upstream.into_split();
        let (mut down, mut up) = (vec![0; sent.len()], vec![0; sent.len()]);
        let all = async {
            tokio::try_join!(
                async { to_client.write_all(&sent).await },
                async { to_upstream.write_all(&sent).await },
                async { from_client.read_exact(&mut down).await.map(|_| ()) },
                async { from_upstream.read_exact(&mut up).await.map(|_| ()) },
            )
        };
        timeout(SOON, all)
            .await
            .expect("in time")
            .expect("two sockets");
        assert!(down == sent && up == sent, "changed on the way");
    }
}

#[tokio::test]
async fn nothing_goes_up_before_upstream_opens_it() {
    let (listener, proxy) = upstream().await;
    let mut client = TcpStream::connect(proxy.address())
        .await
        .expect("a connection");
    let early = frame(TEXT, b"{}");
    let mut bytes = asking(RESPONSES, "").into_bytes();
    bytes.extend(&early);
    client.write_all(&bytes).await.expect("a socket");
    let (_, mut upstream) = asked(&listener).await;
    let mut read = vec![0; early.len()];
    let before = timeout(Duration::from_millis(300), upstream.read_exact(&mut read)).await;
    assert!(before.is_err(), "the client's bytes came before the 101");
    upstream
        .write_all(opening("").as_bytes())
        .await
        .expect("a socket");
    timeout(SOON, upstream.read_exact(&mut read))
        .await
        .expect("in time")
        .expect("bytes");
    assert_eq!(read, early);
}

#[tokio::test]
async fn what_upstream_does_not_open_passes_as_usual() {
    let (listener, proxy) = upstream().await;
    for (answer, status) in [
        ("HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\n{}", 401),
        (
            "HTTP/1.1 426 Up\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n",
            426,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 200),
        (
            "HTTP/1.1 101 To h2c\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
            502,
        ),
    ] {
        let head = asking(RESPONSES, "");
        let ((head, _), ()) = tokio::join!(ask(proxy.address(), &head), async {
            let (_, mut stream) = asked(&listener).await;
            stream.write_all(answer.as_bytes()).await.expect("a socket");
        });
        assert!(head.start.contains(&format!(" {status} ")), "{head:?}");
        assert!(head.headers.has("x-tollfree-call") && !head.headers.has("sec-websocket-accept"));
    }
}

#[tokio::test]
async fn other_paths_are_not_upgraded() {
    let (listener, proxy) = upstream().await;
    let head = asking("/v1/models", "");
    let ((head, _), request) = tokio::join!(ask(proxy.address(), &head), async {
        let (head, mut stream) = asked(&listener).await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("a socket");
        head
    });
    assert!(
        head.start.contains(" 200 ") && !request.headers.has("upgrade"),
        "{request:?}"
    );
}

/// Whether the other side has ended, soon.
async fn ends(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = timeout(SOON, stream.read_to_end(&mut rest))
        .await
        .expect("an end");
    began.elapsed()
}

#[tokio::test]
async fn an_end_on_one_side_ends_the_other_and_a_goodbye_arrives_first() {
    let (listener, proxy) = upstream().await;
    let (_, _, client, mut upstream) = opened(&listener, proxy.address(), "").await;
    drop(client);
    assert!(ends(&mut upstream).await < Duration::from_secs(1));
    let (_, _, mut client, mut upstream) = opened(&listener, proxy.address(), "").await;
    let goodbye = plain_frame(CLOSE, &1001_u16.to_be_bytes());
    // What the client says meanwhile must not cost it the end of what it is told.
    client
        .write_all(&noise(100_000, 2))
        .await
        .expect("a socket");
    upstream.write_all(&goodbye).await.expect("a socket");
    drop(upstream);
    let mut heard = Vec::new();
    let read = timeout(SOON, client.read_to_end(&mut heard))
        .await
        .expect("an end");
    read.expect("no reset");
    assert_eq!(heard, goodbye);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_else() {
    let (listener, proxy) = upstream().await;
    let (_, _, client, mut upstream) = opened(&listener, proxy.address(), "").await;
    let flood = async {
        let bytes = vec![0; 1 << 20];
        while timeout(Duration::from_millis(500), upstream.write_all(&bytes))
            .await
            .is_ok()
        {}
    };
    timeout(SOON, flood)
        .await
        .expect("upstream is held up, not buffered without end");
    let (_, _, mut other, mut its_upstream) = opened(&listener, proxy.address(), "").await;
    its_upstream
        .write_all(b"\x81\x02{}")
        .await
        .expect("a socket");
    let mut read = [0; 4];
    timeout(SOON, other.read_exact(&mut read))
        .await
        .expect("in time")
        .expect("bytes");
    drop(client);
    assert!(ends(&mut upstream).await < Duration::from_secs(1));
}
