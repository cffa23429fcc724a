//! Calls whose usage comes later than their answer: background responses, runs, streams that were cut. Each is counted
//! at the first whole sight of it, once, on whichever path that comes, and also after a restart.
//!
//! Knows what a client asks and sees; how a call is remembered is the product's affair.

use std::time::{Duration, Instant};

use harness::chat::{self, CHUNKED, DATE, EVENTS, JSON};
use harness::day::{ACME, Day, GLOBEX, Way, keyed};
use harness::http1::End;
use harness::proxy::{Proxy, ProxySetup, Settled};
use harness::raw::{Answer, Request, chunk};
use harness::upstream::{Step, Upstream, head, sized};
use serde_json::{Value, json};
use simulator::{AfterCrossing, PayerShown};
use tempfile::TempDir;

const MODEL: &str = "gpt-5-mini";
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) async fn begin() -> Day {
    Day::begin(AfterCrossing::Billed, PayerShown::NineOfTen).await
}

pub(crate) fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body.bytes).unwrap_or_else(|_| panic!("{}", answer.text()))
}

pub(crate) async fn get(proxy: &Proxy, target: &str) -> Answer {
    proxy.exchange(&keyed(Request::get(target), ACME)).await
}

/// Creates a background response, and gives its answer and its id.
async fn create(proxy: &Proxy, text: &str) -> (Answer, String) {
    let body = json!({"model": MODEL, "input": text, "background": true});
    let request = keyed(Request::post("/v1/responses", body.to_string()), ACME);
    let answer = proxy.exchange(&request).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let id = json_of(&answer)["id"].as_str().expect("an id").to_owned();
    (answer, id)
}

/// Polls until the response has ended.
async fn ended(proxy: &Proxy, id: &str) -> Answer {
    let deadline = Instant::now() + SOON;
    loop {
        let answer = get(proxy, &format!("/v1/responses/{id}")).await;
        let status = json_of(&answer)["status"].clone();
        if status != "queued" && status != "in_progress" {
            return answer;
        }
        assert!(Instant::now() < deadline, "never ended: {status}");
    }
}

