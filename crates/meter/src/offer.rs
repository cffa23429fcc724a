//! The offer: model groups, allowances, the dated list of models and their prices, as data with a date.
//! Must not know where the data came from, nor any organization.

use std::collections::HashMap;

use crate::day::Day;
use crate::listing::{self, FINE_TUNED, Listing};
use crate::model_group::{GroupId, Model, ModelGroup, UsageTier};
use crate::offer_error::{LONGEST_NAME, MOST_ENTRIES, MOST_GROUPS, OfferError};
use crate::price::Price;

/// What an [`Offer`] is made of.
#[derive(Clone, Debug)]
pub struct OfferParts {
    /// The day on which the list of models was current.
    pub list_date: Day,
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

    /// What the list says about the model a request asks for: an alias is expected to be answered by its snapshot.
    #[must_use]
    pub fn listing_asked(&self, model: &str) -> Listing {
        self.known(model)
            .map_or_else(|| self.classify(model), |known| known.asked)
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
        if model.starts_with(FINE_TUNED) {
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
                name: group.name.clone(),
            });
        }
    }
    Ok(())
}

fn check_model_name(name: &str) -> Result<(), OfferError> {
    check_name(name)?;
    if name.starts_with(FINE_TUNED) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Rates;
    use crate::tests::{LARGE, SMALL, offer_parts};

    fn mistake(change: impl FnOnce(&mut OfferParts)) -> OfferError {
        let mut parts = offer_parts();
        change(&mut parts);
        Offer::new(parts).unwrap_err()
    }

    #[test]
    fn only_exact_ids_are_listed() {
        let offer = Offer::new(offer_parts()).unwrap();
        assert_eq!(offer.listing("gpt-4o-2024-08-06"), Listing::Listed(LARGE));
        assert_eq!(offer.listing("gpt-5.6-luna"), Listing::Listed(SMALL));
        assert_eq!(offer.listing("gpt-4o"), Listing::NotListed);
        assert_eq!(offer.listing_asked("gpt-4o"), Listing::Listed(LARGE));
        assert_eq!(
            offer.listing_asked("gpt-4o-2024-08-06"),
            Listing::Listed(LARGE)
        );
        for name in [
            "gpt-4o-mini-2024-07-18x",
            "gpt-4",
            "",
            "gpt-4o-audio-preview",
        ] {
            assert_eq!(offer.listing(name), Listing::NotListed);
            assert_eq!(offer.listing_asked(name), Listing::NotListed);
        }
        for name in ["ft:gpt-4o-2024-08-06:acme::x", "ft:"] {
            assert_eq!(offer.listing(name), Listing::FineTuned);
            assert_eq!(offer.listing_asked(name), Listing::FineTuned);
        }
        // Known by its price, and still newer than the list.
        assert_eq!(offer.listing("gpt-6.1-sol"), Listing::NewerThanList(LARGE));
        assert_eq!(offer.listing("gpt-6.1-luna"), Listing::NewerThanList(SMALL));
        assert_eq!(offer.listing("gpt-6.1-luna").group(), Some(SMALL));
        assert_eq!(offer.listing("ft:x").group(), None);
    }

    #[test]
    fn groups_and_models_are_given_in_order() {
        let offer = Offer::new(offer_parts()).unwrap();
        let groups: Vec<_> = offer
            .groups()
            .map(|(id, group)| (id, &*group.name))
            .collect();
        assert_eq!(groups, [(LARGE, "large"), (SMALL, "small")]);
        assert_eq!(offer.group_named("small"), Some(SMALL));
        assert_eq!(offer.group_named("medium"), None);
        let tier = |number| UsageTier::new(number).unwrap();
        assert_eq!(offer.allowance(LARGE, tier(2)), 250_000);
        assert_eq!(offer.allowance(SMALL, tier(3)), 10_000_000);
        assert_eq!(offer.models().len(), offer_parts().models.len());
        assert_eq!(offer.list_date().to_string(), "2026-09-28");
        let elsewhere = offer.group(GroupId(7));
        assert_eq!((&*elsewhere.name, elsewhere.allowances), ("", [0; 5]));
    }

    #[test]
    fn prices_and_bounds_are_found_by_id_and_alias() {
        let offer = Offer::new(offer_parts()).unwrap();
        let input = |model, day| offer.price(model, day).map(|price| price.standard.input);
        let november = Day::of_date(2026, 11, 1).unwrap();
        let before = Day::at(november.start() - 1);
        for model in ["gpt-5.6-sol", "gpt-5.6"] {
            assert_eq!(input(model, november), Some(4_000_000));
            assert_eq!(input(model, before), Some(5_000_000));
            assert_eq!(input(model, Day::at(-1)), None);
            assert_eq!(offer.most_tokens(model), Some(1_050_000));
        }
        assert_eq!(input("gpt-4o", november), None);
        assert_eq!(offer.most_tokens("gpt-6.1-sol"), None);
        assert_eq!(offer.most_tokens("o1-preview"), None);
    }

    #[test]
    fn an_aliases_own_price_comes_before_its_snapshots() {
        let mut parts = offer_parts();
        let rates = Rates {
            input: 7,
            cached_input: None,
            cache_write: None,
            output: 7,
        };
        let price = Price {
            model: "gpt-5.6".into(),
            standard: rates,
            ..parts.prices[0].clone()
        };
        parts.prices.push(price);
        let offer = Offer::new(parts).unwrap();
        let input = |model| {
            offer
                .price(model, offer.list_date())
                .unwrap()
                .standard
                .input
        };
        assert_eq!((input("gpt-5.6"), input("gpt-5.6-sol")), (7, 5_000_000));
        assert_eq!(offer.listing_asked("gpt-5.6"), Listing::Listed(LARGE));
    }

    #[test]
    fn an_offer_without_models_is_an_offer() {
        let parts = OfferParts {
            models: Vec::new(),
            prices: Vec::new(),
            ..offer_parts()
        };
        assert_eq!(
            Offer::new(parts).unwrap().listing("gpt-6.1-sol"),
            Listing::NotListed
        );
    }

    #[test]
    fn every_mistake_is_named() {
        type Change = fn(&mut OfferParts);
        let named: [(Change, &str); 12] = [
            (|parts| parts.groups.clear(), "the offer has no groups"),
            (
                |parts| parts.groups = vec![parts.groups[0].clone(); 9],
                "the offer has 9 groups; at most 8 are possible",
            ),
            (
                |parts| parts.groups[1].name = "large".into(),
                "group `large` is there twice",
            ),
            (
                |parts| parts.groups[1].name = "".into(),
                "the name `` is empty or longer than 256 bytes",
            ),
            (
                |parts| parts.models[0].group = "medium".into(),
                "model `gpt-6-sol` is in group `medium`, which does not exist",
            ),
            (
                |parts| parts.models[1].id = "gpt-6-sol".into(),
                "model `gpt-6-sol` is there twice",
            ),
            (
                |parts| parts.models[0].id = "".into(),
                "the name `` is empty or longer than 256 bytes",
            ),
            (
                |parts| parts.models[0].id = "ft:x".into(),
                "`ft:x` is a fine-tuned model; those are not in the offer",
            ),
            (
                |parts| parts.models[0].aliases = vec!["gpt-5.6-luna".into()],
                "alias `gpt-5.6-luna` is also the id of a listed model",
            ),
            (
                |parts| parts.models[0].aliases = vec!["gpt-4o".into()],
                "alias `gpt-4o` is there twice",
            ),
            (
                |parts| parts.models[0].aliases = vec!["".into()],
                "the name `` is empty or longer than 256 bytes",
            ),
            (
                |parts| parts.prices[2].from = Day::EPOCH,
                "model `gpt-5.6-sol` has two prices from 1970-01-01 on",
            ),
        ];
        for (change, said) in named {
            assert_eq!(mistake(change).to_string(), said);
        }
        let too_many = mistake(|parts| parts.models = vec![parts.models[0].clone(); 10_001]);
        assert_eq!(too_many, OfferError::TooManyEntries { found: 10_001 });
        let too_many = mistake(|parts| parts.prices = vec![parts.prices[0].clone(); 10_001]);
        assert_eq!(too_many, OfferError::TooManyEntries { found: 10_001 });
        let name: Box<str> = "x".repeat(257).into();
        assert_eq!(
            mistake(|parts| parts.prices[0].model = name.clone()),
            OfferError::AbsurdName { name }
        );
    }
}
