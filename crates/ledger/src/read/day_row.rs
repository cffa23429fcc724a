//! What a day came to, as plain values. Must not know SQL, or who reads.

/// The call that crossed a day's allowance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crossing {
    /// Our id of the call.
    pub call: String,
    /// When it was settled, Unix milliseconds.
    pub at: i64,
    /// Its tokens.
    pub tokens: u64,
    /// The running total before it.
    pub before: u64,
}

/// The sums of one organization, model group and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayRow {
    /// The day, in days since 1970-01-01.
    pub day: i32,
    /// The organization's name.
    pub organization: String,
    /// The model group's name; empty: calls that are not eligible.
    pub group: String,
    /// Settled calls.
    pub calls: u64,
    /// Of them free.
    pub free_calls: u64,
    /// Of them billed.
    pub billed_calls: u64,
    /// Of them unknown.
    pub unknown_calls: u64,
    /// Settlements that could not be kept; in none of the other numbers.
    pub lost_calls: u64,
    /// Tokens of the free ones.
    pub free_tokens: u64,
    /// Tokens of the billed ones.
    pub billed_tokens: u64,
    /// List price of the billed ones, in picodollars.
    pub cost_pico: u64,
    /// List price of the free ones, in picodollars.
    pub saved_pico: u64,
    /// Calls with tokens whose price is not known.
    pub unpriced_calls: u64,
    /// The running total, in tokens.
    pub taken: u64,
    /// The other reading's total, in tokens.
    pub fitted: u64,
    /// The call that crossed the allowance.
    pub crossing: Option<Crossing>,
    /// The day's allowance as last known.
    pub last_allowance: Option<u64>,
    /// Sources and the tokens that may have been taken uncounted, each source once; `None`: without limit.
    pub slack: Vec<(String, Option<u64>)>,
}
