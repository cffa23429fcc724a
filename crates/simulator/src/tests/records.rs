//! The log and the bill as calls over sockets make them.

use serde_json::{Value, json};

use super::raw::{ask, post};
use super::{ACME, GLOBEX, MORNING_MS, advance, clock, settings, start};
use crate::{AfterCrossing, Group, LogEntry, PayerShown, SharedProjects, bill_of};

const RESPONSES: &str = "/v1/responses";

fn response(model: &str, tokens: u64) -> Value {
    json!({"model": model, "input": format!("[tokens in={} out=100]", tokens - 100)})
}

/// OpenAI's published example: time of day, tokens, running total, free.
const EXAMPLE: [(&str, u64, u64, bool); 8] = [
    ("09:15", 120_000, 120_000, true),
    ("12:40", 140_000, 260_000, true),
    ("14:30", 150_000, 410_000, true),
    ("16:00", 150_000, 560_000, true),
    ("18:05", 150_000, 710_000, true),
    ("20:20", 150_000, 860_000, true),
    ("22:15", 115_000, 975_000, true),
    ("23:10", 30_000, 1_005_000, false),
];

#[tokio::test]
async fn the_published_example_over_sockets() {
    let (hands, clock) = clock();
    let mut settings = settings();
    settings.clock = clock;
    let simulator = start(settings).await;
    let at = simulator.address();
    for (time, tokens, _, free) in EXAMPLE {
        let (hours, minutes) = time.split_once(':').unwrap();
        let (hours, minutes): (i64, i64) = (hours.parse().unwrap(), minutes.parse().unwrap());
        let now = MORNING_MS + ((hours - 9) * 60 + minutes - 15) * 60_000;
        hands.store(now, std::sync::atomic::Ordering::SeqCst);
        let answer = post(at, RESPONSES, ACME, &response("gpt-5.6", tokens))
            .await
            .json();
        let payer = if free { "openai" } else { "developer" };
        assert_eq!(answer["billing"]["payer"], payer, "{time}");
        let line = format!("GET /v1/responses/{}", answer["id"].as_str().unwrap());
        assert_eq!(ask(at, &line, ACME).await.json()["billing"]["payer"], payer);
    }
    let (log, bill) = (simulator.log(), simulator.bill());
    assert_eq!(bill.len(), EXAMPLE.len());
    for ((entry, line), (time, tokens, total, free)) in log.iter().zip(&bill).zip(EXAMPLE) {
        assert_eq!(entry.at, format!("2026-11-21T{time}:00.000Z"));
        assert_eq!(
            (line.tokens, line.running_total, line.free),
            (tokens, Some(total), free)
        );
        assert_eq!(
            (&line.response_id, line.group),
            (&entry.response_id, Some(Group::Large))
        );
    }
    assert_eq!(bill_of(&log, AfterCrossing::Billed), bill);
    advance(&hands, 50 * 60_000);
    let answer = post(at, RESPONSES, ACME, &response("gpt-5.6", 200))
        .await
        .json();
    assert_eq!(answer["billing"]["payer"], "openai", "a new day");
    assert_eq!(simulator.bill().pop().unwrap().day, "2026-11-22");
}

