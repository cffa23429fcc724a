//! The meter: settles calls, says what the head of a stream may say, and keeps the totals. The story of one
//! settlement, top to bottom. Must not know sockets, formats, clocks or where settlements go.

use crate::assumptions::{Assumption, Assumptions};
use crate::call::{Evidence, FinishedCall, MissingCall, StreamHead};
use crate::day::Day;
use crate::eligibility::{Eligibility, INCENTIVIZED, Ineligible, Question};
use crate::in_flight::InFlight;
use crate::model_group::GroupId;
use crate::offer::Known;
use crate::organization::{Organization, Organizations};
use crate::price::Dollars;
use crate::rules::{AfterCrossing, Rules};
use crate::settlement::{Expectation, Settlement};
use crate::slack::SlackSource;
use crate::sync::Ordering;
use crate::terms::Terms;
use crate::totals::{DayTotals, Totals};
use crate::usage::Payer;
use crate::verdict::{self, Certainty, Ours, Taken, Verdict};

/// What every organization has taken of its allowances, and the rule by which the next call is free or billed.
///
/// All methods can be called from any thread; settling never waits.
pub struct Meter {
    pub(crate) organizations: Organizations,
    pub(crate) totals: Totals,
}

/// A finished call with all that was looked up for it.
struct Settling<'a> {
    rules: &'a Rules,
    call: &'a FinishedCall<'a>,
    terms: &'a Terms,
    known: Option<&'a Known>,
    payer: Option<Payer>,
    day: Day,
}

impl Meter {
    /// A meter that counts since this instant (seconds since 1970-01-01 UTC). What was taken before it on the
    /// same UTC day is not known, unless it is 00:00:00 exactly.
    #[must_use]
    pub fn new(counting_since: i64) -> Self {
        Self {
            organizations: Organizations::new(),
            totals: Totals::new(counting_since),
        }
    }

    /// The organizations seen so far.
    #[must_use]
    pub fn organizations(&self) -> &Organizations {
        &self.organizations
    }

    /// Learns that `id` is another name of an organization (a slug and an `org-...` id seen on one 2xx
    /// exchange). Totals kept under either name are merged by addition; what was declared under either holds.
    /// Calls settled before keep their verdicts, so the two may together have been given more than one allowance.
    ///
    /// The organization `unknown` takes no other name, and a name past [`Organizations::MOST`] is not learned.
    pub fn learn_alias(&self, organization: &Organization, id: &str) {
        self.organizations.join(organization, id, |former| {
            self.totals.merge(former, organization);
        });
    }

    /// Learns every declared organization's aliases. Call it once for each new [`Rules`], before they are used.
    pub fn learn_declared(&self, rules: &Rules) {
        for declared in rules.declared() {
            if let Some(organization) = self.organizations.named(&declared.name) {
                declared
                    .aliases
                    .iter()
                    .for_each(|alias| self.learn_alias(&organization, alias));
            }
        }
    }

