//! What changes totals other than a settlement: corrections, a total stated by the operator, what was restored
//! at a start; and how a day stands now. Must not know calls or verdicts.

use crate::assumptions::{Assumption, Assumptions};
use crate::day::Day;
use crate::meter::Meter;
use crate::model_group::GroupId;
use crate::organization::Organization;
use crate::rules::{AfterCrossing, Rules};
use crate::slack::SlackSource;
use crate::standing::{Carried, Forecasts, SlackNow, Standing};
use crate::sync::Ordering;
use crate::terms::Coverage;
use crate::totals::DayTotals;
use crate::usage::Usage;
use crate::verdict;

/// What is known better about a settled call: a later whole sight of an estimate, or a mistake found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Tokens to add to the running total, or to take from it.
    pub tokens: i64,
    /// Whether the call was counted among those that fit ([`Settlement::fitted`](crate::Settlement::fitted)).
    pub fitted: bool,
    /// What its settlement put into the slack for calls whose usage is not known
    /// ([`Settlement::slack`](crate::Settlement::slack)), and what is now to be taken back: `Some(0)` nothing,
    /// `None` without limit.
    pub slack: Option<u64>,
}

impl Meter {
    /// The most tokens of a day that are believed when they are stated: a thousand calls of the greatest size that any
    /// call is believed to have. Whoever asks for a number refuses a larger one.
    pub const MOST_STATED: u64 = 1_000 * Usage::MAX;

    /// Corrects the totals of a day for the calls that come after; no settled verdict changes, and a crossed day
    /// stays crossed. Returns the change of the running total that was made, which never falls below 0.
    pub fn correct(
        &self,
        rules: &Rules,
        organization: &Organization,
        group: GroupId,
        day: Day,
        correction: &Correction,
    ) -> i64 {
        let allowance = rules.allowance(organization, group);
        let key = (organization, group, day);
        let mut totals = self.totals.of(organization, group, day);
        if correction.tokens < 0 && totals.elsewhere.is_heard() && totals.taken() > allowance {
            // Past it together with the other replicas, though perhaps not by what was counted here alone.
            totals.total.restore_crossed(allowance);
        }
        let change = self.totals.on(&mut totals, key, |total| {
            total.correct_taken(correction.tokens, allowance)
        });
        if correction.fitted {
            self.totals.on(&mut totals, key, |total| {
                total.correct_fitted(correction.tokens)
            });
        }
        totals
            .slack
            .take_back(SlackSource::UnknownCalls, correction.slack);
        change
    }

    /// States a day's total as read on `OpenAI`'s dashboard, for both readings of the rule. Clears the slack of
    /// that group and day, and whether the day was crossed follows from the stated number alone. Where other
    /// replicas took a part of it, the rest is what was taken here. Returns the change of the running total.
    pub fn state_total(
        &self,
        organization: &Organization,
        group: GroupId,
        day: Day,
        tokens: u64,
    ) -> i64 {
        let mut totals = self.totals.of(organization, group, day);
        let taken = tokens.saturating_sub(totals.elsewhere.taken());
        let fitted = tokens.saturating_sub(totals.elsewhere.fitted());
        let change = self
            .totals
            .on(&mut totals, (organization, group, day), |total| {
                total.state(taken, fitted)
            });
        totals.clear_slack();
        change
    }

    /// Puts tokens that may have been taken uncounted into a day's slack, such as those of records that were
    /// lost. `None`: without limit.
    pub fn add_uncounted(
        &self,
        organization: &Organization,
        group: GroupId,
        day: Day,
        source: SlackSource,
        at_most: Option<u64>,
    ) {
        self.totals
            .of(organization, group, day)
            .slack
            .add(source, at_most);
    }

    /// Adds what was kept of a day when the program last ran to what is there. Call it before the first call.
    pub fn restore(
        &self,
        organization: &Organization,
        group: GroupId,
        day: Day,
        carried: &Carried,
    ) {
        let totals = self.totals.of(organization, group, day);
        totals.total.restore(carried.taken, carried.fitted);
        if let Some(allowance) = carried.was_past {
            totals.total.restore_crossed(allowance);
        }
        totals
            .contradictions
            .fetch_max(carried.contradictions, Ordering::AcqRel);
        for (source, at_most) in &carried.slack {
            totals.slack.add(*source, *at_most);
        }
    }

    /// What was taken on a day before counting began is in its total: an operator stated it, before the program last
    /// stopped. Call it before the first call.
    pub fn restore_stated(&self, organization: &Organization, group: GroupId, day: Day) {
        self.totals
            .of(organization, group, day)
            .slack
            .clear_source(SlackSource::DayStart);
    }

    /// Remembers that `OpenAI` said at this instant (seconds since 1970-01-01 UTC) that it paid for this
    /// organization, which shows for 30 days that it is enrolled. [`Meter::settle`] sees to it by itself; this
    /// is for a start.
    pub fn restore_paid(&self, organization: &Organization, at: i64) {
        organization.paid(at);
    }

    /// Drops the totals of the days before this one. A call that still comes for such a day is settled with
    /// slack without limit (`day-start`).
    pub fn forget_before(&self, day: Day) {
        self.totals.forget_before(day);
    }

    /// How an organization stands with a group on a day. Opens nothing.
    #[must_use]
    pub fn standing(
        &self,
        rules: &Rules,
        organization: &Organization,
        group: GroupId,
        day: Day,
    ) -> Standing {
        let terms = rules.terms(organization);
        let allowance = rules.allowance_by(terms, group);
        let totals = self.totals.find(organization, group, day);
        let totals = totals.as_deref();
        // A call that ends is taken first and leaves flight second: looked at the other way round, none is missed.
        let in_flight = totals.map_or_else(Forecasts::default, DayTotals::in_flight);
        let (taken, fitted) = totals.map_or((0, 0), |totals| (totals.taken(), totals.fitted()));
        let left = match rules.after_crossing() {
            AfterCrossing::Billed if totals.is_some_and(|totals| totals.was_past(allowance)) => 0,
            AfterCrossing::Billed => allowance.saturating_sub(taken),
            AfterCrossing::FreeIfItFits => allowance.saturating_sub(fitted),
        };
        let mut slack = totals.map_or_else(
            || self.slack_of_unopened(day),
            |totals| self.totals.slack_unheard(totals),
        );
        if organization.is_unknown() || terms.coverage != Some(Coverage::All) {
            slack = slack.with_without_limit(Assumption::OutsideUsage);
        }
        let contradictions =
            totals.map_or(0, |totals| totals.contradictions.load(Ordering::Acquire));
        let remaining = verdict::remaining(left, contradictions);
        Standing {
            allowance,
            taken,
            fitted,
            remaining,
            payer_says_billed: remaining < left,
            slack,
            in_flight,
            contradictions,
        }
    }

    fn slack_of_unopened(&self, day: Day) -> SlackNow {
        let none = SlackNow {
            tokens: 0,
            sources: Assumptions::NONE,
            without_limit: Assumptions::NONE,
        };
        let mut slack = none;
        if self.totals.lacks_its_start(day) {
            slack = slack.with_without_limit(Assumption::DayStart);
        }
        if self.totals.step.is_shared() {
            slack = slack.with_without_limit(Assumption::SharedTotals);
        }
        slack
    }
}

impl SlackNow {
    pub(crate) fn with_without_limit(mut self, assumption: Assumption) -> Self {
        self.sources.insert(assumption);
        self.without_limit.insert(assumption);
        self
    }
}
