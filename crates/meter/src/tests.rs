//! The rule as a whole: a small offer, declared and undeclared organizations, and the calls of a day. What
//! each file asserts is said at its head.

mod aliases;
mod announcements;
mod corrections;
mod forecasts;
mod histories;
mod offer;
mod payer;
mod racing;
mod reference;
mod rule;
mod sharing;
mod side_by_side;
mod slack;
mod unlisted;
mod words;

use std::sync::Arc;

use crate::{
    AfterCrossing, CallAhead, Coverage, Day, DeclaredOrganization, Evidence, FinishedCall, GroupId,
    Meter, MissingCall, Model, ModelGroup, Offer, OfferParts, Organization, Payer, Price, Rates,
    Reason, Rules, Settlement, SharedProjects, Terms, Usage, UsageTier,
};

pub(crate) const LARGE: GroupId = GroupId(0);
pub(crate) const SMALL: GroupId = GroupId(1);

/// 2026-11-21 00:00 UTC: counting begins with a day, so no part of it is missing.
pub(crate) const MIDNIGHT: i64 = 1_795_219_200;
pub(crate) const MORNING: i64 = MIDNIGHT + 8 * 3_600;
pub(crate) const TODAY: fn() -> Day = || Day::at(MIDNIGHT);

pub(crate) fn offer_parts() -> OfferParts {
    let group = |name: &str, low, high| ModelGroup {
        name: name.into(),
        allowances: [low, low, high, high, high],
    };
    let model = |id: &str, group: &str, alias: &str, context| Model {
        id: id.into(),
        group: group.into(),
        aliases: if alias.is_empty() {
            Vec::new()
        } else {
            vec![alias.into()]
        },
        context,
    };
    let rates = Rates {
        input: 2_000_000,
        cached_input: Some(200_000),
        cache_write: None,
        output: 10_000_000,
    };
    let price = |id: &str, from, standard| Price {
        model: id.into(),
        from,
        standard,
        above_272k: None,
        batch: None,
        flex: None,
        priority: None,
    };
    OfferParts {
        list_date: Day::of_date(2026, 9, 28).unwrap(),
        price_date: None,
        groups: vec![
            group("large", 250_000, 1_000_000),
            group("small", 2_500_000, 10_000_000),
        ],
        models: vec![
            model("gpt-6-sol", "large", "", Some(1_050_000)),
            model("gpt-5.6-sol", "large", "gpt-5.6", Some(1_050_000)),
            model("gpt-4o-2024-08-06", "large", "gpt-4o", Some(144_384)),
            model("o1-preview-2024-09-12", "large", "o1-preview", None),
            model("gpt-5.6-luna", "small", "", Some(1_050_000)),
            model(
                "gpt-4o-mini-2024-07-18",
                "small",
                "gpt-4o-mini",
                Some(144_384),
            ),
        ],
        prices: vec![
            price("gpt-6-sol", Day::EPOCH, rates),
            price(
                "gpt-5.6-sol",
                Day::EPOCH,
                Rates {
                    input: 5_000_000,
                    ..rates
                },
            ),
            price(
                "gpt-5.6-sol",
                Day::of_date(2026, 11, 1).unwrap(),
                Rates {
                    input: 4_000_000,
                    ..rates
                },
            ),
            price("gpt-6.1-sol", Day::EPOCH, rates),
        ],
    }
}

/// Everything declared: nothing about the organization is assumed.
pub(crate) fn declared(usage_tier: u8) -> Terms {
    Terms {
        usage_tier: UsageTier::new(usage_tier),
        enrolled: Some(true),
        shared_projects: Some(SharedProjects::All),
        coverage: Some(Coverage::All),
    }
}

/// `acme` is fully declared (usage tier 3), `choosy` shares one project only, `stranger` is not enrolled,
/// `part` has other traffic; nothing is declared about any other.
pub(crate) fn rules(after_crossing: AfterCrossing) -> Rules {
    let organization = |name: &str, alias: &str, terms| DeclaredOrganization {
        name: name.into(),
        aliases: vec![alias.into()],
        terms,
    };
    let one_project = SharedProjects::Only(vec!["proj_shared".into()]);
    Rules::new(
        Arc::new(Offer::new(offer_parts()).unwrap()),
        after_crossing,
        Terms::default(),
        vec![
            organization("acme", "org-acme", declared(3)),
            organization(
                "choosy",
                "org-choosy",
                Terms {
                    shared_projects: Some(one_project),
                    ..declared(3)
                },
            ),
            organization(
                "stranger",
                "org-stranger",
                Terms {
                    enrolled: Some(false),
                    ..declared(3)
                },
            ),
            organization(
                "part",
                "org-part",
                Terms {
                    coverage: Some(Coverage::Part),
                    ..declared(3)
                },
            ),
        ],
    )
}

/// A meter with its rules.
pub(crate) struct Scene {
    pub(crate) meter: Meter,
    pub(crate) rules: Rules,
}

impl Scene {
    pub(crate) fn new(after_crossing: AfterCrossing) -> Self {
        Self {
            meter: Meter::new(MIDNIGHT),
            rules: rules(after_crossing),
        }
    }

    pub(crate) fn billed_after_crossing() -> Self {
        Self::new(AfterCrossing::Billed)
    }

    pub(crate) fn organization(&self, name: &str) -> Organization {
        self.meter.organizations().named(name).unwrap()
    }

    /// Settles a call of `acme` with a large model.
    pub(crate) fn take(&self, tokens: u64) -> Settlement {
        self.settle(&call(&self.organization("acme"), tokens))
    }

    pub(crate) fn settle(&self, call: &FinishedCall<'_>) -> Settlement {
        self.meter.settle(&self.rules, call)
    }

    pub(crate) fn taken(&self, name: &str) -> u64 {
        self.meter
            .standing(&self.rules, &self.organization(name), LARGE, TODAY())
            .taken
    }
}

pub(crate) fn usage(tokens: u64) -> Usage {
    Usage {
        input: tokens / 2,
        output: tokens - tokens / 2,
        ..Usage::default()
    }
}

/// A plain reported call of a large model this morning.
pub(crate) fn call(organization: &Organization, tokens: u64) -> FinishedCall<'_> {
    FinishedCall {
        organization,
        project: None,
        model: Some("gpt-6-sol"),
        model_is_asked: false,
        service_tier: Some("default"),
        payer: None,
        hosted_tool: false,
        usage: usage(tokens),
        evidence: Evidence::Reported,
        began: MORNING,
        at: MORNING,
    }
}

/// The same without usage.
pub(crate) fn missing(organization: &Organization, at_most: Option<u64>) -> MissingCall<'_> {
    MissingCall {
        organization,
        project: None,
        model: Some("gpt-6-sol"),
        service_tier: None,
        hosted_tool: false,
        choices: 1,
        at_most,
        why: Reason::UsageMissing,
        began: MORNING,
        at: MORNING,
    }
}

/// The same at the head of its answer.
pub(crate) fn head(organization: &Organization, bound: Option<u64>) -> CallAhead<'_> {
    CallAhead {
        organization,
        project: None,
        model: Some("gpt-6-sol"),
        service_tier: None,
        hosted_tool: false,
        kind: "responses",
        bound,
        own: None,
        at: MORNING,
    }
}

pub(crate) fn paid_by(payer: Payer, call: FinishedCall<'_>) -> FinishedCall<'_> {
    FinishedCall {
        payer: Some(payer),
        ..call
    }
}
