//! Answers that do not end well, and what is billed of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::raw::{ask, open, post};
use super::{ACME, settings, start, until};
use crate::{Simulator, StartError};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

fn stream(text: &str) -> Value {
    json!({
        "model": "gpt-4o", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": text}],
    })
}

#[tokio::test]
async fn a_break_is_a_reset_after_half_of_the_answer() {
    let simulator = start(settings()).await;
    // A role chunk, 16 deltas, the finish, the usage and the end: 20 pieces.
    let body = stream("[break] [chunks 16] [tokens in=100 out=1000]");
    let answer = post(simulator.address(), CHAT, ACME, &body).await;
    assert_eq!((answer.status, answer.whole), (200, false));
    assert_eq!(answer.error, Some(io::ErrorKind::ConnectionReset));
    assert_eq!(answer.events().len(), 10);
    let entry = &simulator.log()[0];
    assert_eq!(
        (entry.complete, entry.input_tokens, entry.output_tokens),
        (false, 100, 500)
    );
    let body = json!({"model": "gpt-5", "input": "[break]"});
    let answer = post(simulator.address(), RESPONSES, ACME, &body).await;
    assert!(!answer.whole && !answer.body.is_empty());
    assert!(!simulator.log()[1].complete);
}

#[tokio::test]
async fn a_truncated_answer_ends_as_if_it_were_whole() {
    let simulator = start(settings()).await;
    let answer = post(simulator.address(), CHAT, ACME, &stream("[truncate]")).await;
    assert!(answer.whole && !answer.text().contains("[DONE]"));
    let body = json!({"model": "gpt-5", "input": "[truncate]"});
    let answer = post(simulator.address(), RESPONSES, ACME, &body).await;
    assert!(answer.whole && serde_json::from_slice::<Value>(&answer.body).is_err());
    assert!(simulator.log().iter().all(|entry| !entry.complete));
}

#[tokio::test]
async fn an_error_inside_a_stream() {
    let simulator = start(settings()).await;
    let body = stream("[error mid-stream]");
    let answer = post(simulator.address(), CHAT, ACME, &body).await;
    assert_eq!(
        answer.events().last().unwrap()["error"]["type"],
        "server_error"
    );
    let body = json!({"model": "gpt-5", "input": "[error mid-stream]", "stream": true});
    let answer = post(simulator.address(), RESPONSES, ACME, &body).await;
    let events = answer.events();
    let (error, failed) = (&events[events.len() - 2], &events[events.len() - 1]);
    assert_eq!(
        (&error["type"], &failed["type"]),
        (&json!("error"), &json!("response.failed"))
    );
    assert_eq!(failed["response"]["usage"], Value::Null);
    assert_eq!(failed["sequence_number"], events.len() - 1);
}

#[tokio::test]
async fn incomplete_and_failed_responses_show_their_usage() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    for (text, status) in [("[incomplete]", "incomplete"), ("[failed]", "failed")] {
        let mut body = json!({"model": "gpt-5", "input": format!("{text} [tokens in=2 out=3]")});
        let answer = post(at, RESPONSES, ACME, &body).await.json();
        assert_eq!(
            (&answer["status"], &answer["usage"]["total_tokens"]),
            (&json!(status), &json!(5))
        );
        body["stream"] = json!(true);
        let answer = post(at, RESPONSES, ACME, &body).await;
        let last = answer.events().pop().unwrap();
        assert_eq!(last["type"], format!("response.{status}"));
        assert_eq!(last["response"]["usage"]["total_tokens"], 5);
    }
    assert!(
        simulator
            .log()
            .iter()
            .all(|entry| entry.complete && entry.tokens() == 5)
    );
}

