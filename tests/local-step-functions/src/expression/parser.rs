//! From tokens to an expression, by the binding powers of JSONata's operators.
//!
//! Refused is what the machines do not use and the evaluation does not know: functions that are not in
//! [`functions`](super::functions), functions as values, lambdas, wildcards, parents, sorting, grouping,
//! chains, transforms, ranges, comments, and steps of a path that are not names.

use serde_json::Value;

use super::{
    ast::{Field, Node, Operator, Regex, Start, Step},
    functions::Function,
    lexer::{Token, tokens},
    number,
};

/// Parses an expression.
pub(super) fn parse(source: &str) -> Result<Node, String> {
    let mut tokens = tokens(source)?;
    tokens.reverse();
    let mut parser = Parser { rest: tokens };
    let node = parser.expression(0)?;
    match parser.rest.last() {
        None => Ok(node),
        Some(token) => Err(format!("{} is not expected", shown(token))),
    }
}

struct Parser {
    /// The next token is the last.
    rest: Vec<Token>,
}

impl Parser {
    /// An expression whose operators bind stronger than that.
    fn expression(&mut self, power: u8) -> Result<Node, String> {
        let mut left = self.operand()?;
        while let Some(token) = self.rest.last() {
            let (binds, operator) = match token {
                Token::Sign(sign) => (binding_power(sign), operator(sign)),
                Token::Name(word) => (binding_power(word), operator(word)),
                _ => (0, None),
            };
            if binds <= power {
                break;
            }
            let Some(token) = self.rest.pop() else { break };
            left = match (token, operator) {
                (_, Some(operator)) => Node::Binary(operator, Box::new(left), Box::new(self.expression(binds)?)),
                (Token::Sign("."), _) => self.step(left)?,
                (Token::Sign("["), _) => self.predicate(left)?,
                (Token::Sign("?"), _) => self.ternary(left)?,
                (Token::Sign(":="), _) => match left {
                    // It groups from the right.
                    Node::Variable(name) if name != "states" => Node::Bind(name, Box::new(self.expression(binds - 1)?)),
                    _ => return Err("only a variable other than $states can be bound".to_owned()),
                },
                (token, _) => return Err(format!("{} is not supported here", shown(&token))),
            };
        }
        Ok(left)
    }

    /// What can stand where no value has come before.
    fn operand(&mut self) -> Result<Node, String> {
        Ok(match self.rest.pop().ok_or("the expression ends too early")? {
            Token::Number(number) => Node::Literal(number::to_json(number)?),
            Token::Text(text) => Node::Literal(Value::String(text)),
            Token::Regex(pattern, flags) => {
                let regex = regress::Regex::with_flags(&pattern, flags.as_str());
                Node::Regex(Regex(regex.map_err(|error| format!("/{pattern}/: {error}"))?))
            }
            Token::QuotedName(name) => start(Start::Field(name)),
            Token::Name(word) => match word.as_str() {
                "true" => Node::Literal(Value::Bool(true)),
                "false" => Node::Literal(Value::Bool(false)),
                "null" => Node::Literal(Value::Null),
                "function" => return Err("a lambda is not supported".to_owned()),
                _ => start(Start::Field(word)),
            },
            Token::Variable(name) if name.is_empty() => Node::Context,
            Token::Variable(name) if self.takes("(") => {
                let arguments = self.list(")")?;
                Node::Call(Function::named(&name, arguments.len())?, arguments)
            }
            Token::Variable(name) if Function::exists(&name) => {
                return Err(format!("${name} as a value is not supported"));
            }
            Token::Variable(name) => Node::Variable(name),
            Token::Sign("-") => Node::Negate(Box::new(self.expression(70)?)),
            Token::Sign("(") => {
                let mut block = Vec::new();
                while !self.takes(")") {
                    block.push(self.expression(0)?);
                    if !self.takes(";") {
                        self.expect(")")?;
                        break;
                    }
                }
                Node::Block(block)
            }
            Token::Sign("[") => {
                let items = self.list("]")?;
                Node::Array(
                    items
                        .into_iter()
                        .map(|item| (matches!(item, Node::Array(_)), item))
                        .map(|(nested, item)| (item, nested))
                        .collect(),
                )
            }
            Token::Sign("{") => {
                let mut fields = Vec::new();
                while !self.takes("}") {
                    let name = self.expression(0)?;
                    self.expect(":")?;
                    fields.push((name, self.expression(0)?));
                    if !self.takes(",") {
                        self.expect("}")?;
                        break;
                    }
                }
                Node::Object(fields)
            }
            token => return Err(format!("{} is not supported here", shown(&token))),
        })
    }

