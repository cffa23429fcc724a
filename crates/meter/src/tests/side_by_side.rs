//! A meter beside the slow reference: each step is given to both and what they say is compared, with the two
//! invariants: free tokens of a day never exceed the allowance, and the running total is the sum of the spans
//! and changes.

use std::collections::HashMap;
use std::sync::Arc;

use super::reference::{Event, History, Place, expected};
use super::{MIDNIGHT, call, declared, missing, offer_parts};
use crate::{
    AfterCrossing, Assumption, Certainty, Correction, Day, DeclaredOrganization, Evidence,
    FinishedCall, GroupId, Meter, MissingCall, Offer, Organization, Payer, Reason, Rules,
    Settlement, Terms, Verdict,
};

/// Small allowances, so that a few calls cross them.
const ALLOWANCES: [u64; 2] = [1_000, 3_000];
const MODELS: [&str; 2] = ["gpt-6-sol", "gpt-5.6-luna"];

/// `acme` is fully declared; nothing is declared about `nobody`.
pub(super) const NAMES: [&str; 2] = ["acme", "nobody"];

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) organization: usize,
    pub(super) group: usize,
    pub(super) act: Act,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    Settle {
        tokens: u64,
        evidence: Evidence,
        payer: Option<Payer>,
        straddles: bool,
    },
    SettleFlex {
        tokens: u64,
        payer: Option<Payer>,
    },
    Miss(u64),
    Correct(Correction),
    State(u64),
    NextDay,
}

pub(super) struct SideBySide {
    meter: Meter,
    rules: Rules,
    organizations: Vec<Organization>,
    history: History,
    /// Days since the first.
    day: i64,
    /// OpenAI said that it paid, by organization.
    paid: [bool; 2],
    /// Sum of spans and changes by place.
    sums: HashMap<Place, i64>,
    /// Unconfirmed free tokens by place, since something but a call last changed its total.
    free: HashMap<Place, u64>,
}

impl SideBySide {
    pub(super) fn new(after_crossing: AfterCrossing, first_day_is_whole: bool) -> Self {
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
        let mut parts = offer_parts();
        for (group, allowance) in parts.groups.iter_mut().zip(ALLOWANCES) {
            group.allowances = [allowance; 5];
        }
        let acme = DeclaredOrganization {
            name: "acme".into(),
            aliases: Vec::new(),
            terms: declared(1),
        };
        let offer = Arc::new(Offer::new(parts).unwrap());
        Self {
            meter,
            rules: Rules::new(offer, after_crossing, Terms::default(), vec![acme]),
            organizations,
            history,
            day: 0,
            paid: [false; 2],
            sums: HashMap::new(),
            free: HashMap::new(),
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        let place = (step.organization, step.group, self.day);
        match &step.act {
            Act::Settle {
                tokens,
                evidence,
                payer,
                straddles,
            } => {
                let plain = self.call(place, *tokens);
                let began = if *straddles {
                    plain.at - 86_400
                } else {
                    plain.at
                };
                let call = FinishedCall {
                    payer: *payer,
                    evidence: *evidence,
                    began,
                    ..plain
                };
                let settled = self.meter.settle(&self.rules, &call);
                self.check_settled(place, *tokens, *evidence, &settled);
                self.record(place, *tokens, *evidence, &settled);
                self.check_standing(place, &settled);
            }
            Act::SettleFlex { tokens, payer } => self.settle_flex(place, *tokens, *payer),
            Act::Miss(at_most) => self.miss(place, *at_most),
            Act::Correct(correction) => {
                let (organization, group, day) = self.place(place);
                let change = self
                    .meter
                    .correct(&self.rules, organization, group, day, correction);
                let Correction {
                    tokens,
                    fitted,
                    slack,
                } = *correction;
                self.changed(place, change, Event::Corrected(tokens, fitted, slack));
            }
            Act::State(tokens) => {
                let (organization, group, day) = self.place(place);
                let change = self.meter.state_total(organization, group, day, *tokens);
                self.changed(place, change, Event::Stated(*tokens));
            }
            Act::NextDay => self.day += 1,
        }
    }

    fn settle_flex(&mut self, place: Place, tokens: u64, payer: Option<Payer>) {
        let plain = self.call(place, tokens);
        let call = FinishedCall {
            service_tier: Some("flex"),
            payer,
            ..plain
        };
        assert_eq!(self.meter.settle(&self.rules, &call).span, None);
        if payer != Some(Payer::Developer) {
            self.happened(
                place,
                Event::Uncounted(Assumption::ServiceTier, Some(tokens)),
            );
        }
        if payer == Some(Payer::OpenAi) {
            self.openai_paid(place);
        }
    }

    fn miss(&mut self, place: Place, at_most: u64) {
        let FinishedCall { model, at, .. } = self.call(place, 0);
        let plain = missing(&self.organizations[place.0], Some(at_most));
        let call = MissingCall {
            model,
            began: at,
            at,
            ..plain
        };
        assert_eq!(
            self.meter.settle_missing(&self.rules, &call).verdict,
            Verdict::Unknown
        );
        self.happened(
            place,
            Event::Uncounted(Assumption::UnknownCalls, Some(at_most)),
        );
    }

    fn call(&self, (organization, group, day): Place, tokens: u64) -> FinishedCall<'_> {
        let at = MIDNIGHT + day * 86_400 + 3_600;
        FinishedCall {
            model: Some(MODELS[group]),
            began: at,
            at,
            ..call(&self.organizations[organization], tokens)
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

    fn happened(&mut self, place: Place, event: Event) {
        self.history.0.push((place, event));
    }

    fn openai_paid(&mut self, place: Place) {
        self.happened(place, Event::Paid);
        self.paid[place.0] = true;
    }

    fn changed(&mut self, place: Place, change: i64, event: Event) {
        *self.sums.entry(place).or_default() += change;
        self.free.insert(place, 0);
        self.happened(place, event);
    }

    fn check_settled(&self, place: Place, tokens: u64, evidence: Evidence, settled: &Settlement) {
        let allowance = ALLOWANCES[place.1];
        let before = self.history.before(place, allowance);
        let fits_reading = self.rules.after_crossing() == AfterCrossing::FreeIfItFits;
        let nobody = place.0 == 1;
        let if_free: Vec<Assumption> = [
            (nobody, Assumption::OutsideUsage),
            (nobody && !self.paid[1], Assumption::Enrolment),
            (settled.straddles, Assumption::Straddles),
        ]
        .into_iter()
        .filter_map(|(holds, assumption)| holds.then_some(assumption))
        .collect();
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
            let reported = evidence == Evidence::Reported;
            let certainty = if reported {
                expected.certainty
            } else {
                Certainty::Estimated
            };
            assert_eq!(settled.certainty, Some(certainty));
        }
    }

    fn record(&mut self, place: Place, tokens: u64, evidence: Evidence, settled: &Settlement) {
        self.happened(place, Event::Took(tokens));
        let rest = match evidence {
            Evidence::Reported => Some(0),
            Evidence::Estimated { at_most } => {
                at_most.map(|at_most| at_most.saturating_sub(tokens))
            }
        };
        assert_eq!(settled.slack, rest);
        self.happened(place, Event::Uncounted(Assumption::UnknownCalls, rest));
        match settled.payer {
            Some(Payer::OpenAi) => self.openai_paid(place),
            Some(Payer::Developer) if settled.ours == Verdict::Free => {
                self.happened(place, Event::Contradicted);
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
