//! What holds now: the offer, the reading of its rule and what was declared about organizations. Immutable;
//! a reload makes new rules and the totals stay. Must not know totals.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model_group::{GroupId, UsageTier};
use crate::offer::Offer;
use crate::organization::Organization;
use crate::terms::{DeclaredOrganization, Terms};

/// What becomes of eligible calls after the crossing call: `OpenAI`'s text allows two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterCrossing {
    /// The crossing call counts, so every later call of the day is billed: the published table.
    #[default]
    Billed,
    /// It does not count, so a smaller call may still fit.
    FreeIfItFits,
}

/// Offer and declarations.
#[derive(Debug)]
pub struct Rules {
    offer: Arc<Offer>,
    after_crossing: AfterCrossing,
    defaults: Terms,
    declared: Vec<DeclaredOrganization>,
    /// Place in `declared` by name and alias.
    by_name: HashMap<Box<str>, usize, ahash::RandomState>,
}

impl Rules {
    /// `defaults` hold for organizations that are not among the `declared`, each of which has only its own terms.
    /// Where two of them claim one name, the first has it.
    #[must_use]
    pub fn new(
        offer: Arc<Offer>,
        after_crossing: AfterCrossing,
        defaults: Terms,
        declared: Vec<DeclaredOrganization>,
    ) -> Self {
        let mut by_name = HashMap::default();
        for (index, organization) in declared.iter().enumerate() {
            for name in std::iter::once(&organization.name).chain(&organization.aliases) {
                by_name.entry(name.clone()).or_insert(index);
            }
        }
        Self {
            offer,
            after_crossing,
            defaults,
            declared,
            by_name,
        }
    }

    /// The offer.
    #[must_use]
    pub fn offer(&self) -> &Arc<Offer> {
        &self.offer
    }

    /// The reading of the rule that gives the verdicts.
    #[must_use]
    pub fn after_crossing(&self) -> AfterCrossing {
        self.after_crossing
    }

    /// The organizations that were declared.
    #[must_use]
    pub fn declared(&self) -> &[DeclaredOrganization] {
        &self.declared
    }

    /// What is declared about an organization, under any of its names.
    #[must_use]
    pub fn terms(&self, organization: &Organization) -> &Terms {
        if self.by_name.is_empty() {
            return &self.defaults;
        }
        organization
            .names()
            .find_map(|name| self.by_name.get(name))
            .and_then(|index| self.declared.get(*index))
            .map_or(&self.defaults, |declared| &declared.terms)
    }

    /// Tokens free per day for an organization: by its usage tier, 1 where none is declared; none at all where
    /// it is declared as not enrolled.
    #[must_use]
    pub fn allowance(&self, organization: &Organization, group: GroupId) -> u64 {
        self.allowance_by(self.terms(organization), group)
    }

    pub(crate) fn allowance_by(&self, terms: &Terms, group: GroupId) -> u64 {
        if terms.enrolled == Some(false) {
            return 0;
        }
        self.offer
            .allowance(group, terms.usage_tier.unwrap_or(UsageTier::LOWEST))
    }
}
