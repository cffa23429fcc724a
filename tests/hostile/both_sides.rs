//! Clients and upstreams that mean harm or know no better: uploads that stall, heads nobody asked for,
//! codings cut short, names too long to keep, a client that calls and calls.
//!
//! Knows what each side sends and sees; what the proxy keeps of it is its own affair.

use std::time::{Duration, Instant};

use harness::authority::Authority;
use harness::chat::{self, DATE, DONE, EVENTS, JSON, MODEL, PATH, ask, completion};
use harness::coding::Coding;
use harness::doorway::Doorway;
use harness::http1::{End, Framing};
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup, Settled};
use harness::raw::{Answer, Connection, Request};
use harness::replay::is_asked;
use harness::upstream::{Gate, Step, Upstream, chunked, head, sized};
use serde_json::Value;

const MINE: &str = "Bearer sk-mine";
const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");
const STREAM: &str = r#","stream":true"#;
/// A stream that asks for its usage itself, so that its bytes pass as they are.
const ASKED_STREAM: &str = r#","stream":true,"stream_options":{"include_usage":true}"#;
/// Tokens of each answer.
const TOKENS: u64 = 46;
/// What is answered at once comes sooner, however busy the machine is.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A proxy that is told all there is to tell, so that nothing is assumed without cause.
fn declared(upstream: &str) -> ProxySetup {
    ProxySetup::to(upstream)
        .variable("TOLLFREE_USAGE_TIER", "1")
        .declared()
}

fn asks(rest: &str) -> Request {
    Request::post(PATH, ask(MODEL, rest)).header("authorization", MINE)
}

async fn sent(proxy: &Proxy, bytes: &[u8]) -> Connection {
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    connection.send(bytes).await.expect("sent");
    connection
}

fn said<'a>(answer: &'a Answer, tag: &str) -> Option<&'a str> {
    answer.header(&format!("x-tollfree-{tag}"))
}

fn says(text: &str) -> Vec<u8> {
    chat::says("chatcmpl-s", MODEL, text)
}

fn counts() -> Vec<u8> {
    chat::counts("chatcmpl-s", MODEL, &chat::usage(12, TOKENS - 12))
}

/// An answer in one piece that names the organization.
fn whole(headers: &[(&str, &str)]) -> Vec<u8> {
    let usage = format!(",{}", chat::usage(12, TOKENS - 12));
    let body = completion("chatcmpl-w", MODEL, "Hi", &usage);
    sized(200, &[&[JSON, DATE], headers].concat(), &body)
}

/// The message of one of our own errors, after the checks that hold for each.
fn own_error(answer: &Answer, status: u16, kind: &str, code: &str) -> String {
    assert_eq!(answer.status(), status, "{}", answer.text());
    let body: Value = serde_json::from_str(&answer.text()).expect("JSON");
    let error = body["error"].as_object().expect("an object");
    assert_eq!(error.len(), 4, "{body}");
    assert_eq!(error["type"], kind, "{body}");
    assert_eq!(error["code"], code, "{body}");
    assert_eq!(error["param"], Value::Null, "{body}");
    assert!(said(answer, "call").is_some(), "{answer:#?}");
    error["message"].as_str().expect("text").to_owned()
}

/// Clients whose uploads stall, and the bytes of each.
const STALLING: usize = 4;
const UPLOAD: usize = 32 * 1024;
/// What each of them keeps back.
const KEPT_BACK: usize = 10;

