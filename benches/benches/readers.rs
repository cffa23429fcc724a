//! What reading an answer costs: the scanner against `serde_json`'s fastest walk over the same
//! bytes, and the readers of answers, events and requests as a call uses them.

use std::hint::black_box;

use counted::{ESCAPED, PLAIN, answer, event, events, read_answer, request};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde::de::IgnoredAny;
use wire::{Metered, RequestFacts, UsageUnask};

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer");
    for (name, body) in [
        ("1.2 KB", answer(1_200, PLAIN)),
        ("100 KB", answer(100_000, PLAIN)),
        ("100 KB escaped", answer(100_000, ESCAPED)),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("reader", name), &body, |bencher, body| {
            bencher.iter(|| read_answer(black_box(body.as_bytes())));
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

fn streams(criterion: &mut Criterion) {
    let asked = event(true);
    for (name, event) in [("event", event(false)), ("asked event", asked.clone())] {
        criterion.bench_function(&format!("{name} read"), |bencher| {
            let mut reader = events(event.as_bytes());
            bencher.iter(|| reader.push(black_box(event.as_bytes())));
        });
    }
    criterion.bench_function("asked event cut in two, read", |bencher| {
        let mut reader = events(asked.as_bytes());
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
        let body = request(size);
        criterion.bench_function(&format!("request {name}"), |bencher| {
            bencher
                .iter(|| RequestFacts::read(Metered::ChatCompletions, black_box(body.as_bytes())));
        });
    }
}

criterion_group!(readers, answers, streams, requests);
criterion_main!(readers);
