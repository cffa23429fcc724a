//! Calls whose client left, estimated from what calls of their model took: on a WebSocket, and corrected by a whole sight
//! that comes after a restart.
//!
//! Knows what a client asks and sees, and what the simulated upstream bills; how tokens are guessed is the product's
//! affair.

use std::time::Duration;

use harness::day::{ACME, Day, keyed, settings};
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup, Settled};
use harness::raw::{Connection, Request};
use harness::websocket::WebSocket;
use serde_json::json;
use simulator::{AfterCrossing, Clock, PayerShown, Settings, Simulator};
use tempfile::TempDir;

const MODEL: &str = "gpt-5-mini";
/// What every call here takes that comes to its end.
const WORDS: &str = "[tokens in=400 out=100] [bytes 2000] [chunks 20]";
const INPUT: u64 = 400;
const TOKENS: u64 = 500;
/// Calls that are seen whole before one is estimated.
const LESSONS: usize = 4;

/// Streams that take their time, so that a client can leave them.
fn slow() -> Settings {
    Settings {
        chunk_interval: Duration::from_millis(10),
        ..settings(AfterCrossing::Billed, PayerShown::NineOfTen)
    }
}

async fn look_up(proxy: &Proxy, id: &str) -> Settled {
    let request = Request::get(&format!("/_tollfree/calls/{id}?wait=10"));
    let answer = proxy.exchange(&keyed(request, ACME)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Settled::of(&answer)
}

/// The tokens of a call that is known by an estimate alone: all of its input, and a part of its output.
fn estimated(settled: &Settled) -> u64 {
    let word = (settled.verdict(), settled.text("certainty"));
    assert_eq!(word, ("free", Some("estimated")), "{settled:?}");
    let tokens = settled.number("tokens").expect("an estimate");
    assert!((INPUT - 1..TOKENS).contains(&tokens), "{settled:?}");
    tokens
}

#[tokio::test]
async fn a_response_on_a_websocket_whose_client_left_is_estimated() {
    let day = Day::of(slow()).await;
    let create = json!({"type": "response.create", "model": MODEL, "input": WORDS});
    let mut socket = WebSocket::open(day.proxy.address(), "/v1/responses", ACME).await;
    for _ in 0..LESSONS {
        socket.say(&create).await;
        socket.hear_until("response.completed").await;
    }
    socket.say(&create).await;
    let begun = socket.hear_until("response.created").await;
    for _ in 0..5 {
        socket.hear_until("response.output_text.delta").await;
    }
    drop(socket);
    let id = begun["response"]["id"].as_str().expect("an id");
    estimated(&look_up(&day.proxy, id).await);
    // What may be missing of it is assumed from then on.
    let ended = || day.simulator.log().pop().filter(|entry| !entry.complete);
    eventually("upstream sees the end", ended).await;
}

/// A proxy on a data directory that outlives it.
fn started(simulator: &Simulator, folder: &TempDir) -> Proxy {
    let setup = ProxySetup::to(&format!("http://{}", simulator.address()))
        .variable("TOLLFREE_USAGE_TIER", "3")
        .declared()
        .variable("TOLLFREE_DATA_DIR", folder.path().to_str().expect("text"));
    Proxy::start(setup)
}

fn stream(background: bool) -> Request {
    let body = json!({"model": MODEL, "input": WORDS, "stream": true, "background": background});
    keyed(Request::post("/v1/responses", body.to_string()), ACME)
}

/// What remains of the allowance after one more call.
async fn remaining(proxy: &Proxy) -> u64 {
    let answer = proxy.exchange(&stream(false)).await;
    let settled = proxy.settled(&answer).await;
    assert_eq!(settled.number("tokens"), Some(TOKENS), "{settled:?}");
    settled.number("remaining-tokens").expect("a standing")
}

#[tokio::test]
async fn an_estimate_from_before_a_restart_is_corrected_by_a_whole_sight_after_it_once() {
    // By this clock, so that a start knows the day before the first answer tells it.
    let settings = Settings {
        clock: Clock::System,
        ..slow()
    };
    let simulator = Simulator::start(settings).await.expect("a simulator");
    let folder = TempDir::new().expect("a temporary folder");
    let first = started(&simulator, &folder);
    // The first answer tells the day and whose key it is.
    first
        .exchange(&keyed(Request::get("/v1/models"), ACME))
        .await;
    for _ in 0..LESSONS {
        remaining(&first).await;
    }
    let mut leaver = Connection::open(first.address()).await.expect("a listener");
    leaver.send(&stream(true).bytes()).await.expect("sent");
    leaver.until("output_text.delta").await;
    let head = leaver.head("POST").await.expect("a head");
    let call = head.headers.get("x-tollfree-call").expect("a call");
    let call = call.to_owned();
    drop(leaver);
    let settled = look_up(&first, &call).await;
    let estimate = estimated(&settled);
    let id = settled.text("response-id").expect("an id").to_owned();
    let mut before = remaining(&first).await;
    first.kill();
    // The last start finds it corrected.
    for correction in [TOKENS - estimate, 0] {
        let proxy = started(&simulator, &folder);
        let shown = keyed(Request::get(&format!("/v1/responses/{id}")), ACME);
        for _ in 0..2 {
            assert_eq!(proxy.exchange(&shown).await.status(), 200);
        }
        let settled = look_up(&proxy, &call).await;
        assert_eq!(settled.number("tokens"), Some(TOKENS), "{settled:?}");
        let word = (settled.verdict(), settled.text("certainty"));
        assert_eq!(word, ("free", Some("estimated")), "the verdict stays");
        let after = remaining(&proxy).await;
        assert_eq!(after, before - correction - TOKENS);
        before = after;
        proxy.kill();
    }
}
