//! The look-up: who may ask for what became of a call, by which of its ids, and what strangers learn.
//!
//! Knows what a client sends and sees; how calls are kept is the product's affair.

use std::time::{Duration, Instant};

use harness::chat::{self, CHUNKED, DATE, DONE, EVENTS, JSON, MODEL, PATH, ask, completion};
use harness::lasting::gated_stream;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Answer, Connection, Request};
use harness::upstream::{Gate, Step, Upstream, chunked, head, sized};
use serde_json::Value;

const MINE: &str = "Bearer sk-mine";
const FOREIGN: &str = "Bearer sk-foreign";
const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");
const STREAM: &str = r#","stream":true"#;
/// The tags that speak of an organization's standing.
const STANDING: [&str; 5] = [
    "group",
    "allowance-tokens",
    "remaining-tokens",
    "reset",
    "reset-seconds",
];

fn proxy_before(upstream: &Upstream) -> Proxy {
    let setup = ProxySetup::to(&upstream.url())
        .variable("TOLLFREE_USAGE_TIER", "3")
        .declared();
    Proxy::start(setup)
}

fn with_key(request: Request, key: &str) -> Request {
    request.header("authorization", key)
}

fn call(key: &str) -> Request {
    with_key(Request::post(PATH, ask(MODEL, "")), key)
}

fn id_of(answer: &Answer) -> String {
    let id = answer.header("x-tollfree-call");
    id.unwrap_or_else(|| panic!("no call id in {:#?}", answer.head))
        .to_owned()
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body.bytes).expect("JSON")
}

/// What a look-up found, after the checks that hold for each.
fn found(answer: &Answer) -> Value {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    json(answer)
}

/// The names of the tags on an answer, without their prefix.
fn tags(answer: &Answer) -> Vec<&str> {
    let names = answer.head.headers.0.iter();
    let mut tags: Vec<_> = names
        .filter_map(|(name, _)| name.strip_prefix("x-tollfree-"))
        .collect();
    tags.sort_unstable();
    tags
}

/// An upstream that answers with what it calls the response, the request and, if it is asked with
/// `x-show`, the organization; with `x-status` as its status.
async fn naming() -> Upstream {
    Upstream::start(|received| {
        let header = |name| received.headers.get(name);
        let number = header("x-number").unwrap_or("0");
        let request_id = format!("req_{number}");
        let mut lines = vec![JSON, DATE, ("x-request-id", &*request_id)];
        if header("x-show").is_some() {
            lines.push(ORGANIZATION);
        }
        let status = header("x-status").map_or(200, |status| status.parse().expect("a status"));
        let body = if status == 200 {
            let usage = format!(",{}", chat::usage(12, 34));
            completion(&format!("chatcmpl-{number}"), MODEL, "Hi", &usage)
        } else {
            br#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}"#
                .to_vec()
        };
        vec![Step::Bytes(sized(status, &lines, &body))]
    })
    .await
}

