//! What goes wrong between a client and `OpenAI`: bodies that are no JSON, encoded or too long to look
//! at, models on no list, requests that must not be forwarded, upstreams that are not there.
//!
//! Knows what goes in and what comes out; how a byte is read is the product's affair.

use std::time::{Duration, Instant};

use harness::chat::{self, DONE, EVENTS, JSON, MODEL, PATH, ask, completion};
use harness::coding::Coding;
use harness::http1::End;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Answer, Connection, Request};
use harness::replay::is_asked;
use harness::upstream::{Step, Upstream, chunked, sized};
use serde_json::Value;
use tokio::net::TcpListener;

const STREAM: &str = r#","stream":true"#;

const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");

/// The proxy in front of `upstream`, which belongs to an enrolled organization.
fn enrolled(upstream: &Upstream) -> ProxySetup {
    ProxySetup::to(&upstream.url())
        .variable("TOLLFREE_USAGE_TIER", "3")
        .declared()
}

/// The members of the error, after the checks that hold for each of our own errors.
fn own_error(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status(), status, "{}", answer.text());
    let mut body: Value = serde_json::from_str(&answer.text()).expect("JSON");
    let error = body["error"].take();
    let keys: Vec<_> = error.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["code", "message", "param", "type"], "{error}");
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["param"], Value::Null, "{error}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-tollfree-call").is_some(), "{answer:#?}");
    error
}

fn said<'a>(answer: &'a Answer, tag: &str) -> Option<&'a str> {
    answer.header(&format!("x-tollfree-{tag}"))
}

#[tokio::test]
async fn bodies_that_are_no_json_reach_openai_and_its_answer_comes_back() {
    let refusal = br#"{
  "error": {
    "message": "We could not parse the JSON body of your request.",
    "type": "invalid_request_error",
    "param": null,
    "code": null
  }
}"#;
    let upstream = Upstream::constant(sized(400, &[JSON, ORGANIZATION], refusal)).await;
    let proxy = Proxy::start(enrolled(&upstream));
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 14] = [
        b"this is not JSON",
        b"",
        b" \n",
        b"{",
        br#"{"model":"gpt-4o","stream":true"#,
        br#"{"model":"gpt-4o","stream":true}{}"#,
        br#"{"model":"gpt-4o","stream":"true"}"#,
        br#"{"model":"gpt-4o","stream":true,"stream":true}"#,
        br#"{"model":"gpt-4o","stream":true,"stream_options":[]}"#,
        b"\xef\xbb\xbf{\"model\":\"gpt-4o\",\"stream\":true}",
        b"{\"model\":\"gpt-4o\",\"stream\":true,\"a\":\"\xff\xfe\"}",
        b"\x00\x01\x02",
        b"model=gpt-4o&stream=true",
        deep.as_bytes(),
    ];
    let paths = [PATH, "/v1/completions", "/v1/responses", "/v1/embeddings"];
    for (number, body) in bodies.into_iter().enumerate() {
        for path in paths {
            let what = format!("{path} {number}");
            let request = Request::post(path, body).header("x-number", &what);
            let answer = proxy.exchange(&request).await;
            assert_eq!(answer.status(), 400, "{what}: {}", answer.text());
            assert_eq!(answer.body.bytes, refusal, "{what}");
            assert_eq!(said(&answer, "verdict"), Some("none"), "{what}");
            assert_eq!(said(&answer, "reason"), Some("error-response"), "{what}");
            let received = upstream.take("x-number", &what).expect("a request");
            assert_eq!(received.body, body, "{what}");
            let length = Some(body.len().to_string());
            let told = received.headers.get("content-length").map(str::to_owned);
            assert_eq!(told, length, "{what}");
        }
    }
}

#[tokio::test]
async fn a_model_on_no_list_is_billed() {
    let usage = format!(",{}", chat::usage(12, 34));
    let whole = completion("chatcmpl-1", "gpt-17-preview", "Hi", &usage);
    let upstream = Upstream::constant(sized(200, &[JSON, ORGANIZATION], &whole)).await;
    let proxy = Proxy::start(enrolled(&upstream));
    let answer = proxy
        .exchange(&Request::post(PATH, ask("gpt-17", "")))
        .await;
    assert_eq!(answer.body.bytes, whole);
    for (tag, value) in [
        ("verdict", Some("billed")),
        ("reason", Some("model-not-listed")),
        ("tokens", Some("46")),
        ("group", None),
        ("remaining-tokens", None),
        ("cost-usd", None),
    ] {
        assert_eq!(said(&answer, tag), value, "{tag}: {:#?}", answer.head);
    }
    let settled = proxy.settled(&answer).await;
    assert_eq!(settled.text("model"), Some("gpt-17-preview"), "{settled:?}");
}

