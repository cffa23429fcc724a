//! The prices of the offer file, in USD a million tokens, exactly.
//!
//! It must not know which models are on the list.

use meter::{Day, Price, Rates};

use super::document::Section;
use super::form::Raw;
use super::mistake::{Mistake, Wrong};
use super::offer::day;

/// 1 USD a million tokens in picodollars a token; also the parts of 1 that a factor is kept in.
const ONE: u64 = 1_000_000;
/// Digits after the point that one of these parts takes.
const DECIMALS: usize = 6;
/// Highest price, in USD a million tokens.
const MOST: u64 = 1_000_000;

const KEYS: &[&str] = &[
    "from",
    "default",
    "cache_write",
    "above_272k",
    "batch",
    "flex",
    "priority",
];

/// Each model's prices: one table, or a list of them with the days from which they hold.
pub(crate) fn prices(root: &Section<'_>, mistakes: &mut Vec<Mistake>) -> Vec<Price> {
    let Some(section) = root.section("prices", mistakes) else {
        return Vec::new();
    };
    let mut prices = Vec::new();
    for (name, value) in section.entries() {
        let model = name.get_ref();
        let title = format!("[prices] {model}");
        let dated = match value.get_ref().as_array() {
            Some(list) => list.iter().collect(),
            None => vec![value],
        };
        for value in dated {
            let table = section.sub(value, title.clone(), mistakes);
            prices.extend(table.and_then(|table| price(model, &table, mistakes)));
        }
    }
    prices
}

fn price(model: &str, table: &Section<'_>, mistakes: &mut Vec<Mistake>) -> Option<Price> {
    table.only(KEYS, |_| None, mistakes);
    let from = table.value("from", day, mistakes);
    let factor = table.value("cache_write", factor, mistakes);
    let standard = table.required("default", |raw| rates(raw, factor), mistakes);
    let mut variant = |name| table.value(name, |raw| rates(raw, factor), mistakes);
    let (above_272k, batch) = (variant("above_272k"), variant("batch"));
    let (flex, priority) = (variant("flex"), variant("priority"));
    Some(Price {
        model: model.into(),
        from: from.unwrap_or(Day::EPOCH),
        standard: standard?,
        above_272k,
        batch,
        flex,
        priority,
    })
}

/// `[input, cached input, output]`, or `[input, output]` where cached input has no price of its own.
/// `cache_write` is what writing to the cache costs, in parts of the input's price.
fn rates(raw: Raw<'_>, cache_write: Option<u64>) -> Result<Rates, Wrong> {
    let form =
        || Wrong::form("USD a million tokens: [input, cached input, output], or [input, output]");
    let Raw::Toml(value) = raw else {
        return Err(form());
    };
    let list = value.as_array().ok_or_else(form)?;
    let amounts = list
        .iter()
        .map(|amount| {
            millionths(Raw::Toml(amount.get_ref()))
                .filter(|amount| *amount <= MOST * ONE)
                .ok_or_else(|| {
                    Wrong::form("a price like 0.25, at most six digits after the point")
                        .at(amount.span())
                })
        })
        .collect::<Result<Vec<u64>, Wrong>>()?;
    let (input, cached_input, output) = match amounts.as_slice() {
        [input, cached_input, output] => (*input, Some(*cached_input), *output),
        [input, output] => (*input, None, *output),
        _ => return Err(form()),
    };
    Ok(Rates {
        input,
        cached_input,
        // At most 10^12 times 10^8: no overflow of 2^128.
        cache_write: cache_write
            .map(|factor| u128::from(input) * u128::from(factor) / u128::from(ONE))
            .and_then(|rate| u64::try_from(rate).ok()),
        output,
    })
}

/// A factor in millionths, at most 100.
fn factor(raw: Raw<'_>) -> Result<u64, Wrong> {
    millionths(raw)
        .filter(|factor| *factor <= 100 * ONE)
        .ok_or_else(|| Wrong::form("a factor of the input's price, like 1.25"))
}

/// A decimal number, exactly, in millionths: prices never pass through a binary fraction.
fn millionths(raw: Raw<'_>) -> Option<u64> {
    let Raw::Toml(value) = raw else { return None };
    let text = match (value.as_integer(), value.as_float()) {
        (Some(whole), _) if whole.radix() == 10 => whole.as_str(),
        (_, Some(float)) => float.as_str(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > DECIMALS {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = format!("{fraction:0<DECIMALS$}").parse().ok()?;
    whole.checked_mul(ONE)?.checked_add(fraction)
}
