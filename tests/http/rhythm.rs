//! When bytes pass: streams event by event, large and slow answers before they are whole, breaks as
//! breaks, and the verdict readable once the last byte came.
//!
//! An upstream behind a gate shows what has passed without any clock; only where the promise itself
//! is a time (the longest hold of a JSON answer) does one appear.

use std::time::{Duration, Instant};

use harness::http1::End;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Connection, Request, chunk};
use harness::upstream::{Gate, Script, Step, Upstream, chunked, head, sized};

const JSON: (&str, &str) = ("content-type", "application/json");
const EVENTS: (&str, &str) = ("content-type", "text/event-stream; charset=utf-8");
const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");
const ASK: &str = r#"{"model":"gpt-4o-mini","messages":[]}"#;
const ASK_STREAM: &str = r#"{"model":"gpt-4o-mini","messages":[],"stream":true}"#;
/// How long a JSON answer's head may wait for its verdict.
const MOST_HOLD: Duration = Duration::from_secs(2);
/// The largest JSON answer that is held, in bytes.
const MOST_HELD: usize = 1024 * 1024;

fn usage() -> &'static str {
    r#""usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}"#
}

/// A chat completion with `padding` bytes of text in front of its usage.
fn completion(padding: usize) -> Vec<u8> {
    let text = "x".repeat(padding);
    let usage = usage();
    let id = r#""id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini-2024-07-18""#;
    let choices = format!(r#""choices":[{{"index":0,"message":{{"content":"{text}"}}}}]"#);
    format!("{{{id},{choices},{usage}}}").into_bytes()
}

/// One event of a chat stream; `rest` are its members after the model.
fn event(rest: &str) -> Vec<u8> {
    let id =
        r#""id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-mini-2024-07-18""#;
    format!("data: {{{id},{rest}}}\n\n").into_bytes()
}

fn says(text: &str) -> Vec<u8> {
    event(&format!(
        r#""choices":[{{"index":0,"delta":{{"content":"{text}"}}}}],"usage":null"#
    ))
}

/// The bytes of [`says`] in a stream that was not asked for its usage.
fn says_unasked(text: &str) -> Vec<u8> {
    event(&format!(
        r#""choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]"#
    ))
}

fn whole_usage() -> Vec<u8> {
    event(&format!(r#""choices":[],{}"#, usage()))
}

async fn scripted(script: Script) -> (Upstream, Proxy) {
    let upstream = Upstream::start(move |_| script.clone()).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    (upstream, proxy)
}

async fn connected(proxy: &Proxy, request: &Request) -> Connection {
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    connection.send(&request.bytes()).await.expect("sent");
    connection
}

#[tokio::test]
async fn each_event_passes_before_the_next_one_is_written() {
    let gates = [Gate::closed(), Gate::closed()];
    let mut first = head(200, &[EVENTS, CHUNKED]);
    first.extend(chunk(&says("one")));
    let mut last = chunk(&whole_usage());
    last.extend(chunk(b"data: [DONE]\n\n"));
    last.extend(b"0\r\n\r\n");
    let script = vec![
        Step::Bytes(first),
        Step::Until(gates[0].clone()),
        Step::Bytes(chunk(&says("two"))),
        Step::Until(gates[1].clone()),
        Step::Bytes(last),
    ];
    let (upstream, proxy) = scripted(script).await;
    let request = Request::post("/v1/chat/completions", ASK_STREAM);
    let mut connection = connected(&proxy, &request).await;
    connection.until("one").await;
    gates[0].open();
    connection.until("two").await;
    gates[1].open();
    let head = connection.head("POST").await.expect("a head");
    let verdict = head.headers.get("x-tollfree-verdict").expect("a verdict");
    assert!(
        ["pending", "free", "billed"].contains(&verdict),
        "{verdict}"
    );
    assert_eq!(head.headers.get("x-tollfree-tokens"), None);
    let body = connection.body(&head).await;
    let unasked = [
        says_unasked("one"),
        says_unasked("two"),
        b"data: [DONE]\n\n".to_vec(),
    ];
    assert_eq!(
        String::from_utf8_lossy(&body.bytes),
        String::from_utf8_lossy(&unasked.concat())
    );
    assert_eq!(body.end, End::Complete);
    let asked = String::from_utf8(upstream.only().body).expect("text");
    assert!(asked.contains(r#""include_usage":true"#), "{asked}");
    let answer = harness::raw::Answer { head, body };
    let settled = proxy.settled(&answer).await;
    assert_eq!(settled.number("tokens"), Some(46), "{settled:?}");
}

#[tokio::test]
async fn a_held_answer_is_tagged_with_its_final_verdict() {
    let (_upstream, proxy) =
        scripted(vec![Step::Bytes(sized(200, &[JSON], &completion(10)))]).await;
    let answer = proxy
        .exchange(&Request::post("/v1/chat/completions", ASK))
        .await;
    for (name, value) in [
        ("tokens", "46"),
        ("input-tokens", "12"),
        ("output-tokens", "34"),
    ] {
        assert_eq!(
            answer.header(&format!("x-tollfree-{name}")),
            Some(value),
            "{name}"
        );
    }
    let verdict = answer.header("x-tollfree-verdict").expect("a verdict");
    let settled = proxy.settled(&answer).await;
    assert_eq!(settled.verdict(), verdict);
    assert_eq!(settled.text("call"), answer.header("x-tollfree-call"));
    assert_eq!(settled.text("response-id"), Some("chatcmpl-1"));
    assert_eq!(settled.text("model"), Some("gpt-4o-mini-2024-07-18"));
}

/// Sends a JSON answer whose second part waits behind a gate, and opens it once the head came.
async fn leaves_before_it_is_whole(sent: usize, padding: usize) -> Duration {
    let whole = completion(padding);
    let length = whole.len().to_string();
    let gate = Gate::closed();
    let mut first = head(200, &[JSON, ("content-length", &length)]);
    first.extend(&whole[..sent]);
    let rest = whole[sent..].to_vec();
    let script = vec![
        Step::Bytes(first),
        Step::Until(gate.clone()),
        Step::Bytes(rest),
    ];
    let (_upstream, proxy) = scripted(script).await;
    let begun = Instant::now();
    let mut connection = connected(&proxy, &Request::post("/v1/chat/completions", ASK)).await;
    let head = connection.head("POST").await.expect("a head");
    let took = begun.elapsed();
    assert_eq!(
        head.headers.get("x-tollfree-tokens"),
        None,
        "{:?}",
        head.headers
    );
    let verdict = head.headers.get("x-tollfree-verdict").expect("a verdict");
    assert!(
        ["pending", "free", "billed"].contains(&verdict),
        "{verdict}"
    );
    gate.open();
    let body = connection.body(&head).await;
    assert!(
        body.bytes == whole,
        "{} of {length} bytes",
        body.bytes.len()
    );
    let answer = harness::raw::Answer { head, body };
    let settled = proxy.settled(&answer).await;
    assert_eq!(settled.number("tokens"), Some(46), "{settled:?}");
    took
}

#[tokio::test]
async fn a_large_answer_leaves_before_it_is_whole() {
    leaves_before_it_is_whole(MOST_HELD + 64 * 1024, 2 * MOST_HELD).await;
}

#[tokio::test]
async fn a_slow_answer_leaves_when_its_time_is_over() {
    let took = leaves_before_it_is_whole(60, 100).await;
    assert!(took >= MOST_HOLD, "the head came after {took:?}");
}

#[tokio::test]
async fn a_break_is_a_break() {
    let whole = completion(100);
    let mut sized = head(200, &[JSON, ("content-length", &whole.len().to_string())]);
    sized.extend(&whole[..80]);
    let mut pieces = head(200, &[JSON, CHUNKED]);
    pieces.extend(chunk(&whole[..80]));
    let mut stream = head(200, &[EVENTS, CHUNKED]);
    stream.extend(chunk(&says_unasked("one")));
    for (begun, ask, came) in [
        (sized, ASK, whole[..80].to_vec()),
        (pieces, ASK, whole[..80].to_vec()),
        (stream, ASK_STREAM, says_unasked("one")),
    ] {
        let (_upstream, proxy) = scripted(vec![Step::Bytes(begun), Step::Close]).await;
        let answer = proxy
            .exchange(&Request::post("/v1/chat/completions", ask))
            .await;
        assert!(
            matches!(answer.body.end, End::Broken(_)),
            "{:?}",
            answer.body.end
        );
        assert_eq!(answer.text(), String::from_utf8_lossy(&came));
        // The settlement may follow the break by a moment: the look-up waits for it.
        let call = answer.header("x-tollfree-call").expect("a call");
        let lookup = Request::get(&format!("/v1/_tollfree/calls/{call}?wait=10"));
        let settled = harness::proxy::Settled::of(&proxy.exchange(&lookup).await);
        assert_eq!(settled.verdict(), "unknown", "{settled:?}");
        assert_eq!(
            settled.text("reason"),
            Some("upstream-broke"),
            "{settled:?}"
        );
        assert_eq!(settled.number("tokens"), None, "{settled:?}");
    }
}

#[tokio::test]
async fn an_upstream_without_an_answer_is_an_error_in_openais_shape_and_never_asked_twice() {
    let (upstream, proxy) = scripted(vec![Step::Close]).await;
    let silent = proxy
        .exchange(&Request::post("/v1/chat/completions", ASK))
        .await;
    assert_eq!(upstream.received().len(), 1);
    drop(upstream);
    let refused = proxy
        .exchange(&Request::post("/v1/chat/completions", ASK))
        .await;
    for answer in [silent, refused] {
        assert_eq!(answer.status(), 502, "{}", answer.text());
        assert!(answer.header("x-tollfree-call").is_some());
        let body: serde_json::Value = serde_json::from_str(&answer.text()).expect("JSON");
        assert_eq!(body["error"]["type"], "tollfree_upstream", "{body}");
        assert!(body["error"]["message"].is_string(), "{body}");
        let keys: Vec<_> = body["error"]
            .as_object()
            .expect("an object")
            .keys()
            .collect();
        assert_eq!(keys.len(), 4, "message, type, param, code: {keys:?}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let (upstream, proxy) = scripted(vec![Step::Bytes(chunked(200, &[JSON], &[b"{}"]))]).await;
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    let length = ASK.len();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    connection.send(head.as_bytes()).await.expect("sent");
    connection.until("HTTP/1.1 100 ").await;
    connection.send(ASK.as_bytes()).await.expect("sent");
    let head = connection.head("POST").await.expect("a head");
    assert_eq!(
        (head.status, head.interim.as_slice()),
        (200, [100].as_slice())
    );
    assert_eq!(upstream.only().body, ASK.as_bytes());
}

#[tokio::test]
async fn unknown_calls_are_not_found_and_our_paths_never_leave() {
    let (upstream, proxy) = scripted(vec![Step::Bytes(sized(200, &[JSON], b"{}"))]).await;
    for path in [
        "/_tollfree/calls/unknown",
        "/v1/_tollfree/calls/x",
        "/_tollfree/else",
    ] {
        let answer = proxy.exchange(&Request::get(path)).await;
        assert_eq!(answer.status(), 404, "{path}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}
