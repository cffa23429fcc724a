//! The offer: model groups, allowances, the dated list of models and their prices, as data with a date.
//! Must not know where the data came from, nor any organization.

use std::collections::HashMap;

use crate::day::Day;
use crate::listing::{self, Listing};
use crate::model_group::{GroupId, Model, ModelGroup, UsageTier};
use crate::offer_error::{LONGEST_NAME, MOST_ENTRIES, MOST_GROUPS, OfferError};
use crate::price::Price;

/// What an [`Offer`] is made of.
#[derive(Clone, Debug)]
pub struct OfferParts {
    /// The day on which the list of models was current.
    pub list_date: Day,
    /// The day on which the list prices were current, where known.
    pub price_date: Option<Day>,
    /// The groups, in the order in which they are shown.
    pub groups: Vec<ModelGroup>,
    /// The listed models.
    pub models: Vec<Model>,
    /// List prices, of listed and other models; several dated entries of one model are allowed.
    pub prices: Vec<Price>,
}

/// All that is known under one model name.
#[derive(Debug)]
pub(crate) struct Known {
    /// What the list says about this exact name.
    pub(crate) listing: Listing,
    /// The same for a request's model: an alias stands for its snapshot.
    pub(crate) asked: Listing,
    context: Option<u64>,
    /// Newest first.
    prices: Vec<Price>,
}

impl Known {
    /// The prices that hold on a day: the newest entry that is not after it.
    pub(crate) fn price(&self, day: Day) -> Option<&Price> {
        self.prices.iter().find(|price| price.from <= day)
    }
}

/// `OpenAI`'s offer as known on its list date.
#[derive(Debug)]
pub struct Offer {
    list_date: Day,
    price_date: Option<Day>,
    groups: Vec<ModelGroup>,
    no_group: ModelGroup,
    models: Vec<Model>,
    known: HashMap<Box<str>, Known, ahash::RandomState>,
}

impl Offer {
    /// Puts an offer together.
    ///
    /// # Errors
    /// The first mistake found: see [`OfferError`].
    pub fn new(parts: OfferParts) -> Result<Self, OfferError> {
        let OfferParts {
            list_date,
            price_date,
            groups,
            models,
            prices,
        } = parts;
        check_groups(&groups)?;
        if let Some(found) = [models.len(), prices.len()]
            .into_iter()
            .find(|found| *found > MOST_ENTRIES)
        {
            return Err(OfferError::TooManyEntries { found });
        }
        let no_group = ModelGroup {
            name: "".into(),
            allowances: [0; 5],
        };
        let mut offer = Self {
            list_date,
            price_date,
            groups,
            no_group,
            models: Vec::new(),
            known: HashMap::default(),
        };
        for model in &models {
            offer.list(model)?;
        }
        for model in &models {
            offer.list_aliases(model)?;
        }
        offer.models = models;
        for price in prices {
            offer.add_price(price)?;
        }
        offer.price_aliases();
        Ok(offer)
    }

    fn list(&mut self, model: &Model) -> Result<(), OfferError> {
        check_model_name(&model.id)?;
        let group = self
            .group_named(&model.group)
            .ok_or_else(|| OfferError::UnknownGroup {
                model: model.id.clone(),
                group: model.group.clone(),
            })?;
        let listed = Listing::Listed(group);
        let known = Known {
            listing: listed,
            asked: listed,
            context: model.context,
            prices: Vec::new(),
        };
        match self.known.insert(model.id.clone(), known) {
            None => Ok(()),
            Some(_) => Err(OfferError::DuplicateModel {
                id: model.id.clone(),
            }),
        }
    }

