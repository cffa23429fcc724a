//! A call whose usage comes later than its answer, where calls are listed and counted: pending, and then one call.
//!
//! Knows what the commands and the metrics say of it; how it is remembered is tested elsewhere.

use std::time::{Duration, Instant};

use harness::beside;
use harness::command::Task;
use harness::day::{ACME, keyed};
use harness::kept::Kept;
use harness::patience::eventually;
use harness::proxy::Proxy;
use harness::raw::Request;
use serde_json::Value;
use simulator::{AfterCrossing, Clock};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_background_response_is_pending_where_calls_are_listed_and_then_one_call() {
    let kept = Kept::new(Clock::System, AfterCrossing::Billed).await;
    let proxy = Proxy::start(kept.setup());
    let run = |arguments: &[&str]| {
        let folder = kept.folder().display().to_string();
        Task::new(arguments)
            .variable("TOLLFREE_DATA_DIR", &folder)
            .run()
    };
    let output = |arguments: &[&str]| run(arguments).output;
    let body =
        r#"{"model":"gpt-4o-mini","input":"[tokens in=400 out=20] [delay 200]","background":true}"#;
    let answer = proxy
        .exchange(&keyed(Request::post("/v1/responses", body), ACME))
        .await;
    assert_eq!(answer.header("x-tollfree-verdict"), Some("pending"));
    let call = answer.header("x-tollfree-call").expect("an id").to_owned();
    let created: Value = serde_json::from_slice(&answer.body.bytes).expect("JSON");
    eventually("a call in the ledger", || {
        (!output(&["calls"]).is_empty()).then_some(())
    })
    .await;
    let row: Value = serde_json::from_str(&output(&["calls", "--json"])).expect("JSON");
    assert_eq!(row["verdict"], "pending", "{row}");
    assert_eq!(output(&["calls", "--verdict", "unknown"]), "");
    assert!(output(&["calls", "--verdict", "pending"]).contains(&call));
    let status = run(&["status"]);
    assert!(status.errors.contains("1 call pending"), "{status:?}");
    assert!(!status.errors.contains("without usage"), "{status:?}");
    let metrics = beside::get(beside::address(&proxy), "/metrics")
        .await
        .text();
    assert!(!metrics.contains("verdict=\"unknown\""), "{metrics}");
    let id = created["id"].as_str().expect("an id");
    let target = format!("/v1/responses/{id}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !proxy
        .exchange(&keyed(Request::get(&target), ACME))
        .await
        .text()
        .contains("\"completed\"")
    {
        assert!(Instant::now() < deadline, "it never ended");
    }
    let verdict = || {
        let rows = output(&["calls"]);
        let rows: Vec<&str> = rows.lines().collect();
        assert_eq!(rows.len(), 1, "the call is one row: {rows:?}");
        rows.iter()
            .any(|row| row.contains("\tfree\t"))
            .then_some(())
    };
    eventually("it is free", verdict).await;
    assert_eq!(output(&["calls", "--verdict", "unknown"]), "");
    let status = run(&["status"]);
    assert!(!status.errors.contains("pending"), "{status:?}");
    // Nothing is hidden from who asks for that call.
    assert_eq!(output(&["calls", &call, "--json"]).lines().count(), 2);
}
