//! A background response that is created through one replica and polled through another: counted once, where it began.
//!
//! Knows answers and look-ups; not how replicas tell each other.

use harness::day::{ACME, keyed};
use harness::kept;
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::Request;
use harness::redis::Redis;
use harness::sqlite;
use serde_json::{Value, json};
use simulator::{AfterCrossing, Clock, PayerShown, Simulator};
use tempfile::TempDir;

const MODEL: &str = "gpt-4o-mini";
const TOKENS: u64 = 42_000;

fn replica(simulator: &Simulator, redis: &Redis, folder: &TempDir) -> Proxy {
    let setup = ProxySetup::to(&format!("http://{}", simulator.address()))
        .variable(
            "TOLLFREE_DATA_DIR",
            &folder.path().join("data").display().to_string(),
        )
        .variable("TOLLFREE_ADMIN_LISTEN", "off")
        .variable("TOLLFREE_SHARE_URL", &redis.url());
    Proxy::start(setup)
}

async fn polled(proxy: &Proxy, id: &str) -> Value {
    let poll = keyed(Request::get(&format!("/v1/responses/{id}")), ACME);
    let answer = proxy.exchange(&poll).await;
    serde_json::from_slice(&answer.body.bytes).expect("JSON")
}

/// Tokens that the rows of this replica say were taken, and how many rows adjust another.
fn kept_of(folder: &TempDir) -> Option<(u64, usize)> {
    let ledger = sqlite::read(&folder.path().join("data")).ok()?;
    let taken = ledger.totals.values().map(|total| total.taken).sum();
    let adjusting = ledger.rows.iter().filter(|row| row.adjusts.is_some());
    Some((taken, adjusting.count()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_seen_through_another_replica_is_counted_once_where_it_began() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let mut settings = kept::settings(Clock::System, AfterCrossing::Billed);
    settings.show_payer = PayerShown::Never;
    let simulator = Simulator::start(settings).await.expect("a simulator");
    let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
    let [here, there] = [0, 1].map(|place| replica(&simulator, &redis, &folders[place]));
    let body = json!({"model": MODEL, "input": "[tokens in=40000 out=2000] [delay 200]", "background": true});
    let create = keyed(Request::post("/v1/responses", body.to_string()), ACME);
    let created = here.exchange(&create).await;
    assert_eq!(created.header("x-tollfree-verdict"), Some("pending"));
    let answer: Value = serde_json::from_slice(&created.body.bytes).expect("JSON");
    let id = answer["id"].as_str().expect("an id");
    let told = || {
        redis
            .command(&["KEYS", "tollfree:awaited:*"])
            .contains("awaited")
            .then_some(())
    };
    eventually("the other replica can know who waits for it", told).await;
    while polled(&there, id).await["status"] != "completed" {}
    eventually("it is counted where it began", || {
        (kept_of(&folders[0])? == (TOKENS, 1)).then_some(())
    })
    .await;
    let settled = here.settled(&created).await;
    assert_eq!(settled.number("tokens"), Some(TOKENS), "{settled:?}");
    // Seen again, through either.
    for proxy in [&there, &here, &there] {
        polled(proxy, id).await;
    }
    let beat = || {
        redis
            .command(&["KEYS", "tollfree:sights:*"])
            .is_empty()
            .then_some(())
    };
    eventually("nothing is left to tell", beat).await;
    assert_eq!(kept_of(&folders[0]), Some((TOKENS, 1)));
    assert_eq!(kept_of(&folders[1]).map(|(taken, _)| taken), Some(0));
}
