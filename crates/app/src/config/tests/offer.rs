//! The offer file: the built-in one says what is known, another one is checked like the
//! configuration.

use insta::assert_snapshot;
use meter::{Day, Listing, Price, UsageTier};

use super::Setting;
use crate::config::{BUILT_IN_OFFER, built_in_offer, offer_is_old};

fn day(year: u16, month: u8, day: u8) -> Day {
    Day::of_date(year, month, day).unwrap()
}

/// What `tollfree` says about a file in place of the built-in one.
fn mistakes(offer: &str) -> String {
    let setting = Setting::of("[offer]\nfile = \"offer.toml\"\n");
    setting.beside("offer.toml", offer);
    setting.mistakes()
}

#[test]
fn the_built_in_groups_have_the_published_allowances() {
    let offer = built_in_offer().unwrap();
    assert_eq!(offer.list_date(), day(2026, 9, 28));
    assert_eq!(offer.price_date(), Some(day(2026, 11, 12)));
    let mut seen = Vec::new();
    for (id, group) in offer.groups() {
        let tiers = (1..=5).map(|tier| offer.allowance(id, UsageTier::new(tier).unwrap()));
        let models = offer
            .models()
            .iter()
            .filter(|model| *model.group == *group.name);
        seen.push((
            group.name.to_string(),
            models.count(),
            tiers.collect::<Vec<_>>(),
        ));
    }
    let large = vec![250_000, 250_000, 1_000_000, 1_000_000, 1_000_000];
    let small = vec![2_500_000, 2_500_000, 10_000_000, 10_000_000, 10_000_000];
    assert_eq!(
        seen,
        [
            ("large".to_owned(), 19, large),
            ("small".to_owned(), 13, small)
        ]
    );
}

#[test]
fn the_built_in_list_knows_exact_ids_and_expected_aliases() {
    let offer = built_in_offer().unwrap();
    let large = Listing::Listed(offer.group_named("large").unwrap());
    let small = Listing::Listed(offer.group_named("small").unwrap());
    assert_eq!(offer.listing("gpt-6-luna"), large);
    assert_eq!(offer.listing("gpt-5.6-luna"), small);
    assert_eq!(offer.listing("gpt-4o-2024-08-06"), large);
    for (alias, id) in [("gpt-4o", "gpt-4o-2024-08-06"), ("gpt-5.6", "gpt-5.6-sol")] {
        assert!(offer.most_tokens(alias).is_some(), "{alias}");
        assert_eq!(offer.most_tokens(alias), offer.most_tokens(id), "{alias}");
    }
    for unlisted in [
        "gpt-4o-audio-preview-2025-06-03",
        "o3-mini-2025-01-31",
        "gpt-5.5-pro-2026-04-23",
    ] {
        assert!(
            !matches!(offer.listing(unlisted), Listing::Listed(_)),
            "{unlisted}"
        );
    }
    assert_eq!(offer.most_tokens("gpt-4o-mini"), Some(144_384));
    assert_eq!(offer.most_tokens("codex-mini-latest"), None);
}

#[test]
fn prices_are_exact_and_dated() {
    let offer = built_in_offer().unwrap();
    let today = day(2026, 11, 12);
    let standard = |price: &Price| {
        let rates = price.standard;
        (
            rates.input,
            rates.cached_input,
            rates.cache_write,
            rates.output,
        )
    };
    let sol = |day| offer.price("gpt-5.6-sol", day).map(standard);
    let usual = Some((5_000_000, Some(500_000), Some(6_250_000), 30_000_000));
    let promotional = Some((4_000_000, Some(400_000), Some(5_000_000), 20_000_000));
    assert_eq!(sol(day(2026, 10, 7)), usual);
    assert_eq!(sol(day(2026, 10, 8)), promotional);
    assert_eq!(sol(day(2026, 11, 21)), promotional);
    assert_eq!(sol(day(2026, 11, 22)), usual);

    let nano = offer.price("gpt-5-nano", today).unwrap();
    assert_eq!(nano.batch.unwrap().cached_input, Some(2_500));
    let old = offer.price("gpt-4o-2024-05-13", today).unwrap();
    assert_eq!(standard(old), (5_000_000, None, None, 15_000_000));
    assert_eq!(old.priority.unwrap().output, 26_250_000);
    assert!(
        offer
            .price("gpt-6.1-sol", today)
            .unwrap()
            .above_272k
            .is_some()
    );
    for unknown in [
        "o1-preview-2024-09-12",
        "o1-mini-2024-09-12",
        "codex-mini-latest",
    ] {
        assert!(offer.price(unknown, today).is_none(), "{unknown}");
    }
    let listed = offer.models().iter();
    assert_eq!(
        listed
            .filter(|model| offer.price(&model.id, today).is_none())
            .count(),
        3
    );
}

