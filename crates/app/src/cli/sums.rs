//! Sums of settled calls as a table's cells: calls, tokens, dollars, and what is not known of them. It must not know
//! which calls they are.

use admin::Amount;
use ledger::DayRow;
use serde_json::{Map, Value, json};

use super::figures::UNKNOWN;
use super::table::{Cell, Column, Kind};
use super::terminal::Role;

/// What was settled of some calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Settled calls.
    pub(crate) calls: u64,
    /// Of them free, billed, unknown.
    pub(crate) free_calls: u64,
    pub(crate) billed_calls: u64,
    pub(crate) unknown_calls: u64,
    /// Tokens of the free ones.
    pub(crate) free_tokens: u64,
    /// Tokens of the billed ones.
    pub(crate) billed_tokens: u64,
    /// List price of the billed ones.
    pub(crate) cost: Amount,
    /// List price of the free ones.
    pub(crate) saved: Amount,
}

impl Sums {
    /// Those of a day's row.
    pub(crate) fn of(row: &DayRow) -> Self {
        let (cost, saved) = Amount::of(row);
        Self {
            calls: row.calls,
            free_calls: row.free_calls,
            billed_calls: row.billed_calls,
            unknown_calls: row.unknown_calls,
            free_tokens: row.free_tokens,
            billed_tokens: row.billed_tokens,
            cost,
            saved,
        }
    }

    /// These and those.
    pub(crate) fn plus(self, those: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(those.calls),
            free_calls: self.free_calls.saturating_add(those.free_calls),
            billed_calls: self.billed_calls.saturating_add(those.billed_calls),
            unknown_calls: self.unknown_calls.saturating_add(those.unknown_calls),
            free_tokens: self.free_tokens.saturating_add(those.free_tokens),
            billed_tokens: self.billed_tokens.saturating_add(those.billed_tokens),
            cost: self.cost.plus(those.cost),
            saved: self.saved.plus(those.saved),
        }
    }

    /// Whether the price of some calls is not known.
    pub(crate) fn lacks_prices(&self) -> bool {
        self.cost.is_more() || self.saved.is_more()
    }

    pub(crate) fn calls_cell(&self) -> Cell {
        Cell::number(self.calls)
    }

    pub(crate) fn free_tokens_cell(&self) -> Cell {
        Cell::number(self.free_tokens)
    }

    pub(crate) fn billed_tokens_cell(&self) -> Cell {
        let role = (self.billed_tokens > 0).then_some(Role::Billed);
        Cell::number(self.billed_tokens).painted(role)
    }

    pub(crate) fn unknown_cell(&self) -> Cell {
        Cell::number(self.unknown_calls)
    }

    pub(crate) fn cost_cell(&self) -> Cell {
        dollars(self.cost)
    }

    pub(crate) fn saved_cell(&self) -> Cell {
        dollars(self.saved)
    }

    /// All of them: calls, free and billed tokens, unknown calls, cost, saved.
    pub(crate) fn cells(&self) -> [Cell; 6] {
        [
            self.calls_cell(),
            self.free_tokens_cell(),
            self.billed_tokens_cell(),
            self.unknown_cell(),
            self.cost_cell(),
            self.saved_cell(),
        ]
    }

    /// The same for programs, as members of an object.
    pub(crate) fn as_members(&self) -> Map<String, Value> {
        let object = json!({
            "calls": self.calls,
            "free_calls": self.free_calls,
            "billed_calls": self.billed_calls,
            "unknown_calls": self.unknown_calls,
            "free_tokens": self.free_tokens,
            "billed_tokens": self.billed_tokens,
            "cost_usd": self.cost.exact(),
            "cost_is_more": self.cost.is_more(),
            "saved_usd": self.saved.exact(),
            "saved_is_more": self.saved.is_more(),
        });
        match object {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }
}

/// Dollars of which some may be missing: a known zero is `$0.00`, one that is not known is `?`.
fn dollars(amount: Amount) -> Cell {
    let exact = amount.exact().unwrap_or_else(|| UNKNOWN.to_owned());
    Cell::of(amount.text(), exact)
}

/// The columns that sums have in every table; where there is no room unknown goes first, then calls, saved and billed
/// tokens.
pub(crate) const CALLS: Column = number("CALLS", "calls", Some(1));
pub(crate) const FREE_TOKENS: Column = number("FREE TOKENS", "free_tokens", None);
pub(crate) const BILLED_TOKENS: Column = number("BILLED TOKENS", "billed_tokens", Some(3));
pub(crate) const UNKNOWN_CALLS: Column = number("UNKNOWN", "unknown_calls", Some(0));
pub(crate) const COST: Column = number("COST", "cost_usd", None);
pub(crate) const SAVED: Column = number("SAVED", "saved_usd", Some(2));

const fn number(name: &'static str, field: &'static str, goes: Option<u8>) -> Column {
    Column {
        name,
        field,
        kind: Kind::Number,
        goes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_is_not_known_is_no_zero() {
        let row = DayRow {
            calls: 3,
            billed_calls: 3,
            unpriced_calls: 3,
            ..DayRow::default()
        };
        let sums = Sums::of(&row);
        assert_eq!(
            (sums.cost_cell().shown, sums.cost_cell().raw),
            ("?".into(), "?".into())
        );
        assert_eq!(sums.saved_cell().shown, "$0.00");
        assert_eq!(sums.as_members()["cost_usd"], Value::Null);
        let priced = Sums::of(&DayRow {
            cost_pico: 140_000_000_000,
            ..row.clone()
        });
        assert_eq!(priced.cost_cell().shown, ">$0.14");
        assert_eq!(priced.as_members()["cost_usd"], "0.14");
        let little = Sums::of(&DayRow {
            cost_pico: 1,
            ..row
        });
        assert_eq!(little.cost_cell().shown, "?");
        assert!(sums.plus(Sums::default()).lacks_prices());
    }
}
