//! The bill against OpenAI's published example and the edges of the rule.

use super::*;

fn entry(at: &str, model: &str, tokens: u64) -> LogEntry {
    LogEntry {
        at: at.to_owned(),
        organization: "acme".to_owned(),
        project: "proj_acme".to_owned(),
        key_hint: "acme".to_owned(),
        endpoint: "/v1/responses".to_owned(),
        model: model.to_owned(),
        service_tier: "default".to_owned(),
        response_id: format!("resp_{at}"),
        request_id: "req_1".to_owned(),
        input_tokens: tokens / 2,
        output_tokens: tokens - tokens / 2,
        cached_tokens: tokens / 2,
        reasoning_tokens: 1,
        stream: false,
        asked_usage: false,
        hosted_tools: Vec::new(),
        enrolled: true,
        shared: true,
        usage_tier: 3,
        complete: true,
        payer_shown: None,
    }
}

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

fn example() -> Vec<LogEntry> {
    EXAMPLE
        .iter()
        .map(|(at, tokens, ..)| entry(&format!("2026-11-21T{at}:00.000Z"), "gpt-5.6-sol", *tokens))
        .collect()
}

#[test]
fn the_published_example() {
    let lines = bill_of(&example(), AfterCrossing::Billed);
    for (line, (at, tokens, total, free)) in lines.iter().zip(EXAMPLE) {
        assert_eq!(
            (line.tokens, line.running_total, line.free),
            (tokens, Some(total), free),
            "{at}"
        );
    }
}

#[test]
fn after_the_crossing_call_the_readings_differ() {
    let mut entries = example();
    entries.push(entry("2026-11-21T23:12:00.000Z", "gpt-5.6-sol", 800));
    entries.push(entry("2026-11-22T00:00:00.000Z", "gpt-5.6-sol", 800));
    let strict = bill_of(&entries, AfterCrossing::Billed);
    assert_eq!(
        (strict[8].free, strict[8].running_total),
        (false, Some(1_005_800))
    );
    let lenient = bill_of(&entries, AfterCrossing::FreeIfItFits);
    assert_eq!(
        (lenient[7].free, lenient[7].running_total),
        (false, Some(975_000))
    );
    assert_eq!(
        (lenient[8].free, lenient[8].running_total),
        (true, Some(975_800))
    );
    for lines in [strict, lenient] {
        assert_eq!((lines[9].free, lines[9].running_total), (true, Some(800)));
    }
}

#[test]
fn a_call_that_ends_exactly_at_the_allowance_is_free() {
    for (tier, model, allowance) in [
        (1, "gpt-4o-2024-08-06", 250_000),
        (2, "gpt-4o-mini-2024-07-18", 2_500_000),
        (3, "gpt-6-luna", 1_000_000),
        (5, "codex-mini-latest", 10_000_000),
    ] {
        for (tokens, free) in [(allowance, true), (allowance + 1, false)] {
            let mut call = entry("2026-11-21T10:00:00.000Z", model, tokens);
            call.usage_tier = tier;
            let lines = bill_of(&[call], AfterCrossing::Billed);
            assert_eq!(lines[0].free, free, "{model} {tokens}");
        }
    }
}

#[test]
fn what_cannot_be_free_takes_nothing() {
    let at = "2026-11-21T10:00:00.000Z";
    let mut calls = vec![
        entry(at, "text-embedding-3-small", 10),
        entry(at, "ft:gpt-4o-2024-08-06:acme::x", 10),
        entry(at, "gpt-4o", 10),
    ];
    for spoil in [
        |call: &mut LogEntry| call.enrolled = false,
        |call: &mut LogEntry| call.shared = false,
        |call: &mut LogEntry| call.service_tier = "flex".to_owned(),
    ] {
        let mut call = entry(at, "gpt-4o-2024-08-06", 10);
        spoil(&mut call);
        calls.push(call);
    }
    calls.push(entry(at, "gpt-4o-2024-08-06", 10));
    let lines = bill_of(&calls, AfterCrossing::Billed);
    let (last, rest) = lines.split_last().unwrap();
    for line in rest {
        assert_eq!(
            (line.free, line.group, line.running_total),
            (false, None, None)
        );
        assert_eq!(line.payer(), Payer::Developer);
    }
    assert_eq!((last.free, last.running_total), (true, Some(10)));
}

#[test]
fn organizations_and_groups_are_apart() {
    let at = "2026-11-21T10:00:00.000Z";
    let mut other = entry(at, "gpt-6-sol", 7);
    other.organization = "globex".to_owned();
    let calls = [
        entry(at, "gpt-6-sol", 5),
        entry(at, "gpt-5.6-terra", 6),
        other,
        entry(at, "gpt-5-codex", 1),
    ];
    let totals: Vec<_> = bill_of(&calls, AfterCrossing::Billed)
        .into_iter()
        .map(|line| line.running_total)
        .collect();
    assert_eq!(totals, [Some(5), Some(6), Some(7), Some(6)]);
}
