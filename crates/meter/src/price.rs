//! What a call costs at list price, exactly. Must not know who pays it.

use std::fmt;

use crate::day::Day;
use crate::usage::Usage;

/// Above so many input tokens a call pays the long-context rates, where a model has them
/// (gpt-5.4 and later large models).
const LONG_INPUT_TOKENS: u64 = 272_000;

/// Digits of a dollar after the point that a picodollar takes.
const DECIMALS: u32 = 12;

/// Prices of one kind of serving, in picodollars (1e-12 USD) a token: 1 USD a million tokens is 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Input that is neither read from the cache nor written to it.
    pub input: u64,
    /// Input read from the cache; `None`: the price of input.
    pub cached_input: Option<u64>,
    /// Input written to the cache; `None`: the price of input.
    pub cache_write: Option<u64>,
    /// Output, reasoning included.
    pub output: u64,
}

impl Rates {
    /// List price of this usage. Parts that claim more input than there is are taken only as far as it goes.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Dollars {
        let cached = usage.cached_input.min(usage.input);
        let written = usage.cache_write.min(usage.input - cached);
        let plain = usage.input - cached - written;
        let cost = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        // Each product is below 2^128 and in sum below 2^128 too: the three parts of input add up to a u64.
        Dollars(
            (cost(plain, self.input)
                + cost(cached, self.cached_input.unwrap_or(self.input))
                + cost(written, self.cache_write.unwrap_or(self.input)))
            .saturating_add(cost(usage.output, self.output)),
        )
    }
}

/// The list prices of one model from a day on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The model's exact id.
    pub model: Box<str>,
    /// The first day these prices hold; [`Day::EPOCH`] where they always did.
    pub from: Day,
    /// Service tier `default`.
    pub standard: Rates,
    /// Service tier `default` above 272,000 input tokens; `None`: the standard rates.
    pub above_272k: Option<Rates>,
    /// Service tier `batch`, where known.
    pub batch: Option<Rates>,
    /// Service tier `flex`, where known.
    pub flex: Option<Rates>,
    /// Service tier `priority` (or `fast`), where known.
    pub priority: Option<Rates>,
}

impl Price {
    /// List price of a call; `None` where no price is known for its service tier, for sound, or for a long call in a tier
    /// (how the two surcharges combine is not published).
    #[must_use]
    pub fn cost(&self, service_tier: Option<&str>, usage: &Usage) -> Option<Dollars> {
        if usage.audio > 0 {
            return None;
        }
        let long = usage.input > LONG_INPUT_TOKENS && self.above_272k.is_some();
        let special = match service_tier {
            None | Some("default" | "auto" | "incentivized-tier") => {
                let rates = if long { self.above_272k } else { None };
                return Some(rates.unwrap_or(self.standard).cost(usage));
            }
            Some("batch") => self.batch,
            Some("flex") => self.flex,
            Some("priority" | "fast") => self.priority,
            Some(_) => None,
        };
        special.filter(|_| !long).map(|rates| rates.cost(usage))
    }
}

/// An exact amount of US dollars, in picodollars (1e-12 USD).
///
/// Shown as an exact decimal without trailing zeros: `0.0042`, `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dollars(pub u128);

