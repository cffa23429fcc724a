//! Random histories of days, compared call by call with the slow reference, and the two invariants: free tokens
//! of a day never exceed the allowance, and the running total is the sum of the spans and corrections.
//! `PROPTEST_CASES` sets how many.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::reference::{Event, History, Place, expected};
use super::{MIDNIGHT, offer_parts, usage};
use crate::{
    AfterCrossing, Assumption, Certainty, Correction, Coverage, Day, DeclaredOrganization,
    Evidence, FinishedCall, GroupId, Meter, MissingCall, Offer, Organization, Payer, Reason, Rules,
    Settlement, Terms, UsageTier, Verdict,
};

/// Small allowances, so that a few calls cross them.
const ALLOWANCES: [u64; 2] = [1_000, 3_000];
const MODELS: [&str; 2] = ["gpt-6-sol", "gpt-5.6-luna"];

/// `acme` is fully declared; nothing is declared about `nobody`.
const NAMES: [&str; 2] = ["acme", "nobody"];

#[derive(Clone, Debug)]
enum Step {
    Settle {
        organization: usize,
        group: usize,
        tokens: u64,
        at_most: Option<Option<u64>>,
        payer: Option<Payer>,
        before: bool,
    },
    Flex {
        organization: usize,
        group: usize,
        tokens: u64,
        payer: Option<Payer>,
    },
    Miss {
        organization: usize,
        group: usize,
        at_most: u64,
    },
    Correct {
        organization: usize,
        group: usize,
        tokens: i64,
        fitted: bool,
        slack: Option<u64>,
    },
    State {
        organization: usize,
        group: usize,
        tokens: u64,
    },
    NextDay,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || {
        (
            0..NAMES.len(),
            prop_oneof![4 => Just(0_usize), 1 => Just(1_usize)],
        )
    };
    let payer = || prop_oneof![6 => Just(None), 1 => Just(Some(Payer::OpenAi)), 2 => Just(Some(Payer::Developer))];
    let at_most = prop_oneof![
        8 => Just(None),
        1 => (0_u64..600).prop_map(|at_most| Some(Some(at_most))),
        1 => Just(Some(None)),
    ];
    let tokens = || prop_oneof![Just(0), 1_u64..400, 1_u64..1_200];
    prop_oneof![
        12 => (place(), tokens(), at_most, payer(), any::<bool>()).prop_map(
            |((organization, group), tokens, at_most, payer, before)| {
                Step::Settle { organization, group, tokens, at_most, payer, before }
            }
        ),
        1 => (place(), tokens(), payer())
            .prop_map(|((organization, group), tokens, payer)| Step::Flex { organization, group, tokens, payer }),
        1 => (place(), 0_u64..500)
            .prop_map(|((organization, group), at_most)| Step::Miss { organization, group, at_most }),
        1 => (place(), -600_i64..600, any::<bool>(), proptest::option::of(0_u64..300)).prop_map(
            |((organization, group), tokens, fitted, slack)| Step::Correct { organization, group, tokens, fitted, slack }
        ),
        1 => (place(), 0_u64..1_500)
            .prop_map(|((organization, group), tokens)| Step::State { organization, group, tokens }),
        1 => Just(Step::NextDay),
    ]
}

fn small_rules(after_crossing: AfterCrossing) -> Rules {
    let mut parts = offer_parts();
    for (group, allowance) in parts.groups.iter_mut().zip(ALLOWANCES) {
        group.allowances = [allowance; 5];
    }
    let terms = Terms {
        usage_tier: UsageTier::new(1),
        enrolled: Some(true),
        shared_projects: None,
        coverage: Some(Coverage::All),
    };
    let acme = DeclaredOrganization {
        name: "acme".into(),
        aliases: Vec::new(),
        terms,
    };
    Rules::new(
        std::sync::Arc::new(Offer::new(parts).unwrap()),
        after_crossing,
        Terms::default(),
        vec![acme],
    )
}

/// A meter beside the reference.
struct Run {
    meter: Meter,
    rules: Rules,
    organizations: Vec<Organization>,
    history: History,
    day: i64,
    /// OpenAI said that it paid, by organization.
    paid: [bool; 2],
    /// Sum of spans and changes by place.
    sums: HashMap<Place, i64>,
    /// Unconfirmed free tokens by place, until something but a call changes its total.
    free: HashMap<Place, u64>,
}

