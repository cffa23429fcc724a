//! The story of one settlement, top to bottom: eligibility, the span and the second reading beside it, the verdict,
//! `OpenAI`'s own word, the price. Must not know how usage was read or where the settlement goes.

use std::sync::Arc;

use arc_swap::Guard;

use crate::assumptions::{Assumption, Assumptions};
use crate::call::{Evidence, FinishedCall, MissingCall};
use crate::day::Day;
use crate::eligibility::{Eligibility, INCENTIVIZED, Ineligible, Question};
use crate::elsewhere::Grant;
use crate::meter::Meter;
use crate::model_group::GroupId;
use crate::offer::Known;
use crate::organization::Organization;
use crate::price::Dollars;
use crate::rules::{AfterCrossing, Rules};
use crate::running_total::{Fit, Span};
use crate::settlement::Settlement;
use crate::slack::SlackSource;
use crate::sync::Ordering;
use crate::terms::Terms;
use crate::totals::DayTotals;
use crate::usage::{Payer, Usage};
use crate::verdict::{self, Ours, Taken, Verdict};

/// Seconds that a clock may be off unnoticed: two that whoever keeps it tolerates, and an answer's way.
pub const UNNOTICED: i64 = 3;

/// A finished call with all that was looked up for it.
struct Settling<'a> {
    rules: &'a Rules,
    call: &'a FinishedCall<'a>,
    terms: &'a Terms,
    known: Option<&'a Known>,
    payer: Option<Payer>,
    day: Day,
    straddles: bool,
    /// What the shared totals handed it.
    grant: Option<Grant>,
}

impl Meter {
    /// Settles a call that ended with usage: exactly one span, exactly one verdict.
    pub fn settle(&self, rules: &Rules, call: &FinishedCall<'_>) -> Settlement {
        self.settle_with(rules, call, None)
    }

    /// Settles a call by the span it was handed of the totals that replicas share; without one as
    /// [`Meter::settle`] does.
    pub fn settle_with(
        &self,
        rules: &Rules,
        call: &FinishedCall<'_>,
        grant: Option<Grant>,
    ) -> Settlement {
        let terms = rules.terms(call.organization);
        let known = call.model.and_then(|model| rules.offer().known(model));
        let word = (call.service_tier == Some(INCENTIVIZED)).then_some(Payer::OpenAi);
        let payer = call.payer.or(word);
        let day = Day::at(call.at);
        let settling = Settling {
            rules,
            call,
            terms,
            known,
            payer,
            day,
            straddles: straddles(day, call.began, call.at),
            grant,
        };
        let settlement = match Eligibility::of(&Question::of(call), rules, terms, known) {
            Eligibility::Eligible { group, if_free } => {
                self.settle_eligible(&settling, group, if_free)
            }
            Eligibility::Ineligible(ineligible) => self.settle_ineligible(&settling, ineligible),
        };
        if payer == Some(Payer::OpenAi) {
            call.organization.paid(call.at);
        }
        settlement
    }

    fn settle_eligible(
        &self,
        settling: &Settling<'_>,
        group: GroupId,
        mut if_free: Assumptions,
    ) -> Settlement {
        let Settling {
            rules,
            call,
            terms,
            day,
            payer,
            ..
        } = *settling;
        let tokens = call.usage.tokens();
        let allowance = rules.allowance_by(terms, group);
        let key = (call.organization, group, day);
        let mut totals = self.totals.of(call.organization, group, day);
        // The call is judged by the slack as it was before its own is added.
        let mut slack = totals.slack_now();
        let is_sure = settling.grant.map(|grant| grant.is_sure);
        if is_sure == Some(false) || (is_sure.is_none() && self.totals.step.is_shared()) {
            slack = slack.with_without_limit(Assumption::SharedTotals);
        }
        let (span, fit) = match settling.grant {
            Some(grant) => (grant.span, grant.fit),
            None => self.take_here(&mut totals, key, tokens, allowance),
        };
        let taken = Taken {
            allowance,
            span,
            fit,
            crossed: totals.was_past(allowance),
            slack,
            contradictions: totals.contradictions.load(Ordering::Acquire),
        };
        if_free.insert_if(call.hosted_tool, Assumption::HostedTool);
        if_free.insert_if(settling.straddles, Assumption::Straddles);
        let ours = verdict::by_totals(rules.after_crossing(), &taken, if_free);
        let contradictions =
            learn_from_payer(&totals, ours.verdict, payer).unwrap_or(taken.contradictions);
        let rest = settling.rest();
        if rest != Some(0) {
            totals.slack.add(SlackSource::UnknownCalls, rest);
        }
        // Filled in where it lies: moving it about would cost as much as the totals.
        let mut settlement = settling.conclude(ours);
        settlement.group = Some(group);
        settlement.span = Some(span);
        settlement.fitted = fit.fits;
        settlement.slack = rest;
        settlement.disputed = verdict::disputed(&taken);
        settlement.allowance = Some(allowance);
        let left = match rules.after_crossing() {
            AfterCrossing::Billed if taken.crossed => 0,
            AfterCrossing::Billed => allowance.saturating_sub(span.after),
            AfterCrossing::FreeIfItFits => allowance.saturating_sub(fit.after),
        };
        settlement.remaining = Some(verdict::remaining(left, contradictions));
        settlement
    }

