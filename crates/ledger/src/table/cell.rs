//! The sums of one organization, model group and day, and what each entry does to them: plain arithmetic. Must
//! not know SQL or files. Sums stop at the greatest number that a column holds; none goes below 0.

use meter::{Payer, Verdict};

use crate::Crossing;
use crate::{SettledCall, Tokens};

/// The greatest number that a column holds.
pub(crate) const MOST: u64 = i64::MAX.cast_unsigned();

/// What is counted of settled calls: the part of the sums that an adjusting row takes over from the adjusted one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) calls: u64,
    pub(crate) free_calls: u64,
    pub(crate) billed_calls: u64,
    pub(crate) unknown_calls: u64,
    pub(crate) unpriced_calls: u64,
    pub(crate) free_tokens: u64,
    pub(crate) billed_tokens: u64,
    pub(crate) cost: u64,
    pub(crate) saved: u64,
}

/// The sums of one organization, model group and day; group `""` holds calls that are not eligible, and slack
/// that may belong to any group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) counted: Counted,
    pub(crate) lost_calls: u64,
    pub(crate) taken: u64,
    pub(crate) fitted: u64,
    pub(crate) was_past: Option<u64>,
    pub(crate) contradictions: u32,
    pub(crate) stated: bool,
    pub(crate) allowance: Option<u64>,
    pub(crate) crossing: Option<Crossing>,
    /// The least and the greatest number of the rows counted here.
    pub(crate) numbers: Option<(i64, i64)>,
    pub(crate) slack: Vec<Uncounted>,
}

/// What one source may have left uncounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uncounted {
    pub(crate) source: String,
    /// Of the causes that have a bound, together.
    pub(crate) tokens: u64,
    /// How many causes have none.
    pub(crate) without_limit: u32,
}

impl Counted {
    /// What one row counts for.
    pub(crate) fn of(
        verdict: &str,
        usage: Option<Tokens>,
        cost: Option<u64>,
        saved: Option<u64>,
    ) -> Counted {
        let tokens = usage.map_or(0, |usage| sum(usage.input, usage.output));
        let is = |one: Verdict| verdict == one.as_str();
        let (free, billed) = (is(Verdict::Free), is(Verdict::Billed));
        Counted {
            calls: 1,
            free_calls: free.into(),
            billed_calls: billed.into(),
            unknown_calls: is(Verdict::Unknown).into(),
            unpriced_calls: (tokens > 0 && cost.is_none()).into(),
            free_tokens: if free { tokens } else { 0 },
            billed_tokens: if billed { tokens } else { 0 },
            cost: cost.unwrap_or(0).min(MOST),
            saved: saved.unwrap_or(0).min(MOST),
        }
    }

    /// Adds what another counts for.
    pub(crate) fn add(&mut self, other: &Counted) {
        self.each(other, sum);
    }

    /// Takes back what another counted for.
    pub(crate) fn take_back(&mut self, other: &Counted) {
        self.each(other, u64::saturating_sub);
    }

    fn each(&mut self, other: &Counted, change: impl Fn(u64, u64) -> u64) {
        for (mine, theirs) in [
            (&mut self.calls, other.calls),
            (&mut self.free_calls, other.free_calls),
            (&mut self.billed_calls, other.billed_calls),
            (&mut self.unknown_calls, other.unknown_calls),
            (&mut self.unpriced_calls, other.unpriced_calls),
            (&mut self.free_tokens, other.free_tokens),
            (&mut self.billed_tokens, other.billed_tokens),
            (&mut self.cost, other.cost),
            (&mut self.saved, other.saved),
        ] {
            *mine = change(*mine, theirs);
        }
    }
}

impl Cell {
    /// A row was settled that is summed up here.
    pub(crate) fn settle(&mut self, number: i64, call: &SettledCall<'_>) {
        self.counted.add(&Counted::of(
            &call.verdict,
            call.usage,
            call.cost,
            call.saved,
        ));
        self.holds(number);
        if call.allowance.is_some() {
            self.allowance = call.allowance;
        }
        if let Some((before, after)) = call.span {
            self.take(call, before, after);
        }
    }

