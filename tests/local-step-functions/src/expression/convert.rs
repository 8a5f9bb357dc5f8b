//! Between JSON and the values of `jsonata-rs`.

use bumpalo::Bump;
use jsonata_rs::{ArrayFlags, Value as Jsonata};
use serde_json::{Map, Number, Value};

use super::needs::Need;

/// A JSON document as a value of the library. All numbers become floating-point numbers, as in JavaScript.
pub(super) fn from_json<'a>(arena: &'a Bump, value: &Value) -> &'a Jsonata<'a> {
    match value {
        Value::Null => Jsonata::null(arena),
        Value::Bool(value) => Jsonata::bool(*value),
        Value::Number(number) => Jsonata::number(arena, number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Jsonata::string(arena, text),
        Value::Array(items) => {
            let array = Jsonata::array_with_capacity(arena, items.len(), ArrayFlags::empty());
            for item in items {
                array.push(from_json(arena, item));
            }
            array
        }
        Value::Object(fields) => {
            let object = Jsonata::object_with_capacity(arena, fields.len());
            for (name, field) in fields {
                object.insert(name, from_json(arena, field));
            }
            object
        }
    }
}

/// As much of a document as is read.
pub(super) fn needed<'a>(arena: &'a Bump, value: &Value, need: &Need) -> &'a Jsonata<'a> {
    match value {
        Value::Object(fields) if !need.is_whole() => {
            let object = Jsonata::object(arena);
            for (name, need) in need.fields() {
                if let Some(field) = fields.get(name) {
                    object.insert(name, needed(arena, field, need));
                }
            }
            object
        }
        _ => from_json(arena, value),
    }
}

/// What an expression returned, as JSON; `None` for nothing. The fields of objects are sorted by name,
/// since the library orders them by hash.
pub(super) fn to_json<'a>(value: &'a Jsonata<'a>) -> Result<Option<Value>, String> {
    Ok(Some(match value {
        Jsonata::Undefined => return Ok(None),
        Jsonata::Null => Value::Null,
        Jsonata::Bool(value) => Value::Bool(*value),
        Jsonata::Number(number) => Value::Number(to_number(*number)?),
        Jsonata::String(text) => Value::String(text.as_str().to_owned()),
        Jsonata::Array(..) | Jsonata::Range(..) => {
            Value::Array(value.members().filter_map(|item| to_json(item).transpose()).collect::<Result<_, _>>()?)
        }
        Jsonata::Object(..) => {
            let mut entries: Vec<_> = value.entries().collect();
            entries.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
            let mut object = Map::new();
            for (name, field) in entries {
                if let Some(field) = to_json(field)? {
                    object.insert(name.as_str().to_owned(), field);
                }
            }
            Value::Object(object)
        }
        _ => return Err("the expression returned a function, which JSON cannot hold".to_owned()),
    }))
}

/// Whole numbers are written without a fraction, up to where floating-point numbers skip some.
fn to_number(number: f64) -> Result<Number, String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is a whole number within the range of both types")]
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Ok(Number::from(number as i64));
    }
    Number::from_f64(number).ok_or_else(|| format!("D1001: {number} is no number that JSON can hold"))
}