#[tokio::test]
async fn what_is_not_covered_is_billed() {
    let mut settings = settings();
    settings.organizations[0].shared_projects = SharedProjects::All;
    let mut unshared = settings.organizations[0].clone();
    unshared.name = "initech".to_owned();
    unshared.keys[0].key = "sk-sim-initech".to_owned();
    unshared.shared_projects = SharedProjects::Only(vec!["proj_other".to_owned()]);
    settings.organizations.push(unshared);
    let simulator = start(settings).await;
    let at = simulator.address();
    let flex = json!({"model": "gpt-5", "input": "x", "service_tier": "flex"});
    let tuned = response("ft:gpt-4.1-2025-04-14:acme::x", 200);
    for (key, body, payer) in [
        (ACME, response("gpt-5", 200), "openai"),
        (GLOBEX, response("gpt-5", 200), "developer"),
        ("sk-sim-initech", response("gpt-5", 200), "developer"),
        (ACME, flex, "developer"),
        (ACME, tuned, "developer"),
        (ACME, response("gpt-6.1-sol", 200), "developer"),
        (
            ACME,
            json!({"model": "gpt-5", "input": "[tier priority]"}),
            "developer",
        ),
    ] {
        let answer = post(at, RESPONSES, key, &body).await.json();
        assert_eq!(answer["billing"]["payer"], payer, "{body}");
    }
    let log = simulator.log();
    let facts = |entry: &LogEntry| (entry.enrolled, entry.shared, entry.service_tier.clone());
    assert_eq!(facts(&log[1]), (false, true, "default".to_owned()));
    assert_eq!(facts(&log[2]), (true, false, "default".to_owned()));
    assert_eq!(facts(&log[3]), (true, true, "flex".to_owned()));
}

#[tokio::test]
async fn the_payer_is_shown_as_often_as_it_is_set() {
    for (when, times) in [
        (PayerShown::Always, 20),
        (PayerShown::NineOfTen, 18),
        (PayerShown::Never, 0),
    ] {
        let mut settings = settings();
        settings.show_payer = when;
        let simulator = start(settings).await;
        let mut shown = 0;
        for _ in 0..20 {
            let body = response("gpt-5", 200);
            let answer = post(simulator.address(), RESPONSES, ACME, &body)
                .await
                .json();
            shown += usize::from(answer.get("billing").is_some());
        }
        let logged = simulator.log();
        let logged = logged.iter().filter(|entry| entry.payer_shown.is_some());
        assert_eq!((shown, logged.count()), (times, times), "{when:?}");
    }
}

#[tokio::test]
async fn the_file_has_what_memory_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let mut settings = settings();
    settings.log = Some(path.clone());
    let simulator = start(settings).await;
    let asked = json!({
        "model": "gpt-4o-mini", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "[tokens in=10 out=5 cached=4 reasoning=2]"}],
    });
    post(simulator.address(), "/v1/chat/completions", ACME, &asked).await;
    post(
        simulator.address(),
        RESPONSES,
        GLOBEX,
        &response("gpt-5", 200),
    )
    .await;
    let text = std::fs::read_to_string(&path).unwrap();
    let entries: Vec<LogEntry> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(entries, simulator.log());
    let first: Value = super::json(text.lines().next().unwrap());
    let response_id = first["response_id"].clone();
    let request_id = first["request_id"].clone();
    assert_eq!(
        first,
        json!({
            "at": "2026-11-21T09:15:00.000Z", "organization": "acme", "project": "proj_acme",
            "key_hint": "acme", "endpoint": "/v1/chat/completions",
            "model": "gpt-4o-mini-2024-07-18", "service_tier": "default",
            "response_id": response_id, "request_id": request_id,
            "input_tokens": 10, "output_tokens": 5, "cached_tokens": 4, "reasoning_tokens": 2,
            "stream": true, "asked_usage": true, "hosted_tools": [], "enrolled": true,
            "shared": true, "usage_tier": 3, "complete": true, "payer_shown": null,
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_are_each_billed_once_in_the_order_of_the_log() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let calls = (0..64).map(|number: u64| {
        tokio::spawn(async move {
            let mut body = response("gpt-5", 20_000 + number);
            body["stream"] = json!(number.is_multiple_of(2));
            post(at, RESPONSES, ACME, &body).await.status
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    let (log, bill) = (simulator.log(), simulator.bill());
    assert_eq!(log.len(), 64);
    assert_eq!(bill_of(&log, AfterCrossing::Billed), bill);
    let free: u64 = bill
        .iter()
        .filter(|line| line.free)
        .map(|line| line.tokens)
        .sum();
    assert!(free <= 1_000_000 && free > 950_000);
    assert!(
        bill.windows(2)
            .all(|pair| pair[0].running_total < pair[1].running_total)
    );
}
