//! Calls that wait for their spans: those that came together go together, one message for each total. Must not know
//! what else is said of totals.

use std::collections::HashMap;

use super::Lane;
use crate::account::TotalKey;
use crate::figures::Figures;
use crate::pending_grant::{Ask, PATIENCE};
use crate::store::{Store, StoreError};

impl Lane {
    /// Takes the spans of these calls. `Late` concerns them alone: the connection gives each answer to whoever asked for
    /// it, and one that comes later to nobody.
    pub(super) async fn grant(
        &mut self,
        store: &Store,
        asks: &mut Vec<Ask>,
    ) -> Result<(), StoreError> {
        let came = asks.len();
        // Whoever waited too long in line was settled by what is known here.
        asks.retain(|ask| !ask.answer.is_closed());
        Figures::add(&self.figures.alone, (came - asks.len()) as u64);
        let Some(last) = asks.iter().map(|ask| ask.since).max() else {
            return Ok(());
        };
        let mut by_total: HashMap<TotalKey, Vec<Ask>, ahash::RandomState> = HashMap::default();
        for ask in asks.drain(..) {
            let claim = &ask.claim;
            let total = TotalKey::of(&claim.organization, claim.group, claim.day);
            by_total.entry(total).or_default().push(ask);
        }
        let mut updates = Vec::with_capacity(by_total.len());
        for (total, asks) in by_total {
            if let Some(first) = asks.first() {
                let organization = first.claim.organization.clone();
                self.open(&total, organization);
            }
            updates.extend(self.compose(total, asks));
        }
        self.exchange(store, updates, last + PATIENCE).await
    }
}
