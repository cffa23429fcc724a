//! The offer as data: exact ids, aliases, dated prices, and every mistake it can be made with.

use super::{LARGE, SMALL, offer_parts};
use crate::{Day, GroupId, Listing, Offer, OfferError, OfferParts, Price, Rates, UsageTier};

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
    for asked in ["gpt-4o", "gpt-4o-2024-08-06"] {
        assert_eq!(offer.known(asked).unwrap().asked, Listing::Listed(LARGE));
    }
    for name in [
        "gpt-4o-mini-2024-07-18x",
        "gpt-4",
        "",
        "gpt-4o-audio-preview",
    ] {
        assert_eq!(offer.listing(name), Listing::NotListed);
        assert!(
            offer
                .known(name)
                .is_none_or(|known| known.asked == Listing::NotListed)
        );
    }
    for name in [
        "ft:gpt-4o-2024-08-06:acme::x",
        "ft:",
        "davinci:ft-acme-2023-01-31-12-00-00",
    ] {
        assert_eq!(offer.listing(name), Listing::FineTuned);
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
    assert_eq!(
        offer.known("gpt-5.6").unwrap().asked,
        Listing::Listed(LARGE)
    );
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
