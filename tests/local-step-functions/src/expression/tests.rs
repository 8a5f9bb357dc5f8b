//! What expressions give, and that the crate `jsonata-rs` gives the same.

use std::{collections::HashMap, sync::Mutex};

use bumpalo::Bump;
use jsonata_rs::{ArrayFlags, JsonAta};
use serde_json::json;

use super::*;

fn variables() -> BTreeMap<String, Value> {
    let table = json!({"create": {"begin": "b", "look": "l"}});
    BTreeMap::from([("x".to_owned(), json!({"y": 1})), ("table".to_owned(), table)])
}

fn input() -> Value {
    json!({
        "text": "aéz", "n": 3, "half": 1.5, "yes": true, "none": null, "empty": "", "done": 1,
        "a": {"b": [1, 2], "one": [5], "none": [], "nested": [[1, 2], [3]], "deep": {"c": "d"}},
        "list": [{"id": "p", "n": 1, "tags": ["s"]}, {"id": "q", "n": 2, "tags": ["t", "u"]}, {"id": "r"}],
        "cause": "{\"errorType\":\"Throttled\",\"errorMessage\":\"slow\"}",
    })
}

/// Evaluates with this crate.
fn evaluate(source: &str) -> Result<Option<Value>, String> {
    let (input, variables) = (input(), variables());
    let scope = Scope { input: &input, result: None, error_output: None, context: &Value::Null, variables: &variables };
    Expression::parse(source)?.evaluate(&scope, None)
}

/// Evaluates with the other implementation; the error is its code.
fn evaluate_by_other(source: &str) -> Result<Option<Value>, String> {
    let arena = Bump::new();
    let parsed = JsonAta::new(source, &arena).map_err(|error| error.code().to_owned())?;
    let (states, variables) = (json!({"input": input()}), variables());
    let mut bindings = HashMap::from([("states", &states)]);
    bindings.extend(variables.iter().map(|(name, value)| (name.as_str(), value)));
    let value = parsed.evaluate(None, Some(&bindings)).map_err(|error| error.code().to_owned())?;
    Ok((!value.is_undefined()).then(|| to_json(value)))
}

fn to_json<'a>(value: &'a jsonata_rs::Value<'a>) -> Value {
    assert!(!value.has_flags(ArrayFlags::TUPLE_STREAM));
    match value {
        jsonata_rs::Value::Number(number) => number::to_json(*number).unwrap(),
        jsonata_rs::Value::Array(..) => value.members().map(|item| to_json(item)).collect(),
        jsonata_rs::Value::Object(..) => {
            Value::Object(value.entries().map(|(name, field)| (name.to_string(), to_json(field))).collect())
        }
        other => serde_json::from_str(&other.serialize(false)).unwrap(),
    }
}

