//! The most tokens that may have been taken of one organization, group and day without being counted, by what
//! left them uncounted. Must not know totals or verdicts.

use crate::assumptions::{Assumption, Assumptions};
use crate::standing::SlackNow;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// What left tokens uncounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlackSource {
    /// Calls of an organization held not enrolled that may be.
    Enrolment,
    /// Calls of a project held not shared that may be.
    Sharing,
    /// The part of the day before counting began.
    DayStart,
    /// Calls whose usage never came, or came in part.
    UnknownCalls,
    /// Calls open when the program stopped without warning, and records it lost.
    UncleanStop,
    /// Calls of models the list may be wrong about.
    ModelList,
    /// Calls in service tiers that may be covered.
    ServiceTier,
}

impl SlackSource {
    /// Every source, in the order of the assumptions.
    pub const ALL: [Self; 7] = [
        Self::Enrolment,
        Self::Sharing,
        Self::DayStart,
        Self::UnknownCalls,
        Self::UncleanStop,
        Self::ModelList,
        Self::ServiceTier,
    ];

    /// The source that such an assumption leaves out of account, by its word; `None` for a word of none.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|source| source.assumption().as_str() == word)
    }

    /// What a verdict assumes that leaves this slack out of account.
    #[must_use]
    pub fn assumption(self) -> Assumption {
        match self {
            Self::Enrolment => Assumption::Enrolment,
            Self::Sharing => Assumption::Sharing,
            Self::DayStart => Assumption::DayStart,
            Self::UnknownCalls => Assumption::UnknownCalls,
            Self::UncleanStop => Assumption::UncleanStop,
            Self::ModelList => Assumption::ModelList,
            Self::ServiceTier => Assumption::ServiceTier,
        }
    }
}

/// Slack by its source, in the order of [`SlackSource::ALL`]: tokens that have a bound, and how many causes have none.
pub type SlackParts = [(u64, u32); SlackSource::ALL.len()];

/// What one source left uncounted.
#[derive(Debug)]
struct Part {
    source: SlackSource,
    tokens: AtomicU64,
    /// How many causes have no bound.
    without_limit: AtomicU32,
}

/// The slack of one organization, group and day.
#[derive(Debug)]
pub(crate) struct Slack {
    /// Set before anything is first added: most days have no slack, and then nothing else is looked at.
    any: AtomicBool,
    parts: [Part; 7],
}

impl Slack {
    pub(crate) fn new() -> Self {
        Self {
            any: AtomicBool::new(false),
            parts: SlackSource::ALL.map(|source| Part {
                source,
                tokens: AtomicU64::new(0),
                without_limit: AtomicU32::new(0),
            }),
        }
    }

    fn of(&self, source: SlackSource) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.source == source)
    }

    /// Adds at most so many tokens; `None`: without limit.
    pub(crate) fn add(&self, source: SlackSource, at_most: Option<u64>) {
        self.any.store(true, Ordering::Release);
        for part in self.of(source) {
            match at_most {
                Some(tokens) => update(&part.tokens, |now| now.saturating_add(tokens)),
                None => update_count(&part.without_limit, |now| now.saturating_add(1)),
            }
        }
    }

    /// Takes back what was added, once it is known better.
    pub(crate) fn take_back(&self, source: SlackSource, at_most: Option<u64>) {
        for part in self.of(source) {
            match at_most {
                Some(tokens) => update(&part.tokens, |now| now.saturating_sub(tokens)),
                None => update_count(&part.without_limit, |now| now.saturating_sub(1)),
            }
        }
    }

    /// Nothing is uncounted any more.
    pub(crate) fn clear(&self) {
        for part in &self.parts {
            part.tokens.store(0, Ordering::Release);
            part.without_limit.store(0, Ordering::Release);
        }
    }

    /// What is uncounted now, part by part.
    pub(crate) fn parts(&self) -> SlackParts {
        let read = |part: &Part| {
            (
                part.tokens.load(Ordering::Acquire),
                part.without_limit.load(Ordering::Acquire),
            )
        };
        if self.any.load(Ordering::Acquire) {
            self.parts.each_ref().map(read)
        } else {
            SlackParts::default()
        }
    }

    /// Puts this in place of what there is.
    pub(crate) fn set(&self, parts: &SlackParts) {
        if *parts != SlackParts::default() {
            self.any.store(true, Ordering::Release);
        }
        for (part, (tokens, without_limit)) in self.parts.iter().zip(parts) {
            part.tokens.store(*tokens, Ordering::Release);
            part.without_limit.store(*without_limit, Ordering::Release);
        }
    }

    /// Takes back part by part, never below nothing.
    pub(crate) fn take_back_parts(&self, parts: &SlackParts) {
        for (part, (tokens, without_limit)) in self.parts.iter().zip(parts) {
            update(&part.tokens, |now| now.saturating_sub(*tokens));
            update_count(&part.without_limit, |now| {
                now.saturating_sub(*without_limit)
            });
        }
    }

    /// No cause of this source is left, bounded or not.
    pub(crate) fn clear_source(&self, source: SlackSource) {
        for part in self.of(source) {
            part.tokens.store(0, Ordering::Release);
            part.without_limit.store(0, Ordering::Release);
        }
    }

    /// Adds what is uncounted here to what was found elsewhere.
    pub(crate) fn add_to(&self, now: &mut SlackNow) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        for part in &self.parts {
            let tokens = part.tokens.load(Ordering::Acquire);
            let without_limit = part.without_limit.load(Ordering::Acquire) > 0;
            if tokens > 0 || without_limit {
                let assumption = part.source.assumption();
                now.tokens = now.tokens.saturating_add(tokens);
                now.sources.insert(assumption);
                now.without_limit.insert_if(without_limit, assumption);
            }
        }
    }
}

fn update(total: &AtomicU64, new: impl Fn(u64) -> u64) {
    // An update that always gives a new value cannot fail.
    let _always = total.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(new(now)));
}

fn update_count(count: &AtomicU32, new: impl Fn(u32) -> u32) {
    let _always = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(new(now)));
}

impl SlackNow {
    /// What is uncounted in all of these, together.
    pub(crate) fn of<'a>(parts: impl Iterator<Item = &'a Slack>) -> Self {
        let mut now = Self {
            tokens: 0,
            sources: Assumptions::NONE,
            without_limit: Assumptions::NONE,
        };
        for slack in parts {
            slack.add_to(&mut now);
        }
        now
    }
}
