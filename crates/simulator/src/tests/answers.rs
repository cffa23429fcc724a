//! What answers look like on the wire.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::raw::{ask, exchange, post, post_with};
use super::{ACME, GLOBEX, settings, start};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

fn chat(text: &str) -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})
}

fn chat_stream(text: &str, options: Value) -> Value {
    let mut body = chat(text);
    body["stream"] = json!(true);
    if !options.is_null() {
        body["stream_options"] = options;
    }
    body
}

#[tokio::test]
async fn a_chat_names_the_snapshot_and_its_usage() {
    let simulator = start(settings()).await;
    let body = chat("[tokens in=120000 out=34 cached=7 reasoning=3]");
    let answer = post(simulator.address(), CHAT, ACME, &body).await;
    assert_eq!((answer.status, answer.whole), (200, true));
    let shown = answer.json();
    assert_eq!(shown["model"], "gpt-4o-2024-08-06");
    assert_eq!(shown["service_tier"], "default");
    let usage = json!({
        "prompt_tokens": 120_000, "completion_tokens": 34, "total_tokens": 120_034,
        "prompt_tokens_details": {"cached_tokens": 7, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 3, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    });
    assert_eq!(shown["usage"], usage);
}

#[tokio::test]
async fn a_stream_shows_usage_only_if_asked() {
    let simulator = start(settings()).await;
    let unasked = chat_stream("hi", Value::Null);
    let unasked = post(simulator.address(), CHAT, ACME, &unasked).await;
    assert!(!unasked.text().contains("usage"));
    let asked = chat_stream("hi [tokens in=5 out=6]", json!({"include_usage": true}));
    let asked = post(simulator.address(), CHAT, ACME, &asked).await;
    let (last, rest) = asked
        .events()
        .split_last()
        .map(|(l, r)| (l.clone(), r.to_vec()))
        .unwrap();
    assert_eq!(
        (&last["choices"], &last["usage"]["total_tokens"]),
        (&json!([]), &json!(11))
    );
    assert!(rest.iter().all(|event| event["usage"] == Value::Null));
    assert!(
        rest.iter()
            .all(|event| event.as_object().unwrap().contains_key("usage"))
    );
    for answer in [unasked, asked] {
        assert!(answer.text().ends_with("data: [DONE]\n\n"));
        let lines = answer.data().into_iter().filter(|data| *data != "[DONE]");
        for line in lines {
            assert_eq!(("data: ".len() + line.len()) % 16, 7, "{line}");
        }
    }
}

#[tokio::test]
async fn an_asked_stream_less_its_traces_is_the_unasked_one() {
    let simulator = start(settings()).await;
    let mut texts = Vec::new();
    for include_usage in [false, true] {
        let options = json!({"include_usage": include_usage, "include_obfuscation": false});
        let body = chat_stream("hi [chunks 9]", options);
        let fixed = "x-simulator-id: 7\r\n";
        let answer = post_with(simulator.address(), CHAT, ACME, fixed, &body).await;
        texts.push(answer.text().to_owned());
    }
    let (unasked, asked) = (&texts[0], &texts[1]);
    let events = asked.split_inclusive("\n\n");
    let kept = events.filter(|event| !event.contains("\"choices\":[]"));
    let stripped = kept.collect::<String>().replace(",\"usage\":null", "");
    assert_eq!(&stripped, unasked);
    assert_ne!(asked, unasked);
}

#[tokio::test]
async fn headers_are_as_recorded() {
    let simulator = start(settings()).await;
    let answer = post(simulator.address(), CHAT, ACME, &chat("hi")).await;
    assert_eq!(answer.header("date"), Some("Sat, 21 Nov 2026 09:15:00 GMT"));
    assert_eq!(answer.header("openai-organization"), Some("acme"));
    assert_eq!(answer.header("openai-project"), Some("proj_acme"));
    assert_eq!(answer.header("openai-version"), Some("2020-10-01"));
    assert_eq!(answer.header("alt-svc"), Some("h3=\":443\"; ma=86400"));
    assert_eq!(answer.all("set-cookie").len(), 2);
    let exposed = ["X-Request-ID", "CF-Ray", "CF-Ray"];
    assert_eq!(answer.all("access-control-expose-headers"), exposed);
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    assert!(answer.header("x-ratelimit-remaining-tokens").is_some());
    assert_eq!(answer.header("content-length"), None);
    let stream = chat_stream("hi", Value::Null);
    let stream = post(simulator.address(), CHAT, ACME, &stream).await;
    let event_stream = Some("text/event-stream; charset=utf-8");
    assert_eq!(stream.header("content-type"), event_stream);
}

#[tokio::test]
async fn a_stranger_is_told_nothing() {
    let simulator = start(settings()).await;
    for (key, code) in [("sk-nobody", json!("invalid_api_key")), ("", Value::Null)] {
        let answer = post(simulator.address(), CHAT, key, &chat("hi")).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (401, &code)
        );
        let asks = Some("Bearer realm=\"OpenAI API\"");
        assert_eq!(answer.header("www-authenticate"), asks);
        assert_eq!(answer.header("openai-organization"), None);
        assert!(answer.header("content-length").is_some());
    }
    let other = "openai-organization: org-other\r\n";
    let answer = post_with(simulator.address(), CHAT, ACME, other, &chat("hi")).await;
    assert_eq!(answer.json()["error"]["code"], "mismatched_organization");
    assert!(simulator.log().is_empty());
}