pub(crate) async fn look_up(proxy: &Proxy, id: &str) -> Settled {
    let answer = get(proxy, &format!("/_tollfree/calls/{id}")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Settled::of(&answer)
}

/// What remains of the small group's allowance, as a call of one more token tells.
async fn remaining(day: &Day) -> u64 {
    let (_, settled) = day.call(Way::Response, MODEL, 11).await;
    settled.number("remaining-tokens").expect("a standing")
}

#[tokio::test]
async fn a_background_response_is_pending_until_a_poll_shows_it_whole() {
    let day = begin().await;
    let before = remaining(&day).await;
    let (answer, id) = create(&day.proxy, "[tokens in=40000 out=2000] [delay 300]").await;
    assert_eq!(answer.header("x-tollfree-verdict"), Some("pending"));
    assert_eq!(answer.header("x-tollfree-tokens"), None);
    let pending = look_up(&day.proxy, &id).await;
    assert_eq!(
        (pending.verdict(), pending.number("tokens")),
        ("pending", None)
    );
    let poll = ended(&day.proxy, &id).await;
    assert_eq!(poll.header("x-tollfree-verdict"), Some("none"));
    assert_eq!(poll.header("x-tollfree-reason"), Some("replay"));
    for name in [
        id.as_str(),
        answer.header("x-tollfree-call").expect("an id"),
    ] {
        let settled = look_up(&day.proxy, name).await;
        assert_eq!(
            (settled.verdict(), settled.number("tokens")),
            ("free", Some(42_000))
        );
    }
    for _ in 0..3 {
        ended(&day.proxy, &id).await;
    }
    assert_eq!(remaining(&day).await, before - 42_000 - 11, "counted once");
    let billed = day
        .simulator
        .bill()
        .into_iter()
        .find(|line| line.response_id == id);
    assert!(billed.expect("a line").free);
}

#[tokio::test]
async fn its_waiting_look_up_is_woken_by_the_first_sight() {
    let day = begin().await;
    let (answer, id) = create(&day.proxy, "[tokens in=400 out=20] [delay 200]").await;
    let call = answer.header("x-tollfree-call").expect("an id");
    let target = format!("/_tollfree/calls/{call}?wait=20");
    let (waited, _) = tokio::join!(get(&day.proxy, &target), ended(&day.proxy, &id));
    assert_eq!(Settled::of(&waited).number("tokens"), Some(420));
}

#[tokio::test]
async fn many_first_sights_at_once_count_once() {
    let day = begin().await;
    let before = remaining(&day).await;
    let (_, id) = create(&day.proxy, "[tokens in=5000 out=500]").await;
    let target = format!("/v1/responses/{id}");
    let direct = Request::get(&target);
    let deadline = Instant::now() + SOON;
    // Polled past the proxy, so that it has seen nothing yet.
    while json_of(
        &harness::raw::exchange(day.simulator.address(), &keyed(direct.clone(), ACME)).await,
    )["status"]
        != "completed"
    {
        assert!(Instant::now() < deadline);
    }
    let polls = (0..20).map(|_| {
        let (address, request) = (day.proxy.address(), keyed(direct.clone(), ACME));
        tokio::spawn(async move { harness::raw::exchange(address, &request).await })
    });
    for poll in polls.collect::<Vec<_>>() {
        assert_eq!(
            json_of(&poll.await.expect("a poll"))["usage"]["total_tokens"],
            5500
        );
    }
    assert_eq!(remaining(&day).await, before - 5500 - 11);
}

/// A response as upstream shows it to the key of a request, in the name of that key's organization.
fn shown(authorization: Option<&str>, status: &str, usage: &str) -> Vec<u8> {
    let organization = match authorization {
        Some(key) if key.ends_with(ACME) => "acme",
        _ => "globex",
    };
    let body = format!(
        r#"{{"id":"resp_same","object":"response","status":"{status}","model":"gpt-5-mini-2025-08-07","usage":{usage}}}"#
    );
    let organization = ("openai-organization", organization);
    sized(200, &[JSON, DATE, organization], body.as_bytes())
}

#[tokio::test]
async fn what_others_are_shown_moves_no_call() {
    const USAGE: &str = r#"{"input_tokens":30,"output_tokens":12,"total_tokens":42}"#;
    let upstream = Upstream::start(|received| {
        let key = received.headers.get("authorization");
        let (status, usage) = match (received.method.as_str(), received.target.as_str()) {
            ("POST", _) => ("queued", "null"),
            (_, target) if target.ends_with("?failed") => ("failed", "null"),
            _ => ("completed", USAGE),
        };
        vec![Step::Bytes(shown(key, status, usage))]
    })
    .await;
    let proxy = Proxy::start(ProxySetup::to(&upstream.url()).declared());
    // The first answer tells the day.
    get(&proxy, "/v1/models").await;
    let body = json!({"model": MODEL, "input": "x", "background": true}).to_string();
    let create = keyed(Request::post("/v1/responses", body), ACME);
    assert_eq!(proxy.exchange(&create).await.status(), 200);
    for target in ["/v1/responses/resp_same?failed", "/v1/responses/resp_same"] {
        let theirs = keyed(Request::get(target), GLOBEX);
        assert_eq!(proxy.exchange(&theirs).await.status(), 200);
        assert_eq!(look_up(&proxy, "resp_same").await.verdict(), "pending");
    }
    get(&proxy, "/v1/responses/resp_same").await;
    let settled = look_up(&proxy, "resp_same").await;
    assert_eq!(settled.number("tokens"), Some(42), "{settled:?}");
}

#[tokio::test]
async fn a_resumed_stream_is_a_sight_and_its_last_event_waits_for_the_verdict() {
    let day = begin().await;
    let (_, id) = create(&day.proxy, "[tokens in=400 out=20] [delay 200]").await;
    let stream = get(
        &day.proxy,
        &format!("/v1/responses/{id}?stream=true&starting_after=1"),
    )
    .await;
    assert!(
        stream.text().contains("response.completed"),
        "{}",
        stream.text()
    );
    assert_eq!(look_up(&day.proxy, &id).await.number("tokens"), Some(420));
}

#[tokio::test]
async fn a_cancelled_response_is_unknown_for_good() {
    let day = begin().await;
    let (_, id) = create(&day.proxy, "[delay 600000]").await;
    let cancel = Request::post(&format!("/v1/responses/{id}/cancel"), "");
    let answer = day.proxy.exchange(&keyed(cancel, ACME)).await;
    assert_eq!(json_of(&answer)["status"], "cancelled");
    let settled = look_up(&day.proxy, &id).await;
    assert_eq!(
        (settled.verdict(), settled.text("reason")),
        ("unknown", Some("usage-missing"))
    );
}

#[tokio::test]
async fn a_response_created_before_a_restart_is_counted_after_it() {
    for kill in [false, true] {
        let day = begin().await;
        let data = TempDir::new().expect("a temporary folder");
        let setup = || {
            ProxySetup::to(&format!("http://{}", day.simulator.address()))
                .variable("TOLLFREE_USAGE_TIER", "3")
                .declared()
                .variable("TOLLFREE_DATA_DIR", data.path().to_str().expect("text"))
        };
        let mut first = Proxy::start(setup());
        // The first answer tells the day and whose key it is.
        get(&first, "/v1/models").await;
        let (answer, id) = create(&first, "[tokens in=700 out=77]").await;
        let call = answer.header("x-tollfree-call").expect("an id").to_owned();
        if kill {
            first.kill();
        } else {
            first.terminate();
            assert!(first.wait_for_exit().success());
        }
        let second = Proxy::start(setup());
        get(&second, "/v1/models").await;
        assert_eq!(look_up(&second, &call).await.verdict(), "unknown");
        for _ in 0..2 {
            ended(&second, &id).await;
            let settled = look_up(&second, &id).await;
            assert_eq!(
                (settled.verdict(), settled.number("tokens")),
                ("free", Some(777))
            );
            assert_eq!(look_up(&second, &call).await.number("tokens"), Some(777));
        }
        second.terminate();
        drop(second);
        let third = Proxy::start(setup());
        assert_eq!(
            look_up(&third, &call).await.number("tokens"),
            Some(777),
            "in the ledger"
        );
        let before = look_up(&third, &id).await.number("remaining-tokens");
        ended(&third, &id).await;
        assert_eq!(
            look_up(&third, &id).await.number("remaining-tokens"),
            before
        );
    }
}

#[tokio::test]
async fn a_stream_that_was_cut_is_settled_when_it_is_seen_whole() {
    const WHOLE: &str = r#"{"id":"resp_cut","object":"response","status":"completed","model":"gpt-5-mini-2025-08-07",
        "usage":{"input_tokens":30,"output_tokens":12,"total_tokens":42}}"#;
    let upstream = Upstream::start(|received| {
        if received.method == "GET" {
            return vec![Step::Bytes(sized(200, &[JSON, DATE, ("openai-organization", "acme")], WHOLE.as_bytes()))];
        }
        let mut begun = head(200, &[EVENTS, ("transfer-encoding", "chunked"), DATE, ("openai-organization", "acme")]);
        let event = r#"{"type":"response.created","response":{"id":"resp_cut","status":"in_progress","model":"gpt-5-mini-2025-08-07","usage":null}}"#;
        begun.extend(chunk(format!("event: response.created\ndata: {event}\n\n").as_bytes()));
        vec![Step::Bytes(begun), Step::Close]
    })
    .await;
    let setup = ProxySetup::to(&upstream.url()).declared();
    let proxy = Proxy::start(setup);
    // The first answer tells the day.
    get(&proxy, "/v1/models").await;
    let body = json!({"model": MODEL, "input": "x", "stream": true}).to_string();
    let cut = proxy
        .exchange(&keyed(Request::post("/v1/responses", body), ACME))
        .await;
    assert_ne!(cut.body.end, End::Complete);
    let settled = proxy.settled(&cut).await;
    assert_eq!(
        (settled.verdict(), settled.text("reason")),
        ("unknown", Some("upstream-broke"))
    );
    get(&proxy, "/v1/responses/resp_cut").await;
    let settled = look_up(&proxy, "resp_cut").await;
    assert_eq!(
        (settled.verdict(), settled.number("tokens")),
        ("free", Some(42))
    );
    assert_eq!(proxy.settled(&cut).await.number("tokens"), Some(42));
}

