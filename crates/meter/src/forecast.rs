//! What may be said at the head of a stream, and the calls under way that it must reckon with. Must not know
//! how a call ends.

use arc_swap::Guard;

use crate::assumptions::{Assumption, Assumptions};
use crate::call::CallAhead;
use crate::day::Day;
use crate::eligibility::{Eligibility, Question};
use crate::in_flight::{Forecast, InFlight};
use crate::meter::Meter;
use crate::rules::Rules;
use crate::settlement::Expectation;
use crate::verdict::{self, Certainty, Verdict};

impl Meter {
    /// Begins the accounting of a call under way, before it is sent; `None` for a call that cannot draw on an allowance. Drop the guard after the call is settled.
    #[must_use]
    pub fn begin(&self, rules: &Rules, head: &CallAhead<'_>) -> Option<InFlight> {
        let Eligibility::Eligible { group, .. } = Self::judge_head(rules, head) else {
            return None;
        };
        let day = Day::at(head.at);
        Some(InFlight::begin(
            Guard::into_inner(self.totals.of(head.organization, group, day)),
            (group, day),
            self.forecast(head),
        ))
    }

    /// A call of this kind that asked for this model took so many tokens: later ones are forecast by it.
    pub fn took(&self, kind: &'static str, model: &str, tokens: u64) {
        self.habits.took(kind, model, tokens);
    }

    /// What the call may take: at the most, and by what such calls have really taken.
    fn forecast(&self, head: &CallAhead<'_>) -> Forecast {
        let model = head.model;
        let usual = model.and_then(|model| self.habits.high(head.kind, model));
        Forecast::new(head.bound, usual)
    }

    fn judge_head(rules: &Rules, head: &CallAhead<'_>) -> Eligibility {
        let question = Question {
            organization: head.organization,
            project: head.project,
            model: head.model,
            service_tier: head.service_tier,
            model_is_asked: true,
            at: head.at,
        };
        let known = head.model.and_then(|model| rules.offer().known(model));
        Eligibility::of(&question, rules, rules.terms(head.organization), known)
    }

    /// What the head of a stream may honestly say before the call's usage is known: a forecast, never a promise.
    #[must_use]
    pub fn expect(&self, rules: &Rules, head: &CallAhead<'_>) -> Expectation {
        let eligibility = Self::judge_head(rules, head);
        let group = eligibility.group();
        let standing =
            group.map(|group| self.standing(rules, head.organization, group, Day::at(head.at)));
        let pending = Expectation {
            verdict: Verdict::Pending,
            certainty: None,
            assumes: Assumptions::NONE,
            reason: None,
            group,
            allowance: standing.map(|standing| standing.allowance),
            remaining: standing.map(|standing| standing.remaining),
        };
        let expected = |verdict, reason, assumes| Expectation {
            verdict,
            certainty: Some(Certainty::Expected),
            assumes,
            reason: Some(reason),
            ..pending
        };
        match (eligibility, standing) {
            _ if head.model.is_none() => pending,
            (Eligibility::Ineligible(ineligible), _) => {
                expected(Verdict::Billed, ineligible.reason, ineligible.assumes)
            }
            (Eligibility::Eligible { mut if_free, group }, Some(standing)) => {
                if_free.insert_if(head.hosted_tool, Assumption::HostedTool);
                let totals = self.totals.find(head.organization, group, Day::at(head.at));
                let own = head
                    .own
                    .filter(|own| totals.is_some_and(|totals| own.is_in(&totals)));
                let others = standing.in_flight.without(own);
                verdict::forecast(
                    rules.after_crossing(),
                    &standing,
                    others,
                    self.forecast(head).likely,
                    if_free,
                )
                .map_or(pending, |ours| {
                    expected(ours.verdict, ours.reason, ours.assumes)
                })
            }
            (Eligibility::Eligible { .. }, None) => pending,
        }
    }
}