/// A body of [`UPLOAD`] bytes; each second one asks for its usage itself.
fn upload(number: usize) -> Vec<u8> {
    let rest = [STREAM, ASKED_STREAM][number % 2];
    let room = UPLOAD - ask(MODEL, rest).len() - r#","user":"""#.len();
    ask(
        MODEL,
        &format!(r#"{rest},"user":"{number}{}""#, "x".repeat(room - 1)),
    )
    .into_bytes()
}

/// Begins the uploads, all but their last bytes.
async fn stalled(proxy: &Proxy) -> Vec<Connection> {
    let mut stalled = Vec::new();
    for number in 0..STALLING {
        let request = Request::post(PATH, upload(number)).bytes();
        stalled.push(sent(proxy, &request[..request.len() - KEPT_BACK]).await);
    }
    stalled
}

/// Whether upstream is asked for the usage of a stream whose client does not ask.
async fn is_asked_for(proxy: &Proxy, upstream: &Upstream) -> bool {
    let request = asks(STREAM).header("x-mark", "other");
    assert_eq!(proxy.exchange(&request).await.status(), 200);
    let received = upstream.take("x-mark", "other").expect("a request");
    is_asked(&received.body)
}

/// A proxy for whose requests there is as much room as all stalled uploads take, less than one more call
/// wants, with a doorway and an upstream behind it.
async fn cramped(time: &str) -> (Proxy, Doorway, Upstream) {
    let upstream = Upstream::start(|received| {
        let asked = is_asked(&received.body);
        let counts = asked.then(counts).unwrap_or_default();
        let pieces: [&[u8]; 3] = [&says("one"), &counts, DONE];
        let pieces: Vec<_> = pieces.into_iter().filter(|one| !one.is_empty()).collect();
        vec![Step::Bytes(chunked(200, &[EVENTS, ORGANIZATION], &pieces))]
    })
    .await;
    let doorway = Doorway::before(upstream.address()).await;
    let total = STALLING * UPLOAD;
    let limits = format!(
        "[limits]\nrequest_inspect_bytes = {UPLOAD}\nrequest_inspect_total = {total}\n\
         request_inspect_time = {time:?}"
    );
    let url = format!("http://{}", doorway.address());
    let proxy = Proxy::start(declared(&url).config(&limits));
    (proxy, doorway, upstream)
}

#[tokio::test]
async fn uploads_that_stall_take_the_room_of_others_while_they_may() {
    let (proxy, _doorway, upstream) = cramped("1 min").await;
    assert!(is_asked_for(&proxy, &upstream).await, "there is room");
    let deadline = Instant::now() + AT_ONCE;
    loop {
        // Where the call is there before the last of them, it has the room and one of them has not.
        let _stalled = stalled(&proxy).await;
        if !is_asked_for(&proxy, &upstream).await {
            return;
        }
        assert!(Instant::now() < deadline, "there is always room");
    }
}

#[tokio::test]
async fn uploads_that_stall_keep_nobody_from_being_asked_for_usage_once_their_time_is_over() {
    let (proxy, doorway, upstream) = cramped("200 ms").await;
    let stalled = stalled(&proxy).await;
    let all = STALLING * (UPLOAD - KEPT_BACK);
    let gone_on = || (doorway.brought() >= all).then_some(());
    eventually("the stalled bodies go on", gone_on).await;
    let deadline = Instant::now() + AT_ONCE;
    while !is_asked_for(&proxy, &upstream).await {
        assert!(Instant::now() < deadline, "there is never room again");
    }
    assert_eq!(upstream.received().len(), 0, "none of them is whole");
    for (number, mut connection) in stalled.into_iter().enumerate() {
        let body = upload(number);
        let rest = &body[UPLOAD - KEPT_BACK..];
        connection.send(rest).await.expect("sent");
        let head = connection.head("POST").await.expect("an answer");
        let answered = connection.body(&head).await;
        assert_eq!(answered.end, End::Complete);
        let received = upstream.received();
        assert_eq!(received.len(), number + 1);
        assert!(received[number].body == body, "{number}: as it was sent");
        let body = answered;
        let settled = proxy.settled(&Answer { head, body }).await;
        let (verdict, tokens) = [("unknown", None), ("free", Some(TOKENS))][number % 2];
        assert_eq!(settled.verdict(), verdict, "{number}: {settled:?}");
        assert_eq!(settled.number("tokens"), tokens, "{number}: {settled:?}");
    }
}

#[tokio::test]
async fn a_switch_of_protocols_that_nobody_asked_for_is_no_answer() {
    let switch = [("connection", "upgrade"), ("upgrade", "evil")];
    let mut script = head(101, &switch);
    script.extend(b"HTTP/1.1 200 -\r\ncontent-length: 4\r\n\r\nevil");
    let upstream = Upstream::constant(script).await;
    let proxy = Proxy::start(declared(&upstream.url()));
    for (request, verdict, reason) in [
        (asks(""), "unknown", "upstream-broke"),
        (asks(STREAM), "unknown", "upstream-broke"),
        (Request::get("/v1/models"), "none", "error-response"),
        (
            Request::post("/v1/uploads", "{}").header("authorization", MINE),
            "none",
            "error-response",
        ),
    ] {
        let answer = proxy.exchange(&request).await;
        let what = &request.target;
        let message = own_error(&answer, 502, "tollfree_upstream", "upstream_broke");
        assert!(message.contains("switched protocols"), "{what}: {message}");
        assert_eq!(said(&answer, "verdict"), Some(verdict), "{what}");
        assert_eq!(said(&answer, "reason"), Some(reason), "{what}");
        assert_eq!(answer.header("upgrade"), None, "{what}");
        assert_eq!(answer.body.end, End::Complete, "{what}");
    }
    assert_eq!(upstream.received().len(), 4, "nothing is sent twice");
}

/// Clients that give up. At 128,000 tokens each, the most their model can take, they would have taken the
/// whole allowance of 2,500,000 tokens.
const GIVING_UP: usize = 25;

/// What the free verdict after them is and assumes; `silent`: they never got a TLS handshake done.
async fn after_giving_up(silent: bool) -> (Option<String>, Option<String>) {
    let upstream = Upstream::start(|received| {
        let begins = received.headers.has("x-leaver");
        let script = begins.then(|| vec![Step::Until(Gate::closed())]);
        // No connection is kept, so that each call has to make its own.
        let close = [ORGANIZATION, ("connection", "close")];
        script.unwrap_or_else(|| vec![Step::Bytes(whole(&close)), Step::Close])
    })
    .await;
    let authority = Authority::of(&["127.0.0.1"]);
    let front = authority.stand_before(upstream.address()).await;
    let doorway = Doorway::before(front.address()).await;
    let setup = declared(&format!("https://{}", doorway.address())).config(&format!(
        "[upstream]\nca_file = {:?}\nconnect_timeout = \"1 min\"",
        authority.root()
    ));
    let proxy = Proxy::start(setup);
    // The first answers tell the day and whose key it is.
    for _ in 0..2 {
        assert_eq!(proxy.exchange(&asks("")).await.status(), 200);
    }
    let all_left = || (doorway.left() == doorway.came()).then_some(());
    eventually("no connection is left", all_left).await;
    doorway.close(silent);
    for number in 0..GIVING_UP {
        let (came, brought) = (doorway.came(), doorway.brought());
        let leaver = asks("").header("x-leaver", "yes");
        let connection = sent(&proxy, &leaver.bytes()).await;
        let arrived = || {
            let came = doorway.came() > came && doorway.brought() > brought;
            (came && (silent || upstream.received().len() > 2 + number)).then_some(())
        };
        eventually("the call is on its way", arrived).await;
        drop(connection);
        eventually("the connection is let go", all_left).await;
    }
    doorway.close(false);
    let answer = proxy.exchange(&asks("")).await;
    assert_eq!(said(&answer, "verdict"), Some("free"), "{:#?}", answer.head);
    assert_eq!(answer.header("x-tollfree-group"), Some("small"));
    let came_through = if silent { 3 } else { 3 + GIVING_UP };
    assert_eq!(upstream.received().len(), came_through);
    (
        said(&answer, "certainty").map(str::to_owned),
        said(&answer, "assumes").map(str::to_owned),
    )
}

#[tokio::test]
async fn a_call_given_up_before_upstream_was_reached_took_nothing() {
    assert_eq!(
        after_giving_up(true).await,
        (Some("final".to_owned()), None)
    );
    // The same calls, had they got through.
    let unsure = (Some("assumed".to_owned()), Some("unknown-calls".to_owned()));
    assert_eq!(after_giving_up(false).await, unsure);
}

/// A stream in which `"usage":null` stands in each event, as in one that was asked for its usage.
fn asked_events() -> (Vec<u8>, Vec<u8>) {
    let (mut asked, mut unasked) = (Vec::new(), Vec::new());
    for number in 0..200 {
        let choices = format!(r#""choices":[{{"index":0,"delta":{{"content":"{number}"}}}}]"#);
        let null = format!(r#"{choices},"usage":null"#);
        asked.extend(chat::event("chatcmpl-s", MODEL, &null));
        unasked.extend(chat::event("chatcmpl-s", MODEL, &choices));
    }
    asked.extend(counts());
    asked.extend(DONE);
    unasked.extend(DONE);
    (asked, unasked)
}

#[tokio::test]
async fn a_coding_nobody_accepted_is_undone_and_its_cut_is_seen() {
    let (asked, unasked) = asked_events();
    for coding in Coding::ALL {
        let coded = coding.encode(&asked);
        let length = coded.len();
        for (kept, is_sized) in [
            (length, false),
            (length, true),
            (length / 2, false),
            (length / 2, true),
            (length - 1, false),
            (length - 1, true),
        ] {
            let what = format!("{coding:?}, {kept} of {length}, sized: {is_sized}");
            let lines = [EVENTS, ("content-encoding", coding.name())];
            let answer = if is_sized {
                sized(200, &lines, &coded[..kept])
            } else {
                chunked(200, &lines, &[&coded[..kept / 3], &coded[kept / 3..kept]])
            };
            let upstream = Upstream::constant(answer).await;
            let proxy = Proxy::start(declared(&upstream.url()));
            let request = asks(STREAM).header("accept-encoding", "identity");
            let answer = proxy.exchange(&request).await;
            assert!(is_asked(&upstream.only().body), "{what}");
            assert_eq!(answer.status(), 200, "{what}");
            assert_eq!(answer.header("content-encoding"), None, "{what}");
            assert_eq!(answer.header("content-length"), None, "{what}");
            let shown = &answer.body.bytes;
            let settled = proxy.settled(&answer).await;
            if kept == length {
                assert_eq!(shown, &unasked, "{what}");
                assert_eq!(answer.body.end, End::Complete, "{what}");
                assert_eq!(settled.number("tokens"), Some(TOKENS), "{what}");
                continue;
            }
            assert_ne!(answer.body.end, End::Complete, "{what}");
            assert!(unasked.starts_with(shown), "{what}: {}", answer.text());
            if kept == length / 2 {
                assert_eq!(settled.verdict(), "unknown", "{what}: {settled:?}");
                assert_eq!(settled.number("tokens"), None, "{what}: {settled:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_not_what_its_coding_says_shows_all_that_can_be_shown() {
    let (asked, unasked) = asked_events();
    for coding in Coding::ALL {
        let ended = [&coding.encode(&asked)[..], &[0; 64]].concat();
        let begun = &asked[..asked.len() / 2];
        let last = begun.windows(2).rposition(|two| two == b"\n\n");
        let begun = &begun[..last.expect("events") + 2];
        let broken = [&coding.encode(begun)[..], &[0; 64]].concat();
        // Of those that are told by their first bytes.
        let is_known = ["gzip", "zstd"].contains(&coding.name());
        let plain = if is_known { &asked[..] } else { &ended };
        for (body, is_whole) in [(&ended[..], true), (&broken, false), (plain, true)] {
            let what = format!("{coding:?}, {} bytes", body.len());
            let lines = [EVENTS, ("content-encoding", coding.name())];
            let upstream = Upstream::constant(chunked(200, &lines, &[body])).await;
            let proxy = Proxy::start(declared(&upstream.url()));
            let answer = proxy.exchange(&asks(STREAM)).await;
            assert_eq!(answer.header("content-encoding"), None, "{what}");
            let shown = &answer.body.bytes;
            if is_whole {
                assert_eq!(shown, &unasked, "{what}");
                assert_eq!(answer.body.end, End::Complete, "{what}");
            } else {
                assert_ne!(answer.body.end, End::Complete, "{what}");
                assert!(unasked.starts_with(shown), "{what}");
                assert!(shown.len() > unasked.len() / 3, "{what}: {}", shown.len());
            }
            let settled = proxy.settled(&answer).await;
            let is_read = body == ended;
            assert_eq!(
                settled.number("tokens"),
                is_read.then_some(TOKENS),
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_without_a_byte_is_answered_at_once_and_unknown() {
    for (answer, framing) in [
        (sized(200, &[EVENTS, ORGANIZATION], b""), Framing::Length(0)),
        (chunked(200, &[EVENTS, ORGANIZATION], &[]), Framing::Chunked),
    ] {
        let upstream = Upstream::constant(answer).await;
        let proxy = Proxy::start(declared(&upstream.url()));
        let mut connection = Connection::open(proxy.address()).await.expect("a listener");
        // On one connection: its framing holds for whoever comes next.
        for rest in [STREAM, ASKED_STREAM, STREAM] {
            let what = format!("{framing:?} {rest}");
            let began = Instant::now();
            let answer = connection.exchange(&asks(rest)).await.expect("an answer");
            assert!(began.elapsed() < AT_ONCE, "{what}: {:?}", began.elapsed());
            assert_eq!(answer.status(), 200, "{what}");
            assert_eq!(answer.header("content-type"), Some(EVENTS.1), "{what}");
            assert_eq!(answer.head.framing, framing, "{what}");
            assert_eq!(answer.body.end, End::Complete, "{what}");
            assert!(answer.body.bytes.is_empty(), "{what}");
            let settled = proxy.settled(&answer).await;
            assert_eq!(settled.verdict(), "unknown", "{what}: {settled:?}");
            assert_eq!(settled.text("reason"), Some("usage-missing"), "{what}");
            if framing == Framing::Length(0) {
                assert_eq!(said(&answer, "verdict"), Some("unknown"), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_look_up_is_only_read_and_says_so() {
    let upstream = Upstream::constant(whole(&[ORGANIZATION])).await;
    let proxy = Proxy::start(declared(&upstream.url()));
    let call = proxy.exchange(&asks("")).await;
    let call = said(&call, "call").expect("a call").to_owned();
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    for id in [&*call, "never-seen"] {
        for begin in ["/_tollfree", "/v1/_tollfree"] {
            let request = Request::post(&format!("{begin}/calls/{id}"), "{}");
            let answer = connection.exchange(&request).await.expect("an answer");
            let code = "method_not_allowed";
            let message = own_error(&answer, 405, "invalid_request_error", code);
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{id}");
            assert!(message.contains("POST is not for look-ups"), "{message}");
            assert!(
                message.contains("help: GET /_tollfree/calls/{id}"),
                "{message}"
            );
        }
    }
    assert_eq!(upstream.received().len(), 1, "none is forwarded");
}

#[tokio::test]
async fn names_too_long_to_keep_are_passed_on_and_forgotten() {
    for (length, kept) in [(256, true), (300, false)] {
        let (id, name) = ("r".repeat(length), "o".repeat(length));
        let long = [("x-request-id", &*id), ("openai-organization", &*name)];
        let upstream = Upstream::constant(whole(&long)).await;
        let proxy = Proxy::start(declared(&upstream.url()));
        let answer = proxy.exchange(&asks("")).await;
        assert_eq!(answer.header("x-request-id"), Some(&*id), "{length}");
        assert_eq!(answer.header("openai-organization"), Some(&*name));
        assert_eq!(said(&answer, "verdict"), Some("free"), "{length}");
        let group = kept.then_some("small");
        assert_eq!(said(&answer, "group"), group, "{length}");
        let settled = proxy.settled(&answer).await;
        assert_eq!(settled.number("tokens"), Some(TOKENS), "{length}");
        assert_eq!(settled.text("group"), group, "{length}: {settled:?}");
        let request_id = kept.then_some(&*id);
        assert_eq!(settled.text("request-id"), request_id, "{settled:?}");
        let by_id = Request::get(&format!("/_tollfree/calls/{id}")).header("authorization", MINE);
        let status = if kept { 200 } else { 404 };
        assert_eq!(proxy.exchange(&by_id).await.status(), status, "{length}");
    }
}

/// More than the proxy keeps of calls that settle nothing.
const CALLING: usize = 1_100;

#[tokio::test]
async fn a_client_that_calls_and_calls_pushes_no_metered_call_off_the_look_up() {
    let upstream = Upstream::constant(whole(&[ORGANIZATION, ("x-request-id", "req_1")])).await;
    let proxy = Proxy::start(declared(&upstream.url()));
    let metered = proxy.exchange(&asks("")).await;
    let mut connection = Connection::open(proxy.address()).await.expect("a listener");
    let mut calls = Vec::new();
    for _ in 0..CALLING {
        let request = Request::get("/v1/models");
        let answer = connection.exchange(&request).await.expect("an answer");
        calls.push(said(&answer, "call").expect("a call").to_owned());
    }
    assert_eq!(proxy.settled(&metered).await.number("tokens"), Some(TOKENS));
    let of = |id: &str| Request::get(&format!("/_tollfree/calls/{id}"));
    for id in ["chatcmpl-w", "req_1"] {
        let found = proxy.exchange(&of(id).header("authorization", MINE)).await;
        let call = said(&metered, "call");
        assert_eq!(Settled::of(&found).text("call"), call, "{id}");
    }
    // They push off one another alone.
    let first = proxy.exchange(&of(&calls[0])).await;
    assert_eq!(first.status(), 404, "{}", first.text());
    let last = proxy.exchange(&of(&calls[CALLING - 1])).await;
    assert_eq!(last.status(), 200, "{}", last.text());
}
