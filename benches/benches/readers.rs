//! What reading an answer costs: the scanner against `serde_json`'s fastest walk over the same
//! bytes, and the readers of answers, events and requests as a call uses them.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde::de::IgnoredAny;
use wire::{End, Form, Metered, RequestFacts, ResponseReader, UsageUnask};

/// A chat completion of about `size` bytes, pretty-printed as OpenAI does.
fn answer(size: usize, text: &str) -> String {
    let content = text.repeat(size.saturating_sub(900) / text.len() + 1);
    format!(
        r#"{{
  "id": "chatcmpl-BenchBenchBenchBenchBenchBench",
  "object": "chat.completion",
  "created": 1763700000,
  "model": "gpt-4o-mini-2024-07-18",
  "choices": [
    {{
      "index": 0,
      "message": {{
        "role": "assistant",
        "content": "{content}",
        "refusal": null,
        "annotations": []
      }},
      "logprobs": null,
      "finish_reason": "stop"
    }}
  ],
  "usage": {{
    "prompt_tokens": 62,
    "completion_tokens": 27,
    "total_tokens": 89,
    "prompt_tokens_details": {{
      "cached_tokens": 0,
      "audio_tokens": 0
    }},
    "completion_tokens_details": {{
      "reasoning_tokens": 0,
      "audio_tokens": 0,
      "accepted_prediction_tokens": 0,
      "rejected_prediction_tokens": 0
    }}
  }},
  "service_tier": "default",
  "system_fingerprint": "fp_bench"
}}
"#
    )
}

const PLAIN: &str = "The quick brown fox jumps over the lazy dog and runs on. ";
const ESCAPED: &str = r#"{\"a\": \"b\",\n \"c\": 1}, "#;

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer");
    for (name, body) in [
        ("1.2 KB", answer(1_200, PLAIN)),
        ("100 KB", answer(100_000, PLAIN)),
        ("100 KB escaped", answer(100_000, ESCAPED)),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("reader", name), &body, |bencher, body| {
            bencher.iter(|| {
                let mut reader = ResponseReader::new(Metered::ChatCompletions, Form::Json, &[]);
                reader.push(black_box(body.as_bytes()));
                reader.finish(End::Complete)
            });
        });
        group.bench_with_input(
            BenchmarkId::new("IgnoredAny", name),
            &body,
            |bencher, body| {
                bencher.iter(|| {
                    serde_json::from_slice::<IgnoredAny>(black_box(body.as_bytes())).is_ok()
                });
            },
        );
    }
    group.finish();
}

fn events(criterion: &mut Criterion) {
    let event = |usage: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-Bench\",\"object\":\"chat.completion.chunk\",\"created\":1763700000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word\"}},\"logprobs\":null,\"finish_reason\":null}}]{usage},\"obfuscation\":\"q8Zk\"}}\n\n"
        )
    };
    let asked = event(",\"usage\":null");
    for (name, event) in [("event", event("")), ("asked event", asked.clone())] {
        criterion.bench_function(&format!("{name} read"), |bencher| {
            let mut reader = ResponseReader::new(Metered::ChatCompletions, Form::EventStream, &[]);
            reader.push(event.as_bytes());
            bencher.iter(|| reader.push(black_box(event.as_bytes())));
        });
    }
    criterion.bench_function("asked event cut in two, read", |bencher| {
        let mut reader = ResponseReader::new(Metered::ChatCompletions, Form::EventStream, &[]);
        let (first, second) = asked.as_bytes().split_at(asked.len() / 2);
        bencher.iter(|| {
            reader.push(black_box(first));
            reader.push(black_box(second));
        });
    });
    criterion.bench_function("asked event unasked", |bencher| {
        let mut filter = UsageUnask::new();
        let mut out = Vec::with_capacity(asked.len());
        bencher.iter(|| {
            out.clear();
            filter.push(black_box(asked.as_bytes()), &mut out);
            out.len()
        });
    });
}

fn requests(criterion: &mut Criterion) {
    for (name, size) in [("0.4 KB", 400), ("99 KB", 99_000)] {
        let content = PLAIN.repeat(size / PLAIN.len());
        let body = format!(
            r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"{content}"}}],"max_tokens":100,"stream":true}}"#
        );
        criterion.bench_function(&format!("request {name}"), |bencher| {
            bencher
                .iter(|| RequestFacts::read(Metered::ChatCompletions, black_box(body.as_bytes())));
        });
    }
}

criterion_group!(readers, answers, events, requests);
criterion_main!(readers);
