//! The rule once more, slow and obviously right: every answer is worked out anew from the whole history. Shares
//! only plain values with the meter.

use crate::{Assumption, Certainty, Reason, Verdict};

/// One thing that happened to one organization, group and day.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// An eligible call took its tokens.
    Took(u64),
    /// OpenAI billed what was held free.
    Contradicted,
    /// OpenAI said that it pays.
    Paid,
    /// Tokens were left uncounted (`None`: without limit).
    Uncounted(Assumption, Option<u64>),
    /// A correction, also of `fitted` if so marked, taking slack back.
    Corrected(i64, bool, Option<u64>),
    /// A total was stated.
    Stated(u64),
}

/// Where an event belongs: organization, group, day.
pub(super) type Place = (usize, usize, i64);

/// All that happened, in order.
#[derive(Default, Debug)]
pub(super) struct History(pub(super) Vec<(Place, Event)>);

/// What is known before a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) taken: u64,
    pub(super) fitted: u64,
    pub(super) crossed: bool,
    pub(super) contradictions: u32,
    pub(super) slack: Vec<(Assumption, Option<u64>)>,
}

/// What should come out for an eligible call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    pub(super) certainty: Certainty,
    pub(super) assumes: Vec<Assumption>,
    pub(super) disputed: bool,
}

impl History {
    /// Folds all that happened at a place, with the allowance it had throughout.
    pub(super) fn before(&self, place: Place, allowance: u64) -> Before {
        let mut now = Before::default();
        for event in self
            .0
            .iter()
            .filter(|(at, _)| *at == place)
            .map(|(_, event)| event)
        {
            match event {
                Event::Took(tokens) => {
                    now.taken += tokens;
                    if now.fitted + tokens <= allowance {
                        now.fitted += tokens;
                    }
                }
                Event::Contradicted => now.contradictions += 1,
                Event::Paid => now.contradictions = 0,
                Event::Uncounted(assumption, at_most) => now.slack.push((*assumption, *at_most)),
                Event::Corrected(change, fitted, slack) => {
                    now.crossed |= now.taken > allowance;
                    now.taken = now.taken.saturating_add_signed(*change);
                    if *fitted {
                        now.fitted = now.fitted.saturating_add_signed(*change);
                    }
                    take_back(&mut now.slack, *slack);
                }
                Event::Stated(tokens) => {
                    now.taken = *tokens;
                    now.fitted = *tokens;
                    now.crossed = false;
                    now.slack.clear();
                }
            }
        }
        now.slack.retain(|(_, at_most)| *at_most != Some(0));
        now
    }
}

/// Takes tokens out of the slack of unknown calls, oldest first, or one that has no bound.
fn take_back(slack: &mut Vec<(Assumption, Option<u64>)>, at_most: Option<u64>) {
    let unknown =
        |(assumption, _): &(Assumption, Option<u64>)| *assumption == Assumption::UnknownCalls;
    let Some(mut left) = at_most else {
        if let Some(place) = slack.iter().position(|one| unknown(one) && one.1.is_none()) {
            slack.remove(place);
        }
        return;
    };
    for one in slack.iter_mut().filter(|one| unknown(one)) {
        if let Some(tokens) = &mut one.1 {
            let taken = left.min(*tokens);
            *tokens -= taken;
            left -= taken;
        }
    }
}

/// The rule as written: the published reading, or the one by which a smaller call may still fit.
fn free(before: &Before, fits_reading: bool, extra: u128, tokens: u64, allowance: u64) -> bool {
    let total = if fits_reading {
        before.fitted
    } else {
        before.taken
    };
    let within = u128::from(total) + extra + u128::from(tokens) <= u128::from(allowance);
    within && (fits_reading || !before.crossed)
}

/// What the rule says of an eligible call, before OpenAI's word.
pub(super) fn expected(
    before: &Before,
    fits_reading: bool,
    tokens: u64,
    allowance: u64,
    if_free: &[Assumption],
) -> Expected {
    let holds = |fits_reading, extra| free(before, fits_reading, extra, tokens, allowance);
    let disputed = holds(false, 0) != holds(true, 0);
    let mut expected = Expected {
        verdict: Verdict::Billed,
        reason: Reason::AllowanceSpent,
        certainty: Certainty::Final,
        assumes: Vec::new(),
        disputed,
    };
    if !holds(fits_reading, 0) {
        let room_left = if fits_reading {
            before.fitted < allowance
        } else {
            before.taken <= allowance && !before.crossed
        };
        if room_left {
            expected.reason = Reason::CrossingCall;
        }
        return expected;
    }
    if before.contradictions >= 3 {
        expected.reason = Reason::PayerSaysBilled;
        expected.assumes.push(Assumption::Payer);
    } else {
        expected.verdict = Verdict::Free;
        expected.reason = Reason::WithinAllowance;
        expected.assumes.extend(if_free);
        if before.contradictions > 0 {
            expected.assumes.push(Assumption::Payer);
        }
        let slack = before
            .slack
            .iter()
            .map(|(_, at_most)| at_most.map_or(u128::MAX / 100, u128::from))
            .sum();
        if !holds(fits_reading, slack) {
            expected
                .assumes
                .extend(before.slack.iter().map(|(assumption, _)| assumption));
        }
    }
    expected.assumes.sort_unstable();
    expected.assumes.dedup();
    if !expected.assumes.is_empty() {
        expected.certainty = Certainty::Assumed;
    }
    expected
}
