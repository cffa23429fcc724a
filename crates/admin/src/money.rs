//! Dollars as people read them: one spelling for the page and the terminal. Must not know what they were paid for.

/// Picodollars (1e-12 USD) in a dollar, a cent, and a hundredth of a cent.
const DOLLAR: u64 = 1_000_000_000_000;
const CENT: u64 = DOLLAR / 100;
const FOURTH_DECIMAL: u64 = CENT / 100;

/// Two decimals from one cent up, else four, and `$0.00` only for nothing at all.
#[must_use]
pub fn dollars(picodollars: u64) -> String {
    if picodollars == 0 {
        return "$0.00".to_owned();
    }
    if picodollars >= CENT {
        let cents = rounded(picodollars, CENT);
        return format!("${}.{:02}", grouped(cents / 100), cents % 100);
    }
    match rounded(picodollars, FOURTH_DECIMAL) {
        0 => "<$0.0001".to_owned(),
        fourths => format!("$0.{fourths:04}"),
    }
}

/// The same where some of it may be missing, since a price is not known: `>$0.14`, and `?` where nothing can be shown.
pub(crate) fn dollars_and_more(picodollars: u64, is_more: bool) -> String {
    match (picodollars, is_more) {
        (some, true) if rounded(some, FOURTH_DECIMAL) == 0 => "?".to_owned(),
        (some, true) => format!(">{}", dollars(some)),
        (some, false) => dollars(some),
    }
}

fn rounded(amount: u64, unit: u64) -> u64 {
    amount / unit + u64::from(amount % unit >= unit / 2)
}

/// With a comma at each thousand.
fn grouped(number: u64) -> String {
    let mut rest = number;
    let mut out = String::new();
    while rest >= 1000 {
        out.insert_str(0, &format!(",{:03}", rest % 1000));
        rest /= 1000;
    }
    format!("{rest}{out}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_decimals_from_a_cent_up_and_zero_only_where_it_is() {
        for (picodollars, shown) in [
            (0, "$0.00"),
            (1, "<$0.0001"),
            (7_875_000, "<$0.0001"),
            (49_999_999, "<$0.0001"),
            (50_000_000, "$0.0001"),
            (4_200_000_000, "$0.0042"),
            (7_650_000_000, "$0.0077"),
            (9_999_999_999, "$0.0100"),
            (10_000_000_000, "$0.01"),
            (4_624_999_999_999, "$4.62"),
            (4_625_000_000_000, "$4.63"),
            (999_995_000_000_000, "$1,000.00"),
            (1_234_567_000_000_000, "$1,234.57"),
            (u64::MAX, "$18,446,744.07"),
        ] {
            assert_eq!(dollars(picodollars), shown);
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        assert_eq!(dollars_and_more(0, false), "$0.00");
        assert_eq!(dollars_and_more(0, true), "?");
        assert_eq!(dollars_and_more(49_999_999, true), "?");
        assert_eq!(dollars_and_more(180_000_000_000, true), ">$0.18");
        assert_eq!(dollars_and_more(180_000_000_000, false), "$0.18");
    }
}
