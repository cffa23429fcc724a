//! Free or billed: the only place where that is chosen. Pure functions over a span, the second reading, slack
//! and `OpenAI`'s own word. Must not know atomics, organizations or models.

use crate::assumptions::{Assumption, Assumptions};
use crate::reason::Reason;
use crate::rules::AfterCrossing;
use crate::running_total::{Fit, Span};
use crate::standing::{Forecasts, SlackNow, Standing};
use crate::usage::Payer;

/// What tollfree says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Covered by the allowance.
    Free,
    /// Billed at list price.
    Billed,
    /// The tokens were not known when the head left.
    Pending,
    /// A metered call whose usage never came.
    Unknown,
    /// Nothing to settle.
    None,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 5] = [
        Self::Free,
        Self::Billed,
        Self::Pending,
        Self::Unknown,
        Self::None,
    ];

    /// The public contract's word, as in `x-tollfree-verdict`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Billed => "billed",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::None => "none",
        }
    }

    /// The verdict of that word; `None` for a word that is none.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// How surely a verdict is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// `OpenAI`'s own word.
    Confirmed,
    /// Settled from reported usage, nothing assumed.
    Final,
    /// Settled, with assumptions.
    Assumed,
    /// A forecast, at the head of a stream.
    Expected,
    /// Usage missing, tokens estimated.
    Estimated,
}

impl Certainty {
    /// Every certainty.
    pub const ALL: [Self; 5] = [
        Self::Confirmed,
        Self::Final,
        Self::Assumed,
        Self::Expected,
        Self::Estimated,
    ];

    /// The public contract's word, as in `x-tollfree-certainty`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Final => "final",
            Self::Assumed => "assumed",
            Self::Expected => "expected",
            Self::Estimated => "estimated",
        }
    }

    /// The certainty of that word; `None` for a word that is none.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// So many contradictions in a row, and our rule is no longer believed for the rest of the day.
const CONTRADICTIONS_BELIEVED: u32 = 3;

/// The state of the day that a call met, and what it took of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) allowance: u64,
    pub(crate) span: Span,
    pub(crate) fit: Fit,
    /// The day was crossed before, although the total may since have been corrected downwards.
    pub(crate) crossed: bool,
    pub(crate) slack: SlackNow,
    /// How often in a row `OpenAI` billed what we held free.
    pub(crate) contradictions: u32,
}

/// Our own verdict, before `OpenAI`'s word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    pub(crate) assumes: Assumptions,
}

/// What the totals say of an eligible call. `if_free` is what a free verdict assumes besides the totals.
pub(crate) fn by_totals(
    after_crossing: AfterCrossing,
    taken: &Taken,
    if_free: Assumptions,
) -> Ours {
    let billed = |reason, assumes| Ours {
        verdict: Verdict::Billed,
        reason,
        assumes,
    };
    let (free, before, after) = reading(after_crossing, taken);
    if !free {
        let spent = match after_crossing {
            AfterCrossing::Billed => taken.crossed || before > taken.allowance,
            AfterCrossing::FreeIfItFits => before >= taken.allowance,
        };
        let reason = if spent {
            Reason::AllowanceSpent
        } else {
            Reason::CrossingCall
        };
        return billed(reason, Assumptions::NONE);
    }
    if taken.contradictions >= CONTRADICTIONS_BELIEVED {
        return billed(Reason::PayerSaysBilled, Assumption::Payer.into());
    }
    let mut assumes = if_free;
    assumes.insert_if(taken.contradictions > 0, Assumption::Payer);
    let slack = &taken.slack;
    if !slack.without_limit.is_empty() || after.saturating_add(slack.tokens) > taken.allowance {
        assumes = assumes.union(slack.sources);
    }
    Ours {
        verdict: Verdict::Free,
        reason: Reason::WithinAllowance,
        assumes,
    }
}

/// What remains of an allowance of which the totals leave so much: nothing while `OpenAI` is believed to bill all.
pub(crate) fn remaining(left: u64, contradictions: u32) -> u64 {
    if contradictions >= CONTRADICTIONS_BELIEVED {
        0
    } else {
        left
    }
}

/// What can be said of an eligible call before its tokens are known; `None`: nothing yet. `others` are the calls
/// under way beside it, `likely` is what it may take itself.
pub(crate) fn forecast(
    after_crossing: AfterCrossing,
    standing: &Standing,
    others: Forecasts,
    likely: Option<u64>,
    if_free: Assumptions,
) -> Option<Ours> {
    let billed = |reason, assumes| {
        Some(Ours {
            verdict: Verdict::Billed,
            reason,
            assumes,
        })
    };
    if standing.payer_says_billed {
        return billed(Reason::PayerSaysBilled, Assumption::Payer.into());
    }
    if standing.remaining == 0 {
        return billed(Reason::AllowanceSpent, Assumptions::NONE);
    }
    let total = match after_crossing {
        AfterCrossing::Billed => standing.taken,
        AfterCrossing::FreeIfItFits => standing.fitted,
    };
    let most = [standing.slack.tokens, others.likely, likely?]
        .into_iter()
        .fold(total, u64::saturating_add);
    if others.unforeseen > 0 || most > standing.allowance {
        return None;
    }
    // Slack that has a bound is in the sum; what has none can only be named.
    let mut assumes = if_free.union(standing.slack.without_limit);
    assumes.insert_if(standing.contradictions > 0, Assumption::Payer);
    Some(Ours {
        verdict: Verdict::Free,
        reason: Reason::WithinAllowance,
        assumes,
    })
}

/// Whether the two readings of the rule differ on a call.
pub(crate) fn disputed(taken: &Taken) -> bool {
    reading(AfterCrossing::Billed, taken).0 != reading(AfterCrossing::FreeIfItFits, taken).0
}

/// Whether a reading holds the call free, and the total it saw before and after it.
fn reading(after_crossing: AfterCrossing, taken: &Taken) -> (bool, u64, u64) {
    match after_crossing {
        AfterCrossing::Billed => {
            let Span { before, after } = taken.span;
            (!taken.crossed && after <= taken.allowance, before, after)
        }
        AfterCrossing::FreeIfItFits => (taken.fit.fits, taken.fit.before, taken.fit.after),
    }
}

/// What `OpenAI`'s own word, if there is one, makes of ours.
pub(crate) fn with_payer(ours: Ours, payer: Option<Payer>, estimated: bool) -> (Ours, Certainty) {
    let Some(payer) = payer else {
        let certainty = match (estimated, ours.assumes.is_empty()) {
            (true, _) => Certainty::Estimated,
            (false, true) => Certainty::Final,
            (false, false) => Certainty::Assumed,
        };
        return (ours, certainty);
    };
    let (verdict, contradiction) = match payer {
        Payer::OpenAi => (Verdict::Free, Reason::PayerSaysFree),
        Payer::Developer => (Verdict::Billed, Reason::PayerSaysBilled),
    };
    let reason = if ours.verdict == verdict {
        ours.reason
    } else {
        contradiction
    };
    (
        Ours {
            verdict,
            reason,
            assumes: Assumptions::NONE,
        },
        Certainty::Confirmed,
    )
}
