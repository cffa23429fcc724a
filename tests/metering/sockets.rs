//! Calls on WebSockets through the proxy, with the simulated OpenAI behind it: each response is settled as it ends and
//! found by its id, however the connection ends.
//!
//! Knows what a client sends and sees; how bytes pass is tested in `socket_bytes`.

use std::time::{Duration, Instant};

use harness::day::{ACME, Day, GLOBEX, settings};
use harness::patience::eventually;
use harness::proxy::Proxy;
use harness::raw::{Answer, Request};
use harness::websocket::{WebSocket, create};
use serde_json::{Value, json};
use simulator::{AfterCrossing, PayerShown};

const RESPONSES: &str = "/v1/responses";
const REALTIME: &str = "/v1/realtime?model=gpt-realtime";
const TRANSLATIONS: &str = "/v1/realtime/translations?model=gpt-realtime";
const MODEL: &str = "gpt-5-mini-2025-08-07";

async fn begin() -> Day {
    Day::begin(AfterCrossing::Billed, PayerShown::NineOfTen).await
}

async fn look_up(proxy: &Proxy, id: &str, key: &str) -> Answer {
    let request = Request::get(&format!("/v1/_tollfree/calls/{id}"));
    proxy
        .exchange(&request.header("authorization", &format!("Bearer {key}")))
        .await
}

/// What is known of a response, at once: nothing is waited for.
async fn settled(proxy: &Proxy, id: &str) -> Value {
    let answer = look_up(proxy, id, ACME).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    serde_json::from_slice(&answer.body.bytes).expect("JSON")
}

fn id_of(event: &Value) -> String {
    let id = event["response"]["id"].as_str();
    id.unwrap_or_else(|| panic!("{event}")).to_owned()
}

#[tokio::test]
async fn each_response_is_settled_before_its_last_event_can_be_read() {
    let day = begin().await;
    let mut socket = WebSocket::open(day.proxy.address(), RESPONSES, ACME).await;
    for round in 0..30 {
        let text = format!("[tokens in={} out=7]", 100 + round);
        socket.say(&create(&text, None)).await;
        let done = socket.hear_until("response.completed").await;
        let call = settled(&day.proxy, &id_of(&done)).await;
        assert_eq!(call["verdict"], "free", "{call}");
        assert_eq!(call["tokens"], 107 + round);
        assert_eq!(
            (&call["model"], &call["endpoint"]),
            (&json!(MODEL), &json!("responses"))
        );
        let stranger = look_up(&day.proxy, &id_of(&done), GLOBEX).await;
        assert_eq!(stranger.status(), 404);
    }
}

#[tokio::test]
async fn lanes_end_in_any_order_and_the_bill_agrees() {
    let day = begin().await;
    let mut socket = WebSocket::open(day.proxy.address(), RESPONSES, ACME).await;
    for lane in 0..20 {
        let wait = 200 - 10 * lane;
        let text = format!("[tokens in=30000 out={lane}1] [delay {wait}] [chunks 40]");
        socket
            .say(&create(&text, Some(&format!("lane-{lane}"))))
            .await;
    }
    socket.say(&create("[status 429]", Some("lane-3"))).await;
    let (mut ended, mut refused) = (Vec::new(), 0);
    while ended.len() < 20 || refused < 1 {
        let event = socket.hear().await;
        match event["type"].as_str() {
            Some("response.completed") => ended.push(id_of(&event)),
            Some("error") => refused += 1,
            _ => {}
        }
    }
    let bill = day.simulator.bill();
    assert_eq!(bill.len(), 20);
    for line in bill {
        assert!(ended.contains(&line.response_id));
        let call = settled(&day.proxy, &line.response_id).await;
        assert_eq!(call["tokens"], line.tokens);
        assert_eq!(
            call["verdict"],
            if line.free { "free" } else { "billed" },
            "{call}"
        );
    }
}

#[tokio::test]
async fn a_realtime_session_is_settled_by_the_model_that_it_named_once() {
    for path in [REALTIME, TRANSLATIONS] {
        a_realtime_session(path).await;
    }
}