/// A stream without usage, and the one that reports it where it was asked for.
fn streams(id: &str) -> [Vec<u8>; 2] {
    let says = chat::says(id, MODEL, "Hi");
    let last = chat::counts(id, MODEL, &chat::usage(12, 34));
    [
        [&says[..], DONE].concat(),
        [&says[..], &last, DONE].concat(),
    ]
}

/// An upstream that reports the usage of a stream where it was asked.
async fn streaming() -> Upstream {
    Upstream::start(|received| {
        let [plain, counted] = streams("chatcmpl-1");
        let body = if is_asked(&received.body) {
            counted
        } else {
            plain
        };
        vec![Step::Bytes(chunked(200, &[EVENTS, ORGANIZATION], &[&body]))]
    })
    .await
}

#[tokio::test]
async fn encoded_request_bodies_of_streams_are_decoded_and_asked() {
    let upstream = streaming().await;
    let proxy = Proxy::start(enrolled(&upstream));
    let [plain, _] = streams("chatcmpl-1");
    for coding in Coding::ALL {
        let name = coding.name();
        let body = coding.encode(ask(MODEL, STREAM).as_bytes());
        let request = Request::post(PATH, body)
            .header("content-encoding", name)
            .header("x-coding", name);
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.body.bytes, plain, "{name}: {}", answer.text());
        let received = upstream.take("x-coding", name).expect("a request");
        assert_eq!(received.headers.all("content-encoding").len(), 0, "{name}");
        let length = received.body.len().to_string();
        assert_eq!(received.headers.all("content-length"), [&length], "{name}");
        let text = String::from_utf8(received.body).expect("text");
        assert!(is_asked(text.as_bytes()), "{name}: {text}");
        let settled = proxy.settled(&answer).await;
        assert_eq!(settled.number("tokens"), Some(46), "{name}: {settled:?}");
    }
}

#[tokio::test]
async fn encoded_request_bodies_that_need_no_asking_or_cannot_be_read_stay_as_they_are() {
    let upstream = streaming().await;
    let proxy = Proxy::start(enrolled(&upstream));
    let mut kept: Vec<(&str, Vec<u8>)> = Vec::new();
    for coding in Coding::ALL {
        let name = coding.name();
        kept.push((name, coding.encode(ask(MODEL, "").as_bytes())));
        kept.push((name, coding.encode(b"this is not JSON")));
        let mut cut = coding.encode(ask(MODEL, STREAM).as_bytes());
        cut.truncate(cut.len() / 2);
        kept.push((name, cut));
        kept.push((name, ask(MODEL, STREAM).into_bytes()));
    }
    kept.push(("snappy", ask(MODEL, STREAM).into_bytes()));
    for (number, (name, body)) in kept.into_iter().enumerate() {
        let number = number.to_string();
        let request = Request::post(PATH, body.clone())
            .header("content-encoding", name)
            .header("x-number", &number);
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.status(), 200, "{name} {number}");
        let received = upstream.take("x-number", &number).expect("a request");
        assert_eq!(received.body, body, "{name} {number}");
        assert_eq!(received.headers.all("content-encoding"), [name], "{number}");
    }
}

/// How often the text of a stream is said that expands more than it may to be read: 5 MiB in all.
const REPEATED: usize = 40;

