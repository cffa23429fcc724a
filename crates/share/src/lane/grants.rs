//! Calls that wait for their spans: those that came together go together, one message for each total. Must not know
//! what else is said of totals.

use std::collections::HashMap;

use super::Lane;
use crate::account::Place;
use crate::asked::{Ask, PATIENCE};
use crate::figures::Figures;
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
        let mut by_place: HashMap<Place, Vec<Ask>, ahash::RandomState> = HashMap::default();
        for ask in asks.drain(..) {
            let claim = &ask.claim;
            let place = Place::of(&claim.organization, claim.group, claim.day);
            by_place.entry(place).or_default().push(ask);
        }
        let mut updates = Vec::with_capacity(by_place.len());
        for (place, asks) in by_place {
            if let Some(first) = asks.first() {
                let organization = first.claim.organization.clone();
                self.open(&place, organization);
            }
            updates.extend(self.compose(place, asks));
        }
        self.exchange(store, updates, last + PATIENCE).await
    }
}