    /// Takes a span of what is counted here, on top of what was heard of other replicas.
    fn take_here(
        &self,
        totals: &mut Guard<Arc<DayTotals>>,
        key: (&Organization, GroupId, Day),
        tokens: u64,
        allowance: u64,
    ) -> (Span, Fit) {
        let span = self.totals.on(totals, key, |total| total.take(tokens));
        let room = allowance.saturating_sub(totals.elsewhere.fitted());
        let fit = self.totals.on(totals, key, |total| total.fit(tokens, room));
        (
            totals.elsewhere.lift_span(span),
            totals.elsewhere.lift_fit(fit),
        )
    }

    fn settle_ineligible(&self, settling: &Settling<'_>, ineligible: Ineligible) -> Settlement {
        let Settling {
            rules,
            call,
            day,
            payer,
            ..
        } = *settling;
        let alarm = payer == Some(Payer::OpenAi) && !ineligible.listed;
        let sure = payer.map_or(ineligible.assumes.is_empty(), |payer| {
            payer == Payer::Developer
        });
        let mut slack = Some(0);
        let group = ineligible.group.filter(|_| !alarm);
        if !sure {
            // All its tokens are uncounted, not only those that an estimate left open.
            slack = settling
                .rest()
                .map(|rest| rest.saturating_add(call.usage.tokens()));
            self.add_slack(
                rules,
                call.organization,
                group,
                day,
                ineligible.source,
                slack,
            );
        }
        if let (Some(Payer::OpenAi), Some(group)) = (payer, ineligible.group)
            && let Some(totals) = self.totals.find(call.organization, group, day)
        {
            totals.contradictions.store(0, Ordering::Release);
        }
        let standing = ineligible
            .group
            .map(|group| self.standing(rules, call.organization, group, day));
        let ours = Ours {
            verdict: Verdict::Billed,
            reason: ineligible.reason,
            assumes: ineligible.assumes,
        };
        let mut settlement = settling.conclude(ours);
        settlement.group = ineligible.group;
        settlement.slack = slack;
        settlement.slack_source = ineligible.source;
        settlement.slack_in_every_group = group.is_none();
        settlement.unlisted_but_free = alarm;
        settlement.allowance = standing.map(|standing| standing.allowance);
        settlement.remaining = standing.map(|standing| standing.remaining);
        settlement
    }

    /// Settles a metered call whose usage never came. If it may have drawn on a group, the most it can have taken
    /// goes into that group's slack: its hard bound, else what its model can take at most for each choice (no
    /// bound where a hosted tool makes the model take turns), else without limit.
    pub fn settle_missing(&self, rules: &Rules, call: &MissingCall<'_>) -> Settlement {
        let day = Day::at(call.at);
        let question = Question {
            organization: call.organization,
            project: call.project,
            model: call.model,
            service_tier: call.service_tier,
            model_is_asked: true,
            at: call.at,
        };
        let known = call.model.and_then(|model| rules.offer().known(model));
        let eligibility = Eligibility::of(&question, rules, rules.terms(call.organization), known);
        let group = eligibility.group();
        let may_draw = match eligibility {
            Eligibility::Eligible { .. } => true,
            Eligibility::Ineligible(ineligible) => !ineligible.assumes.is_empty(),
        };
        let mut slack = Some(0);
        if may_draw {
            slack = call
                .at_most
                .or_else(|| most_of_missing(rules, call))
                .filter(|most| *most <= Usage::MAX);
            self.add_slack(
                rules,
                call.organization,
                group,
                day,
                SlackSource::UnknownCalls,
                slack,
            );
        }
        let standing = group.map(|group| self.standing(rules, call.organization, group, day));
        Settlement {
            day,
            group,
            usage: None,
            span: None,
            fitted: false,
            slack,
            slack_source: SlackSource::UnknownCalls,
            slack_in_every_group: group.is_none(),
            verdict: Verdict::Unknown,
            certainty: None,
            assumes: Assumptions::NONE,
            reason: call.why,
            ours: Verdict::Unknown,
            payer: None,
            payer_differs: false,
            unlisted_but_free: false,
            disputed: false,
            straddles: straddles(day, call.began, call.at),
            allowance: standing.map(|standing| standing.allowance),
            remaining: standing.map(|standing| standing.remaining),
            cost: None,
            saved: None,
        }
    }

