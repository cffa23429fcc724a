//! The simulated OpenAI's own bill: for each log entry free or billed, by the published rule of the
//! complimentary daily tokens. Written from that text alone, as an independent second opinion.
//! Knows log entries only: no HTTP, no request.
//!
//! The rule: organizations that are enrolled get daily tokens on listed models, pooled for each
//! organization and model group over all keys and shared projects, input and output together. Each
//! request is checked against the running total of its UTC day; one that would take the total past
//! the allowance is billed whole, and by OpenAI's published table it counts in the total.

use std::collections::{HashMap, VecDeque};

use crate::log::{LogEntry, MOST_LOG_ENTRIES};
use crate::models::{self, Group};
use crate::settings::AfterCrossing;

/// Who pays for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// OpenAI: the call is free.
    OpenAi,
    /// The developer: the call is billed.
    Developer,
}

impl Payer {
    /// OpenAI's word for it in `billing.payer`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Developer => "developer",
        }
    }
}

/// One line of the bill, for one log entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    /// The response's id; for embeddings the request's.
    pub response_id: String,
    /// The `x-request-id` of the answer.
    pub request_id: String,
    /// The organization's name slug.
    pub organization: String,
    /// The UTC day, e.g. `2026-11-21`.
    pub day: String,
    /// The model that answered.
    pub model: String,
    /// The model group whose allowance the call could take from; `None` if it could not be free.
    pub group: Option<Group>,
    /// Input and output tokens together.
    pub tokens: u64,
    /// The day's running total of that organization and group after this call; `None` without group.
    pub running_total: Option<u64>,
    /// Whether the call is free (covered by the offer); else it is billed, whole.
    pub free: bool,
}

impl BillLine {
    /// Who pays.
    #[must_use]
    pub fn payer(&self) -> Payer {
        if self.free {
            Payer::OpenAi
        } else {
            Payer::Developer
        }
    }
}

/// Tokens free per organization, group and day.
fn allowance(group: Group, usage_tier: u8) -> u64 {
    match (group, usage_tier) {
        (Group::Large, 0..=2) => 250_000,
        (Group::Large, _) => 1_000_000,
        (Group::Small, 0..=2) => 2_500_000,
        (Group::Small, _) => 10_000_000,
    }
}

/// The group a call takes from, or `None` for a call that cannot be free: organization not
/// enrolled, project not shared, another service tier than `default`, model not on the list.
fn eligible_group(entry: &LogEntry) -> Option<Group> {
    if !entry.enrolled || !entry.shared || entry.service_tier != "default" {
        return None;
    }
    models::group(&entry.model)
}

/// The bill so far.
#[derive(Debug)]
pub(crate) struct Bill {
    after_crossing: AfterCrossing,
    totals: HashMap<(String, Group), Days>,
    lines: VecDeque<BillLine>,
}

/// Days kept for each organization and group: the clock may be set back over a midnight.
const MOST_DAYS: usize = 32;

/// The running totals of one organization and group, by UTC day.
#[derive(Debug, Default)]
struct Days(VecDeque<(String, u64)>);

impl Days {
    fn total(&mut self, day: &str) -> Option<&mut u64> {
        if !self.0.iter().any(|(known, _)| known == day) {
            if self.0.len() == MOST_DAYS {
                self.0.pop_front();
            }
            self.0.push_back((day.to_owned(), 0));
        }
        self.0
            .iter_mut()
            .find(|(known, _)| known == day)
            .map(|(_, total)| total)
    }
}

impl Bill {
    pub(crate) fn new(after_crossing: AfterCrossing) -> Self {
        Self {
            after_crossing,
            totals: HashMap::new(),
            lines: VecDeque::new(),
        }
    }

    /// Bills one more entry and says what it came to.
    pub(crate) fn add(&mut self, entry: &LogEntry) -> BillLine {
        let group = eligible_group(entry);
        let mut line = BillLine {
            response_id: entry.response_id.clone(),
            request_id: entry.request_id.clone(),
            organization: entry.organization.clone(),
            day: entry.day().to_owned(),
            model: entry.model.clone(),
            group,
            tokens: entry.tokens(),
            running_total: None,
            free: false,
        };
        if let Some(group) = group
            && let Some(total) = self
                .totals
                .entry((entry.organization.clone(), group))
                .or_default()
                .total(entry.day())
        {
            let with_this = total.saturating_add(entry.tokens());
            line.free = with_this <= allowance(group, entry.usage_tier);
            if line.free || self.after_crossing == AfterCrossing::Billed {
                *total = with_this;
            }
            line.running_total = Some(*total);
        }
        if self.lines.len() == MOST_LOG_ENTRIES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.clone());
        line
    }

    /// A copy of the lines in memory, oldest first.
    pub(crate) fn lines(&self) -> Vec<BillLine> {
        self.lines.iter().cloned().collect()
    }
}

/// The bill of a whole log, entry by entry, as a fresh simulator would have made it.
#[must_use]
pub fn bill_of(entries: &[LogEntry], after_crossing: AfterCrossing) -> Vec<BillLine> {
    let mut bill = Bill::new(after_crossing);
    entries.iter().map(|entry| bill.add(entry)).collect()
}

#[cfg(test)]
mod tests;