#[test]
fn a_newer_file_takes_the_place_of_the_built_in_one() {
    let setting = Setting::of("[offer]\nfile = \"offer.toml\"\n");
    setting.beside(
        "offer.toml",
        &BUILT_IN_OFFER.replace("list_date = 2026-09-28", "list_date = 2026-12-24"),
    );
    assert_eq!(setting.loaded().offer.list_date(), day(2026, 12, 24));
}

#[test]
fn a_list_is_old_after_120_days() {
    let offer = built_in_offer().unwrap();
    assert_eq!(offer_is_old(&offer, day(2027, 1, 26)), None);
    assert_eq!(
        offer_is_old(&offer, day(2027, 1, 27)).as_deref(),
        Some(
            "the model list is 121 days old (2026-09-28). newer models are tagged \
             model-not-listed, so shown as billed. help: tollfree offer says where to put a newer \
             file"
        )
    );
}

#[test]
fn mistakes_of_the_offer_have_their_places() {
    let file = r#"
list_date = "2026-09-28"
[groups]
large = [250_000, 250_000, 1_000_000]
small = [1, 2, 3, 4, -5]
[models.larg]
a = { alias = ["b"] }
[models.large]
c = { context = "long" }
[prices]
c = { default = [1, 0.1234567, 2], batch = 3 }
d = [{ from = 2026-02-30, cache_write = 1000 }]
"#;
    assert_snapshot!(mistakes(file), @r#"
    error: wrong value for `list_date`
     --> offer.toml:2:13
      2 | list_date = "2026-09-28"
        |             ^^^^^^^^^^^^ a date like 2026-09-28, without quotes
    error: wrong value for `large` in [groups]
     --> offer.toml:4:9
      4 | large = [250_000, 250_000, 1_000_000]
        |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ tokens a day for usage tiers 1 to 5: five numbers in brackets
    error: wrong value for `small` in [groups]
     --> offer.toml:5:22
      5 | small = [1, 2, 3, 4, -5]
        |                      ^^ a number of tokens, like 250_000
    error: unknown key `alias` in [models.larg] a
     --> offer.toml:7:7
      7 | a = { alias = ["b"] }
        |       ^^^^^ did you mean `aliases`?
    error: wrong value for `context` in [models.large] c
     --> offer.toml:9:17
      9 | c = { context = "long" }
        |                 ^^^^^^ a number of tokens, like 250_000
    error: wrong value for `default` in [prices] c
     --> offer.toml:11:21
     11 | c = { default = [1, 0.1234567, 2], batch = 3 }
        |                     ^^^^^^^^^ a price like 0.25, at most six digits after the point
    error: wrong value for `batch` in [prices] c
     --> offer.toml:11:44
     11 | c = { default = [1, 0.1234567, 2], batch = 3 }
        |                                            ^ USD a million tokens: [input, cached input, output], or [input, output]
    error: invalid date
     --> offer.toml:12:15
     12 | d = [{ from = 2026-02-30, cache_write = 1000 }]
        |               ^^^^^^^^^^ expected day between 01 and 28
    8 mistakes, nothing was started. All keys: tollfree help offer-file
    "#);
    assert_snapshot!(mistakes("list_date = 2026-09-28\n"), @r#"
    error: `groups` is missing
     --> offer.toml:1:1
      1 | list_date = 2026-09-28
        | ^ `groups` belongs here
    error: `models` is missing
     --> offer.toml:1:1
      1 | list_date = 2026-09-28
        | ^ `models` belongs here
    2 mistakes, nothing was started. All keys: tollfree help offer-file
    "#);
}

#[test]
fn a_list_that_contradicts_itself_is_refused() {
    let file = r#"
list_date = 2026-09-28
[groups]
large = [1, 2, 3, 4, 5]
[models.large]
a = { aliases = ["b"] }
b = {}
"#;
    assert_snapshot!(mistakes(file), @r#"
    error: alias `b` is also the id of a listed model
     --> offer.toml:6:19
      6 | a = { aliases = ["b"] }
        |                   ^ the list contradicts itself here
    1 mistake, nothing was started. All keys: tollfree help offer-file
    "#);
}