    /// Puts tokens into the slack of one group, or of every group where it is not known which.
    fn add_slack(
        &self,
        rules: &Rules,
        organization: &Organization,
        group: Option<GroupId>,
        day: Day,
        source: SlackSource,
        at_most: Option<u64>,
    ) {
        let every = rules
            .offer()
            .groups()
            .map(|(id, _)| id)
            .filter(|_| group.is_none());
        for group in group.into_iter().chain(every) {
            self.totals
                .of(organization, group, day)
                .slack
                .add(source, at_most);
        }
    }
}

/// Whether `OpenAI` may count a call on another day than the one it was settled on: it began there, or a clock that is
/// off by less than anybody notices has the wrong day.
fn straddles(day: Day, began: i64, at: i64) -> bool {
    let is_inside =
        day.holds(at.saturating_sub(UNNOTICED)) && day.holds(at.saturating_add(UNNOTICED));
    !is_inside || !day.holds(began)
}

impl Settling<'_> {
    /// What an estimate leaves open; `None`: without limit.
    fn rest(&self) -> Option<u64> {
        match self.call.evidence {
            Evidence::Reported => Some(0),
            Evidence::Estimated { at_most } => {
                at_most.map(|at_most| at_most.saturating_sub(self.call.usage.tokens()))
            }
        }
    }

    /// Lets `OpenAI`'s word, if there is one, have the last word, and puts a price on what comes out. What only
    /// one kind of call has is left empty.
    fn conclude(&self, ours: Ours) -> Settlement {
        let estimated = self.call.evidence != Evidence::Reported;
        let (last, certainty) = verdict::with_payer(ours, self.payer, estimated);
        let price = self.known.and_then(|known| known.price(self.day));
        let listed = price.and_then(|price| price.cost(self.call.service_tier, &self.call.usage));
        let free = last.verdict == Verdict::Free;
        Settlement {
            day: self.day,
            group: None,
            usage: Some(self.call.usage),
            span: None,
            fitted: false,
            slack: Some(0),
            slack_source: SlackSource::UnknownCalls,
            slack_in_every_group: false,
            verdict: last.verdict,
            certainty: Some(certainty),
            assumes: last.assumes,
            reason: last.reason,
            ours: ours.verdict,
            payer: self.payer,
            payer_differs: last.verdict != ours.verdict,
            unlisted_but_free: false,
            disputed: false,
            straddles: self.straddles,
            allowance: None,
            remaining: None,
            cost: listed.map(|price| if free { Dollars::ZERO } else { price }),
            saved: listed.map(|price| if free { price } else { Dollars::ZERO }),
        }
    }
}

/// What the model of a call can take at most, for each choice, unless a hosted tool makes it take several turns.
fn most_of_missing(rules: &Rules, call: &MissingCall<'_>) -> Option<u64> {
    let model = call.model.filter(|_| !call.hosted_tool)?;
    Some(
        rules
            .offer()
            .most_tokens(model)?
            .saturating_mul(call.choices.max(1)),
    )
}

/// Counts contradictions: `OpenAI` billed what we held free. Its word that it pays ends the row. How many there are now,
/// where that changed.
fn learn_from_payer(totals: &DayTotals, ours: Verdict, payer: Option<Payer>) -> Option<u32> {
    match payer {
        Some(Payer::OpenAi) => {
            totals.contradictions.store(0, Ordering::Release);
            Some(0)
        }
        Some(Payer::Developer) if ours == Verdict::Free => {
            let before = totals.contradictions.fetch_add(1, Ordering::AcqRel);
            Some(before.saturating_add(1))
        }
        Some(Payer::Developer) | None => None,
    }
}
