//! The limits of an offer and the mistakes it can be made with. Must not know how an offer is looked up in.

use thiserror::Error;

use crate::day::Day;

/// Most groups of an offer.
pub(crate) const MOST_GROUPS: usize = 8;

/// Most models and most prices of an offer, each.
pub(crate) const MOST_ENTRIES: usize = 10_000;

/// Longest name of a group or model, in bytes.
pub(crate) const LONGEST_NAME: usize = 256;

/// Why parts are not an offer. Names the first mistake.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OfferError {
    /// No group at all.
    #[error("the offer has no groups")]
    NoGroups,
    /// More groups than an offer may have.
    #[error("the offer has {found} groups; at most {MOST_GROUPS} are possible")]
    TooManyGroups {
        /// How many there are.
        found: usize,
    },
    /// More models or prices than an offer may have.
    #[error("the offer has {found} models or prices; at most {MOST_ENTRIES} of each are possible")]
    TooManyEntries {
        /// How many there are.
        found: usize,
    },
    /// A name that is empty or too long.
    #[error("the name `{name}` is empty or longer than {LONGEST_NAME} bytes")]
    AbsurdName {
        /// The name.
        name: Box<str>,
    },
    /// Two groups of one name.
    #[error("group `{name}` is there twice")]
    DuplicateGroup {
        /// The group's name.
        name: Box<str>,
    },
    /// A model of a group that is not there.
    #[error("model `{model}` is in group `{group}`, which does not exist")]
    UnknownGroup {
        /// The model's id.
        model: Box<str>,
        /// The group it names.
        group: Box<str>,
    },
    /// A fine-tuned model on the list.
    #[error("`{model}` is a fine-tuned model; those are not in the offer")]
    FineTunedModel {
        /// The model's id or alias.
        model: Box<str>,
    },
    /// One id twice.
    #[error("model `{id}` is there twice")]
    DuplicateModel {
        /// The model's id.
        id: Box<str>,
    },
    /// An alias that is a listed id: it would have two meanings.
    #[error("alias `{alias}` is also the id of a listed model")]
    AliasIsModel {
        /// The alias.
        alias: Box<str>,
    },
    /// One alias twice.
    #[error("alias `{alias}` is there twice")]
    DuplicateAlias {
        /// The alias.
        alias: Box<str>,
    },
    /// Two prices of one model from one day on.
    #[error("model `{model}` has two prices from {from} on")]
    DuplicatePrice {
        /// The model's id.
        model: Box<str>,
        /// The day.
        from: Day,
    },
}

impl OfferError {
    /// The name that the mistake is about, as it was given; none where it is about how many there are.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::NoGroups | Self::TooManyGroups { .. } | Self::TooManyEntries { .. } => None,
            Self::AbsurdName { name } | Self::DuplicateGroup { name } => Some(name),
            Self::UnknownGroup { model, .. }
            | Self::FineTunedModel { model }
            | Self::DuplicatePrice { model, .. } => Some(model),
            Self::DuplicateModel { id } => Some(id),
            Self::AliasIsModel { alias } | Self::DuplicateAlias { alias } => Some(alias),
        }
    }
}