#[tokio::test]
async fn an_asked_stream_that_expands_without_measure_is_read_no_further_and_passes_whole() {
    let text = "a".repeat(128 * 1024);
    let choices = format!(r#""choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]"#);
    let event = |rest: &str| chat::event("chatcmpl-e", MODEL, &format!("{choices}{rest}"));
    let counts = chat::counts("chatcmpl-e", MODEL, &chat::usage(12, 34));
    let unasked = [&event("").repeat(REPEATED)[..], DONE].concat();
    let asked = [
        &event(r#","usage":null"#).repeat(REPEATED)[..],
        &counts,
        DONE,
    ]
    .concat();
    for coding in Coding::ALL {
        let name = coding.name();
        let coded = coding.encode(&asked);
        assert!(100 * coded.len() + (1 << 20) < asked.len(), "{name}");
        let lines = [EVENTS, ORGANIZATION, ("content-encoding", name)];
        let upstream = Upstream::constant(chunked(200, &lines, &[&coded])).await;
        let proxy = Proxy::start(enrolled(&upstream));
        let answer = proxy
            .exchange(&Request::post(PATH, ask(MODEL, STREAM)))
            .await;
        assert!(is_asked(&upstream.only().body), "{name}");
        assert_eq!(answer.body.end, End::Complete, "{name}");
        assert!(answer.body.bytes == unasked, "{name}: other bytes");
        let settled = proxy.settled(&answer).await;
        let word = (settled.verdict(), settled.text("reason"));
        assert_eq!(word, ("unknown", Some("unreadable-body")), "{name}");
        assert_eq!(settled.number("tokens"), None, "{name}: {settled:?}");
    }
}

#[tokio::test]
async fn a_body_over_the_inspect_limit_passes_unread() {
    let upstream = streaming().await;
    let setup = enrolled(&upstream).config("[limits]\nrequest_inspect_bytes = \"1 KiB\"");
    let proxy = Proxy::start(setup);
    for (name, padding, is_read) in [("short", 500, true), ("long", 2_000, false)] {
        let text = "x".repeat(padding);
        let body = ask(MODEL, &format!(r#"{STREAM},"user":"{text}""#));
        for framing in ["content-length", "transfer-encoding"] {
            let mut request = Request::post(PATH, body.clone()).header("x-name", name);
            if framing == "transfer-encoding" {
                request = request.header(framing, "chunked");
            }
            let answer = proxy.exchange(&request).await;
            let received = upstream.take("x-name", name).expect("a request");
            assert!(received.headers.has(framing), "{received:?}");
            assert_eq!(is_asked(&received.body), is_read, "{name} {framing}");
            let [plain, _] = streams("chatcmpl-1");
            assert_eq!(answer.body.bytes, plain, "{name} {framing}");
            let settled = proxy.settled(&answer).await;
            if is_read {
                assert_eq!(settled.number("tokens"), Some(46), "{settled:?}");
            } else {
                assert_eq!(received.body, body.as_bytes(), "{framing}");
                assert_eq!(settled.verdict(), "unknown", "{settled:?}");
                assert_eq!(settled.number("tokens"), None, "{settled:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_call_whose_request_was_not_read_is_settled_from_its_answer() {
    let usage = format!(",{}", chat::usage(12, 34));
    let whole = completion("chatcmpl-1", MODEL, "Hi", &usage);
    let upstream = Upstream::constant(sized(200, &[JSON, ORGANIZATION], &whole)).await;
    let setup = enrolled(&upstream).config("[limits]\nrequest_inspect_bytes = \"1 KiB\"");
    let proxy = Proxy::start(setup);
    let text = "x".repeat(5_000);
    let body = ask("gpt-4o-mini", &format!(r#","user":"{text}""#));
    let answer = proxy.exchange(&Request::post(PATH, body.clone())).await;
    assert_eq!(upstream.only().body, body.as_bytes());
    assert_eq!(said(&answer, "tokens"), Some("46"), "{:#?}", answer.head);
    assert_eq!(said(&answer, "verdict"), Some("free"), "{:#?}", answer.head);
}

#[tokio::test]
async fn a_request_that_breaks_off_is_no_request_and_harms_nobody() {
    let usage = format!(",{}", chat::usage(12, 34));
    let whole = completion("chatcmpl-1", MODEL, "Hi", &usage);
    let upstream = Upstream::constant(sized(200, &[JSON, ORGANIZATION], &whole)).await;
    let setup = enrolled(&upstream).config("[limits]\nrequest_inspect_bytes = \"1 KiB\"");
    let proxy = Proxy::start(setup);
    // Within the inspect limit nothing is sent before all is here; beyond it what came is sent.
    for padding in [100, 100_000] {
        let body = ask(MODEL, &format!(r#","user":"{}""#, "x".repeat(padding)));
        for framing in ["content-length", "transfer-encoding"] {
            let mut request = Request::post(PATH, body.clone());
            if framing == "transfer-encoding" {
                request = request.header(framing, "chunked");
            }
            let bytes = request.bytes();
            let mut connection = Connection::open(proxy.address()).await.expect("a listener");
            let cut = &bytes[..bytes.len() - 10];
            connection.send(cut).await.expect("sent");
            connection.finish_sending().await.expect("sent");
            // Whether it is told or only cut: no answer of upstream's.
            if let Ok(head) = connection.head("POST").await {
                assert_eq!(head.status, 400, "{padding} {framing}");
            }
        }
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
    let answer = proxy.exchange(&Request::post(PATH, ask(MODEL, ""))).await;
    assert_eq!(said(&answer, "tokens"), Some("46"), "{:#?}", answer.head);
    // OpenAI can have counted none of them, so nothing is left in doubt.
    let assumes = said(&answer, "assumes").unwrap_or_default();
    assert!(!assumes.contains("unknown-calls"), "{assumes}");
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn nobody_at_the_upstream_is_502_and_nothing_was_counted() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        listener.local_addr().expect("an address")
    };
    let proxy = Proxy::start(ProxySetup::to(&format!("http://{address}")));
    for request in [
        Request::post(PATH, ask(MODEL, "")),
        Request::post(PATH, ask(MODEL, STREAM)),
        Request::get("/v1/models"),
    ] {
        let answer = proxy.exchange(&request).await;
        let error = own_error(&answer, 502, "upstream_unreachable");
        assert_eq!(error["type"], "tollfree_upstream", "{error}");
        let message = error["message"].as_str().expect("text");
        for words in [
            &*format!("tollfree could not reach {address}: connection refused (after "),
            "nothing was sent, nothing was counted",
            "help: ",
        ] {
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(said(&answer, "verdict"), Some("none"));
        assert_eq!(said(&answer, "reason"), Some("error-response"));
    }
}

#[tokio::test]
async fn an_upstream_that_closes_after_the_request_gets_it_once_and_the_call_is_unknown() {
    let upstream = Upstream::start(|_| vec![Step::Close]).await;
    let proxy = Proxy::start(enrolled(&upstream));
    for stream in ["", STREAM] {
        let number = if stream.is_empty() { "whole" } else { "stream" };
        let request = Request::post(PATH, ask(MODEL, stream)).header("x-number", number);
        let answer = proxy.exchange(&request).await;
        let error = own_error(&answer, 502, "upstream_broke");
        assert_eq!(error["type"], "tollfree_upstream", "{error}");
        assert_eq!(said(&answer, "verdict"), Some("unknown"));
        assert_eq!(said(&answer, "reason"), Some("upstream-broke"));
        assert!(upstream.take("x-number", number).is_some(), "not received");
        assert!(upstream.take("x-number", number).is_none(), "sent twice");
        let settled = proxy.settled(&answer).await;
        assert_eq!(settled.verdict(), "unknown", "{settled:?}");
        assert_eq!(settled.text("reason"), Some("upstream-broke"));
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_finish_the_handshake_is_504_when_its_time_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let setup = ProxySetup::to(&format!("https://{address}"))
        .config("[upstream]\nconnect_timeout = \"300 ms\"");
    let proxy = Proxy::start(setup);
    let began = Instant::now();
    let answer = proxy.exchange(&Request::post(PATH, ask(MODEL, ""))).await;
    let took = began.elapsed();
    let error = own_error(&answer, 504, "upstream_timeout");
    assert_eq!(error["type"], "tollfree_upstream", "{error}");
    assert_eq!(said(&answer, "verdict"), Some("none"));
    assert!(took >= Duration::from_millis(300), "only {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    println!("504 after {took:?}, asked for 300 ms");
}

#[tokio::test]
async fn what_no_proxy_may_forward_is_refused_in_openais_shape_and_ends_its_connection() {
    let upstream = Upstream::constant(sized(200, &[JSON], b"{}")).await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
    let guarded = Request::post(PATH, ask(MODEL, "")).header("connection", "Authorization");
    for (request, status, code) in [
        (guarded, 400, "protected_header"),
        (
            Request::new("TRACE", "/v1/models"),
            405,
            "method_not_allowed",
        ),
        (
            Request::new("CONNECT", "localhost:1"),
            405,
            "method_not_allowed",
        ),
    ] {
        let answer = proxy.exchange(&request).await;
        let error = own_error(&answer, status, code);
        assert_eq!(error["type"], "invalid_request_error", "{error}");
        let message = error["message"].as_str().expect("text");
        assert!(message.contains("help: "), "{message}");
        assert_eq!(said(&answer, "verdict"), Some("none"), "{code}");
        assert_eq!(answer.header("connection"), Some("close"), "{code}");
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}
