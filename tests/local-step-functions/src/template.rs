//! A JSON document some of whose texts are expressions: `Arguments`, `Output`, `Assign` and their kin.

use serde_json::{Map, Value};

use crate::{
    definition_error::DefinitionError,
    expression::{Expression, Recorder, Scope},
};

/// A document that is evaluated in a state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Template {
    Literal(Value),
    Expression(Box<Expression>),
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
}

/// An expression gave nothing, an error, or a value of the wrong type.
#[derive(Debug)]
pub(crate) struct EvaluationError {
    /// Where the expression stands in the state, such as `Arguments/Payload`.
    pub(crate) location: String,
    /// What happened, in the words of Step Functions.
    pub(crate) message: String,
}

/// What a text holds between `{%` and `%}`.
pub(crate) fn expression_in(text: &str) -> Option<&str> {
    text.strip_prefix("{%")?.strip_suffix("%}")
}

impl Template {
    /// Reads a document. A text that begins with `{%` must end with `%}`, and no text may hold either elsewhere.
    pub(crate) fn parse(value: &Value, location: &str) -> Result<Self, DefinitionError> {
        Ok(match value {
            Value::String(text) => match expression_in(text) {
                Some(source) => {
                    let parsed = Expression::parse(source);
                    Self::Expression(Box::new(parsed.map_err(|message| DefinitionError::new(location, message))?))
                }
                None if text.contains("{%") || text.contains("%}") => {
                    return Err(DefinitionError::new(location, "an expression must be the whole of a text"));
                }
                None => Self::Literal(value.clone()),
            },
            Value::Array(items) => {
                let item = |(index, item): (usize, &Value)| Self::parse(item, &format!("{location}[{index}]"));
                Self::Array(items.iter().enumerate().map(item).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let field = |(name, field): (&String, &Value)| {
                    Ok((name.clone(), Self::parse(field, &format!("{location}/{name}"))?))
                };
                Self::Object(fields.iter().map(field).collect::<Result<_, DefinitionError>>()?)
            }
            _ => Self::Literal(value.clone()),
        })
    }

    /// All expressions in it.
    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Expression(expression) => vec![expression],
            Self::Array(items) => items.iter().flat_map(Self::expressions).collect(),
            Self::Object(fields) => fields.iter().flat_map(|(_, field)| field.expressions()).collect(),
        }
    }

    /// The document with the values of its expressions.
    pub(crate) fn evaluate<'a>(
        &'a self,
        location: &str,
        scope: &Scope<'a>,
        recorder: Option<&Recorder>,
    ) -> Result<Value, EvaluationError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expression(expression) => evaluate(expression, location, scope, recorder),
            Self::Array(items) => {
                let item =
                    |(index, item): (usize, &'a Self)| item.evaluate(&format!("{location}[{index}]"), scope, recorder);
                items.iter().enumerate().map(item).collect()
            }
            Self::Object(fields) => {
                let mut object = Map::new();
                for (name, field) in fields {
                    object.insert(name.clone(), field.evaluate(&format!("{location}/{name}"), scope, recorder)?);
                }
                Ok(Value::Object(object))
            }
        }
    }

    /// The expression that this is, as it stands in the definition, or its text.
    pub(crate) fn source(&self) -> String {
        match self {
            Self::Expression(expression) => expression.source().to_owned(),
            Self::Literal(value) => value.to_string(),
            Self::Array(_) => "an array".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

fn evaluate<'a>(
    expression: &'a Expression,
    location: &str,
    scope: &Scope<'a>,
    recorder: Option<&Recorder>,
) -> Result<Value, EvaluationError> {
    let subject = || format!("The JSONata expression '{}' specified for the field '{location}'", expression.source());
    match expression.evaluate(scope, recorder) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(EvaluationError {
            location: location.to_owned(),
            message: format!("{} returned nothing (undefined).", subject()),
        }),
        Err(error) => Err(EvaluationError {
            location: location.to_owned(),
            message: format!("{} threw an error during evaluation. {error}", subject()),
        }),
    }
}

/// What an expression of a field must give that takes one type only.
pub(crate) fn wrong_type(template: &Template, location: &str, expected: &str, value: &Value) -> EvaluationError {
    let message = format!(
        "The JSONata expression '{}' specified for the field '{location}' returned an unexpected result type. \
         Expected '{expected}', but was: {value}",
        template.source()
    );
    EvaluationError { location: location.to_owned(), message }
}
