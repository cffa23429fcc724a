//! The verdicts of the real binary against the simulated `OpenAI`'s own bill, call by call.
//!
//! Knows what goes in and what both say of it; how either of them comes to its word is their affair.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use harness::proxy::{Proxy, ProxySetup, Settled};
use harness::raw::{Answer, Request};
use simulator::{AfterCrossing, BillLine, Clock, Payer, PayerShown, Settings, Simulator};
use tokio::task::JoinSet;

/// Noon of 2026-11-15 UTC in milliseconds: no test of a day may meet a real midnight.
const NOON: i64 = 1_794_744_000_000;
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

/// One day of one organization.
struct Day {
    simulator: Simulator,
    proxy: Proxy,
}

impl Day {
    async fn begin(after_crossing: AfterCrossing, show_payer: PayerShown) -> Day {
        let mut settings = Settings {
            after_crossing,
            show_payer,
            clock: Clock::Shared(Arc::new(AtomicI64::new(NOON))),
            ..Settings::default()
        };
        for organization in &mut settings.organizations {
            organization.usage_tier = 3;
        }
        let simulator = Simulator::start(settings).await.expect("a simulator");
        let mut setup = ProxySetup::to(&format!("http://{}", simulator.address()))
            .variable("TOLLFREE_USAGE_TIER", "3")
            .variable("TOLLFREE_ENROLLED", "true")
            .variable("TOLLFREE_SHARED_PROJECTS", "all")
            .variable("TOLLFREE_COVERAGE", "all")
            .config("[[organizations]]\nname = \"globex\"\nenrolled = false");
        if after_crossing == AfterCrossing::FreeIfItFits {
            setup = setup.config("[offer]\nafter_crossing = \"free-if-it-fits\"");
        }
        let proxy = Proxy::start(setup);
        let day = Day { simulator, proxy };
        // The first `date` header tells the proxy what day it is.
        day.proxy.exchange(&keyed(Request::get("/v1/models"))).await;
        day
    }

    /// Makes a call and returns its answer and what was settled.
    async fn call(&self, way: Way, model: &str, tokens: u64) -> (Answer, Settled) {
        let answer = self
            .proxy
            .exchange(&keyed(way.request(model, tokens)))
            .await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let settled = self.proxy.settled(&answer).await;
        assert_eq!(
            settled.number("tokens"),
            Some(tokens),
            "{way:?}: {settled:?}"
        );
        (answer, settled)
    }

    /// The bill's line for a settled call.
    fn billed(&self, settled: &Settled) -> BillLine {
        let id = settled.text("response-id").expect("an id");
        let mut bill = self.simulator.bill().into_iter();
        let line = bill.find(|line| line.response_id == id);
        line.unwrap_or_else(|| panic!("{id} is not on the bill"))
    }
}

/// How a call is made.
#[derive(Clone, Copy, Debug)]
enum Way {
    Chat,
    ChatStream,
    AskedChatStream,
    Response,
    ResponseStream,
}

impl Way {
    const ALL: [Way; 5] = [
        Way::Chat,
        Way::ChatStream,
        Way::AskedChatStream,
        Way::Response,
        Way::ResponseStream,
    ];

    fn request(self, model: &str, tokens: u64) -> Request {
        let text = format!("[tokens in={} out=10]", tokens - 10);
        let chat =
            format!(r#""model":"{model}","messages":[{{"role":"user","content":"{text}"}}]"#);
        let response = format!(r#""model":"{model}","input":"{text}""#);
        let asked = r#""stream":true,"stream_options":{"include_usage":true}"#;
        let (path, body) = match self {
            Way::Chat => ("chat/completions", format!("{{{chat}}}")),
            Way::ChatStream => ("chat/completions", format!(r#"{{{chat},"stream":true}}"#)),
            Way::AskedChatStream => ("chat/completions", format!("{{{chat},{asked}}}")),
            Way::Response => ("responses", format!("{{{response}}}")),
            Way::ResponseStream => ("responses", format!(r#"{{{response},"stream":true}}"#)),
        };
        Request::post(&format!("/v1/{path}"), body)
    }
}

/// With the key of the enrolled organization.
fn keyed(request: Request) -> Request {
    request.header("authorization", "Bearer sk-sim-acme")
}

fn word(free: bool) -> &'static str {
    if free { "free" } else { "billed" }
}

#[tokio::test]
async fn the_published_example_comes_out_as_published_whatever_the_endpoint() {
    for way in Way::ALL {
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
            Way::ALL[number % Way::ALL.len()],
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

#[tokio::test]
async fn who_is_not_enrolled_pays() {
    let day = Day::begin(AfterCrossing::Billed, PayerShown::Never).await;
    let request = Way::Chat.request("gpt-4o", 1_000);
    let request = request.header("authorization", "Bearer sk-sim-globex");
    let answer = day.proxy.exchange(&request).await;
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
                let way = Way::ALL[(caller + number) % Way::ALL.len()];
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
