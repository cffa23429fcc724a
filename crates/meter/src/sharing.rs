//! Totals that several replicas share: what a call is to take of them, what it was handed, what the others counted.
//! The own portion stays where it is without sharing; beside it stands what was heard of the others. Must not know
//! where the shared totals are kept.

use crate::call::FinishedCall;
use crate::day::Day;
use crate::eligibility::{Eligibility, Question};
use crate::elsewhere::{Grant, Portion};
use crate::meter::Meter;
use crate::model_group::GroupId;
use crate::organization::Organization;
use crate::rules::Rules;
use crate::slack::SlackParts;
use crate::sync::{AtomicU8, Ordering};

/// What an eligible call is to take of its running total.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose total.
    pub organization: Organization,
    /// Of which group.
    pub group: GroupId,
    /// On which day.
    pub day: Day,
    /// How many tokens.
    pub tokens: u64,
    /// The allowance that they are to fit into.
    pub allowance: u64,
}

/// Whether totals are shared, and whether what was heard of them holds now.
pub(crate) struct Step(AtomicU8);

const ALONE: u8 = 0;
const OUT_OF_STEP: u8 = 1;
const IN_STEP: u8 = 2;

impl Step {
    pub(crate) fn alone() -> Self {
        Self(AtomicU8::new(ALONE))
    }

    /// Whether totals are shared at all.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.load(Ordering::Acquire) != ALONE
    }

    /// Whether totals are shared and not known to be whole.
    pub(crate) fn is_lost(&self) -> bool {
        self.0.load(Ordering::Acquire) == OUT_OF_STEP
    }
}

impl Meter {
    /// Totals are shared from now on. Until [`Meter::set_in_step`], free verdicts assume `shared-totals`.
    pub fn share(&self) {
        self.set_in_step(false);
    }

    /// Says whether what is heard of the other replicas holds now.
    pub fn set_in_step(&self, is_in_step: bool) {
        let step = if is_in_step { IN_STEP } else { OUT_OF_STEP };
        self.totals.step.0.store(step, Ordering::Release);
    }

    /// What this call is to take of the shared totals; `None` for a call that takes nothing.
    #[must_use]
    pub fn claim(&self, rules: &Rules, call: &FinishedCall<'_>) -> Option<Claim> {
        let terms = rules.terms(call.organization);
        let known = call.model.and_then(|model| rules.offer().known(model));
        let judged = Eligibility::of(&Question::of(call), rules, terms, known);
        let Eligibility::Eligible { group, .. } = judged else {
            return None;
        };
        Some(Claim {
            organization: call.organization.clone(),
            group,
            day: Day::at(call.at),
            tokens: call.usage.tokens(),
            allowance: rules.allowance_by(terms, group),
        })
    }

    /// Adds what a call was handed to what was counted here. Its settlement does not take it again.
    pub fn take_granted(&self, claim: &Claim, grant: &Grant) {
        self.add(
            claim,
            grant,
            i64::try_from(claim.tokens).unwrap_or(i64::MAX),
        );
    }

    /// Takes that off again: the call did not wait for it.
    pub fn give_back(&self, claim: &Claim, grant: &Grant) {
        self.add(
            claim,
            grant,
            i64::try_from(claim.tokens).map_or(i64::MIN, |tokens| -tokens),
        );
    }

    fn add(&self, claim: &Claim, grant: &Grant, tokens: i64) {
        let key = (&claim.organization, claim.group, claim.day);
        let mut totals = self.totals.of(key.0, key.1, key.2);
        // Nothing is lowered that was past an allowance: what goes was there for a moment only.
        self.totals.on(&mut totals, key, |total| {
            total.correct_taken(tokens, u64::MAX)
        });
        if grant.fit.fits {
            self.totals
                .on(&mut totals, key, |total| total.correct_fitted(tokens));
        }
    }

    /// What was counted here.
    #[must_use]
    pub fn portion(&self, organization: &Organization, group: GroupId, day: Day) -> Portion {
        self.totals
            .find(organization, group, day)
            .map_or_else(Portion::default, |totals| totals.portion())
    }

    /// What the other replicas counted, all together.
    pub fn hear(&self, organization: &Organization, group: GroupId, day: Day, others: &Portion) {
        self.totals
            .of(organization, group, day)
            .elsewhere
            .hear(others);
    }

    /// Takes this much slack back: another replica was told a total that holds for all of it.
    pub fn forgive(
        &self,
        organization: &Organization,
        group: GroupId,
        day: Day,
        slack: &SlackParts,
    ) {
        if let Some(totals) = self.totals.find(organization, group, day) {
            totals.slack.take_back_parts(slack);
        }
    }

    /// Another replica counted since this instant (seconds since 1970-01-01 UTC): what passed there before this one
    /// began is in the shared totals.
    pub fn counted_since(&self, at: i64) {
        self.totals.counted_since(at);
    }

    /// Since when this meter counts (seconds since 1970-01-01 UTC), with what it was told of other replicas.
    #[must_use]
    pub fn counting_since(&self) -> i64 {
        self.totals.counting_since()
    }

    /// Every organization, group and day of which anything was recorded here.
    #[must_use]
    pub fn opened(&self) -> Vec<(Organization, GroupId, Day)> {
        let mut organizations = self.organizations.all();
        organizations.push(self.organizations.unknown());
        self.totals.opened(&organizations)
    }
}
