//! What the other replicas took of the same allowance, as last heard. Must not know where that is heard, nor verdicts.

use std::sync::OnceLock;

use crate::running_total::{Fit, RunningTotal, Span};
use crate::slack::{Slack, SlackParts, SlackSource};
use crate::sync::{AtomicU64, Ordering};

/// What was counted of one organization, group and day: by one replica, or by several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// Tokens of every eligible call.
    pub taken: u64,
    /// Tokens of the calls that fitted: the other reading of the rule.
    pub fitted: u64,
    /// 1 + the greatest allowance that the total was past before it was lowered; 0: none.
    pub crossed: u64,
    /// What may have been taken uncounted, by source.
    pub slack: SlackParts,
}

/// What a call is handed by the totals that replicas share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it takes of the running total of all replicas.
    pub span: Span,
    /// Whether it fits, by the other reading of the rule.
    pub fit: Fit,
    /// Every replica is known to be in that total; else a free verdict assumes so.
    pub is_sure: bool,
}

/// The others' portion. Most programs share nothing and never fill it.
pub(crate) struct Elsewhere {
    heard: OnceLock<Heard>,
}

struct Heard {
    taken: AtomicU64,
    fitted: AtomicU64,
    crossed: AtomicU64,
    slack: Slack,
}

impl Elsewhere {
    pub(crate) fn new() -> Self {
        Self {
            heard: OnceLock::new(),
        }
    }

    /// Whether anything was ever heard.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard.get().is_some()
    }

    /// Puts what is heard now in place of what was heard before.
    pub(crate) fn hear(&self, others: &Portion) {
        let heard = self.heard.get_or_init(|| Heard {
            taken: AtomicU64::new(0),
            fitted: AtomicU64::new(0),
            crossed: AtomicU64::new(0),
            slack: Slack::new(),
        });
        heard.taken.store(others.taken, Ordering::Release);
        heard.fitted.store(others.fitted, Ordering::Release);
        heard.crossed.store(others.crossed, Ordering::Release);
        heard.slack.set(&others.slack);
    }

    pub(crate) fn taken(&self) -> u64 {
        self.read(|heard| &heard.taken)
    }

    pub(crate) fn fitted(&self) -> u64 {
        self.read(|heard| &heard.fitted)
    }

    /// Whether the total of all was past this allowance before it was lowered.
    pub(crate) fn was_past(&self, allowance: u64) -> bool {
        self.read(|heard| &heard.crossed) > allowance
    }

    fn read(&self, which: impl Fn(&Heard) -> &AtomicU64) -> u64 {
        self.heard
            .get()
            .map_or(0, |heard| which(heard).load(Ordering::Acquire))
    }

    pub(crate) fn slack(&self) -> Option<&Slack> {
        self.heard.get().map(|heard| &heard.slack)
    }

    /// A span taken here, as it lies in the total of all as far as that is known.
    pub(crate) fn lift_span(&self, span: Span) -> Span {
        let others = self.taken();
        Span {
            before: span.before.saturating_add(others),
            after: span.after.saturating_add(others),
        }
    }

    /// The same of the other reading.
    pub(crate) fn lift_fit(&self, fit: Fit) -> Fit {
        let others = self.fitted();
        Fit {
            fits: fit.fits,
            before: fit.before.saturating_add(others),
            after: fit.after.saturating_add(others),
        }
    }
}

impl Portion {
    /// What was counted here. What nobody counted before this ledger began is left out: others may have.
    pub(crate) fn of(total: &RunningTotal, slack: &Slack) -> Self {
        let mut parts = slack.parts();
        for (source, part) in SlackSource::ALL.into_iter().zip(&mut parts) {
            if source == SlackSource::DayStart {
                *part = (0, 0);
            }
        }
        Self {
            taken: total.taken(),
            fitted: total.fitted(),
            crossed: total.crossed(),
            slack: parts,
        }
    }
}