    fn list_aliases(&mut self, model: &Model) -> Result<(), OfferError> {
        let asked = self
            .known
            .get(&model.id)
            .map_or(Listing::NotListed, |known| known.listing);
        for alias in &model.aliases {
            check_model_name(alias)?;
            let known = Known {
                listing: Listing::NotListed,
                asked,
                context: model.context,
                prices: Vec::new(),
            };
            match self
                .known
                .insert(alias.clone(), known)
                .map(|earlier| earlier.listing)
            {
                None => {}
                Some(Listing::Listed(_)) => {
                    return Err(OfferError::AliasIsModel {
                        alias: alias.clone(),
                    });
                }
                Some(_) => {
                    return Err(OfferError::DuplicateAlias {
                        alias: alias.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn add_price(&mut self, price: Price) -> Result<(), OfferError> {
        check_name(&price.model)?;
        if !self.known.contains_key(&price.model) {
            let listing = self.classify(&price.model);
            let known = Known {
                listing,
                asked: listing,
                context: None,
                prices: Vec::new(),
            };
            self.known.insert(price.model.clone(), known);
        }
        let Some(known) = self.known.get_mut(&price.model) else {
            return Ok(());
        };
        let place = known
            .prices
            .partition_point(|earlier| earlier.from > price.from);
        if known
            .prices
            .get(place)
            .is_some_and(|earlier| earlier.from == price.from)
        {
            return Err(OfferError::DuplicatePrice {
                model: price.model,
                from: price.from,
            });
        }
        known.prices.insert(place, price);
        Ok(())
    }

    /// An alias costs what its snapshot costs, unless it has a price of its own.
    fn price_aliases(&mut self) {
        for model in &self.models {
            let prices = self
                .known
                .get(&model.id)
                .map(|known| known.prices.clone())
                .unwrap_or_default();
            for alias in &model.aliases {
                if let Some(known) = self
                    .known
                    .get_mut(alias)
                    .filter(|known| known.prices.is_empty())
                {
                    known.prices.clone_from(&prices);
                }
            }
        }
    }

    /// The day on which the list of models was current.
    #[must_use]
    pub fn list_date(&self) -> Day {
        self.list_date
    }

    /// The day on which the list prices were current, where known.
    #[must_use]
    pub fn price_date(&self) -> Option<Day> {
        self.price_date
    }

    /// The groups in the offer's order.
    pub fn groups(&self) -> impl Iterator<Item = (GroupId, &ModelGroup)> {
        (0_u8..).map(GroupId).zip(&self.groups)
    }

    /// A group of this offer. For an id from an earlier offer that had more groups: one without name or allowance.
    #[must_use]
    pub fn group(&self, id: GroupId) -> &ModelGroup {
        self.groups.get(id.index()).unwrap_or(&self.no_group)
    }

    /// The group of this name.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<GroupId> {
        self.groups()
            .find(|(_, group)| &*group.name == name)
            .map(|(id, _)| id)
    }

    /// Tokens free per organization and day.
    #[must_use]
    pub fn allowance(&self, group: GroupId, usage_tier: UsageTier) -> u64 {
        self.group(group).allowance(usage_tier)
    }

    /// The listed models in the offer's order.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// What the list says about the model that answered. Only an exact id is listed.
    #[must_use]
    pub fn listing(&self, model: &str) -> Listing {
        self.known(model)
            .map_or_else(|| self.classify(model), |known| known.listing)
    }

    /// The most tokens one choice of this model (id or alias) can take, where known.
    #[must_use]
    pub fn most_tokens(&self, model: &str) -> Option<u64> {
        self.known(model)?.context
    }

    /// The list prices of a model (id or alias) on a day, where known.
    #[must_use]
    pub fn price(&self, model: &str, day: Day) -> Option<&Price> {
        self.known(model)?.price(day)
    }

    pub(crate) fn known(&self, model: &str) -> Option<&Known> {
        self.known.get(model)
    }

    /// What the list says about a name that is neither a listed id nor an alias.
    pub(crate) fn classify(&self, model: &str) -> Listing {
        if listing::is_fine_tuned(model) {
            return Listing::FineTuned;
        }
        let listed = self.models.iter().filter_map(|model| {
            let group = self.known.get(&model.id)?.listing.group()?;
            Some((&*model.id, group))
        });
        listing::newer_than_list(model, self.list_date, listed)
            .map_or(Listing::NotListed, Listing::NewerThanList)
    }
}

fn check_groups(groups: &[ModelGroup]) -> Result<(), OfferError> {
    if groups.is_empty() {
        return Err(OfferError::NoGroups);
    }
    if groups.len() > MOST_GROUPS {
        return Err(OfferError::TooManyGroups {
            found: groups.len(),
        });
    }
    for (index, group) in groups.iter().enumerate() {
        check_name(&group.name)?;
        if groups
            .iter()
            .take(index)
            .any(|earlier| earlier.name == group.name)
        {
            return Err(OfferError::DuplicateGroup {
                name: (&*group.name).into(),
            });
        }
    }
    Ok(())
}

fn check_model_name(name: &str) -> Result<(), OfferError> {
    check_name(name)?;
    if listing::is_fine_tuned(name) {
        return Err(OfferError::FineTunedModel { model: name.into() });
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), OfferError> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(OfferError::AbsurdName { name: name.into() });
    }
    Ok(())
}
