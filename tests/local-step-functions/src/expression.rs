//! A JSONata expression between `{%` and `%}`, as Step Functions evaluates it.
//!
//! The language is that of the crate `jsonata-rs`, less what this crate does not vouch for: an
//! expression with anything else is refused when its definition is loaded (see [`scan`]).

mod convert;
mod functions;
pub(crate) mod needs;
mod scan;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use bumpalo::Bump;
use jsonata_rs::JsonAta;
use serde_json::Value;

use self::needs::Need;

/// One evaluation, for a check against the reference implementation of JSONata: evaluated again with
/// these bindings and no input, the expression must give the same result.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The expression, without `{%` and `%}`.
    pub expression: String,
    /// An object: each variable that the expression reads, `states` among them. Of objects it has only
    /// the fields that the expression reads.
    pub bindings: Value,
    /// The value, or `None` where the expression returned nothing; or the message of the error it raised.
    pub result: Result<Option<Value>, String>,
}

/// Takes each evaluation.
pub type Recorder = Arc<dyn Fn(Evaluation) + Send + Sync>;

/// What an expression can read.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) input: &'a Value,
    pub(crate) result: Option<&'a Value>,
    pub(crate) error_output: Option<&'a Value>,
    pub(crate) context: &'a Value,
    pub(crate) variables: &'a BTreeMap<String, Value>,
}

impl<'a> Scope<'a> {
    /// A part of `$states`.
    fn part(&self, name: &str) -> Option<&'a Value> {
        match name {
            "input" => Some(self.input),
            "result" => self.result,
            "errorOutput" => self.error_output,
            "context" => Some(self.context),
            _ => None,
        }
    }
}

/// An expression that has been parsed once.
#[derive(Clone, PartialEq)]
pub(crate) struct Expression {
    source: String,
    /// The source with this crate's own functions in the place of some of the library's.
    rewritten: String,
    needs: BTreeMap<String, Need>,
    bound: BTreeSet<String>,
    /// Set where the expression is nothing but a variable and a path, such as `$states.input.run`.
    path: Option<Vec<String>>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{% {} %}}", self.source)
    }
}

impl Expression {
    /// Parses what stands between `{%` and `%}`.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let source = source.trim();
        let scanned = scan::scan(source)?;
        let arena = Bump::new();
        if let Err(error) = JsonAta::new(&scanned.rewritten, &arena) {
            return Err(error.to_string());
        }
        let path = scan::plain_path(source);
        let scan::Scanned { rewritten, needs, bound } = scanned;
        Ok(Self { source: source.to_owned(), rewritten, needs, bound, path })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The variables that it reads, `states` among them, and which of their fields.
    pub(crate) fn needs(&self) -> &BTreeMap<String, Need> {
        &self.needs
    }

    /// The variables that it binds itself.
    pub(crate) fn bound(&self) -> &BTreeSet<String> {
        &self.bound
    }

    /// Its value in a scope, or `None` where it returns nothing.
    pub(crate) fn evaluate(&self, scope: &Scope<'_>, recorder: Option<&Recorder>) -> Result<Option<Value>, String> {
        // Most expressions are paths through objects. The library takes a hundred times as long for one.
        let result = match self.path.as_deref().and_then(|path| follow(path, scope)) {
            Some(found) => Ok(found.cloned()),
            None => self.evaluate_by_library(scope),
        };
        if let Some(recorder) = recorder {
            let (expression, bindings) = (self.source.clone(), self.bindings(scope));
            recorder(Evaluation { expression, bindings, result: result.clone() });
        }
        result
    }

    fn evaluate_by_library(&self, scope: &Scope<'_>) -> Result<Option<Value>, String> {
        let arena = Bump::new();
        let parsed = JsonAta::new(&self.rewritten, &arena).map_err(|error| error.to_string())?;
        functions::register(&parsed);
        for (name, need) in &self.needs {
            if name == "states" {
                let states = jsonata_rs::Value::object(&arena);
                for (part, need) in need.fields() {
                    if let Some(value) = scope.part(part) {
                        states.insert(part, convert::needed(&arena, value, need));
                    }
                }
                parsed.assign_var("states", states);
            } else if let Some(value) = scope.variables.get(name) {
                parsed.assign_var(name, convert::needed(&arena, value, need));
            }
        }
        let value = parsed.evaluate(None, None).map_err(|error| error.to_string())?;
        convert::to_json(value)
    }

    /// What the expression reads, as an object.
    fn bindings(&self, scope: &Scope<'_>) -> Value {
        let mut bindings = serde_json::Map::new();
        for (name, need) in &self.needs {
            if name == "states" {
                let parts =
                    need.fields().filter_map(|(part, need)| Some((part.clone(), need.prune(scope.part(part)?))));
                bindings.insert(name.clone(), Value::Object(parts.collect()));
            } else if let Some(value) = scope.variables.get(name) {
                bindings.insert(name.clone(), need.prune(value));
            }
        }
        Value::Object(bindings)
    }
}

