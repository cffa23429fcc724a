//! The log has a line for each settled call where that is asked for, in the words of the ledger; and one for a base URL
//! that an endpoint was pasted into.
//!
//! Knows the log's lines as programs and people read them; whether a verdict is right is for others.

use harness::chat;
use harness::day::{ACME, Way, keyed, taking};
use harness::kept::Kept;
use harness::proxy::{Proxy, Settled};
use harness::raw::{Answer, Request};
use serde_json::Value;
use simulator::{AfterCrossing, Clock};

/// What the caller says, and nobody may find in a log.
const SECRET: &str = "words-of-the-prompt";

async fn kept() -> Kept {
    Kept::new(Clock::System, AfterCrossing::Billed).await
}

/// A call's answer and what was settled.
async fn call(proxy: &Proxy, way: Way) -> (Answer, Settled) {
    let words = format!("{}{SECRET}", taking(1_200));
    let answer = proxy
        .exchange(&keyed(way.request("gpt-4o-mini", &words), ACME))
        .await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let settled = proxy.settled(&answer).await;
    (answer, settled)
}

fn told_of(line: &Value, field: &str) -> Option<Value> {
    line.get(field).filter(|value| !value.is_null()).cloned()
}

#[tokio::test]
async fn each_call_is_a_line_of_json_in_the_words_of_the_ledger() {
    let kept = kept().await;
    let setup = kept.setup().argument("--log-filter=info");
    let proxy = Proxy::start(setup.argument("--log-format=json"));
    for way in [Way::Chat, Way::ChatStream, Way::Response] {
        let (answer, settled) = call(&proxy, way).await;
        let id = settled.text("call").expect("an id");
        proxy.wait_for_log(id);
        let log = proxy.log();
        let lines: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
            .filter(|line: &Value| line["call"] == id)
            .collect();
        let [line] = lines.as_slice() else {
            panic!("{} lines of {id}: {log}", lines.len());
        };
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "settled");
        assert_eq!(
            line["request_id"],
            answer.header("x-request-id").expect("an id")
        );
        assert_eq!(line["organization"], "acme");
        for (field, tag) in [
            ("verdict", "verdict"),
            ("certainty", "certainty"),
            ("reason", "reason"),
            ("model", "model"),
        ] {
            assert_eq!(
                told_of(line, field),
                settled.text(tag).map(Value::from),
                "{way:?} {field}: {line}"
            );
        }
        for (field, tag) in [
            ("input_tokens", "input-tokens"),
            ("output_tokens", "output-tokens"),
            ("remaining_tokens", "remaining-tokens"),
        ] {
            assert_eq!(
                told_of(line, field),
                settled.number(tag).map(Value::from),
                "{way:?} {field}: {line}"
            );
        }
    }
    for secret in [SECRET, ACME] {
        assert!(!proxy.log().contains(secret), "{}", proxy.log());
    }
}

#[tokio::test]
async fn without_being_asked_the_log_has_no_line_for_a_call() {
    let kept = kept().await;
    let proxy = Proxy::start(kept.setup());
    let (_, settled) = call(&proxy, Way::Chat).await;
    let pasted = Request::post(
        "/v1/chat/completions/chat/completions",
        chat::ask("gpt-4o-mini", ""),
    );
    for _ in 0..2 {
        let answer = proxy.exchange(&keyed(pasted.clone(), ACME)).await;
        assert_eq!(answer.status(), 404, "OpenAI answers: {}", answer.text());
    }
    let log = proxy.wait_for_log("the base URL should end in /v1");
    assert!(!log.contains(settled.text("call").expect("an id")), "{log}");
    assert_eq!(log.matches("should end in /v1").count(), 1, "{log}");
    assert!(
        log.contains("path /v1/chat/completions/chat/completions: "),
        "{log}"
    );
}
