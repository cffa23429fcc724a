//! What is known of the program beside its figures: the model list's dates, what is set, what is to be said about
//! either. A reload puts a new one in place. Must not know where it was read.

use serde_json::Value;

/// What the program is and how it is set.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The model list's date, `2026-09-28`.
    pub list_date: String,
    /// The model list as JSON: groups with allowances, models, prices.
    pub offer: Value,
    /// What is set, as JSON, without secrets.
    pub config: Value,
    /// What an operator should know, one line each: an old model list, and what else does not change by itself.
    pub notices: Vec<String>,
}
