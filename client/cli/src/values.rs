//! Values and tuples as JSON; the mapping is a contract (docs/cli.md).
//!
//! nil, booleans, integers and texts are JSON's own, lists are arrays, and
//! bytes, which JSON lacks, are `{"bytes": "cafe"}`. Beside the values stands
//! the text form, which can be typed back.

use bezant_codec::hex::to_hex;
use bezant_tuple::{Tuple, Value};
use serde_json::{Map, json};

/// `{"tuple": […], "text": "(…)"}`.
pub(crate) fn tuple(tuple: &Tuple) -> Map<String, serde_json::Value> {
    let fields: Vec<serde_json::Value> = tuple.fields().iter().map(value).collect();
    let mut object = Map::new();
    object.insert("tuple".to_owned(), json!(fields));
    object.insert("text".to_owned(), json!(tuple.to_string()));
    object
}

/// Recursion is bounded by the nesting a tuple may have.
fn value(from: &Value) -> serde_json::Value {
    match from {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::Bytes(value) => json!({ "bytes": to_hex(value) }),
        Value::List(values) => values.iter().map(value).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_has_a_form() {
        let parsed: Tuple = r#"(nil, true, -1, "a\"b", 0x"cafe", [1, ["x"]])"#.parse().unwrap();
        let object = serde_json::Value::Object(tuple(&parsed));
        assert_eq!(
            object,
            json!({
                "tuple": [null, true, -1, "a\"b", { "bytes": "cafe" }, [1, ["x"]]],
                "text": r#"(nil, true, -1, "a\"b", 0x"cafe", [1, ["x"]])"#,
            })
        );
    }
}