/// A page that lists these.
pub(crate) fn listed(items: &[&str]) -> Vec<u8> {
    let list = format!(
        r#"{{"object":"list","data":[{}],"has_more":false}}"#,
        items.join(",")
    );
    sized(200, &[JSON, DATE, ORGANIZATION], list.as_bytes())
}

pub(crate) const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");

#[tokio::test]
async fn a_stored_chat_that_was_cut_is_settled_by_the_list_that_shows_it() {
    let upstream = Upstream::start(|received| {
        if received.method == "GET" && received.target.starts_with(chat::PATH) {
            let usage = format!(",{}", chat::usage(30, 12));
            let whole = chat::completion("chatcmpl-cut", chat::MODEL, "Hi", &usage);
            let whole = String::from_utf8(whole).expect("text");
            return vec![Step::Bytes(listed(&[&whole]))];
        }
        let mut begun = head(200, &[EVENTS, CHUNKED, DATE, ORGANIZATION]);
        begun.extend(chunk(&chat::says("chatcmpl-cut", chat::MODEL, "one")));
        vec![Step::Bytes(begun), Step::Close]
    })
    .await;
    let setup = ProxySetup::to(&upstream.url()).declared();
    let proxy = Proxy::start(setup);
    let stream = chat::ask(chat::MODEL, r#","stream":true,"store":true"#);
    let cut = keyed(Request::post(chat::PATH, stream), ACME);
    // The first answer tells the day.
    proxy.exchange(&cut).await;
    let cut = proxy.exchange(&cut).await;
    assert_eq!(proxy.settled(&cut).await.verdict(), "unknown");
    get(&proxy, "/v1/chat/completions?limit=20").await;
    let settled = proxy.settled(&cut).await;
    assert_eq!(settled.number("tokens"), Some(42), "{settled:?}");
    assert_eq!(settled.verdict(), "free", "{settled:?}");
}