/// Follows a path through objects; `None` where it meets an array, over which JSONata maps.
fn follow<'a>(path: &[String], scope: &Scope<'a>) -> Option<Option<&'a Value>> {
    let (variable, path) = path.split_first()?;
    let (mut found, path) = if variable == "states" {
        let (part, path) = path.split_first()?;
        (scope.part(part), path)
    } else {
        (scope.variables.get(variable), path)
    };
    for field in path {
        found = match found {
            Some(Value::Object(object)) => object.get(field),
            Some(Value::Array(_)) => return None,
            _ => None,
        };
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluate(source: &str, input: &Value) -> Result<Option<Value>, String> {
        let variables = BTreeMap::from([("x".to_owned(), json!({"y": 1}))]);
        let scope = Scope { input, result: None, error_output: None, context: &Value::Null, variables: &variables };
        let expression = Expression::parse(source)?;
        let both = (expression.evaluate(&scope, None), expression.evaluate_by_library(&scope));
        assert_eq!(both.0, both.1, "{source}");
        both.0
    }

    #[test]
    fn a_path_gives_what_the_library_gives() {
        let input = json!({"a": {"b": [1, 2], "empty": [], "one": [5], "none": null, "text": "t"}, "list": [{"c": 1}, {"c": 2}]});
        for source in [
            "$states.input",
            "$states.input.a",
            "$states.input.a.b",
            "$states.input.a.empty",
            "$states.input.a.one",
            "$states.input.a.none",
            "$states.input.a.text",
            "$states.input.a.text.more",
            "$states.input.absent.more",
            "$states.input.list.c",
            "$states.result",
            "$x",
            "$x.y",
        ] {
            evaluate(source, &input).unwrap();
        }
        assert_eq!(evaluate("$states.input.list.c", &input), Ok(Some(json!([1, 2]))));
    }

    #[test]
    fn what_an_expression_returns_is_told_from_nothing_and_from_an_error() {
        let input = json!({"none": null, "text": "t"});
        assert_eq!(evaluate("$states.input.none", &input), Ok(Some(Value::Null)));
        assert_eq!(evaluate("$states.input.absent", &input), Ok(None));
        assert!(evaluate("$states.input.text + 1", &input).unwrap_err().contains("T2001"));
    }

    #[test]
    fn a_function_of_our_own_stands_in_for_one_that_counts_bytes_or_depends_on_hashing() {
        let input = json!({"text": "aéz", "object": {"b": 1, "a": [true, null, 1.5, "x"], "c": {}}});
        assert_eq!(evaluate("$substring($states.input.text, 2)", &input), Ok(Some(json!("z"))));
        assert_eq!(evaluate("$substring($states.input.text, 5)", &input), Ok(Some(json!(""))));
        assert_eq!(evaluate("$substring($states.input.text, -2, 1)", &input), Ok(Some(json!("é"))));
        assert_eq!(evaluate("$substring($states.input.text, 0, 2)", &input), Ok(Some(json!("aé"))));
        let text = json!(r#"{"a":[true,null,1.5,"x"],"b":1,"c":{}}"#);
        assert_eq!(evaluate("$string($states.input.object)", &input), Ok(Some(text)));
        assert_eq!(evaluate("$string(15)", &input), Ok(Some(json!("15"))));
        assert_eq!(evaluate(r#"$parse('{"a": [1, {"b": null}]}').a"#, &input), Ok(Some(json!([1, {"b": null}]))));
        assert!(evaluate("$parse('{')", &input).is_err());
    }

    #[test]
    fn an_evaluation_is_recorded_with_no_more_than_it_reads() {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let recorder: Recorder = {
            let seen = Arc::clone(&seen);
            Arc::new(move |evaluation| seen.lock().unwrap().push(evaluation))
        };
        let input = json!({"a": {"b": 1, "c": 2}, "d": [{"e": 3, "f": 4}]});
        let variables = BTreeMap::from([("x".to_owned(), json!(5)), ("unused".to_owned(), json!(6))]);
        let scope =
            Scope { input: &input, result: None, error_output: None, context: &Value::Null, variables: &variables };
        let expression = Expression::parse(" $states.input.a.b + $states.input.d[0].e + $x ").unwrap();
        assert_eq!(expression.evaluate(&scope, Some(&recorder)), Ok(Some(json!(9))));
        let expected = Evaluation {
            expression: "$states.input.a.b + $states.input.d[0].e + $x".to_owned(),
            bindings: json!({"states": {"input": {"a": {"b": 1}, "d": [{"e": 3, "f": 4}]}}, "x": 5}),
            result: Ok(Some(json!(9))),
        };
        assert_eq!(*seen.lock().unwrap(), [expected]);
    }
}