#[tokio::test]
async fn by_our_own_id_nothing_else_is_needed_and_it_says_what_the_headers_said() {
    let upstream = naming().await;
    let proxy = proxy_before(&upstream);
    let answer = proxy.exchange(&call(MINE).header("x-show", "yes")).await;
    let id = id_of(&answer);
    let lookup = Request::get(&format!("/_tollfree/calls/{id}"));
    for request in [lookup.clone(), with_key(lookup, FOREIGN)] {
        let found = found(&proxy.exchange(&request).await);
        for tag in tags(&answer) {
            let told = answer.header(&format!("x-tollfree-{tag}")).expect("a tag");
            let shown = match &found[tag] {
                Value::String(text) => text.clone(),
                Value::Array(words) => {
                    let words = words.iter().map(|word| word.as_str().expect("a word"));
                    words.collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            let spaced = told.replace(", ", ",");
            assert_eq!(shown.replace(", ", ","), spaced, "{tag}: {found}");
        }
        assert_eq!(found["response-id"], "chatcmpl-0", "{found}");
        assert_eq!(found["request-id"], "req_0", "{found}");
        assert_eq!(found["model"], MODEL, "{found}");
        assert_eq!(found["tokens"], 46, "numbers are numbers: {found}");
    }
    assert_eq!(upstream.received().len(), 1, "{:?}", upstream.received());
}

#[tokio::test]
async fn by_openais_ids_only_the_key_that_made_the_call_may_ask() {
    let upstream = naming().await;
    let proxy = proxy_before(&upstream);
    let mine = proxy.exchange(&call(MINE).header("x-number", "1")).await;
    proxy.exchange(&call(FOREIGN).header("x-number", "2")).await;
    let keyless = Request::post(PATH, ask(MODEL, "")).header("x-number", "3");
    let keyless = proxy.exchange(&keyless).await;
    for id in ["chatcmpl-1", "req_1"] {
        for path in [
            "/_tollfree",
            "/v1/_tollfree",
            "//v1/_tollfree",
            "/v1/v1/_tollfree",
        ] {
            let request = Request::get(&format!("{path}/calls/{id}"));
            let found = found(&proxy.exchange(&with_key(request, MINE)).await);
            assert_eq!(found["call"], id_of(&mine), "{path} {id}");
        }
    }
    // By our own id a call without a key is found like any other.
    let own = Request::get(&format!("/_tollfree/calls/{}", id_of(&keyless)));
    found(&proxy.exchange(&own).await);
    assert_eq!(upstream.received().len(), 3, "{:?}", upstream.received());
}

#[tokio::test]
async fn foreign_unknown_and_unnamed_calls_are_the_same_404() {
    let upstream = naming().await;
    let proxy = proxy_before(&upstream);
    proxy.exchange(&call(MINE).header("x-number", "1")).await;
    let keyless = Request::post(PATH, ask(MODEL, "")).header("x-number", "3");
    proxy.exchange(&keyless).await;
    let path = |id: &str| Request::get(&format!("/_tollfree/calls/{id}"));
    let never = "c_000000000000000000000000000";
    let missed = [
        ("an unknown id", with_key(path("chatcmpl-none"), MINE)),
        ("an unknown id of ours", path(never)),
        ("a foreign key", with_key(path("chatcmpl-1"), FOREIGN)),
        (
            "a foreign key, by request",
            with_key(path("req_1"), FOREIGN),
        ),
        ("no key", path("chatcmpl-1")),
        ("no key, by request", path("req_1")),
        ("a call without a key, without a key", path("chatcmpl-3")),
        (
            "a call without a key, with one",
            with_key(path("req_3"), MINE),
        ),
        (
            "the key in another form",
            with_key(path("req_1"), "sk-mine"),
        ),
        ("no id", with_key(path(""), MINE)),
        ("more than an id", with_key(path("chatcmpl-1/x"), MINE)),
        (
            "an id as it is not spelled",
            with_key(path("%63hatcmpl-1"), MINE),
        ),
        (
            "with a wait",
            with_key(Request::get("/_tollfree/calls/chatcmpl-1?wait=5"), FOREIGN),
        ),
    ];
    let began = Instant::now();
    let mut bodies = Vec::new();
    for (what, request) in missed {
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.status(), 404, "{what}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(tags(&answer), ["call", "reason", "verdict"], "{what}");
        let error = &json(&answer)["error"];
        assert_eq!(error["code"], "call_not_found", "{what}: {error}");
        bodies.push(answer.text());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "the same for all: {bodies:#?}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "who misses, waits"
    );
    for request in [
        "/_tollfree",
        "/_tollfree/",
        "/_tollfree/other",
        "/v1/_tollfree/call/x",
    ] {
        let answer = proxy.exchange(&with_key(Request::get(request), MINE)).await;
        assert_eq!(answer.status(), 404, "{request}");
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{request}"
        );
    }
    assert_eq!(upstream.received().len(), 2, "{:?}", upstream.received());
}

#[tokio::test]
async fn only_get_asks_and_no_method_is_forwarded() {
    let upstream = naming().await;
    let proxy = proxy_before(&upstream);
    let id = id_of(&proxy.exchange(&call(MINE)).await);
    for path in [
        format!("/_tollfree/calls/{id}"),
        format!("/v1/_tollfree/calls/{id}"),
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let answer = proxy.exchange(&Request::new(method, &path)).await;
            assert_eq!(answer.status(), 405, "{method} {path}");
        }
        let answer = proxy.exchange(&Request::new("HEAD", &path)).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.body.bytes.is_empty(), "{path}");
    }
    assert_eq!(upstream.received().len(), 1, "{:?}", upstream.received());
}

