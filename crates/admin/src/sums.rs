//! What one organization's calls of one day came to, over all groups: the numbers a page shows, so that nobody adds up
//! behind it. Must not know how the ledger keeps them.

use ledger::DayRow;
use meter::{Day, Dollars};
use serde_json::{Value, json};

use crate::money::dollars_and_more;

/// Dollars, and whether the price of some calls is missing in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    picodollars: u64,
    is_more: bool,
}

impl Amount {
    /// What the billed calls cost and the free ones saved. A row does not say whose price is not known: where it has
    /// calls of the one kind only, it is theirs.
    #[must_use]
    pub fn of(row: &DayRow) -> (Amount, Amount) {
        let amount = |picodollars, calls| Amount {
            picodollars,
            is_more: row.unpriced_calls > 0 && calls > 0,
        };
        (
            amount(row.cost_pico, row.billed_calls),
            amount(row.saved_pico, row.free_calls),
        )
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Amount) -> Amount {
        Amount {
            picodollars: self.picodollars.saturating_add(other.picodollars),
            is_more: self.is_more || other.is_more,
        }
    }

    /// Whether the price of some calls is missing in it.
    #[must_use]
    pub fn is_more(self) -> bool {
        self.is_more
    }

    /// The exact decimal; `None`: not known.
    #[must_use]
    pub fn exact(self) -> Option<String> {
        let known = self.picodollars > 0 || !self.is_more;
        known.then(|| Dollars(self.picodollars.into()).to_string())
    }

    /// As people read it.
    #[must_use]
    pub fn text(self) -> String {
        dollars_and_more(self.picodollars, self.is_more)
    }
}

/// One entry for each day and organization of `rows`, in their order; rows of one day and organization follow each other.
pub(crate) fn sums(rows: &[DayRow]) -> Vec<Value> {
    rows.chunk_by(|one, next| (one.day, &one.organization) == (next.day, &next.organization))
        .map(sum)
        .collect()
}

fn sum(rows: &[DayRow]) -> Value {
    let all = |count: fn(&DayRow) -> u64| rows.iter().map(count).fold(0, u64::saturating_add);
    let amounts = rows.iter().map(Amount::of);
    let (cost, saved) = amounts.fold(<(Amount, Amount)>::default(), |(cost, saved), more| {
        (cost.plus(more.0), saved.plus(more.1))
    });
    let first = rows.first();
    json!({
        "day": first.map(|row| Day::of_number(row.day).to_string()),
        "organization": first.map(|row| &row.organization),
        "calls": all(|row| row.calls),
        "free_calls": all(|row| row.free_calls),
        "billed_calls": all(|row| row.billed_calls),
        "unknown_calls": all(|row| row.unknown_calls),
        "free_tokens": all(|row| row.free_tokens),
        "billed_tokens": all(|row| row.billed_tokens),
        "cost_usd": cost.exact(),
        "cost_is_more": cost.is_more,
        "cost_text": cost.text(),
        "saved_usd": saved.exact(),
        "saved_is_more": saved.is_more,
        "saved_text": saved.text(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_summed_up_over_its_groups_and_says_what_is_missing() {
        let row = |organization: &str, cost_pico, unpriced_calls| DayRow {
            day: 20_779,
            organization: organization.to_owned(),
            calls: 3,
            billed_calls: 2,
            billed_tokens: 500,
            cost_pico,
            unpriced_calls,
            ..DayRow::default()
        };
        let rows = [
            row("acme", 100_000_000_000, 0),
            row("acme", 80_000_000_000, 1),
            row("globex", 0, 2),
        ];
        let [acme, globex] = sums(&rows).try_into().unwrap();
        assert_eq!(
            (&acme["calls"], &acme["billed_tokens"]),
            (&json!(6), &json!(1000))
        );
        assert_eq!(
            (&acme["cost_usd"], &acme["cost_text"]),
            (&json!("0.18"), &json!(">$0.18"))
        );
        assert_eq!(
            (&acme["saved_usd"], &acme["saved_text"]),
            (&json!("0"), &json!("$0.00"))
        );
        assert_eq!(
            (&globex["cost_usd"], &globex["cost_text"]),
            (&Value::Null, &json!("?"))
        );
        assert_eq!(globex["day"], "2026-11-22");
    }
}
