//! Runs of assistants: their usage comes in a poll, in a list, or where what they waited for is submitted. Each is counted
//! once.
//!
//! Knows what a client asks and sees; how a call is remembered is the product's affair.

use std::time::Instant;

use harness::chat::{DATE, EVENTS, JSON};
use harness::day::{ACME, keyed};
use harness::proxy::{Proxy, ProxySetup};
use harness::raw::{Answer, Request, chunk};
use harness::upstream::{Step, Upstream, head, sized};
use serde_json::{Value, json};

use crate::first_sight::{ORGANIZATION, SOON, begin, get, json_of, listed, look_up};

fn run_object(id: &str, status: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"{id}","object":"thread.run","status":"{status}","model":"gpt-4o-2024-08-06","last_error":null,"usage":{usage}}}"#
    )
}

fn run(id: &str, status: &str, usage: &str) -> Vec<u8> {
    let run = run_object(id, status, usage);
    sized(200, &[JSON, DATE, ORGANIZATION], run.as_bytes())
}

const RUN_USAGE: &str = r#"{"prompt_tokens":381,"completion_tokens":89,"total_tokens":470,"prompt_token_details":{"cached_tokens":0}}"#;

/// A run that waits for its tools where the request asks for one, and ends where they are submitted.
async fn assistants() -> (Upstream, Proxy) {
    let upstream = Upstream::start(|received| {
        let text = String::from_utf8_lossy(&received.body);
        vec![Step::Bytes(match received.target.as_str() {
            "/v1/threads/t/runs" => run("run_1", "queued", "null"),
            "/v1/threads/t/runs?early" => listed(&[&run_object("run_1", "in_progress", "null")]),
            "/v1/threads/t/runs?limit=20" => listed(&[
                &run_object("run_9", "completed", RUN_USAGE),
                &run_object("run_1", "completed", RUN_USAGE),
            ]),
            "/v1/threads/t/runs/run_1?early" => run("run_1", "in_progress", "null"),
            "/v1/threads/t/runs/run_1" => run("run_1", "completed", RUN_USAGE),
            "/v1/threads/t/runs/run_1/steps" => {
                let steps = format!(r#"{{"object":"list","data":[{{"object":"thread.run.step","run_id":"run_1","usage":{RUN_USAGE}}}]}}"#);
                sized(200, &[JSON, DATE, ORGANIZATION], steps.as_bytes())
            }
            "/v1/threads/t/runs/run_2/submit_tool_outputs" if text.contains("stream") => {
                let mut answer = head(200, &[EVENTS, ("transfer-encoding", "chunked"), DATE, ORGANIZATION]);
                let events = format!("event: thread.run.step.completed\ndata: {{\"id\":\"step_1\",\"object\":\"thread.run.step\",\"usage\":{RUN_USAGE}}}\n\n\
                    event: thread.run.completed\ndata: {{\"id\":\"run_2\",\"object\":\"thread.run\",\"status\":\"completed\",\"model\":\"gpt-4o-2024-08-06\",\"usage\":{RUN_USAGE}}}\n\n\
                    event: done\ndata: [DONE]\n\n");
                answer.extend(chunk(events.as_bytes()));
                answer.extend(b"0\r\n\r\n");
                answer
            }
            "/v1/threads/runs" => {
                let mut answer = head(200, &[EVENTS, ("transfer-encoding", "chunked"), DATE, ORGANIZATION]);
                let events = "event: thread.run.requires_action\ndata: {\"id\":\"run_2\",\"object\":\"thread.run\",\"status\":\"requires_action\",\"model\":\"gpt-4o-2024-08-06\",\"usage\":null}\n\n\
                    event: done\ndata: [DONE]\n\n";
                answer.extend(chunk(events.as_bytes()));
                answer.extend(b"0\r\n\r\n");
                answer
            }
            _ => sized(200, &[JSON, DATE, ORGANIZATION], b"{}"),
        })]
    })
    .await;
    let setup = ProxySetup::to(&upstream.url()).declared();
    let proxy = Proxy::start(setup);
    // The first answer tells the day.
    get(&proxy, "/v1/models").await;
    (upstream, proxy)
}

async fn post(proxy: &Proxy, target: &str, body: &Value) -> Answer {
    let request = Request::post(target, body.to_string());
    proxy.exchange(&keyed(request, ACME)).await
}

#[tokio::test]
async fn a_run_is_counted_by_the_poll_that_shows_it_completed() {
    let (_upstream, proxy) = assistants().await;
    let created = post(
        &proxy,
        "/v1/threads/t/runs",
        &json!({"assistant_id": "asst"}),
    )
    .await;
    assert_eq!(created.header("x-tollfree-verdict"), Some("pending"));
    for target in [
        "/v1/threads/t/runs/run_1?early",
        "/v1/threads/t/runs/run_1/steps",
    ] {
        get(&proxy, target).await;
        assert_eq!(
            look_up(&proxy, "run_1").await.verdict(),
            "pending",
            "{target}"
        );
    }
    get(&proxy, "/v1/threads/t/runs/run_1").await;
    let settled = look_up(&proxy, "run_1").await;
    assert_eq!(
        (settled.verdict(), settled.number("tokens")),
        ("free", Some(470))
    );
    assert_eq!(settled.text("endpoint"), Some("threads.runs"));
}

#[tokio::test]
async fn runs_of_every_kind_come_to_what_they_are_billed() {
    let day = begin().await;
    let asked = |words: &str, stream: bool| {
        let messages = json!([{"role": "user", "content": words}]);
        json!({"assistant_id": "asst", "additional_messages": messages, "stream": stream})
    };
    let outputs = |stream: bool| json!({"tool_outputs": [], "stream": stream});
    let runs = "/v1/threads/thread_1/runs";
    let mut ids = Vec::new();
    for (words, stream) in [
        ("[tokens in=3000 out=500]", false),
        ("[tokens in=3100 out=500] [chunks 3]", true),
        ("[tokens in=3200 out=500] [call]", false),
        ("[tokens in=3300 out=500] [call]", true),
        ("[tokens in=990000 out=500]", false),
    ] {
        let answer = post(&day.proxy, runs, &asked(words, stream)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let id = answer.text().split("run_").nth(1).expect("an id")[..24].to_owned();
        ids.push(format!("run_{id}"));
        let run = format!("{runs}/run_{id}");
        let status = async || json_of(&get(&day.proxy, &run).await)["status"].clone();
        let deadline = Instant::now() + SOON;
        if words.contains("call") {
            while status().await != "requires_action" {
                assert!(Instant::now() < deadline, "{words}");
            }
            let target = format!("{run}/submit_tool_outputs");
            let submitted = post(&day.proxy, &target, &outputs(stream)).await;
            assert_eq!(submitted.status(), 200, "{}", submitted.text());
        }
        while status().await != "completed" {
            assert!(Instant::now() < deadline, "{words}");
        }
    }
    get(&day.proxy, runs).await;
    let bill = day.simulator.bill();
    assert_eq!(bill.len(), ids.len(), "{bill:?}");
    for (line, id) in bill.iter().zip(ids) {
        assert_eq!(line.response_id, id);
        let settled = look_up(&day.proxy, &id).await;
        assert_eq!(settled.number("tokens"), Some(line.tokens), "{settled:?}");
        let word = if line.free { "free" } else { "billed" };
        assert_eq!(settled.verdict(), word, "{settled:?}");
    }
}

#[tokio::test]
async fn a_list_is_the_first_sight_of_each_call_that_it_shows_whole() {
    let (_upstream, proxy) = assistants().await;
    let asked = json!({"assistant_id": "asst"});
    let created = post(&proxy, "/v1/threads/t/runs", &asked).await;
    assert_eq!(created.header("x-tollfree-verdict"), Some("pending"));
    let list = get(&proxy, "/v1/threads/t/runs?early").await;
    assert_eq!(list.header("x-tollfree-reason"), Some("replay"));
    assert_eq!(look_up(&proxy, "run_1").await.verdict(), "pending");
    let mut seen = Vec::new();
    for _ in 0..2 {
        get(&proxy, "/v1/threads/t/runs?limit=20").await;
        let settled = look_up(&proxy, "run_1").await;
        assert_eq!(settled.verdict(), "free", "{settled:?}");
        assert_eq!(settled.number("tokens"), Some(470), "{settled:?}");
        seen.push(settled.number("remaining-tokens"));
    }
    assert_eq!(seen, [Some(250_000 - 470); 2], "counted once, and no other");
}

#[tokio::test]
async fn a_streamed_run_that_waited_for_tools_ends_where_they_are_submitted() {
    let (_upstream, proxy) = assistants().await;
    let asked = json!({"assistant_id": "asst", "stream": true});
    let waiting = post(&proxy, "/v1/threads/runs", &asked).await;
    assert_eq!(proxy.settled(&waiting).await.number("tokens"), None);
    let target = "/v1/threads/t/runs/run_2/submit_tool_outputs";
    let ended = post(&proxy, target, &json!({"tool_outputs": [], "stream": true})).await;
    assert_eq!(ended.header("x-tollfree-verdict"), Some("none"));
    let settled = proxy.settled(&waiting).await;
    assert_eq!(
        (settled.verdict(), settled.number("tokens")),
        ("free", Some(470))
    );
}
