//! The smallest instance of a JSON schema, as a structured output or a function's arguments. Knows
//! nothing of models; what a schema leaves open is filled with the simplest value.

use serde_json::{Map, Value, json};

/// How deep a schema is followed; below it everything is `null`, so that recursion ends.
const MOST_DEPTH: usize = 16;

/// An instance of `schema`: all properties that an object names, as few items as an array may have.
pub(crate) fn instance(schema: &Value) -> Value {
    at(schema, schema, 0)
}

fn at(root: &Value, schema: &Value, depth: usize) -> Value {
    if depth > MOST_DEPTH {
        return Value::Null;
    }
    let deeper = |schema: &Value| at(root, schema, depth + 1);
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, deeper);
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(value) = schema.get("enum").and_then(|values| values.get(0)) {
        return value.clone();
    }
    for any in ["anyOf", "oneOf", "allOf"] {
        if let Some(options) = schema.get(any).and_then(Value::as_array) {
            // An option that ends recursion, where there is one.
            let null = options.iter().find(|option| kind(option) == Some("null"));
            let option = null.filter(|_| depth > MOST_DEPTH / 2).or(options.first());
            return option.map_or(Value::Null, deeper);
        }
    }
    match kind(schema) {
        Some("string") => json!(string(schema)),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => json!(true),
        Some("array") => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
            let count = usize::try_from(least.min(1000)).unwrap_or(0);
            let item = schema.get("items").filter(|_| count > 0);
            Value::Array(vec![item.map_or(Value::Null, deeper); count])
        }
        Some("null") => Value::Null,
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members = properties.into_iter().flatten();
            Value::Object(
                members
                    .map(|(name, schema)| (name.clone(), deeper(schema)))
                    .collect::<Map<_, _>>(),
            )
        }
    }
}

/// The schema's type, the first if there are several.
fn kind(schema: &Value) -> Option<&str> {
    let kind = schema.get("type")?;
    kind.as_str().or_else(|| kind.get(0)?.as_str())
}

fn string(schema: &Value) -> String {
    let text = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-11-21T00:00:00Z",
        Some("date") => "2026-11-21",
        Some("time") => "00:00:00Z",
        Some("email") => "someone@example.com",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        Some("uri") => "https://example.com/",
        _ => "simulated",
    };
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
    let least = usize::try_from(least.min(10_000)).unwrap_or(0);
    format!("{text:x<least$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_is_there() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer", "minimum": 18},
                "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "kind": {"enum": ["a", "b"]},
                "nick": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "inner": {"$ref": "#/$defs/Inner"},
                "either": {"type": ["boolean", "null"]},
            },
            "$defs": {"Inner": {"type": "object", "properties": {"x": {"type": "number"}}}},
        });
        let expected = json!({
            "name": "simulated", "age": 18, "tags": ["simulated"], "kind": "a",
            "nick": "simulated", "inner": {"x": 1.5}, "either": true,
        });
        assert_eq!(instance(&schema), expected);
    }

    #[test]
    fn recursion_ends() {
        let schema = json!({
            "$ref": "#/$defs/Node",
            "$defs": {"Node": {"type": "object", "properties": {
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            }}},
        });
        let mut depth = 0;
        let mut node = &instance(&schema);
        while let Some(next) = node.get("next") {
            depth += 1;
            node = next;
        }
        assert!(depth > 1 && depth < MOST_DEPTH && node.is_null());
    }
}
