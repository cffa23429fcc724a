//! The second listener from outside: who is answered, and with what.
//!
//! Knows paths, headers and shapes as users know them; how the page looks is tested in a browser, what the figures say
//! in `figures`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::beside::{self, get, json};
use harness::chat;
use harness::day::{Way, keyed, taking};
use harness::foreign::root;
use harness::kept::{KEYS, Kept};
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{self, Answer, Request};
use harness::sqlite;
use serde_json::Value;
use simulator::{AfterCrossing, Clock};

/// What is asked of who reads, where a token is set.
const TOKEN: &str = "0123456789abcdef-secret";
/// Each path, and the type of its answer.
const PATHS: [(&str, &str); 13] = [
    ("/", "text/html; charset=utf-8"),
    ("/page.css", "text/css; charset=utf-8"),
    ("/main.js", "text/javascript; charset=utf-8"),
    ("/uplot.min.js", "text/javascript; charset=utf-8"),
    ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
    ("/healthz", "application/json"),
    ("/readyz", "application/json"),
    ("/api/v1/standing", "application/json"),
    ("/api/v1/state", "application/json"),
    ("/api/v1/days", "application/json"),
    ("/api/v1/calls", "application/json"),
    ("/api/v1/offer", "application/json"),
    ("/api/v1/config", "application/json"),
];
/// What every answer carries, refusals included.
const ALWAYS: [(&str, &str); 4] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];

async fn kept() -> Kept {
    Kept::new(Clock::System, AfterCrossing::Billed).await
}

fn is_guarded(answer: &Answer, what: &str) {
    for (name, value) in ALWAYS {
        assert_eq!(answer.header(name), Some(value), "{what}");
    }
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.starts_with("default-src 'none'; "),
        "{what}: {policy}"
    );
    assert!(
        policy.contains("frame-ancestors 'none'"),
        "{what}: {policy}"
    );
    assert!(!policy.contains("unsafe"), "{what}: {policy}");
    let foreign = answer.header("access-control-allow-origin");
    assert_eq!(foreign, None, "{what}: pages of other sites may read it");
}

/// The words of a refusal.
fn refusal(answer: &Answer) -> String {
    let said: Value = serde_json::from_slice(&answer.body.bytes).expect("JSON");
    said["error"]["message"]
        .as_str()
        .expect("a message")
        .to_owned()
}