impl Run {
    fn new(after_crossing: AfterCrossing, first_day_is_whole: bool) -> Self {
        let meter = Meter::new(if first_day_is_whole {
            MIDNIGHT
        } else {
            MIDNIGHT + 1
        });
        let organizations = NAMES
            .iter()
            .map(|name| meter.organizations().named(name).unwrap())
            .collect();
        let mut history = History::default();
        if !first_day_is_whole {
            for place in [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)] {
                history
                    .0
                    .push((place, Event::Uncounted(Assumption::DayStart, None)));
            }
        }
        Self {
            meter,
            rules: small_rules(after_crossing),
            organizations,
            history,
            day: 0,
            paid: [false; 2],
            sums: HashMap::new(),
            free: HashMap::new(),
        }
    }

    fn at(&self) -> i64 {
        MIDNIGHT + self.day * 86_400 + 3_600
    }

    fn call<'a>(&'a self, organization: usize, group: usize, tokens: u64) -> FinishedCall<'a> {
        FinishedCall {
            organization: &self.organizations[organization],
            project: None,
            model: Some(MODELS[group]),
            service_tier: None,
            payer: None,
            hosted_tool: false,
            usage: usage(tokens),
            evidence: Evidence::Reported,
            began: self.at(),
            at: self.at(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Settle {
                organization,
                group,
                tokens,
                at_most,
                payer,
                before,
            } => {
                let evidence = at_most.map_or(Evidence::Reported, |at_most| Evidence::Estimated {
                    at_most,
                });
                let began = if before {
                    self.at() - 86_400
                } else {
                    self.at()
                };
                let call = FinishedCall {
                    evidence,
                    payer,
                    began,
                    ..self.call(organization, group, tokens)
                };
                let settled = self.meter.settle(&self.rules, &call);
                self.check_settled((organization, group, self.day), tokens, at_most, &settled);
            }
            Step::Flex {
                organization,
                group,
                tokens,
                payer,
            } => {
                let call = FinishedCall {
                    service_tier: Some("flex"),
                    payer,
                    ..self.call(organization, group, tokens)
                };
                let settled = self.meter.settle(&self.rules, &call);
                assert_eq!(settled.span, None);
                self.left(organization, group, payer, Assumption::ServiceTier, tokens);
            }
            Step::Miss {
                organization,
                group,
                at_most,
            } => {
                let FinishedCall {
                    organization: named,
                    model,
                    at,
                    ..
                } = self.call(organization, group, 0);
                let call = MissingCall {
                    organization: named,
                    project: None,
                    model,
                    service_tier: None,
                    hosted_tool: false,
                    choices: 1,
                    at_most: Some(at_most),
                    why: Reason::ClientGone,
                    began: at,
                    at,
                };
                assert_eq!(
                    self.meter.settle_missing(&self.rules, &call).verdict,
                    Verdict::Unknown
                );
                let place = (organization, group, self.day);
                self.history.0.push((
                    place,
                    Event::Uncounted(Assumption::UnknownCalls, Some(at_most)),
                ));
            }
            Step::Correct {
                organization,
                group,
                tokens,
                fitted,
                slack,
            } => {
                let place = (organization, group, self.day);
                let (named, id, day) = self.place(place);
                let correction = Correction {
                    tokens,
                    fitted,
                    slack,
                };
                let change = self.meter.correct(&self.rules, named, id, day, &correction);
                *self.sums.entry(place).or_default() += change;
                self.free.insert(place, 0);
                self.history
                    .0
                    .push((place, Event::Corrected(tokens, fitted, slack)));
            }
            Step::State {
                organization,
                group,
                tokens,
            } => {
                let place = (organization, group, self.day);
                let (named, id, day) = self.place(place);
                let change = self.meter.state_total(named, id, day, tokens);
                *self.sums.entry(place).or_default() += change;
                self.free.insert(place, 0);
                self.history.0.push((place, Event::Stated(tokens)));
            }
            Step::NextDay => self.day += 1,
        }
    }

    fn place(&self, (organization, group, day): Place) -> (&Organization, GroupId, Day) {
        let group = GroupId(u8::try_from(group).unwrap());
        (
            &self.organizations[organization],
            group,
            Day::at(MIDNIGHT + day * 86_400),
        )
    }

    /// A billed call left its tokens uncounted, unless OpenAI's word made it sure.
    fn left(
        &mut self,
        organization: usize,
        group: usize,
        payer: Option<Payer>,
        as_: Assumption,
        tokens: u64,
    ) {
        let place = (organization, group, self.day);
        if payer != Some(Payer::Developer) {
            self.history
                .0
                .push((place, Event::Uncounted(as_, Some(tokens))));
        }
        if payer == Some(Payer::OpenAi) {
            self.history.0.push((place, Event::Paid));
            self.paid[organization] = true;
        }
    }

    fn check_settled(
        &mut self,
        place: Place,
        tokens: u64,
        at_most: Option<Option<u64>>,
        settled: &Settlement,
    ) {
        let allowance = ALLOWANCES[place.1];
        let before = self.history.before(place, allowance);
        let fits_reading = self.rules.after_crossing() == AfterCrossing::FreeIfItFits;
        let mut if_free = Vec::new();
        if place.0 == 1 {
            if_free.push(Assumption::OutsideUsage);
            if !self.paid[1] {
                if_free.push(Assumption::Enrolment);
            }
        }
        if settled.straddles {
            if_free.push(Assumption::Straddles);
        }
        let expected = expected(&before, fits_reading, tokens, allowance, &if_free);
        let span = settled.span.unwrap();
        assert_eq!(
            (span.before, span.after),
            (before.taken, before.taken + tokens)
        );
        assert_eq!(
            (settled.ours, settled.disputed),
            (expected.verdict, expected.disputed)
        );
        assert_eq!(settled.fitted, before.fitted + tokens <= allowance);
        assert_eq!(settled.allowance, Some(allowance));
        let word = settled.payer.map(|payer| match payer {
            Payer::OpenAi => (Verdict::Free, Reason::PayerSaysFree),
            Payer::Developer => (Verdict::Billed, Reason::PayerSaysBilled),
        });
        if let Some((verdict, contradiction)) = word {
            let agrees = verdict == expected.verdict;
            let reason = if agrees {
                expected.reason
            } else {
                contradiction
            };
            assert_eq!((settled.verdict, settled.reason), (verdict, reason));
            assert_eq!(
                (settled.certainty, settled.payer_differs),
                (Some(Certainty::Confirmed), !agrees)
            );
            assert!(settled.assumes.is_empty());
        } else {
            assert_eq!(
                (settled.verdict, settled.reason),
                (expected.verdict, expected.reason)
            );
            assert_eq!(settled.assumes.iter().collect::<Vec<_>>(), expected.assumes);
            let certainty = if at_most.is_some() {
                Certainty::Estimated
            } else {
                expected.certainty
            };
            assert_eq!(settled.certainty, Some(certainty));
        }
        self.record(place, tokens, at_most, settled);
        self.check_standing(place, settled);
    }

    fn record(
        &mut self,
        place: Place,
        tokens: u64,
        at_most: Option<Option<u64>>,
        settled: &Settlement,
    ) {
        self.history.0.push((place, Event::Took(tokens)));
        let rest = at_most.map(|at_most| at_most.map(|at_most| at_most.saturating_sub(tokens)));
        assert_eq!(settled.slack, rest.unwrap_or(Some(0)));
        if let Some(rest) = rest {
            self.history
                .0
                .push((place, Event::Uncounted(Assumption::UnknownCalls, rest)));
        }
        match settled.payer {
            Some(Payer::OpenAi) => {
                self.history.0.push((place, Event::Paid));
                self.paid[place.0] = true;
            }
            Some(Payer::Developer) if settled.ours == Verdict::Free => {
                self.history.0.push((place, Event::Contradicted));
            }
            _ => {}
        }
        *self.sums.entry(place).or_default() += tokens.cast_signed();
        if settled.verdict == Verdict::Free && settled.payer.is_none() {
            *self.free.entry(place).or_default() += tokens;
        }
    }

    /// The standing is the reference's, and the invariants hold.
    fn check_standing(&self, place: Place, settled: &Settlement) {
        let allowance = ALLOWANCES[place.1];
        let after = self.history.before(place, allowance);
        let (organization, group, day) = self.place(place);
        let standing = self.meter.standing(&self.rules, organization, group, day);
        assert_eq!(
            (standing.taken, standing.fitted),
            (after.taken, after.fitted)
        );
        assert_eq!(standing.contradictions, after.contradictions);
        let bounded: u64 = after.slack.iter().filter_map(|(_, at_most)| *at_most).sum();
        assert_eq!(standing.slack.tokens, bounded);
        assert_eq!(settled.remaining, Some(standing.remaining));
        assert_eq!(standing.taken.cast_signed(), self.sums[&place]);
        assert!(self.free.get(&place).is_none_or(|free| *free <= allowance));
    }
}

proptest! {
    #[test]
    fn the_meter_says_what_the_reference_says(
        fits in any::<bool>(),
        first_day_is_whole in any::<bool>(),
        steps in vec(step(), 1..40),
    ) {
        let after_crossing = if fits { AfterCrossing::FreeIfItFits } else { AfterCrossing::Billed };
        let mut run = Run::new(after_crossing, first_day_is_whole);
        for step in &steps {
            run.step(step);
        }
    }
}