#[tokio::test]
async fn usage_can_be_missing_or_hostile_and_is_billed_all_the_same() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let body = stream("[no usage] [tokens in=2 out=3]");
    let answer = post(at, CHAT, ACME, &body).await;
    assert!(answer.events().iter().all(|event| event["usage"].is_null()));
    let body = json!({"model": "gpt-5", "input": "[no usage] [tokens in=2 out=3]"});
    assert!(post(at, RESPONSES, ACME, &body).await.json()["usage"].is_null());
    let hostile = r#"[usage "{\"total_tokens\":1e999,"] [tokens in=2 out=3]"#;
    let answer = post(at, CHAT, ACME, &stream(hostile)).await;
    assert!(answer.text().contains(r#""usage":{"total_tokens":1e999,"#));
    let log = simulator.log();
    assert_eq!(log.len(), 3);
    assert!(log.iter().all(|entry| entry.tokens() == 5));
}

#[tokio::test]
async fn a_client_that_goes_is_billed_for_what_was_generated() {
    let mut settings = settings();
    settings.chunk_interval = Duration::from_millis(1);
    let simulator = start(settings).await;
    let body = stream("[chunks 2000] [bytes 10000] [tokens in=10 out=100000]").to_string();
    let line = "POST /v1/chat/completions";
    let key = format!("authorization: Bearer {ACME}\r\n");
    let mut connection = open(simulator.address(), line, &key, &body).await;
    let mut first = [0; 3000];
    connection.read_exact(&mut first).await.unwrap();
    assert!(simulator.log().is_empty());
    drop(connection);
    until(async || !simulator.log().is_empty()).await;
    let entry = &simulator.log()[0];
    assert!(!entry.complete && entry.output_tokens < 100_000);
    assert_eq!(entry.input_tokens, 10);
}

#[tokio::test]
async fn a_background_response_is_billed_once_when_it_ends() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let body = json!({"model": "gpt-5", "input": "[tokens in=2 out=3]", "background": true});
    let queued = post(at, RESPONSES, ACME, &body).await.json();
    assert_eq!(
        (&queued["status"], &queued["usage"]),
        (&json!("queued"), &Value::Null)
    );
    let line = format!("GET /v1/responses/{}", queued["id"].as_str().unwrap());
    until(async || ask(at, &line, ACME).await.json()["status"] == "completed").await;
    let done = ask(at, &line, ACME).await.json();
    assert_eq!(done["usage"]["total_tokens"], 5);
    assert_eq!(done["billing"]["payer"], "openai");
    let resumed = ask(at, &format!("{line}?stream=true&starting_after=2"), ACME).await;
    assert_eq!(resumed.events()[0]["sequence_number"], 3);
    assert_eq!(simulator.log().len(), 1);
}

#[tokio::test]
async fn a_cancelled_background_response_costs_nothing() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let body = json!({"model": "gpt-5", "input": "[delay 600000]", "background": true});
    let queued = post(at, RESPONSES, ACME, &body).await.json();
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    let cancelled = ask(at, &format!("POST {path}/cancel"), ACME).await.json();
    assert_eq!(
        (&cancelled["status"], &cancelled["usage"]),
        (&json!("cancelled"), &Value::Null)
    );
    assert!(simulator.log().is_empty());
}

#[tokio::test]
async fn stopping_closes_the_port_and_cuts_what_is_open() {
    let simulator = start(settings()).await;
    let address = simulator.address();
    let key = format!("authorization: Bearer {ACME}\r\n");
    let body = stream("[delay 600000]").to_string();
    let mut waiting = open(address, "POST /v1/chat/completions", &key, &body).await;
    until(async || simulator.connections() == 1).await;
    simulator.stop().await;
    let mut rest = Vec::new();
    // Either an end or a reset; in any case no answer.
    let _ = waiting.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let mut bad = settings();
    bad.organizations[0].usage_tier = 7;
    let error = Simulator::start(bad).await.unwrap_err();
    assert!(matches!(error, StartError::UsageTier { usage_tier: 7, .. }));
    let first = start(settings()).await;
    let mut taken = settings();
    taken.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, first.address().port()));
    let error = Simulator::start(taken).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    let mut unwritable = settings();
    unwritable.log = Some("/dev/null/log".into());
    let error = Simulator::start(unwritable).await.unwrap_err();
    assert!(matches!(error, StartError::Log(_)));
}