async fn a_realtime_session(path: &str) {
    let day = begin().await;
    let mut socket = WebSocket::open(day.proxy.address(), path, ACME).await;
    let item = json!({"type": "message", "role": "user",
        "content": [{"type": "input_text", "text": "[tokens in=16 out=63 cached=4]"}]});
    socket
        .say(&json!({"type": "conversation.item.create", "item": item}))
        .await;
    socket.say(&json!({"type": "response.create"})).await;
    let done = socket.hear_until("response.done").await;
    let call = settled(&day.proxy, &id_of(&done)).await;
    assert_eq!(
        (&call["verdict"], &call["reason"]),
        (&json!("billed"), &json!("model-not-listed"))
    );
    assert_eq!(
        (&call["model"], &call["tokens"]),
        (&json!("gpt-realtime"), &json!(79))
    );
    let session =
        json!({"audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}});
    socket
        .say(&json!({"type": "session.update", "session": session}))
        .await;
    socket
        .say(&json!({"type": "input_audio_buffer.commit"}))
        .await;
    let written = socket
        .hear_until("conversation.item.input_audio_transcription.completed")
        .await;
    let call = settled(&day.proxy, written["item_id"].as_str().expect("an id")).await;
    assert_eq!(
        (&call["model"], &call["tokens"]),
        (&json!("gpt-4o-mini-transcribe"), &json!(30))
    );
}

#[tokio::test]
async fn a_session_that_upstream_breaks_ends_and_leaves_what_was_open_unknown() {
    let day = begin().await;
    for word in ["[break]", "[truncate]"] {
        let mut socket = WebSocket::open(day.proxy.address(), RESPONSES, ACME).await;
        socket
            .say(&create(&format!("{word} [chunks 50]"), None))
            .await;
        let begun = socket.hear_until("response.created").await;
        while socket.frame().await.is_some() {}
        let id = id_of(&begun);
        let call = settled(&day.proxy, &format!("{id}?wait=10")).await;
        assert_eq!(
            (&call["verdict"], &call["reason"]),
            (&json!("unknown"), &json!("upstream-broke"))
        );
        assert_eq!(call["model"], MODEL);
    }
}

#[tokio::test]
async fn a_client_that_leaves_frees_upstream_and_leaves_what_was_open_unknown() {
    let mut settings = settings(AfterCrossing::Billed, PayerShown::NineOfTen);
    settings.chunk_interval = Duration::from_millis(5);
    let day = Day::of(settings).await;
    let mut socket = WebSocket::open(day.proxy.address(), RESPONSES, ACME).await;
    socket
        .say(&create(
            "[chunks 100000] [bytes 200000] [tokens in=5 out=100000]",
            None,
        ))
        .await;
    let begun = socket.hear_until("response.created").await;
    drop(socket);
    // The simulated upstream bills what it generated as soon as it sees its client gone.
    let entry = eventually("upstream sees the end", || day.simulator.log().pop()).await;
    assert!(!entry.complete && entry.output_tokens < 100_000);
    let call = settled(&day.proxy, &format!("{}?wait=10", id_of(&begun))).await;
    assert_eq!(
        (&call["verdict"], &call["reason"]),
        (&json!("unknown"), &json!("client-gone"))
    );
}

#[tokio::test]
async fn a_stop_closes_idle_sockets_at_once_and_lets_responses_end() {
    let mut day = begin().await;
    let mut idle = WebSocket::open(day.proxy.address(), RESPONSES, ACME).await;
    let mut busy = WebSocket::open(day.proxy.address(), RESPONSES, ACME).await;
    busy.say(&create("[tokens in=5 out=6] [delay 1500]", None))
        .await;
    // An answered ping: what was said before it has reached upstream.
    busy.send(0x89, b"?").await;
    assert_eq!(busy.frame().await, Some((0x8a, b"?".to_vec())));
    let began = Instant::now();
    day.proxy.terminate();
    assert_eq!(idle.frame().await, None);
    assert!(
        began.elapsed() < Duration::from_millis(1400),
        "the idle one waited"
    );
    let done = busy.hear_until("response.completed").await;
    assert_eq!(done["response"]["usage"]["total_tokens"], 11);
    assert_eq!(busy.frame().await, None);
    assert!(day.proxy.wait_for_exit().success());
}
