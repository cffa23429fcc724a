//! One organization that settles the same call again and again. It must not know how often.

use std::sync::Arc;

use meter::{
    AfterCrossing, Coverage, Evidence, FinishedCall, Meter, Model, ModelGroup, Offer, OfferParts,
    Organization, Rules, Settlement, Terms, Usage, UsageTier,
};

/// 2026-11-21 12:00 UTC.
const NOON: i64 = 1_795_262_400;

/// The model of the group `large`.
pub const LARGE_MODEL: &str = "gpt-5-2025-08-07";
/// The model of the group `small`.
pub const SMALL_MODEL: &str = "gpt-5-mini-2025-08-07";

/// A meter, its rules, and whose calls it settles.
pub struct Settling {
    meter: Meter,
    rules: Rules,
    organization: Organization,
}

impl Default for Settling {
    fn default() -> Self {
        let meter = Meter::new(0);
        let organization = meter.organizations().named("acme").expect("room for one");
        Self {
            meter,
            rules: rules(),
            organization,
        }
    }
}

impl Settling {
    /// Settles one call of five tokens.
    pub fn settle(&self) -> Settlement {
        let call = FinishedCall {
            organization: &self.organization,
            project: Some("proj_1"),
            model: Some(SMALL_MODEL),
            model_is_asked: false,
            service_tier: Some("default"),
            payer: None,
            hosted_tool: false,
            usage: Usage {
                input: 3,
                output: 2,
                ..Usage::default()
            },
            evidence: Evidence::Reported,
            began: NOON,
            at: NOON,
        };
        self.meter.settle(&self.rules, &call)
    }
}

/// An offer of two groups, `large` and `small`, with a model each, to organizations of usage tier 3 that are enrolled and
/// send all their calls here.
#[must_use]
pub fn rules() -> Rules {
    let group = |name: &str, low, high| ModelGroup {
        name: name.into(),
        allowances: [low, low, high, high, high],
    };
    let model = |id: &str, group: &str| Model {
        id: id.into(),
        group: group.into(),
        aliases: Vec::new(),
        context: Some(400_000),
    };
    let offer = Offer::new(OfferParts {
        list_date: meter::Day::at(NOON),
        price_date: None,
        groups: vec![
            group("large", 250_000, 1_000_000),
            group("small", 2_500_000, 10_000_000),
        ],
        models: vec![
            model(LARGE_MODEL, "large"),
            model(SMALL_MODEL, "small"),
            model("gpt-4o-mini-2024-07-18", "small"),
        ],
        prices: Vec::new(),
    })
    .expect("an offer");
    let terms = Terms {
        usage_tier: UsageTier::new(3),
        enrolled: Some(true),
        shared_projects: None,
        coverage: Some(Coverage::All),
    };
    Rules::new(Arc::new(offer), AfterCrossing::Billed, terms, Vec::new())
}
