//! A settled call as a line of JSON. It must not know which fields there are,
//! nor which calls are asked for.

use admin::fields;
use ledger::Row;
use serde_json::{Map, Value, json};

use super::json;

/// The version of a call's shape.
const SCHEMA: u32 = 1;

/// One object, in one line.
pub(crate) fn as_line(row: &Row) -> String {
    let mut object = Map::new();
    object.insert("schema".to_owned(), json!(SCHEMA));
    object.extend(
        fields(row)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    json::line(&Value::Object(object))
}
