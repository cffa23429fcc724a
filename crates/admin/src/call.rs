//! A settled call as programs read it: one list of fields for JSON, rows and files, named as the columns of the
//! ledger. Must not know which calls are asked for. A key's hash is nobody's business and never among them.

use jiff::Timestamp;
use ledger::Row;
use meter::{Day, Dollars};
use serde_json::{Map, Value, json};

use crate::csv_line;
use crate::money::dollars;

/// Name and value of each field, in the order of the columns; null where not known or not applicable. The verdict of a call
/// that is awaited is `pending`. Instants are RFC 3339 in UTC, dollars exact decimals as text.
#[must_use]
pub fn fields(row: &Row) -> Vec<(&'static str, Value)> {
    let call = &row.call;
    let usage = call.usage.as_ref();
    let dollars = |amount: Option<u64>| amount.map(|pico| Dollars(pico.into()).to_string());
    vec![
        ("number", json!(row.number)),
        ("call", json!(call.call)),
        ("response_id", json!(call.response_id)),
        ("request_id", json!(call.request_id)),
        ("began_at", json!(instant(call.began_at))),
        ("settled_at", json!(instant(call.settled_at))),
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
        ("verdict", json!(row.verdict())),
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

/// The fields as one object, and dollars once more as people read them.
#[must_use]
pub(crate) fn of_row(row: &Row) -> Value {
    let text = |amount: Option<u64>| json!(amount.map_or_else(|| "?".to_owned(), dollars));
    let texts = [
        ("cost_text", text(row.call.cost)),
        ("saved_text", text(row.call.saved)),
    ];
    let members = fields(row)
        .into_iter()
        .chain(texts)
        .map(|(name, value)| (name.to_owned(), value));
    Value::Object(members.collect::<Map<_, _>>())
}

/// RFC 3339 in UTC, always with milliseconds: `2026-11-21T23:10:04.120Z`. `at` is in Unix milliseconds.
#[must_use]
pub fn instant(at: i64) -> String {
    Timestamp::from_millisecond(at)
        .map_or_else(|_| at.to_string(), |instant| format!("{instant:.3}"))
}

/// The names of the fields as the first line of a CSV file.
#[must_use]
pub fn csv_header() -> String {
    let empty = Row {
        number: 0,
        call: ledger::SettledCall::default(),
        adjusts: None,
        counted_by: None,
        is_awaited: false,
    };
    csv_line(fields(&empty).into_iter().map(|(name, _)| name))
}

/// The values of a row as a line of a CSV file.
#[must_use]
pub fn csv_row(row: &Row) -> String {
    let cells = fields(row).into_iter().map(|(_, value)| text_of(&value));
    let cells: Vec<String> = cells.collect();
    csv_line(cells.iter().map(String::as_str))
}

/// A value of a field as text: nothing for null, texts as they are.
#[must_use]
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