/// An upstream whose stream waits behind the gate before it counts and ends.
async fn gated(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::start(move |_| {
        let lines = [
            EVENTS,
            CHUNKED,
            DATE,
            ORGANIZATION,
            ("x-request-id", "req_s"),
        ];
        gated_stream(head(200, &lines), &gate)
    })
    .await
}

async fn open_stream(proxy: &Proxy) -> (Connection, harness::raw::AnswerHead) {
    let mut stream = Connection::open(proxy.address()).await.expect("a listener");
    let request = with_key(Request::post(PATH, ask(MODEL, STREAM)), MINE);
    stream.send(&request.bytes()).await.expect("sent");
    stream.until("one").await;
    let head = stream.head("POST").await.expect("a head");
    (stream, head)
}

#[tokio::test]
async fn who_waits_for_an_open_stream_is_woken_by_its_end() {
    let gate = Gate::closed();
    let upstream = gated(&gate).await;
    let proxy = proxy_before(&upstream);
    let (mut stream, head) = open_stream(&proxy).await;
    let id = head
        .headers
        .get("x-tollfree-call")
        .expect("a call")
        .to_owned();
    let path = format!("/v1/_tollfree/calls/{id}");
    let now = found(&proxy.exchange(&Request::get(&path)).await);
    assert_eq!(
        now["verdict"],
        head.headers.get("x-tollfree-verdict").expect("x")
    );
    assert_eq!(now["tokens"], Value::Null, "{now}");
    let by_request = with_key(Request::get("/v1/_tollfree/calls/req_s"), MINE);
    assert_eq!(found(&proxy.exchange(&by_request).await)["call"], *id);
    // Two wait while the gate is closed.
    let mut waiting = Vec::new();
    for target in [
        format!("{path}?wait=60"),
        "/_tollfree/calls/req_s?x=1&wait=60".to_owned(),
    ] {
        let mut connection = Connection::open(proxy.address()).await.expect("a listener");
        let request = with_key(Request::get(&target), MINE);
        connection.send(&request.bytes()).await.expect("sent");
        waiting.push(connection);
    }
    // A third one waits for a second only, and is told what is known by then.
    let began = Instant::now();
    let waited = proxy
        .exchange(&Request::get(&format!("{path}?wait=1")))
        .await;
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(found(&waited)["tokens"], Value::Null);
    // The stream's end wakes both.
    gate.open();
    let began = Instant::now();
    stream.body(&head).await;
    for mut connection in waiting {
        let head = connection.head("GET").await.expect("a head");
        let body = connection.body(&head).await;
        let settled = found(&Answer { head, body });
        assert_eq!(settled["tokens"], 46, "{settled}");
        assert_eq!(settled["verdict"], "free", "{settled}");
        assert_eq!(settled["response-id"], "chatcmpl-s", "{settled}");
    }
    println!("woken {:?} after the gate opened", began.elapsed());
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_wait_is_whole_seconds_within_its_bounds() {
    let gate = Gate::closed();
    let upstream = gated(&gate).await;
    let setup = ProxySetup::to(&upstream.url())
        .config("[limits]\nlookup_wait = \"1 s\"\nlookup_waits_per_key = 1");
    let proxy = Proxy::start(setup);
    let (_stream, head) = open_stream(&proxy).await;
    let id = head
        .headers
        .get("x-tollfree-call")
        .expect("a call")
        .to_owned();
    let path = format!("/_tollfree/calls/{id}");
    for wait in ["soon", "-1", "1.5", "", "1s", "%31"] {
        let request = Request::get(&format!("{path}?wait={wait}"));
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.status(), 400, "{wait:?}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{wait:?}");
        assert_eq!(json(&answer)["error"]["code"], "invalid_wait", "{wait:?}");
    }
    // More than the limit is the limit; of two at once, one may wait.
    let began = Instant::now();
    let request = Request::get(&format!("{path}?wait=3600"));
    let both = tokio::join!(proxy.exchange(&request), proxy.exchange(&request));
    let mut statuses = [both.0.status(), both.1.status()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429], "{both:?}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    gate.open();
}