    /// Expressions between commas.
    fn list(&mut self, end: &'static str) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        if self.takes(end) {
            return Ok(items);
        }
        loop {
            items.push(self.expression(0)?);
            if !self.takes(",") {
                self.expect(end)?;
                return Ok(items);
            }
        }
    }

    fn step(&mut self, left: Node) -> Result<Node, String> {
        let name = match self.rest.pop() {
            Some(Token::Name(word)) if !matches!(word.as_str(), "true" | "false" | "null" | "function") => word,
            Some(Token::QuotedName(name) | Token::Text(name)) => name,
            Some(token) => return Err(format!("{} as a step is not supported", shown(&token))),
            None => return Err("the expression ends too early".to_owned()),
        };
        let field = Field { name, predicates: Vec::new() };
        Ok(match left {
            Node::Path(first, mut fields) => {
                fields.push(field);
                Node::Path(first, fields)
            }
            Node::Literal(_) | Node::Regex(_) => return Err("a literal as a step is not supported".to_owned()),
            // An array that is written out is no sequence to map over at first; nothing needs it.
            Node::Array(_) => return Err("a path that starts with an array is not supported".to_owned()),
            node => Node::Path(Box::new(Step { node: Start::Node(node), predicates: Vec::new() }), vec![field]),
        })
    }

    fn predicate(&mut self, left: Node) -> Result<Node, String> {
        if self.takes("]") {
            return Err("[] is not supported".to_owned());
        }
        let predicate = self.expression(0)?;
        self.expect("]")?;
        Ok(match left {
            Node::Path(mut first, mut fields) => {
                fields.last_mut().map_or(&mut first.predicates, |field| &mut field.predicates).push(predicate);
                Node::Path(first, fields)
            }
            node => Node::Path(Box::new(Step { node: Start::Node(node), predicates: vec![predicate] }), Vec::new()),
        })
    }

    fn ternary(&mut self, condition: Node) -> Result<Node, String> {
        let yes = self.expression(0)?;
        let no = if self.takes(":") { Some(Box::new(self.expression(0)?)) } else { None };
        Ok(Node::Ternary(Box::new(condition), Box::new(yes), no))
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(self.rest.last(), Some(Token::Sign(next)) if *next == sign);
        if found {
            self.rest.pop();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(self.rest.last().map_or_else(
            || "the expression ends too early".to_owned(),
            |token| format!("{sign} is expected instead of {}", shown(token)),
        ))
    }
}

fn start(start: Start) -> Node {
    Node::Path(Box::new(Step { node: start, predicates: Vec::new() }), Vec::new())
}

/// How strongly an operator binds; 0 for what is none.
fn binding_power(sign: &str) -> u8 {
    match sign {
        "[" => 80,
        "." => 75,
        "{" => 70,
        "*" | "/" | "%" | "**" => 60,
        "+" | "-" | "&" => 50,
        "=" | "!=" | "<" | ">" | "<=" | ">=" | "in" | "~>" | "??" | "?:" => 40,
        "and" => 30,
        "or" => 25,
        "?" | ".." => 20,
        ":=" => 10,
        _ => 0,
    }
}

fn operator(sign: &str) -> Option<Operator> {
    Some(match sign {
        "+" => Operator::Add,
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "%" => Operator::Remainder,
        "=" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "<" => Operator::Less,
        ">" => Operator::Greater,
        "<=" => Operator::LessOrEqual,
        ">=" => Operator::GreaterOrEqual,
        "&" => Operator::Concatenate,
        "and" => Operator::And,
        "or" => Operator::Or,
        "in" => Operator::In,
        _ => return None,
    })
}

fn shown(token: &Token) -> String {
    match token {
        Token::Number(number) => number.to_string(),
        Token::Text(text) => format!("{text:?}"),
        Token::Regex(pattern, flags) => format!("/{pattern}/{flags}"),
        Token::Name(name) | Token::QuotedName(name) => name.clone(),
        Token::Variable(name) => format!("${name}"),
        Token::Sign(sign) => (*sign).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_refused() {
        for (source, reason) in [
            ("$now()", "the function $now is not supported"),
            ("$keys($states.input)", "the function $keys is not supported"),
            ("$eval('1')", "the function $eval is not supported"),
            ("$map($x, $string)", "$string as a value is not supported"),
            ("$substring('a')", "$substring takes 2 to 3 arguments"),
            ("$string & 'a'", "$string as a value is not supported"),
            ("function($x) { $x }", "a lambda is not supported"),
            ("$states.input.*", "* as a step is not supported"),
            ("$states.input.**", "** as a step is not supported"),
            ("$states.input.%", "% as a step is not supported"),
            ("$states.input.(a)", "( as a step is not supported"),
            ("$states.input.$string()", "$string as a step is not supported"),
            ("$states.input.list[]", "[] is not supported"),
            ("$states.input^(a)", "^ is not supported"),
            ("$states.input.list{a: b}", "{ is not supported here"),
            ("$states.input.list#$i", "# is not supported"),
            ("$states.input ~> $count()", "~> is not supported here"),
            ("[1..3]", ".. is not supported here"),
            ("$$.a", "$$ is not supported"),
            ("$x ?? 1", "?? is not supported here"),
            ("'abc", "a text does not end"),
            ("1 /* one */", "a comment is not supported"),
            ("1 +", "the expression ends too early"),
            ("(1", "the expression ends too early"),
            ("1 2", "2 is not expected"),
            ("$states.input.null", "null as a step is not supported"),
            ("$states := 1", "only a variable other than $states can be bound"),
        ] {
            assert_eq!(parse(source).unwrap_err(), reason, "{source}");
        }
    }
}
