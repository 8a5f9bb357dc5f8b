//! The evaluation of an expression.
//!
//! A value is JSON or nothing. An array that a path or a predicate has gathered is a sequence: one
//! item alone stands for itself, and none is nothing. What is gathered of sequences is flat.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    Scope,
    ast::{Field, Node, Operator, Start, Step},
    functions::{Argument, lookup, to_text},
    number,
};

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Out<'a> {
    pub(super) value: Cow<'a, Value>,
    /// Whether it is an array that was gathered.
    is_sequence: bool,
}

impl<'a> Out<'a> {
    pub(super) fn owned(value: Value) -> Self {
        Self { value: Cow::Owned(value), is_sequence: false }
    }

    fn borrowed(value: &'a Value) -> Self {
        Self { value: Cow::Borrowed(value), is_sequence: false }
    }

    /// What has been gathered.
    pub(super) fn sequence(mut items: Vec<Value>) -> Option<Self> {
        match items.len() {
            0 => None,
            1 => items.pop().map(Self::owned),
            _ => Some(Self { value: Cow::Owned(Value::Array(items)), is_sequence: true }),
        }
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }
}

pub(super) type Evaluated<'a> = Result<Option<Out<'a>>, String>;

/// Evaluates an expression in a scope.
pub(super) fn evaluate<'a>(node: &'a Node, scope: &Scope<'a>) -> Result<Option<Value>, String> {
    let mut evaluation = Evaluation { scope, bound: Vec::new() };
    let result = evaluation.node(node, None)?;
    Ok(result.map(|out| out.value.into_owned()))
}

struct Evaluation<'a, 's> {
    scope: &'s Scope<'a>,
    /// The variables that the expression has bound, the latest last.
    bound: Vec<(&'a str, Option<Out<'a>>)>,
}