#[tokio::test]
async fn an_error_shows_call_verdict_and_reason_and_no_more() {
    let upstream = naming().await;
    let proxy = proxy_before(&upstream);
    // The key is known: still nothing of its organization is shown where OpenAI refused.
    proxy.exchange(&call(MINE).header("x-show", "yes")).await;
    for status in ["401", "403", "404", "429", "500"] {
        let answer = proxy.exchange(&call(MINE).header("x-status", status)).await;
        assert_eq!(answer.status().to_string(), status);
        assert_eq!(tags(&answer), ["call", "reason", "verdict"], "{status}");
        assert_eq!(answer.header("x-tollfree-verdict"), Some("none"));
        assert_eq!(answer.header("x-tollfree-reason"), Some("error-response"));
        let path = format!("/_tollfree/calls/{}", id_of(&answer));
        let found = found(&proxy.exchange(&Request::get(&path)).await);
        for tag in STANDING {
            assert_eq!(found[tag], Value::Null, "{status}: {found}");
        }
    }
}

#[tokio::test]
async fn a_streams_head_tells_a_stranger_no_more_than_its_end() {
    let stream = [
        &chat::says("chatcmpl-s", MODEL, "one")[..],
        &chat::counts("chatcmpl-s", MODEL, &chat::usage(12, 34)),
        DONE,
    ];
    let upstream = Upstream::constant(chunked(200, &[EVENTS, DATE], &stream)).await;
    let proxy = proxy_before(&upstream);
    let request = with_key(Request::post(PATH, ask(MODEL, STREAM)), FOREIGN);
    let request = request.header("OpenAI-Organization", "acme");
    let answer = proxy.exchange(&request).await;
    let path = format!("/_tollfree/calls/{}", id_of(&answer));
    let end = found(&proxy.exchange(&Request::get(&path)).await);
    assert_eq!(end["tokens"], 46, "{end}");
    for tag in STANDING {
        let told = answer.header(&format!("x-tollfree-{tag}"));
        assert_eq!((told, &end[tag]), (None, &Value::Null), "{tag}: {end}");
    }
}

#[tokio::test]
async fn a_stranger_learns_nothing_and_a_key_is_learned_from_a_2xx_that_names_the_organization() {
    let upstream = naming().await;
    let proxy = proxy_before(&upstream);
    // The organization has taken something that a stranger would like to know.
    let first = proxy.exchange(&call(MINE).header("x-show", "yes")).await;
    assert_eq!(first.header("x-tollfree-group"), Some("small"));
    for claim in [None, Some("acme"), Some("org-acme")] {
        let mut request = call(FOREIGN);
        if let Some(claim) = claim {
            request = request.header("OpenAI-Organization", claim);
        }
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.status(), 200, "{claim:?}");
        for tag in STANDING {
            let told = answer.header(&format!("x-tollfree-{tag}"));
            assert_eq!(told, None, "{claim:?}: {tag}");
        }
        let settled = proxy.settled(&answer).await;
        assert_eq!(settled.number("remaining-tokens"), None, "{settled:?}");
        assert_eq!(settled.text("group"), None, "{settled:?}");
    }
    // Nothing that was claimed was taken from it.
    let remaining = |answer: &Answer| -> u64 {
        let told = answer.header("x-tollfree-remaining-tokens");
        told.expect("remaining").parse().expect("a number")
    };
    let second = proxy.exchange(&call(MINE).header("x-show", "yes")).await;
    assert_eq!(remaining(&first) - remaining(&second), 46);
    // The key is enough from now on, on a 2xx that names nobody.
    let third = proxy.exchange(&call(MINE)).await;
    assert_eq!(remaining(&second) - remaining(&third), 46);
    // An error that names the organization teaches nothing.
    let refused = call(FOREIGN)
        .header("x-show", "yes")
        .header("x-status", "400");
    proxy.exchange(&refused).await;
    let still = proxy.exchange(&call(FOREIGN)).await;
    assert_eq!(still.header("x-tollfree-group"), None, "{:#?}", still.head);
    // A 2xx that names it does.
    proxy.exchange(&call(FOREIGN).header("x-show", "yes")).await;
    let known = proxy.exchange(&call(FOREIGN)).await;
    assert_eq!(remaining(&third) - remaining(&known), 2 * 46);
}