    /// Settles a call that ended with usage: exactly one span, exactly one verdict.
    pub fn settle(&self, rules: &Rules, call: &FinishedCall<'_>) -> Settlement {
        let terms = rules.terms(call.organization);
        let known = call.model.and_then(|model| rules.offer().known(model));
        let word = (call.service_tier == Some(INCENTIVIZED)).then_some(Payer::OpenAi);
        let payer = call.payer.or(word);
        let settling = Settling {
            rules,
            call,
            terms,
            known,
            payer,
            day: Day::at(call.at),
        };
        let question = Question {
            organization: call.organization,
            project: call.project,
            model: call.model,
            service_tier: call.service_tier,
            asked: false,
            at: call.at,
        };
        let settlement = match Eligibility::of(&question, rules, terms, known) {
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
        // What others left uncounted is judged before this call adds its own.
        let slack = totals.slack_now();
        let span = self.totals.on(&mut totals, key, |total| total.take(tokens));
        let fit = self
            .totals
            .on(&mut totals, key, |total| total.fit(tokens, allowance));
        let taken = Taken {
            allowance,
            span,
            fit,
            crossed: totals.total.was_past(allowance),
            slack,
            contradictions: totals.contradictions.load(Ordering::Acquire),
        };
        if_free.insert_if(call.hosted_tool, Assumption::HostedTool);
        if_free.insert_if(settling.straddles(), Assumption::Straddles);
        let ours = verdict::by_totals(rules.after_crossing(), &taken, if_free);
        learn_from_payer(&totals, ours.verdict, payer);
        let rest = settling.rest();
        if rest != Some(0) {
            totals.slack.add(SlackSource::UnknownCalls, rest);
        }
        let remaining = match rules.after_crossing() {
            AfterCrossing::Billed if taken.crossed => 0,
            AfterCrossing::Billed => allowance.saturating_sub(span.after),
            AfterCrossing::FreeIfItFits => allowance.saturating_sub(fit.after),
        };
        Settlement {
            group: Some(group),
            span: Some(span),
            fitted: fit.fits,
            slack: rest,
            disputed: verdict::disputed(&taken),
            allowance: Some(allowance),
            remaining: Some(remaining),
            ..settling.conclude(ours)
        }
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
        if !sure {
            // All its tokens are uncounted, not only those that an estimate left open.
            slack = settling
                .rest()
                .map(|rest| rest.saturating_add(call.usage.tokens()));
            let group = ineligible.group.filter(|_| !alarm);
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
        Settlement {
            group: ineligible.group,
            slack,
            unlisted_but_free: alarm,
            allowance: standing.map(|standing| standing.allowance),
            remaining: standing.map(|standing| standing.remaining),
            ..settling.conclude(ours)
        }
    }

    /// Settles a metered call whose usage never came. If it may have drawn on a group, the most it can have taken
    /// goes into that group's slack: its hard bound, else what its model can take at most for each choice, else
    /// without limit.
    pub fn settle_missing(&self, rules: &Rules, call: &MissingCall<'_>) -> Settlement {
        let day = Day::at(call.at);
        let question = Question {
            organization: call.organization,
            project: call.project,
            model: call.model,
            service_tier: call.service_tier,
            asked: true,
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
            let by_model = || {
                Some(
                    call.model
                        .and_then(|model| rules.offer().most_tokens(model))?
                        .saturating_mul(call.choices.max(1)),
                )
            };
            slack = call
                .at_most
                .or_else(by_model)
                .filter(|at_most| *at_most <= crate::Usage::MAX);
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
            verdict: Verdict::Unknown,
            certainty: None,
            assumes: Assumptions::NONE,
            reason: call.why,
            ours: Verdict::Unknown,
            payer: None,
            payer_differs: false,
            unlisted_but_free: false,
            disputed: false,
            straddles: Day::at(call.began) != day,
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

    /// Begins the accounting of a call under way, when its answer's head came; `None` for a call that cannot draw
    /// on an allowance. Drop the guard after the call is settled.
    #[must_use]
    pub fn begin(&self, rules: &Rules, head: &StreamHead<'_>) -> Option<InFlight> {
        let Eligibility::Eligible { group, .. } = Self::judge_head(rules, head) else {
            return None;
        };
        Some(InFlight::begin(
            self.totals.of(head.organization, group, Day::at(head.at)),
            head.bound,
        ))
    }

    fn judge_head(rules: &Rules, head: &StreamHead<'_>) -> Eligibility {
        let question = Question {
            organization: head.organization,
            project: head.project,
            model: head.model,
            service_tier: head.service_tier,
            asked: true,
            at: head.at,
        };
        let known = head.model.and_then(|model| rules.offer().known(model));
        Eligibility::of(&question, rules, rules.terms(head.organization), known)
    }

    /// What the head of a stream may honestly say before the call's usage is known: a forecast, never a promise.
    #[must_use]
    pub fn expect(&self, rules: &Rules, head: &StreamHead<'_>) -> Expectation {
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
            (Eligibility::Eligible { mut if_free, .. }, Some(standing)) => {
                if_free.insert_if(head.hosted_tool, Assumption::HostedTool);
                let others = standing.in_flight.without(head.own.map(InFlight::bound));
                verdict::forecast(
                    rules.after_crossing(),
                    &standing,
                    others,
                    head.bound,
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

impl Settling<'_> {
    fn straddles(&self) -> bool {
        Day::at(self.call.began) != self.day
    }

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
            verdict: last.verdict,
            certainty: Some(certainty),
            assumes: last.assumes,
            reason: last.reason,
            ours: ours.verdict,
            payer: self.payer,
            payer_differs: last.verdict != ours.verdict,
            unlisted_but_free: false,
            disputed: false,
            straddles: self.straddles(),
            allowance: None,
            remaining: None,
            cost: listed.map(|price| if free { Dollars::ZERO } else { price }),
            saved: listed.map(|price| if free { price } else { Dollars::ZERO }),
        }
    }
}

/// Counts contradictions: `OpenAI` billed what we held free. Its word that it pays ends the row.
fn learn_from_payer(totals: &DayTotals, ours: Verdict, payer: Option<Payer>) {
    match payer {
        Some(Payer::OpenAi) => totals.contradictions.store(0, Ordering::Release),
        Some(Payer::Developer) if ours == Verdict::Free => {
            totals.contradictions.fetch_add(1, Ordering::AcqRel);
        }
        Some(Payer::Developer) | None => {}
    }
}