impl<'a> Evaluation<'a, '_> {
    /// The value of a node; `context` is the item that a predicate is asked about.
    fn node(&mut self, node: &'a Node, context: Option<&Value>) -> Evaluated<'a> {
        Ok(match node {
            Node::Literal(value) => Some(Out::borrowed(value)),
            Node::Regex(_) => return Err("a regular expression is no value".to_owned()),
            Node::Context => context.cloned().map(Out::owned),
            Node::Variable(name) => self.variable(name),
            Node::Path(first, fields) => self.path(first, fields, context)?,
            Node::Negate(node) => match self.node(node, context)? {
                None => None,
                Some(out) => {
                    let number = out.value.as_f64().ok_or("D1002: Cannot negate a non-numeric value")?;
                    Some(Out::owned(number::to_json(-number)?))
                }
            },
            Node::Binary(operator, left, right) => self.binary(*operator, left, right, context)?,
            Node::Ternary(condition, yes, no) => match (self.is_true(condition, context)?, no) {
                (true, _) => self.node(yes, context)?,
                (false, Some(no)) => self.node(no, context)?,
                (false, None) => None,
            },
            Node::Array(items) => {
                let mut array = Vec::new();
                for (item, nested) in items {
                    match self.node(item, context)?.map(|out| out.value) {
                        None => {}
                        Some(Cow::Owned(Value::Array(values))) if !nested => array.extend(values),
                        Some(Cow::Borrowed(Value::Array(values))) if !nested => array.extend_from_slice(values),
                        Some(value) => array.push(value.into_owned()),
                    }
                }
                Some(Out::owned(Value::Array(array)))
            }
            Node::Object(fields) => Some(self.object(fields, context)?),
            Node::Block(nodes) => {
                let outside = self.bound.len();
                let mut last = None;
                for node in nodes {
                    last = self.node(node, context)?;
                }
                self.bound.truncate(outside);
                last
            }
            Node::Bind(name, node) => {
                let value = self.node(node, context)?;
                self.bound.push((name, value.clone()));
                value
            }
            Node::Call(function, nodes) => {
                let mut arguments = Vec::with_capacity(nodes.len());
                for node in nodes {
                    arguments.push(match node {
                        Node::Regex(regex) => Argument::Regex(regex),
                        node => Argument::Value(self.node(node, context)?),
                    });
                }
                function.call(&arguments)?
            }
        })
    }

    fn variable(&self, name: &str) -> Option<Out<'a>> {
        match self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            Some((_, value)) => value.clone(),
            None => self.scope.variables.get(name).map(Out::borrowed),
        }
    }

    fn path(&mut self, first: &'a Step, fields: &'a [Field], context: Option<&Value>) -> Evaluated<'a> {
        // `$states` is no value: its parts are.
        let (mut found, fields) = match (&first.node, fields.split_first()) {
            (Start::Node(Node::Variable(name)), Some((part, rest))) if name == "states" => {
                let found = self.scope.part(&part.name).map(Out::borrowed);
                (self.filter(found, &part.predicates)?, rest)
            }
            (Start::Node(node), _) => {
                let found = self.node(node, context)?;
                (self.filter(found, &first.predicates)?, fields)
            }
            (Start::Field(name), _) => {
                let found = context.and_then(|context| lookup(context, name));
                (self.filter(found, &first.predicates)?, fields)
            }
        };
        for field in fields {
            let Some(out) = found else { return Ok(None) };
            found = match out.value {
                Cow::Borrowed(Value::Object(object)) => {
                    let value = object.get(&field.name).map(Out::borrowed);
                    self.filter(value, &field.predicates)?
                }
                Cow::Owned(Value::Object(mut object)) => {
                    let value = object.remove(&field.name).map(Out::owned);
                    self.filter(value, &field.predicates)?
                }
                Cow::Borrowed(Value::Array(items)) => self.map(items, field)?,
                Cow::Owned(Value::Array(items)) => self.map(&items, field)?,
                _ => None,
            };
        }
        Ok(found)
    }

    /// A step over the items of an array: what each gives, in one flat sequence.
    fn map(&mut self, items: &[Value], field: &'a Field) -> Evaluated<'a> {
        let mut gathered = Vec::new();
        for item in items {
            let found = lookup(item, &field.name);
            if let Some(out) = self.filter(found, &field.predicates)? {
                gathered.push(out);
            }
        }
        // The only array of all is not gathered, it is found.
        if let [only] = gathered.as_slice()
            && only.value.is_array()
            && !only.is_sequence
        {
            return Ok(gathered.pop());
        }
        let mut flat = Vec::new();
        for out in gathered {
            match out.value.into_owned() {
                Value::Array(values) => flat.extend(values),
                value => flat.push(value),
            }
        }
        Ok(Out::sequence(flat))
    }

    /// What of a value the predicates leave: numbers choose items by their position, everything else by its truth.
    fn filter(&mut self, value: Option<Out<'a>>, predicates: &'a [Node]) -> Evaluated<'a> {
        let mut value = value;
        for predicate in predicates {
            let Some(out) = value else { return Ok(None) };
            let items = match out.value.into_owned() {
                Value::Array(items) => items,
                single => vec![single],
            };
            let mut left = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let chosen = match self.node(predicate, Some(item))? {
                    None => false,
                    Some(answer) => match positions(&answer.value) {
                        Some(positions) => positions.iter().any(|position| is_at(*position, index, items.len())),
                        None => truth(&answer.value),
                    },
                };
                if chosen {
                    left.push(item.clone());
                }
            }
            // An item that is an array itself is given as it is.
            value = match left.as_slice() {
                [Value::Array(_)] => left.pop().map(Out::owned),
                _ => Out::sequence(left),
            };
        }
        Ok(value)
    }

    fn object(&mut self, fields: &'a [(Node, Node)], context: Option<&Value>) -> Result<Out<'a>, String> {
        let mut object = Map::new();
        for (name, node) in fields {
            let name = match self.node(name, context)?.map(|out| out.value.into_owned()) {
                None => continue,
                Some(Value::String(name)) => name,
                Some(other) => {
                    return Err(format!("T1003: Key in object structure must evaluate to a string; got: {other}"));
                }
            };
            if let Some(out) = self.node(node, context)?
                && object.insert(name.clone(), out.value.into_owned()).is_some()
            {
                return Err(format!("D1009: Multiple key definitions evaluate to same key: {name}"));
            }
        }
        Ok(Out::owned(Value::Object(object)))
    }

    fn is_true(&mut self, node: &'a Node, context: Option<&Value>) -> Result<bool, String> {
        Ok(self.node(node, context)?.is_some_and(|out| truth(&out.value)))
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &'a Node,
        right: &'a Node,
        context: Option<&Value>,
    ) -> Evaluated<'a> {
        let boolean = |value: bool| Ok(Some(Out::owned(Value::Bool(value))));
        match operator {
            Operator::And => return boolean(self.is_true(left, context)? && self.is_true(right, context)?),
            Operator::Or => return boolean(self.is_true(left, context)? || self.is_true(right, context)?),
            _ => {}
        }
        let (left, right) = (self.node(left, context)?, self.node(right, context)?);
        let (left, right) = (left.as_ref().map(Out::value), right.as_ref().map(Out::value));
        match operator {
            Operator::Equal | Operator::NotEqual => match (left, right) {
                (Some(left), Some(right)) => boolean(equal(left, right) == (operator == Operator::Equal)),
                _ => boolean(false),
            },
            Operator::In => match (left, right) {
                (Some(left), Some(Value::Array(items))) => boolean(items.iter().any(|item| same(left, item))),
                (Some(left), Some(right)) => boolean(same(left, right)),
                _ => boolean(false),
            },
            Operator::Concatenate => {
                let text = |value: Option<&Value>| value.map_or(Ok(String::new()), to_text);
                Ok(Some(Out::owned(Value::String(text(left)? + &text(right)?))))
            }
            Operator::Less | Operator::Greater | Operator::LessOrEqual | Operator::GreaterOrEqual => {
                Ok(compare(operator, left, right)?.map(|value| Out::owned(Value::Bool(value))))
            }
            _ => Ok(calculate(operator, left, right)?.map(Out::owned)),
        }
    }
}