async fn asked(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::new(method, target);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    raw::exchange(address, &request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_answers_and_nothing_can_be_written() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let address = beside::address(&proxy);
    for (path, media_type) in PATHS {
        let answer = get(address, path).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some(media_type), "{path}");
        assert!(!answer.body.bytes.is_empty(), "{path}");
        is_guarded(&answer, path);
        let head = asked(address, "HEAD", path, &[]).await;
        assert_eq!(head.status(), 200, "HEAD {path}");
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = asked(address, method, path, &[]).await;
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
            is_guarded(&answer, path);
        }
    }
    for nothing in [
        "/nothing",
        "/api/v1/nothing",
        "/api/v2/standing",
        "/page.css/",
        "/../page.css",
    ] {
        let answer = get(address, nothing).await;
        assert_eq!(answer.status(), 404, "{nothing}");
        assert!(refusal(&answer).contains("help: "), "{nothing}");
        is_guarded(&answer, nothing);
    }
    for wrong in [
        "/api/v1/calls?limit=many",
        "/api/v1/days?days=0",
        "/api/v1/curve",
    ] {
        assert_eq!(get(address, wrong).await.status(), 400, "{wrong}");
    }
    let foreign = get(address, "/api/v1/calls/chatcmpl-of-somebody").await;
    assert_eq!(foreign.status(), 404);
    assert!(refusal(&foreign).contains("x-tollfree-call"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_hosts_of_ours_are_answered() {
    let kept = kept().await;
    let proxy = Proxy::start(
        kept.setup()
            .variable("TOLLFREE_ADMIN_HOSTS", "tollfree.internal"),
    );
    let address = beside::address(&proxy);
    for path in ["/", "/metrics", "/healthz", "/api/v1/calls", "/v1/models"] {
        for foreign in [
            "evil.example",
            "evil.example:8801",
            "127.0.0.1.evil.example",
            "",
        ] {
            let answer = asked(address, "GET", path, &[("host", foreign)]).await;
            assert_eq!(
                answer.status(),
                403,
                "{foreign:?} {path}: {}",
                answer.text()
            );
            is_guarded(&answer, path);
        }
        let two = [("host", "localhost"), ("host", "evil.example")];
        let status = asked(address, "GET", path, &two).await.status();
        assert!([400, 403].contains(&status), "two hosts: {status}");
    }
    for ours in [
        "localhost",
        "127.0.0.1:8801",
        "[::1]:8801",
        "Tollfree.Internal:443",
    ] {
        let answer = asked(address, "GET", "/healthz", &[("host", ours)]).await;
        assert_eq!(answer.status(), 200, "{ours}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_site_asks_in_vain_and_a_link_leads_to_the_page() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let address = beside::address(&proxy);
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ];
    for (path, _) in PATHS {
        for foreign in [
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
            ][..],
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
        ] {
            let answer = asked(address, "GET", path, foreign).await;
            assert_eq!(answer.status(), 403, "{path} {foreign:?}");
            assert!(refusal(&answer).contains("help: "), "{path}");
            is_guarded(&answer, path);
        }
        for ours in [
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "cors"),
            ][..],
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            &[("origin", "http://localhost")],
        ] {
            let answer = asked(address, "GET", path, ours).await;
            assert_eq!(answer.status(), 200, "{path} {ours:?}");
        }
        let status = if path == "/" { 200 } else { 403 };
        let answer = asked(address, "GET", path, &link).await;
        assert_eq!(answer.status(), status, "{path}: a link");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_asked_for_what_tells_something() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup().variable("TOLLFREE_ADMIN_TOKEN", TOKEN));
    let address = beside::address(&proxy);
    let bearer = format!("Bearer {TOKEN}");
    for path in [
        "/metrics",
        "/api/v1/standing",
        "/api/v1/calls",
        "/api/v1/calls.csv",
        "/api/v1/events",
    ] {
        for wrong in [
            None,
            Some("Bearer 0123456789abcdef-secre"),
            Some("Basic x"),
            Some(TOKEN),
        ] {
            let shown: Vec<_> = wrong
                .iter()
                .map(|value| ("authorization", *value))
                .collect();
            let answer = asked(address, "GET", path, &shown).await;
            assert_eq!(answer.status(), 401, "{path} {wrong:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.text().contains(TOKEN), "{path}");
            is_guarded(&answer, path);
        }
    }
    for path in ["/metrics", "/api/v1/standing"] {
        let answer = asked(address, "GET", path, &[("authorization", &bearer)]).await;
        assert_eq!(answer.status(), 200, "{path}");
        let answer = get(address, &format!("{path}?token={TOKEN}")).await;
        assert_eq!(answer.status(), 200, "{path}");
    }
    // What an orchestrator and a browser ask for before anybody can show one.
    for path in ["/", "/main.js", "/healthz", "/readyz"] {
        assert_eq!(get(address, path).await.status(), 200, "{path}");
    }
    let shown = asked(
        address,
        "GET",
        "/api/v1/config",
        &[("authorization", &bearer)],
    )
    .await;
    assert!(!shown.text().contains(TOKEN), "{}", shown.text());
    assert!(!proxy.log().contains(TOKEN));
}

#[tokio::test]
async fn what_does_not_work_is_told_to_those_who_may_know() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = gone.local_addr().expect("an address").to_string();
    drop(gone);
    let setup = ProxySetup::to(&format!("http://{upstream}"));
    let proxy = Proxy::start(setup.variable("TOLLFREE_ADMIN_TOKEN", TOKEN));
    let call = Request::post("/v1/chat/completions", chat::ask("gpt-4o-mini", ""));
    assert_eq!(proxy.exchange(&call).await.status(), 502);
    let address = beside::address(&proxy);
    for path in ["/healthz", "/readyz"] {
        let answer = get(address, path).await;
        let said = answer.text();
        assert!(
            said.contains(r#""status":"ok""#) && !said.contains(&upstream),
            "{said}"
        );
        let answer = get(address, &format!("{path}?token={TOKEN}")).await;
        assert!(answer.text().contains(&upstream), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_it_for_the_api_is_told_in_the_apis_words() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let address = beside::address(&proxy);
    let body = chat::ask("gpt-4o-mini", "");
    let answer = raw::exchange(address, &Request::post("/v1/chat/completions", body)).await;
    assert_eq!(answer.status(), 404);
    let said: Value = serde_json::from_slice(&answer.body.bytes).expect("JSON");
    let words = format!(
        "this is tollfree's page, not the API. help: OPENAI_BASE_URL=http://{}/v1",
        proxy.address()
    );
    assert_eq!(said["error"]["message"], words);
    assert_eq!(said["error"]["code"], "not_the_api");
    is_guarded(&answer, "the API");
    assert!(kept.simulator.bill().is_empty(), "it was forwarded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_tells_trouble_of_the_ledger_from_not_ready() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let address = beside::address(&proxy);
    for path in [
        "/healthz",
        "/readyz",
        "/healthz?strict=1",
        "/readyz?strict=1",
    ] {
        assert_eq!(json(address, path).await["status"], "ok", "{path}");
    }
    // A folder that cannot be made: a file is in its way.
    let blocked = proxy.folder().join("file");
    std::fs::write(&blocked, "x").expect("a file");
    let inside = blocked.join("data").display().to_string();
    let degraded = Proxy::start(kept.setup().variable("TOLLFREE_DATA_DIR", &inside));
    let address = beside::address(&degraded);
    for path in ["/healthz", "/readyz"] {
        let said = json(address, path).await;
        assert_eq!(said["status"], "degraded", "{path}: {said}");
        assert_eq!(said["ledger"]["status"], "degraded", "{path}: {said}");
        assert!(
            said["notices"][0]
                .as_str()
                .is_some_and(|one| !one.is_empty())
        );
        let strict = get(address, &format!("{path}?strict=1")).await;
        assert_eq!(strict.status(), 503, "{path}: {}", strict.text());
    }
    let call = keyed(Way::Chat.request("gpt-4o-mini", &taking(100)), KEYS[0]);
    assert_eq!(
        degraded.exchange(&call).await.status(),
        200,
        "a call waits for no ledger"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_seen_while_calls_are_still_taken() {
    let kept = kept().await;
    let mut proxy = Proxy::start(kept.setup().variable("TOLLFREE_DRAIN_KEEP_ACCEPTING", "2s"));
    let address = beside::address(&proxy);
    assert_eq!(get(address, "/readyz").await.status(), 200);
    proxy.terminate();
    proxy.wait_for_log("stopping");
    let mut answer = get(address, "/readyz").await;
    // The log says it a moment before; longer than that would be too long.
    let due = Instant::now() + Duration::from_secs(1);
    while answer.status() == 200 && Instant::now() < due {
        answer = get(address, "/readyz").await;
    }
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert!(answer.text().contains("stopping"), "{}", answer.text());
    assert_eq!(get(address, "/healthz").await.status(), 200, "it is alive");
    assert!(proxy.wait_for_exit().success());
}

/// That an object has the members that the description gives it, no more and no fewer, and so on inside.
fn is_as_described(said: &Value, schema: &Value, document: &Value, place: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(link) => document
            .pointer(link.trim_start_matches('#'))
            .expect("a schema"),
        None => schema,
    };
    if let (Some(properties), Some(members)) = (schema["properties"].as_object(), said.as_object())
    {
        let described: BTreeSet<_> = properties.keys().collect();
        let found: BTreeSet<_> = members.keys().collect();
        assert_eq!(found, described, "{place}");
        for (name, member) in members {
            is_as_described(
                member,
                &properties[name],
                document,
                &format!("{place}.{name}"),
            );
        }
    }
    for one in said.as_array().into_iter().flatten() {
        is_as_described(one, &schema["items"], document, &format!("{place}[]"));
    }
    if let Some(choices) = schema["anyOf"].as_array().filter(|_| !said.is_null()) {
        is_as_described(said, &choices[0], document, place);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_as_their_description_says() {
    let text = std::fs::read_to_string(root().join("docs/openapi.json")).expect("text");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let address = beside::address(&proxy);
    let call = keyed(Way::Chat.request("gpt-5.6", &taking(1_000_100)), KEYS[0]);
    let answer = proxy.exchange(&call).await;
    let id = answer.header("x-tollfree-call").expect("an id");
    eventually("the call in the tables", || {
        sqlite::read(kept.folder())
            .ok()
            .filter(|ledger| ledger.rows.len() == 1)
    })
    .await;
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 10);
    for (path, described) in paths {
        let content = described["get"]["responses"]["200"]["content"].as_object();
        let Some(schema) = content.and_then(|content| content.get("application/json")) else {
            continue;
        };
        let target = match path.as_str() {
            "/api/v1/curve" => "/api/v1/curve?organization=acme&group=large".to_owned(),
            other => other.replace("{id}", id),
        };
        let said = json(address, &target).await;
        is_as_described(&said, &schema["schema"], &document, path);
    }
}
