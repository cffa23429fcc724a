//! A settled call as programs read it: one list of fields for JSON, rows and files, named as the columns of the
//! ledger. It must not know which calls are asked for. A key's hash is nobody's business and never among them.

use ledger::Row;
use meter::Day;
use serde_json::{Map, Value, json};

use super::figures;

/// The version of a call's shape.
const SCHEMA: u32 = 1;

/// Name and value of each field, in the order of the columns; null where not known or not applicable.
pub(crate) fn fields(row: &Row) -> Vec<(&'static str, Value)> {
    let call = &row.call;
    let usage = call.usage.as_ref();
    let dollars = |amount: Option<u64>| amount.map(figures::exact_dollars);
    vec![
        ("number", json!(row.number)),
        ("call", json!(call.call)),
        ("response_id", json!(call.response_id)),
        ("request_id", json!(call.request_id)),
        ("began_at", json!(figures::rfc3339(call.began_at))),
        ("settled_at", json!(figures::rfc3339(call.settled_at))),
        ("day", json!(Day::of_number(call.day).to_string())),
        ("organization", json!(call.organization)),
        ("project", json!(call.project)),
        ("endpoint", json!(call.endpoint)),
        ("model_asked", json!(call.model_asked)),
        ("model", json!(call.model)),
        ("service_tier", json!(call.service_tier)),
        ("stream", json!(call.stream)),
        ("status", json!(call.status)),
        ("client", json!(call.client)),
        ("group", json!(call.group)),
        (
            "tokens",
            json!(usage.map(|usage| usage.input.saturating_add(usage.output))),
        ),
        ("input_tokens", json!(usage.map(|usage| usage.input))),
        (
            "cached_input_tokens",
            json!(usage.map(|usage| usage.cached_input)),
        ),
        (
            "cache_write_tokens",
            json!(usage.map(|usage| usage.cache_write)),
        ),
        ("output_tokens", json!(usage.map(|usage| usage.output))),
        (
            "reasoning_tokens",
            json!(usage.map(|usage| usage.reasoning)),
        ),
        ("span_before", json!(call.span.map(|(before, _)| before))),
        ("span_after", json!(call.span.map(|(_, after)| after))),
        ("allowance_tokens", json!(call.allowance)),
        ("remaining_tokens", json!(call.remaining)),
        ("verdict", json!(call.verdict)),
        ("certainty", json!(call.certainty)),
        ("assumes", json!(call.assumes)),
        ("reason", json!(call.reason)),
        ("ours", json!(call.ours)),
        ("payer", json!(call.payer)),
        ("disputed", json!(call.disputed)),
        ("straddles", json!(call.straddles)),
        ("cost_usd", json!(dollars(call.cost))),
        ("saved_usd", json!(dollars(call.saved))),
        ("adjusts", json!(row.adjusts)),
    ]
}

/// One object, in one line.
pub(crate) fn as_line(row: &Row) -> String {
    let mut object = Map::new();
    object.insert("schema".to_owned(), json!(SCHEMA));
    object.extend(
        fields(row)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    format!("{}\n", Value::Object(object))
}

/// A value as a cell of a file: nothing for null, texts as they are.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
