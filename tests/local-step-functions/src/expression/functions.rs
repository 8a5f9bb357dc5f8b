//! The functions an expression may call, and those of them that are this crate's own: `$parse`, which
//! Step Functions adds to JSONata, and those that `jsonata-rs` gets wrong.

use jsonata_rs::{Error, FunctionContext, JsonAta, Result, Value};

use super::convert;

/// The functions of the library that an expression may call. None of them reads a clock, draws a random
/// number or shows the order of an object's fields.
pub(super) const LIBRARY: [&str; 24] = [
    "abs",
    "append",
    "boolean",
    "ceil",
    "contains",
    "count",
    "exists",
    "floor",
    "join",
    "length",
    "lookup",
    "lowercase",
    "max",
    "merge",
    "min",
    "not",
    "number",
    "replace",
    "round",
    "split",
    "substringAfter",
    "substringBefore",
    "sum",
    "uppercase",
];

/// This crate's own, by the name that expressions use, and the name under which the library finds them:
/// it lets nobody replace its own by name.
pub(super) const OWN: [(&str, &str); 3] =
    [("parse", "own_parse"), ("string", "own_string"), ("substring", "own_substring")];

/// Makes this crate's own functions known.
pub(super) fn register(expression: &JsonAta<'_>) {
    expression.register_function("own_parse", 1, parse);
    expression.register_function("own_string", 1, string);
    expression.register_function("own_substring", 3, substring);
}

type Arguments<'a, 'b> = &'b [&'a Value<'a>];

/// The JSON document that a text holds.
fn parse<'a>(context: FunctionContext<'a, '_>, arguments: Arguments<'a, '_>) -> Result<&'a Value<'a>> {
    match arguments {
        [Value::Undefined] => Ok(Value::undefined()),
        [Value::String(text)] => match serde_json::from_str(text) {
            Ok(document) => Ok(convert::from_json(context.arena, &document)),
            Err(error) => Err(Error::D3137Error(format!("$parse: {error}"))),
        },
        _ => Err(not_valid(&context, 1, "parse")),
    }
}

/// A value as a text. The library writes the fields of an object in the order of their hashes.
fn string<'a>(context: FunctionContext<'a, '_>, arguments: Arguments<'a, '_>) -> Result<&'a Value<'a>> {
    match arguments {
        [Value::Undefined] => Ok(Value::undefined()),
        [text @ Value::String(_)] => Ok(*text),
        [value] if value.is_function() => Ok(Value::string(context.arena, "")),
        [value @ (Value::Object(_) | Value::Array(..) | Value::Range(_))] => match convert::to_json(value) {
            Ok(json) => Ok(Value::string(context.arena, &json.unwrap_or_default().to_string())),
            Err(message) => Err(Error::D3137Error(message)),
        },
        [value] if value.is_number() && !value.is_finite() => Err(Error::D3001StringNotFinite(context.char_index)),
        [value] => Ok(Value::string(context.arena, &value.serialize(false))),
        _ => Err(not_valid(&context, 2, "string")),
    }
}

/// A part of a text, by characters. The library counts bytes where the length is left out, and panics
/// where the start lies beyond the end.
fn substring<'a>(context: FunctionContext<'a, '_>, arguments: Arguments<'a, '_>) -> Result<&'a Value<'a>> {
    let number = |index: usize| match arguments.get(index) {
        Some(Value::Number(number)) => Ok(Some(number.trunc())),
        None | Some(Value::Undefined) => Ok(None),
        Some(_) => Err(not_valid(&context, index + 1, "substring")),
    };
    let text = match arguments.first() {
        None | Some(Value::Undefined) => return Ok(Value::undefined()),
        Some(Value::String(text)) => text.as_str(),
        Some(_) => return Err(not_valid(&context, 1, "substring")),
    };
    let start = number(1)?.ok_or_else(|| not_valid(&context, 2, "substring"))?;
    let characters = text.chars().count();
    #[expect(clippy::cast_precision_loss, reason = "no text is that long")]
    let start = if start < 0.0 { (characters as f64 + start).max(0.0) } else { start };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates, as is wanted")]
    let (skipped, taken) = (start as usize, number(2)?.map_or(usize::MAX, |length| length.max(0.0) as usize));
    let part: String = text.chars().skip(skipped).take(taken).collect();
    Ok(Value::string(context.arena, &part))
}

fn not_valid(context: &FunctionContext<'_, '_>, argument: usize, function: &str) -> Error {
    Error::T0410ArgumentNotValid(context.char_index, argument, function.to_owned())
}