/// Whether a value counts as true.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(truth),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// The numbers that an answer to a predicate is or holds.
fn positions(answer: &Value) -> Option<Vec<f64>> {
    match answer {
        Value::Number(number) => number.as_f64().map(|number| vec![number]),
        Value::Array(items) if !items.is_empty() => items.iter().map(Value::as_f64).collect(),
        _ => None,
    }
}

/// Whether a position, counted from the end where it is negative, is that of an item.
fn is_at(position: f64, index: usize, length: usize) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "no array is that long")]
    let (index, length) = (index as f64, length as f64);
    let position = position.floor();
    #[expect(clippy::float_cmp, reason = "both are whole numbers")]
    let is_at = index == if position < 0.0 { position + length } else { position };
    is_at
}

/// Whether values are equal, however their numbers are written.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, value): (&String, &Value)| right.get(name).is_some_and(|right| equal(value, right));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

/// Whether `in` finds a value: arrays and objects are never the same.
fn same(left: &Value, right: &Value) -> bool {
    !left.is_array() && !left.is_object() && equal(left, right)
}

fn compare(operator: Operator, left: Option<&Value>, right: Option<&Value>) -> Result<Option<bool>, String> {
    let comparable = |value: Option<&Value>| value.is_none_or(|value| value.is_number() || value.is_string());
    if !comparable(left) || !comparable(right) {
        return Err(
            "T2010: The expressions either side of the operator must evaluate to numeric or string values".to_owned()
        );
    }
    let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => return Err("T2009: The values either side of the operator must be of the same data type".to_owned()),
    };
    Ok(order.map(|order| match operator {
        Operator::Less => order.is_lt(),
        Operator::Greater => order.is_gt(),
        Operator::LessOrEqual => order.is_le(),
        _ => order.is_ge(),
    }))
}

fn calculate(operator: Operator, left: Option<&Value>, right: Option<&Value>) -> Result<Option<Value>, String> {
    let number = |value: Option<&Value>, error: &str| match value {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| error.to_owned()),
    };
    let left = number(left, "T2001: The left side of the operator must evaluate to a number")?;
    let right = number(right, "T2002: The right side of the operator must evaluate to a number")?;
    let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
    number::to_json(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        _ => left % right,
    })
    .map(Some)
}