const EXPRESSIONS: &[&str] = &[
    "$states.input.n",
    "$states.input.absent",
    "$states.input.absent.more",
    "$states.input.text.more",
    "$states.input.none",
    "$states.input.none.more",
    "$states.input.a.b",
    "$states.input.a.b[0]",
    "$states.input.a.b[-1]",
    "$states.input.a.b[7]",
    "$states.input.a.b[$ > 1]",
    "$states.input.a.one",
    "$states.input.a.one[0]",
    "$states.input.a.none",
    "$states.input.a.nested",
    "$states.input.a.nested[0]",
    "$states.input.a.'deep'.`c`",
    "$states.input.list.id",
    "$states.input.list.tags",
    "$states.input.list[0].tags",
    "$states.input.list[1].tags[1]",
    "$states.input.list.tags[0]",
    "$states.input.list[n = 2].id",
    "$states.input.list[n > 0].id",
    "$states.input.list[id = 'z'].id",
    "$states.input.list[$states.input.done].id",
    "$states.input.list[$states.input.done + 5].id",
    "$states.input.text[0]",
    "$x",
    "$x.y",
    "$x[0].y",
    "$absent",
    "$lookup($table, 'create').begin",
    "$lookup($table, 'absent').begin",
    "$lookup($states.input.list, 'id')",
    "1 + 2 * 3 - 4 / 2 % 3",
    "-$states.input.n + 1",
    "-(2)",
    "$states.input.absent + 1",
    "$states.input.text + 1",
    "1 + $states.input.text",
    "-$states.input.text",
    "1 / 3",
    "$states.input.half * 2",
    "1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 3",
    "'a' < 'b'",
    "1 < $states.input.absent",
    "1 < 'a'",
    "1 < $states.input.yes",
    "1 = 1.0",
    "'1' = 1",
    "$states.input.a = {'b': [1, 2]}",
    "$states.input.a.b = [1, 2]",
    "$states.input.absent = $states.input.absent",
    "$states.input.absent != 1",
    "$states.input.n != 1",
    "$states.input.n in [1, 3]",
    "'p' in $states.input.list.id",
    "3 in $states.input.n",
    "$states.input.absent in [1]",
    "$states.input.yes and $states.input.absent",
    "$states.input.absent or 'x'",
    "$states.input.empty or $states.input.none",
    "false and $states.input.text + 1",
    "$states.input.yes ? 'yes' : 'no'",
    "$states.input.absent ? 'yes' : 'no'",
    "false ? 1",
    "$states.input.n > 2 ? $states.input.n < 5 ? 'a' : 'b' : 'c'",
    "'' & $states.input.absent & 1 & true & null & 'z'",
    "'n is ' & $states.input.half",
    "0.1 + 0.2 & ''",
    "[]",
    "[1, [2, 3], $states.input.a.b, $states.input.absent]",
    "[$states.input.list.id]",
    "{}",
    "{'a': 1, 'b': $states.input.absent, 'c': [$states.input.n]}",
    "{$states.input.text: 1}",
    "{'a': {'b': $x.y}}.a.b",
    "($y := $states.input.n; $z := $y + 1; $y * $z)",
    "($y := 1; ($y := 2; $y) + $y)",
    "($y := $z := 4; $y + $z)",
    "()",
    "$merge([$states.input.a, {'b': 3}, $states.input.absent])",
    "$merge($x)",
    "$merge($states.input.absent)",
    "$exists($states.input.none)",
    "$exists($states.input.absent)",
    "$not($states.input.a.b)",
    "$not($states.input.absent)",
    "$boolean('')",
    "$boolean([0, ''])",
    "$count($states.input.a.b)",
    "$count($states.input.absent)",
    "$count($states.input.n)",
    "$count([])",
    "$string($states.input.n)",
    "$string(true)",
    "$string('a')",
    "$string($states.input.half)",
    "$string($states.input.absent)",
    "$string([1, 'a', null, [true]])",
    "$length('aéz')",
    "$length($states.input.absent)",
    "$length(1)",
    "$substring($states.input.text, 0, 2)",
    "$substring($states.input.text, -2, 1)",
    "$substring('hello', 1)",
    "$substring('hello', -3)",
    "$substring('hello', 1, -1)",
    "$substring('hello', 1, 100)",
    "$substring($states.input.absent, 1)",
    "$substring(1, 1)",
    "$substringBefore($substringAfter($states.input.cause, 'errorMessage\":\"'), '\"}')",
    "$substringBefore('abc', 'x')",
    "$substringAfter('abc', 'x')",
    "$substringAfter($states.input.absent, 'x')",
    "$contains('abc', 'b')",
    "$contains('abc', /^a.c$/)",
    "$contains($states.input.cause, /^\\{[\\s\\S]*\\}$/)",
    "$contains($states.input.absent, 'x')",
    "$replace('a:b:c', ':', '-')",
    "$replace('a', '', '-')",
    "$replace($states.input.absent, 'a', 'b')",
    "$uppercase('aé') & $lowercase('AÉ')",
    "$assert(false, 'no')",
    "$assert(true, 'no')",
    "$join(['a', 'b'], '-')",
    "$join('a')",
    "$join([1])",
    "$max([1, 3, 2])",
    "$min([1, 3, 2])",
    "$sum([1, 3, 2])",
    "$max($states.input.absent)",
    "$max([])",
    "$max(['a'])",
    "$max(4)",
    "$append([1], 2)",
    "$append($states.input.absent, 2)",
    "$append(1, $states.input.absent)",
    "$abs(-2) + $floor(1.5) + $ceil(1.5)",
    "$floor(-1.5)",
];

#[test]
fn another_implementation_gives_the_same() {
    let mut differences = Vec::new();
    for source in EXPRESSIONS {
        let (ours, other) = (evaluate(source), evaluate_by_other(source));
        let same = match (&ours, &other) {
            (Ok(ours), Ok(other)) => ours == other,
            (Err(message), Err(code)) => message.starts_with(code.as_str()),
            _ => false,
        };
        if !same {
            differences.push(format!("{source}: {ours:?}, and by the other {other:?}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// What the other implementation gets wrong.
#[test]
fn texts_are_counted_in_characters_and_the_fields_of_objects_have_an_order() {
    assert_eq!(evaluate("$substring($states.input.text, 2)"), Ok(Some(json!("z"))));
    assert_eq!(evaluate("$substring($states.input.text, 5)"), Ok(Some(json!(""))));
    let text = json!(r#"{"c":{},"d":[1.5,"x",null]}"#);
    assert_eq!(evaluate("$string({'d': [1.5, 'x', null], 'c': {}})"), Ok(Some(text.clone())));
    assert_eq!(evaluate("'' & {'d': [1.5, 'x', null], 'c': {}}"), Ok(Some(text)));
}

#[test]
fn a_text_that_holds_json_is_parsed() {
    assert_eq!(evaluate("$parse($states.input.cause).errorType"), Ok(Some(json!("Throttled"))));
    assert_eq!(evaluate("$parse($states.input.absent)"), Ok(None));
    assert!(evaluate("$parse('{')").is_err());
}

#[test]
fn an_evaluation_is_recorded_with_no_more_than_it_reads() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorder: Recorder = {
        let seen = Arc::clone(&seen);
        Arc::new(move |evaluation| seen.lock().unwrap().push(evaluation))
    };
    let input = json!({"a": {"b": 1, "c": 2}, "d": [{"e": 3, "f": 4}]});
    let variables = BTreeMap::from([("x".to_owned(), json!(5)), ("unused".to_owned(), json!(6))]);
    let scope = Scope { input: &input, result: None, error_output: None, context: &Value::Null, variables: &variables };
    let expression = Expression::parse(" $states.input.a.b + $states.input.d[0].e + $x ").unwrap();
    assert_eq!(expression.evaluate(&scope, Some(&recorder)), Ok(Some(json!(9))));
    let expected = Evaluation {
        expression: "$states.input.a.b + $states.input.d[0].e + $x".to_owned(),
        bindings: json!({"states": {"input": {"a": {"b": 1}, "d": [{"e": 3, "f": 4}]}}, "x": 5}),
        result: Ok(Some(json!(9))),
    };
    assert_eq!(*seen.lock().unwrap(), [expected]);
}
