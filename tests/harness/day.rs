//! One UTC day of a simulated `OpenAI` behind the real binary, and the calls of that day. Both sides
//! are told the same of the organizations: `acme` is enrolled, `globex` is not.
//!
//! It must not know what is right: it makes calls and gathers what was said of them.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use simulator::{AfterCrossing, BillLine, Clock, PayerShown, Settings, Simulator};

use crate::proxy::{Proxy, ProxySetup, Settled};
use crate::raw::{Answer, Request};

/// Noon of 2026-11-15 UTC in milliseconds: no test of a day may meet a real midnight.
const NOON: i64 = 1_794_744_000_000;
/// The usage tier of both organizations; it gives 1,000,000 tokens a day to the large group.
const USAGE_TIER: u8 = 3;
/// Where the simulator's ids and filler texts come from: a failure comes again.
const SEED: u64 = 20_261_115;
/// Output tokens of a call that is asked for in whole tokens.
const OUTPUT_TOKENS: u64 = 10;

/// The key of the organization that is enrolled.
pub const ACME: &str = "sk-sim-acme";
/// The key of the organization that is not.
pub const GLOBEX: &str = "sk-sim-globex";

/// What the simulator of a [`Day`] is told, for tests that tell it more.
pub fn settings(after_crossing: AfterCrossing, show_payer: PayerShown) -> Settings {
    let mut settings = Settings {
        after_crossing,
        show_payer,
        clock: Clock::Shared(Arc::new(AtomicI64::new(NOON))),
        seed: Some(SEED),
        ..Settings::default()
    };
    for organization in &mut settings.organizations {
        organization.usage_tier = USAGE_TIER;
    }
    settings
}

/// One day of both organizations.
#[derive(Debug)]
pub struct Day {
    /// The simulated `OpenAI`.
    pub simulator: Simulator,
    /// The proxy in front of it.
    pub proxy: Proxy,
}

impl Day {
    /// Starts both sides with the same reading of the rule.
    pub async fn begin(after_crossing: AfterCrossing, show_payer: PayerShown) -> Day {
        Day::of(settings(after_crossing, show_payer)).await
    }

    /// Starts a simulator told this, and a proxy that reads the rule as it does.
    pub async fn of(settings: Settings) -> Day {
        let after_crossing = settings.after_crossing;
        let simulator = Simulator::start(settings).await.expect("a simulator");
        let mut setup = ProxySetup::to(&format!("http://{}", simulator.address()))
            .variable("TOLLFREE_USAGE_TIER", &USAGE_TIER.to_string())
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
        let models = Request::get("/v1/models");
        day.proxy.exchange(&keyed(models, ACME)).await;
        day
    }

    /// Makes a call of `acme` that takes so many tokens, and returns its answer and what was settled.
    pub async fn call(&self, way: Way, model: &str, tokens: u64) -> (Answer, Settled) {
        let request = keyed(way.request(model, &taking(tokens)), ACME);
        let (answer, settled) = self.settle(&request).await;
        assert_eq!(
            settled.number("tokens"),
            Some(tokens),
            "{way:?}: {settled:?}"
        );
        (answer, settled)
    }

    /// Makes a call and returns its answer and what was settled.
    pub async fn settle(&self, request: &Request) -> (Answer, Settled) {
        let answer = self.proxy.exchange(request).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let settled = self.proxy.settled(&answer).await;
        (answer, settled)
    }

    /// The line of the simulator's bill for a settled call.
    pub fn billed(&self, settled: &Settled) -> BillLine {
        let id = settled.text("response-id").expect("an id");
        let mut bill = self.simulator.bill().into_iter();
        let line = bill.find(|line| line.response_id == id);
        line.unwrap_or_else(|| panic!("{id} is not on the bill"))
    }
}

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Chat Completions, one JSON answer.
    Chat,
    /// A Chat Completions stream whose client asks for no usage.
    ChatStream,
    /// A Chat Completions stream whose client asks for its usage.
    AskedChatStream,
    /// Responses, one JSON answer.
    Response,
    /// A Responses stream.
    ResponseStream,
    /// Completions, one JSON answer.
    Completion,
    /// A Completions stream whose client asks for no usage.
    CompletionStream,
    /// A Completions stream whose client asks for its usage.
    AskedCompletionStream,
    /// Embeddings.
    Embeddings,
}

impl Way {
    /// The ways that a chat model can be called.
    pub const OF_CHAT_MODELS: [Way; 5] = [
        Way::Chat,
        Way::ChatStream,
        Way::AskedChatStream,
        Way::Response,
        Way::ResponseStream,
    ];
    /// The ways that a model of the older completions can be called.
    pub const OF_COMPLETION_MODELS: [Way; 3] = [
        Way::Completion,
        Way::CompletionStream,
        Way::AskedCompletionStream,
    ];

    /// The request for an answer to `text`, which stands in a JSON string as it is.
    pub fn request(self, model: &str, text: &str) -> Request {
        let (path, input) = match self {
            Way::Chat | Way::ChatStream | Way::AskedChatStream => (
                "chat/completions",
                format!(r#""messages":[{{"role":"user","content":"{text}"}}]"#),
            ),
            Way::Response | Way::ResponseStream => ("responses", format!(r#""input":"{text}""#)),
            Way::Completion | Way::CompletionStream | Way::AskedCompletionStream => {
                ("completions", format!(r#""prompt":"{text}""#))
            }
            Way::Embeddings => ("embeddings", format!(r#""input":"{text}""#)),
        };
        let streamed = match self {
            Way::Chat | Way::Response | Way::Completion | Way::Embeddings => "",
            Way::ChatStream | Way::ResponseStream | Way::CompletionStream => r#","stream":true"#,
            Way::AskedChatStream | Way::AskedCompletionStream => {
                r#","stream":true,"stream_options":{"include_usage":true}"#
            }
        };
        let body = format!(r#"{{"model":"{model}",{input}{streamed}}}"#);
        Request::post(&format!("/v1/{path}"), body)
    }
}

/// The words that make an answer take so many tokens, input and output together.
pub fn taking(tokens: u64) -> String {
    let output = OUTPUT_TOKENS.min(tokens);
    format!("[tokens in={} out={output}]", tokens - output)
}

/// The request with this API key.
pub fn keyed(request: Request, key: &str) -> Request {
    request.header("authorization", &format!("Bearer {key}"))
}