#[tokio::test]
async fn errors_have_their_shape_and_cost_nothing() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let unknown = json!({"model": "gpt-9", "messages": [], "input": "x"});
    let edge = post(at, CHAT, ACME, &unknown).await;
    assert_eq!(
        (edge.status, edge.header("openai-organization")),
        (404, None)
    );
    assert_eq!(edge.header("vary"), Some("Origin"));
    let api = post(at, RESPONSES, ACME, &unknown).await;
    assert_eq!(
        (api.status, api.header("openai-organization")),
        (400, Some("acme"))
    );
    assert_eq!(api.json()["error"]["code"], "model_not_found");
    for status in [400, 403, 404, 429, 500, 503] {
        let body = chat(&format!("[status {status}]"));
        let answer = post(at, CHAT, ACME, &body).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error"].as_object().unwrap().len(), 4);
    }
    let html = post(at, CHAT, ACME, &chat("[status 502]")).await;
    assert_eq!(
        html.header("content-type"),
        Some("text/html; charset=UTF-8")
    );
    for (line, status) in [
        ("GET /v1/responses/resp_1", 404),
        ("DELETE /v1/responses/resp_1", 404),
        ("POST /v1/responses/resp_1/cancel", 404),
        ("GET /v1/nothing", 404),
        ("POST /nothing", 404),
        ("PUT /v1/chat/completions", 405),
        ("POST /v1/chat/completions", 400),
        ("HEAD /v1/models", 200),
        ("OPTIONS /v1/chat/completions", 200),
    ] {
        assert_eq!(ask(at, line, ACME).await.status, status, "{line}");
    }
    assert!(simulator.log().is_empty());
}

#[tokio::test]
async fn a_response_stream_runs_from_created_to_completed() {
    let simulator = start(settings()).await;
    let text = "hi [chunks 2] [tool web_search] [tokens in=9 out=8 reasoning=1]";
    let body = json!({"model": "gpt-5.6", "input": text, "stream": true});
    let answer = post(simulator.address(), RESPONSES, ACME, &body).await;
    let events = answer.events();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "web_search_call.in_progress",
        "web_search_call.searching",
        "web_search_call.completed",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds, expected.map(|kind| format!("response.{kind}")));
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let (first, last) = (&events[0]["response"], &events[16]["response"]);
    assert_eq!(
        (&first["usage"], &first["service_tier"]),
        (&Value::Null, &json!("auto"))
    );
    assert_eq!(last["usage"]["total_tokens"], 17);
    assert_eq!(
        (&last["service_tier"], &last["model"]),
        (&json!("default"), &json!("gpt-5.6-sol"))
    );
    assert_eq!(last["tool_usage"]["web_search"]["num_requests"], 1);
    assert!(!answer.text().contains("payer") && !answer.text().contains("[DONE]"));
    assert_eq!(simulator.log()[0].hosted_tools, ["web_search"]);
}

#[tokio::test]
async fn a_schema_is_answered_with_an_instance() {
    let simulator = start(settings()).await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "name": "x", "schema": schema});
    let body = json!({"model": "gpt-5", "input": "x", "text": {"format": format}});
    let answer = post(simulator.address(), RESPONSES, ACME, &body)
        .await
        .json();
    assert_eq!(answer["output"][0]["content"][0]["text"], r#"{"n":1}"#);
    let mut body = chat("x");
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"schema": schema}});
    let answer = post(simulator.address(), CHAT, ACME, &body).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], r#"{"n":1}"#);
}

#[tokio::test]
async fn json_is_gzipped_for_those_who_take_it() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let takes = "accept-encoding: br, gzip;q=0.5\r\n";
    let answer = post_with(at, CHAT, ACME, takes, &chat("hi")).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&answer.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(super::json(&text)["object"], "chat.completion");
    for refuses in ["accept-encoding: gzip;q=0, br\r\n", ""] {
        let answer = post_with(at, CHAT, ACME, refuses, &chat("hi")).await;
        assert_eq!(answer.header("content-encoding"), None);
    }
    let stream = chat_stream("hi", Value::Null);
    let stream = post_with(at, CHAT, ACME, takes, &stream).await;
    assert_eq!(stream.header("content-encoding"), None);
}

