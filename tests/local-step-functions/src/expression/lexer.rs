//! The tokens of JSONata.

use std::{iter::Peekable, str::CharIndices};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    /// Pattern and flags.
    Regex(String, String),
    /// A bare word, or a name in backquotes.
    Name(String),
    QuotedName(String),
    /// Without its `$`.
    Variable(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// The signs, those of two characters first.
const SIGNS: [&str; 27] = [
    ":=", "!=", "<=", ">=", "..", "~>", "**", "??", "?:", ".", "[", "]", "{", "}", "(", ")", ",", ";", ":", "?", "+",
    "-", "*", "/", "%", "=", "&",
];
const COMPARISONS: [&str; 2] = ["<", ">"];

/// Reads all tokens.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { source, rest: source.char_indices().peekable() };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next(tokens.last())? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'s> {
    source: &'s str,
    rest: Peekable<CharIndices<'s>>,
}

impl Lexer<'_> {
    fn next(&mut self, last: Option<&Token>) -> Result<Option<Token>, String> {
        while self.rest.next_if(|(_, c)| c.is_ascii_whitespace()).is_some() {}
        let Some(&(at, c)) = self.rest.peek() else { return Ok(None) };
        Ok(Some(match c {
            '"' | '\'' => Token::Text(self.text()?),
            '`' => Token::QuotedName(self.enclosed('`').ok_or("a name in backquotes does not end")?),
            '/' if !ends_operand(last) => {
                let pattern = self.enclosed('/').ok_or("a regular expression does not end")?;
                Token::Regex(pattern, self.word())
            }
            '$' => {
                self.rest.next();
                if self.rest.peek().is_some_and(|(_, c)| *c == '$') {
                    return Err("$$ is not supported".to_owned());
                }
                Token::Variable(self.word())
            }
            '0'..='9' => self.number()?,
            _ if c.is_ascii_alphabetic() || c == '_' => Token::Name(self.word()),
            _ => {
                let sign = SIGNS.into_iter().chain(COMPARISONS).find(|sign| self.source[at..].starts_with(sign));
                let sign = sign.ok_or_else(|| format!("{c} is not supported"))?;
                if sign == "/" && self.source[at..].starts_with("/*") {
                    return Err("a comment is not supported".to_owned());
                }
                for _ in sign.chars() {
                    self.rest.next();
                }
                Token::Sign(sign)
            }
        }))
    }

    /// A text in single or double quotes, with the escapes of JSON.
    fn text(&mut self) -> Result<String, String> {
        let unended = || "a text does not end".to_owned();
        let (_, quote) = self.rest.next().ok_or_else(unended)?;
        let mut text = String::new();
        loop {
            match self.rest.next().ok_or_else(unended)?.1 {
                c if c == quote => return Ok(text),
                '\\' => {
                    let (at, escaped) = self.rest.next().ok_or_else(unended)?;
                    text.push(match escaped {
                        '"' | '\\' | '/' => escaped,
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'u' => {
                            let code =
                                self.source.get(at + 1..at + 5).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                            let _ = self.rest.nth(3);
                            code.and_then(char::from_u32).ok_or("an escape \\u must be a character's four digits")?
                        }
                        // The language has no escape for a single quote.
                        other => return Err(format!("the escape \\{other} is not supported")),
                    });
                }
                c => text.push(c),
            }
        }
    }

    /// What stands up to the next such character that has no backslash before it.
    fn enclosed(&mut self, end: char) -> Option<String> {
        self.rest.next()?;
        let mut text = String::new();
        loop {
            match self.rest.next()?.1 {
                c if c == end => return Some(text),
                '\\' if end == '/' => {
                    text.push('\\');
                    text.push(self.rest.next()?.1);
                }
                c => text.push(c),
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some((_, c)) = self.rest.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_') {
            word.push(c);
        }
        word
    }

    /// As in JSON. A dot belongs to it only before a digit.
    fn number(&mut self) -> Result<Token, String> {
        let mut number = self.digits();
        let digit_after_dot = {
            let mut ahead = self.rest.clone();
            ahead.next().is_some_and(|(_, c)| c == '.') && ahead.next().is_some_and(|(_, c)| c.is_ascii_digit())
        };
        if digit_after_dot {
            self.rest.next();
            number = number + "." + &self.digits();
        }
        if self.rest.peek().is_some_and(|(_, c)| c.is_ascii_alphabetic()) {
            return Err("a number with an exponent or a letter is not supported".to_owned());
        }
        Ok(Token::Number(number.parse().map_err(|_| format!("{number} is no number"))?))
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some((_, c)) = self.rest.next_if(|(_, c)| c.is_ascii_digit()) {
            digits.push(c);
        }
        digits
    }
}

/// Whether what follows is an operator, and so a slash divides.
fn ends_operand(token: Option<&Token>) -> bool {
    match token {
        None => false,
        Some(Token::Sign(sign)) => matches!(*sign, ")" | "]" | "}"),
        Some(Token::Name(name)) => !matches!(name.as_str(), "and" | "or" | "in"),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_divides_after_a_value_and_begins_a_regular_expression_elsewhere() {
        let sign = Token::Sign;
        assert_eq!(tokens("4 / 2").unwrap(), [Token::Number(4.0), sign("/"), Token::Number(2.0)]);
        let regex = Token::Regex(r"^\{a\/".to_owned(), "i".to_owned());
        assert_eq!(tokens(r"(/^\{a\//i)").unwrap(), [sign("("), regex, sign(")")]);
    }

    #[test]
    fn texts_have_the_escapes_of_json() {
        assert_eq!(tokens(r#"'errorMessage":"'"#).unwrap(), [Token::Text("errorMessage\":\"".to_owned())]);
        assert_eq!(tokens(r#""a\n\u00e9\"""#).unwrap(), [Token::Text("a\né\"".to_owned())]);
        for source in ["'a", r"'\'", r"'\q'", r"'\u12'", "`a"] {
            assert!(tokens(source).is_err(), "{source}");
        }
    }
}
