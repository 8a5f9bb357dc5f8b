//! A JSONata expression between `{%` and `%}`, as Step Functions evaluates it.
//!
//! It is the part of the language that the machines use. An expression with anything else is refused when
//! its definition is loaded (see [`parser`]). Every evaluation can be recorded and made again by the
//! reference implementation; tests make it again with another one, the crate `jsonata-rs`. That crate is
//! not used itself: it leaks memory with each evaluation, orders the fields of objects by random hashes,
//! and panics on some texts.

mod ast;
mod evaluate;
mod functions;
mod keep;
mod lexer;
pub(crate) mod needs;
mod number;
mod parser;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde_json::Value;

pub(crate) use self::keep::keeper;
use self::{ast::Node, needs::Need};

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
#[derive(Clone)]
pub(crate) struct Expression {
    source: String,
    parsed: Node,
    needs: BTreeMap<String, Need>,
    bound: BTreeSet<String>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{% {} %}}", self.source)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Expression {
    /// Parses what stands between `{%` and `%}`.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let parsed = parser::parse(source)?;
        let (needs, bound) = needs::of(&parsed)?;
        Ok(Self { source: source.trim().to_owned(), parsed, needs, bound })
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
    pub(crate) fn evaluate<'a>(
        &'a self,
        scope: &Scope<'a>,
        recorder: Option<&Recorder>,
    ) -> Result<Option<Value>, String> {
        let result = evaluate::evaluate(&self.parsed, scope);
        if let Some(recorder) = recorder {
            let (expression, bindings) = (self.source.clone(), self.bindings(scope));
            recorder(Evaluation { expression, bindings, result: result.clone() });
        }
        result
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

#[cfg(test)]
mod tests;