impl Dollars {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount in picodollars.
    #[must_use]
    pub fn picodollars(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DOLLAR: u128 = 10_u128.pow(DECIMALS);
        let (whole, rest) = (self.0 / DOLLAR, self.0 % DOLLAR);
        // Every tagged answer shows two, and most are less than a dollar.
        if whole == 0 {
            f.write_str("0")?;
        } else {
            write!(f, "{whole}")?;
        }
        if rest == 0 {
            return Ok(());
        }
        let mut text = [b'.'; 1 + DECIMALS as usize];
        let mut rest = u64::try_from(rest).unwrap_or_default();
        for digit in text.iter_mut().skip(1).rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        let text = std::str::from_utf8(&text).unwrap_or_default();
        f.write_str(text.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOL: Rates = Rates {
        input: 4_000_000,
        cached_input: Some(400_000),
        cache_write: Some(5_000_000),
        output: 20_000_000,
    };

    fn price() -> Price {
        let half = |rates: Rates| Rates {
            input: rates.input / 2,
            output: rates.output / 2,
            ..rates
        };
        Price {
            model: "gpt-5.6-sol".into(),
            from: Day::EPOCH,
            standard: SOL,
            above_272k: Some(Rates {
                input: 8_000_000,
                output: 30_000_000,
                ..SOL
            }),
            batch: Some(half(SOL)),
            flex: Some(half(half(SOL))),
            priority: None,
        }
    }

    fn usage(input: u64, output: u64) -> Usage {
        Usage {
            input,
            output,
            ..Usage::default()
        }
    }

    #[test]
    fn each_part_of_the_input_pays_its_own_rate() {
        let usage = Usage {
            input: 1_000,
            cached_input: 600,
            cache_write: 300,
            output: 10,
            reasoning: 9,
            ..Usage::default()
        };
        // 100 * 4 + 600 * 0.4 + 300 * 5 + 10 * 20 = 2,340 microdollars.
        assert_eq!(SOL.cost(&usage).to_string(), "0.00234");
        let plain = Rates {
            cached_input: None,
            cache_write: None,
            ..SOL
        };
        // 1,000 * 4 + 10 * 20
        assert_eq!(plain.cost(&usage).to_string(), "0.0042");
    }

    #[test]
    fn sound_has_no_price() {
        let price = Price {
            model: "gpt-4o-audio-preview".into(),
            from: Day::EPOCH,
            standard: SOL,
            above_272k: None,
            batch: None,
            flex: None,
            priority: None,
        };
        let sound = Usage {
            audio: 1,
            ..usage(10, 10)
        };
        assert!(price.cost(None, &usage(10, 10)).is_some());
        assert_eq!(price.cost(None, &sound), None);
    }

    #[test]
    fn parts_larger_than_the_input_cost_no_more_than_it() {
        let usage = Usage {
            input: 10,
            cached_input: 20,
            cache_write: 20,
            ..Usage::default()
        };
        assert_eq!(SOL.cost(&usage), Dollars(10 * 400_000));
        let most = Usage {
            input: u64::MAX,
            output: u64::MAX,
            ..Usage::default()
        };
        let dear = Rates {
            input: u64::MAX,
            cached_input: None,
            cache_write: None,
            output: u64::MAX,
        };
        assert_eq!(dear.cost(&most), Dollars(u128::MAX));
    }

    #[test]
    fn long_calls_pay_more_from_the_first_token_past_the_line() {
        let price = price();
        assert_eq!(
            price.cost(None, &usage(272_000, 0)),
            Some(Dollars(272_000 * 4_000_000))
        );
        assert_eq!(
            price.cost(None, &usage(272_001, 0)),
            Some(Dollars(272_001 * 8_000_000))
        );
        let short_only = Price {
            above_272k: None,
            ..price
        };
        assert_eq!(
            short_only.cost(None, &usage(272_001, 0)),
            Some(Dollars(272_001 * 4_000_000))
        );
        assert_eq!(
            short_only.cost(Some("batch"), &usage(272_001, 0)),
            Some(Dollars(272_001 * 2_000_000))
        );
    }

    #[test]
    fn service_tiers_have_prices_of_their_own_or_none() {
        let price = price();
        let cost = |tier, input| {
            price
                .cost(Some(tier), &usage(input, 0))
                .map(Dollars::picodollars)
        };
        assert_eq!(cost("default", 1), Some(4_000_000));
        assert_eq!(cost("incentivized-tier", 1), Some(4_000_000));
        assert_eq!(cost("batch", 1), Some(2_000_000));
        assert_eq!(cost("flex", 1), Some(1_000_000));
        assert_eq!(cost("priority", 1), None);
        assert_eq!(cost("scale", 1), None);
        assert_eq!(cost("flex", 300_000), None);
        let fast = Price {
            priority: Some(SOL),
            ..price.clone()
        };
        assert_eq!(
            fast.cost(Some("fast"), &usage(1, 0)),
            Some(Dollars(4_000_000))
        );
    }

    #[test]
    fn dollars_are_shown_exactly() {
        for (amount, shown) in [
            (0, "0"),
            (1, "0.000000000001"),
            (4_200_000_000, "0.0042"),
            (1_000_000_000_000, "1"),
            (12_340_000_000_000, "12.34"),
            (100_000_000_000_000, "100"),
        ] {
            assert_eq!(Dollars(amount).to_string(), shown);
        }
        assert_eq!(
            Dollars(u128::MAX).to_string(),
            "340282366920938463463374607.431768211455"
        );
    }
}
