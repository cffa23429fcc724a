//! The verdicts of the real binary against the simulated `OpenAI`'s own bill, call by call.
//!
//! Knows what goes in and what both say of it; how either of them comes to its word is their affair.

use std::collections::HashMap;
use std::sync::Arc;

use harness::day::{ACME, Day, GLOBEX, Way, keyed, taking};
use harness::raw::Request;
use simulator::{AfterCrossing, Payer, PayerShown};
use tokio::task::JoinSet;

/// Tokens free a day of the large group at usage tier 3.
const ALLOWANCE: u64 = 1_000_000;
/// The example that `OpenAI` publishes: tokens of eight calls of one day, and which of them are free.
const PUBLISHED: [(u64, bool); 8] = [
    (120_000, true),
    (140_000, true),
    (150_000, true),
    (150_000, true),
    (150_000, true),
    (150_000, true),
    (115_000, true),
    (30_000, false),
];

fn word(free: bool) -> &'static str {
    if free { "free" } else { "billed" }
}

#[tokio::test]
async fn the_published_example_comes_out_as_published_whatever_the_endpoint() {
    for way in Way::OF_CHAT_MODELS {
        let day = Day::begin(AfterCrossing::Billed, PayerShown::Never).await;
        let mut total = 0;
        for (tokens, free) in PUBLISHED {
            total += tokens;
            let (_, settled) = day.call(way, "gpt-4o", tokens).await;
            assert_eq!(
                settled.verdict(),
                word(free),
                "{way:?} at {total}: {settled:?}"
            );
            assert_eq!(day.billed(&settled).free, free, "{way:?} at {total}");
            assert_eq!(settled.text("group"), Some("large"), "{settled:?}");
            let remaining = ALLOWANCE.saturating_sub(total);
            assert_eq!(
                settled.number("remaining-tokens"),
                Some(remaining),
                "{settled:?}"
            );
        }
        let (_, later) = day.call(way, "gpt-4o", 1_000).await;
        assert_eq!(later.verdict(), "billed", "{way:?}: {later:?}");
        assert_eq!(later.text("reason"), Some("allowance-spent"), "{later:?}");
    }
}

#[tokio::test]
async fn by_the_other_reading_a_smaller_call_still_fits() {
    let day = Day::begin(AfterCrossing::FreeIfItFits, PayerShown::Never).await;
    for (tokens, free) in PUBLISHED.into_iter().chain([(25_000, true), (20, false)]) {
        let (answer, settled) = day.call(Way::Chat, "gpt-4o", tokens).await;
        assert_eq!(settled.verdict(), word(free), "{tokens}: {settled:?}");
        assert_eq!(answer.header("x-tollfree-verdict"), Some(word(free)));
        assert_eq!(day.billed(&settled).free, free, "{tokens}");
    }
}

#[tokio::test]
async fn a_mixed_day_agrees_with_the_bill_call_by_call() {
    let day = Day::begin(AfterCrossing::Billed, PayerShown::NineOfTen).await;
    let models = [
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4.1",
        "gpt-3.5-turbo",
        "gpt-5.6",
        "gpt-5-mini",
    ];
    let mut verdicts: HashMap<(bool, bool), usize> = HashMap::new();
    for number in 0..120_usize {
        let (model, way) = (
            models[number % models.len()],
            Way::OF_CHAT_MODELS[number % Way::OF_CHAT_MODELS.len()],
        );
        let tokens = 5_000 + 997 * (number as u64 * 37 % 101);
        let (answer, settled) = day.call(way, model, tokens).await;
        let line = day.billed(&settled);
        assert_eq!(
            settled.verdict(),
            word(line.free),
            "{number} {model}: {settled:?} {line:?}"
        );
        assert_eq!(settled.text("model"), Some(&*line.model), "{settled:?}");
        let shown = answer.text().contains("\"payer\":");
        if shown {
            assert_eq!(settled.text("certainty"), Some("confirmed"), "{settled:?}");
        }
        *verdicts.entry((line.free, shown)).or_default() += 1;
    }
    assert_eq!(
        verdicts.len(),
        4,
        "free and billed, confirmed and not: {verdicts:?}"
    );
}

/// The answer to compact names no model: the request's word decides, and an alias is as good as its snapshot.
#[tokio::test]
async fn where_the_answer_names_no_model_the_alias_asked_for_stands_for_its_snapshot() {
    let day = Day::begin(AfterCrossing::Billed, PayerShown::Never).await;
    for model in ["gpt-4o-mini-2024-07-18", "gpt-4o-mini"] {
        let body = format!(r#"{{"model":"{model}","input":"[tokens in=90 out=10]"}}"#);
        let request = Request::post("/v1/responses/compact", body);
        let (answer, _) = day.settle(&keyed(request, ACME)).await;
        let said = ["verdict", "reason", "group", "tokens"]
            .map(|name| answer.header(&format!("x-tollfree-{name}")));
        let free = ["free", "within-allowance", "small", "100"].map(Some);
        assert_eq!(said, free, "{model}");
    }
    assert!(day.simulator.bill().iter().all(|line| line.free));
}

#[tokio::test]
async fn who_is_not_enrolled_pays() {
    let day = Day::begin(AfterCrossing::Billed, PayerShown::Never).await;
    let request = keyed(Way::Chat.request("gpt-4o", &taking(1_000)), GLOBEX);
    let (answer, _) = day.settle(&request).await;
    assert_eq!(answer.header("x-tollfree-verdict"), Some("billed"));
    assert_eq!(
        answer.header("x-tollfree-reason"),
        Some("organization-not-enrolled")
    );
    let bill = day.simulator.bill();
    assert!(
        bill.iter().all(|line| line.payer() == Payer::Developer),
        "{bill:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_take_the_allowance_once() {
    let day = Arc::new(Day::begin(AfterCrossing::Billed, PayerShown::Never).await);
    let mut callers = JoinSet::new();
    for caller in 0..16_usize {
        let day = Arc::clone(&day);
        callers.spawn(async move {
            let mut free = 0;
            for number in 0..20_usize {
                let way = Way::OF_CHAT_MODELS[(caller + number) % Way::OF_CHAT_MODELS.len()];
                let (_, settled) = day.call(way, "gpt-4o", 4_000).await;
                free += usize::from(settled.verdict() == "free");
            }
            free
        });
    }
    let free: usize = callers.join_all().await.into_iter().sum();
    assert_eq!(free, 250, "1,000,000 tokens in calls of 4,000");
    let billed_free = day.simulator.bill().iter().filter(|line| line.free).count();
    assert_eq!(billed_free, 250);
}
