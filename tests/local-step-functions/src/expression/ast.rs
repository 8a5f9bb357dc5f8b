//! What an expression is made of.

use serde_json::Value;

use super::functions::Function;

/// A part of an expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Literal(Value),
    Regex(Regex),
    /// `$name`
    Variable(String),
    /// `$`: the item that a predicate is asked about.
    Context,
    /// The first step can be anything, the others are the names of fields.
    Path(Box<Step>, Vec<Field>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Ternary(Box<Node>, Box<Node>, Option<Box<Node>>),
    /// The values, and whether each is written as an array itself.
    Array(Vec<(Node, bool)>),
    Object(Vec<(Node, Node)>),
    Block(Vec<Node>),
    Bind(String, Box<Node>),
    Call(Function, Vec<Node>),
}

/// The first step of a path, and its predicates.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) node: Start,
    pub(super) predicates: Vec<Node>,
}

/// Where a path starts.
#[derive(Clone, Debug)]
pub(super) enum Start {
    Node(Node),
    /// A field of the context.
    Field(String),
}

/// A step to a field, and its predicates.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) predicates: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    Concatenate,
    And,
    Or,
    In,
}

/// A regular expression of JavaScript.
#[derive(Clone, Debug)]
pub(super) struct Regex(pub(super) regress::Regex);

impl Node {
    /// Calls a function for this node's direct parts, and tells for each whether it stands in a predicate.
    pub(super) fn for_each_part<'a>(&'a self, visit: &mut dyn FnMut(&'a Node, bool)) {
        match self {
            Self::Literal(_) | Self::Regex(_) | Self::Variable(_) | Self::Context => {}
            Self::Path(first, fields) => {
                if let Start::Node(node) = &first.node {
                    visit(node, false);
                }
                let predicates = fields.iter().flat_map(|field| &field.predicates);
                first.predicates.iter().chain(predicates).for_each(|predicate| visit(predicate, true));
            }
            Self::Negate(node) | Self::Bind(_, node) => visit(node, false),
            Self::Binary(_, left, right) => [left, right].into_iter().for_each(|node| visit(node, false)),
            Self::Ternary(condition, yes, no) => {
                [condition, yes].into_iter().chain(no).for_each(|node| visit(node, false));
            }
            Self::Array(items) => items.iter().for_each(|(item, _)| visit(item, false)),
            Self::Object(fields) => {
                for (name, value) in fields {
                    visit(name, false);
                    visit(value, false);
                }
            }
            Self::Block(nodes) | Self::Call(_, nodes) => nodes.iter().for_each(|node| visit(node, false)),
        }
    }
}