#[tokio::test]
async fn completions_and_embeddings_have_their_usage() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let body = json!({"model": "davinci-002", "prompt": "hi [tokens in=3 out=4]", "best_of": 2});
    let answer = post(at, "/v1/completions", ACME, &body).await;
    assert_eq!(answer.header("openai-model"), Some("davinci:2023-07-21-v2"));
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
    assert_eq!(answer.json()["usage"], usage);
    let body = json!({"model": "text-embedding-ada-002", "input": ["a", "[tokens in=8]"]});
    let answer = post(at, "/v1/embeddings", ACME, &body).await.json();
    assert_eq!(answer["model"], "text-embedding-ada-002-v2");
    assert_eq!(
        answer["usage"],
        json!({"prompt_tokens": 8, "total_tokens": 8})
    );
    assert_eq!(
        answer["data"][1]["embedding"].as_array().unwrap().len(),
        1536
    );
    let bill = simulator.bill();
    assert!(bill.iter().all(|line| !line.free && line.group.is_none()));
    assert_eq!(bill[1].response_id, simulator.log()[1].request_id);
}

#[tokio::test]
async fn a_stored_response_is_shown_to_its_own_organization_only() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let body = json!({"model": "gpt-5", "input": "hi"});
    let answer = post(at, RESPONSES, ACME, &body).await;
    let path = format!("/v1/responses/{}", answer.json()["id"].as_str().unwrap());
    let shown = ask(at, &format!("GET {path}"), ACME).await;
    assert_eq!(shown.text(), answer.text());
    assert_eq!(ask(at, &format!("GET {path}"), GLOBEX).await.status, 404);
    let unstored = json!({"model": "gpt-5", "input": "hi", "store": false});
    let unstored = post(at, RESPONSES, ACME, &unstored).await.json();
    let line = format!("GET /v1/responses/{}", unstored["id"].as_str().unwrap());
    assert_eq!(ask(at, &line, ACME).await.status, 404);
    assert_eq!(ask(at, &format!("DELETE {path}"), ACME).await.status, 200);
    assert_eq!(ask(at, &format!("GET {path}"), ACME).await.status, 404);
    assert_eq!(simulator.log().len(), 2);
}

#[tokio::test]
async fn a_continued_response_reads_what_went_before() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let first = json!({"model": "gpt-5", "input": "[tokens in=500 out=20]"});
    let first = post(at, RESPONSES, ACME, &first).await.json();
    let body = json!({"model": "gpt-5", "input": "hi", "previous_response_id": first["id"]});
    let second = post(at, RESPONSES, ACME, &body).await.json();
    assert_eq!(second["usage"]["input_tokens"], 520 + 4);
    let foreign = post(at, RESPONSES, GLOBEX, &body).await.json();
    assert_eq!(foreign["error"]["code"], "previous_response_not_found");
}

#[tokio::test]
async fn encoded_bodies_are_read() {
    let simulator = start(settings()).await;
    let body = chat("[tokens in=5 out=6]").to_string();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body.as_bytes()).unwrap();
    let zstd = zstd::encode_all(body.as_bytes(), 1).unwrap();
    for (coding, bytes) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd)] {
        let headers = format!("authorization: Bearer {ACME}\r\ncontent-encoding: {coding}\r\n");
        let line = "POST /v1/chat/completions";
        let answer = exchange(simulator.address(), line, &headers, &bytes).await;
        assert_eq!(answer.json()["usage"]["total_tokens"], 11, "{coding}");
    }
}

#[tokio::test]
async fn ids_are_unique_and_of_one_length() {
    let simulator = start(settings()).await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..20 {
        let answer = post(simulator.address(), CHAT, ACME, &chat("hi"))
            .await
            .json();
        ids.insert(answer["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 20);
    assert!(ids.iter().all(|id| id.len() == "chatcmpl-".len() + 29));
}

#[tokio::test]
async fn counting_input_costs_nothing() {
    let simulator = start(settings()).await;
    let body = json!({"model": "gpt-5", "input": "hi [tokens in=16]"});
    let path = "/v1/responses/input_tokens";
    let answer = post(simulator.address(), path, ACME, &body).await.json();
    assert_eq!(
        answer,
        json!({"object": "response.input_tokens", "input_tokens": 16})
    );
    assert!(simulator.log().is_empty());
}

#[tokio::test]
async fn a_body_that_is_no_json_is_answered_as_openai_does() {
    let simulator = start(settings()).await;
    let key = "authorization: Bearer sk-sim-acme\r\n";
    let line = "POST /v1/chat/completions";
    for body in ["", "{", "[]", "\u{0}"] {
        let answer = exchange(simulator.address(), line, key, body).await;
        assert_eq!(answer.status, 400);
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.starts_with("We could not parse the JSON body"));
    }
}