    fn take(&mut self, call: &SettledCall<'_>, before: u64, after: u64) {
        let (before, after) = (before.min(MOST), after.min(MOST));
        let tokens = after.saturating_sub(before);
        self.taken = sum(self.taken, tokens);
        if call.fitted {
            self.fitted = sum(self.fitted, tokens);
        }
        let crosses = call
            .allowance
            .is_some_and(|allowance| before <= allowance && allowance < after);
        // A day is crossed once, even where its total was lowered since.
        if crosses && self.crossing.is_none() && self.was_past.is_none() {
            self.crossing = Some(Crossing {
                call: call.call.as_ref().to_owned(),
                at: call.settled_at,
                tokens,
                before,
            });
        }
    }

    /// Totals are changed by a correction.
    pub(crate) fn correct(&mut self, change: i64, fitted_change: i64, was_past: Option<u64>) {
        self.taken = self.taken.saturating_add_signed(change).min(MOST);
        self.fitted = self.fitted.saturating_add_signed(fitted_change).min(MOST);
        self.was_past = self.was_past.max(was_past);
    }

    /// An operator stated the total.
    pub(crate) fn state(&mut self, tokens: u64, change: i64) {
        self.taken = self.taken.saturating_add_signed(change).min(MOST);
        self.fitted = tokens.min(MOST);
        self.was_past = None;
        self.stated = true;
        self.slack.clear();
        // Whether the day was crossed follows from the stated number alone.
        if self.allowance.is_none_or(|allowance| tokens <= allowance) {
            self.crossing = None;
        }
    }

    /// So many settlements could not be kept.
    pub(crate) fn lose(&mut self, calls: u64) {
        self.lost_calls = sum(self.lost_calls, calls);
    }

    /// What `OpenAI` said of who pays, beside our own verdict.
    pub(crate) fn hear(&mut self, payer: &str, ours: &str) {
        let held_free = ours == Verdict::Free.as_str();
        if payer == Payer::OpenAi.as_str() {
            self.contradictions = 0;
        } else if payer == Payer::Developer.as_str() && held_free {
            self.contradictions = self.contradictions.saturating_add(1);
        }
    }

    /// At most so many tokens may have been taken uncounted; `None`: without limit.
    pub(crate) fn add_slack(&mut self, source: &str, at_most: Option<u64>) {
        self.add_uncounted(source, at_most.unwrap_or(0), at_most.is_none().into());
    }

    fn add_uncounted(&mut self, source: &str, tokens: u64, without_limit: u32) {
        let found = self.slack.iter_mut().find(|slack| slack.source == source);
        match found {
            Some(slack) => {
                slack.tokens = sum(slack.tokens, tokens);
                slack.without_limit = slack.without_limit.saturating_add(without_limit);
            }
            None => self.slack.push(Uncounted {
                source: source.to_owned(),
                tokens: tokens.min(MOST),
                without_limit,
            }),
        }
    }

    /// Slack of this source is known better.
    pub(crate) fn take_slack_back(&mut self, source: &str, at_most: Option<u64>) {
        for slack in self.slack.iter_mut().filter(|slack| slack.source == source) {
            match at_most {
                Some(tokens) => slack.tokens = slack.tokens.saturating_sub(tokens),
                None => slack.without_limit = slack.without_limit.saturating_sub(1),
            }
        }
        self.slack
            .retain(|slack| slack.tokens > 0 || slack.without_limit > 0);
    }

    /// Adds the sums of another name of the same organization.
    pub(crate) fn absorb(&mut self, other: Cell) {
        self.counted.add(&other.counted);
        self.lost_calls = sum(self.lost_calls, other.lost_calls);
        self.taken = sum(self.taken, other.taken);
        self.fitted = sum(self.fitted, other.fitted);
        self.was_past = self.was_past.max(other.was_past);
        self.contradictions = self.contradictions.max(other.contradictions);
        // What one operator read on the dashboard says nothing about the other name's start of the day.
        self.stated &= other.stated;
        self.allowance = self.allowance.or(other.allowance);
        self.crossing = match (self.crossing.take(), other.crossing) {
            (Some(one), Some(two)) => Some(if two.at < one.at { two } else { one }),
            (one, two) => one.or(two),
        };
        if let Some((least, greatest)) = other.numbers {
            self.holds(least);
            self.holds(greatest);
        }
        for slack in other.slack {
            self.add_uncounted(&slack.source, slack.tokens, slack.without_limit);
        }
    }

    fn holds(&mut self, number: i64) {
        self.numbers = Some(self.numbers.map_or((number, number), |(least, greatest)| {
            (least.min(number), greatest.max(number))
        }));
    }
}

fn sum(one: u64, two: u64) -> u64 {
    one.saturating_add(two).min(MOST)
}
