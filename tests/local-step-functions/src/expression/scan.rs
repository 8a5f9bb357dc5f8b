//! Reads an expression's tokens: refuses what this crate does not vouch for, finds the variables that
//! are read, and renames the functions that are this crate's own.
//!
//! Refused are functions not listed in [`functions`](super::functions), functions as values, lambdas,
//! wildcards, parents, sorting, grouping, bindings of focus and index, chains and transforms.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Peekable,
    str::CharIndices,
};

use super::{functions, needs::Need};

/// What an expression's text tells.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) rewritten: String,
    pub(super) needs: BTreeMap<String, Need>,
    /// The variables that the expression binds itself, with `:=`.
    pub(super) bound: BTreeSet<String>,
}

/// Reads an expression.
pub(super) fn scan(source: &str) -> Result<Scanned, String> {
    let mut scanner = Scanner {
        source,
        rest: source.char_indices().peekable(),
        rewritten: String::with_capacity(source.len() + 16),
        copied: 0,
        needs: BTreeMap::new(),
        bound: BTreeSet::new(),
        after_operand: false,
    };
    scanner.run()?;
    let Scanner { rewritten, mut needs, bound, .. } = scanner;
    if bound.contains("states") {
        return Err("$states cannot be bound".to_owned());
    }
    needs.retain(|name, _| !bound.contains(name));
    Ok(Scanned { rewritten, needs, bound })
}

/// The variable and the fields of an expression such as `$states.input.run`, if it is nothing else.
pub(super) fn plain_path(source: &str) -> Option<Vec<String>> {
    let path: Vec<String> = source.strip_prefix('$')?.split('.').map(str::to_owned).collect();
    let plain = |name: &String| {
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    (path.iter().all(|name| !name.is_empty() && plain(name)) && path != ["states"]).then_some(path)
}

struct Scanner<'s> {
    source: &'s str,
    rest: Peekable<CharIndices<'s>>,
    rewritten: String,
    /// Up to where the source has been copied.
    copied: usize,
    needs: BTreeMap<String, Need>,
    bound: BTreeSet<String>,
    /// Whether a value has just ended, so that what follows is an operator.
    after_operand: bool,
}

impl<'s> Scanner<'s> {
    fn run(&mut self) -> Result<(), String> {
        while let Some((at, c)) = self.rest.next() {
            match c {
                _ if c.is_ascii_whitespace() => {}
                '"' | '\'' | '`' => {
                    self.skip_to(c, c != '`').ok_or("a text does not end")?;
                    self.after_operand = true;
                }
                '/' if self.next_is('*') => return Err("a comment is not supported".to_owned()),
                '/' if !self.after_operand => {
                    self.skip_to('/', true).ok_or("a regular expression does not end")?;
                    self.word();
                    self.after_operand = true;
                }
                '$' => self.variable_or_call(at)?,
                '0'..='9' => {
                    self.number();
                    self.after_operand = true;
                }
                'a'..='z' | 'A'..='Z' | '_' => {
                    let word = self.word();
                    let word = &self.source[at..at + 1 + word.len()];
                    if word == "function" && self.upcoming().starts_with('(') {
                        return Err("a lambda is not supported".to_owned());
                    }
                    self.after_operand = !(self.after_operand && matches!(word, "and" | "or" | "in"));
                }
                ')' | ']' | '}' => self.after_operand = true,
                '*' | '%' if !self.after_operand => return Err(format!("{c} as a step is not supported")),
                '{' if self.after_operand => return Err("grouping by {…} is not supported".to_owned()),
                '?' if self.next_is('?') || self.next_is(':') => {
                    return Err("?? and ?: are not supported".to_owned());
                }
                '(' | '[' | '{' | ',' | ';' | ':' | '?' | '=' | '!' | '<' | '>' | '+' | '-' | '*' | '/' | '%' | '&'
                | '.' => self.after_operand = false,
                _ => return Err(format!("{c} is not supported")),
            }
        }
        self.rewritten.push_str(&self.source[self.copied..]);
        Ok(())
    }

    /// After a `$`.
    fn variable_or_call(&mut self, at: usize) -> Result<(), String> {
        let name = self.word();
        if name.is_empty() {
            // The context, as in `list[$ > 1]`.
            if self.next_is('$') {
                return Err("$$ is not supported".to_owned());
            }
            self.after_operand = true;
            return Ok(());
        }
        self.after_operand = true;
        let upcoming = self.upcoming();
        let own = functions::OWN.iter().find(|(ours, _)| *ours == name);
        if upcoming.starts_with('(') {
            if let Some((_, replacement)) = own {
                self.rewritten.push_str(&self.source[self.copied..=at]);
                self.rewritten.push_str(replacement);
                self.copied = at + 1 + name.len();
            } else if !functions::LIBRARY.contains(&name) {
                return Err(format!("the function ${name} is not supported"));
            }
            return Ok(());
        }
        if own.is_some() || functions::LIBRARY.contains(&name) {
            return Err(format!("${name} as a value is not supported"));
        }
        if upcoming.starts_with(":=") {
            self.bound.insert(name.to_owned());
            return Ok(());
        }
        let path = self.path();
        if name == "states" && path.is_empty() {
            return Err("$states without a field is not supported".to_owned());
        }
        self.needs.entry(name.to_owned()).or_default().add(&path);
        Ok(())
    }

    /// The fields that follow a variable, up to the first step that is anything else.
    fn path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        loop {
            let mut ahead = self.rest.clone();
            if ahead.next().is_none_or(|(_, c)| c != '.') || ahead.peek().is_none_or(|(_, c)| !starts_word(*c)) {
                return path;
            }
            self.rest = ahead;
            path.push(self.word().to_owned());
        }
    }

    /// The letters, digits and underscores that come next.
    fn word(&mut self) -> &'s str {
        let start = self.position();
        while self.rest.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_').is_some() {}
        &self.source[start..self.position()]
    }

    /// The rest of a number. A dot belongs to it only before a digit: `1..3` is a range.
    fn number(&mut self) {
        self.word();
        let mut ahead = self.rest.clone();
        if ahead.next().is_some_and(|(_, c)| c == '.') && ahead.peek().is_some_and(|(_, c)| c.is_ascii_digit()) {
            self.rest = ahead;
            self.word();
        }
    }

    /// Skips up to and with the next such character that has no backslash before it.
    fn skip_to(&mut self, end: char, escapes: bool) -> Option<()> {
        loop {
            match self.rest.next()?.1 {
                '\\' if escapes => {
                    self.rest.next()?;
                }
                c if c == end => return Some(()),
                _ => {}
            }
        }
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.source.len(), |(at, _)| *at)
    }

    fn next_is(&mut self, c: char) -> bool {
        self.rest.peek().is_some_and(|(_, next)| *next == c)
    }

    /// The rest, without blanks at its start.
    fn upcoming(&mut self) -> &'s str {
        let position = self.position();
        self.source[position..].trim_start()
    }
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_vouched_for_is_refused() {
        for (source, reason) in [
            ("$now()", "the function $now is not supported"),
            ("$keys($states.input)", "the function $keys is not supported"),
            ("$eval('1')", "the function $eval is not supported"),
            ("$map($x, $string)", "the function $map is not supported"),
            ("$string & 'a'", "$string as a value is not supported"),
            ("function($x) { $x }", "a lambda is not supported"),
            ("$states.input.*", "* as a step is not supported"),
            ("$states.input.%", "% as a step is not supported"),
            ("$states.input^(a)", "^ is not supported"),
            ("$states.input.list{a: b}", "grouping by {…} is not supported"),
            ("$states.input.list#$i", "# is not supported"),
            ("$states.input ~> |a|{}|", "~ is not supported"),
            ("$$.a", "$$ is not supported"),
            ("$states", "$states without a field is not supported"),
            ("$merge([$states, {}])", "$states without a field is not supported"),
            ("'abc", "a text does not end"),
            ("$x ?? 1", "?? and ?: are not supported"),
        ] {
            assert_eq!(scan(source).map(|scanned| scanned.rewritten).unwrap_err(), reason, "{source}");
        }
    }

    #[test]
    fn the_fields_that_are_read_are_found() {
        let source =
            "$states.input.a.b & $x.y[$states.result.Payload.n = 1].z & '$quoted.name' & $merge([$states.input.c])";
        let needs = scan(source).unwrap().needs;
        let mut states = Need::default();
        for path in ["input.a.b", "result.Payload.n", "input.c"] {
            states.add(&path.split('.').map(str::to_owned).collect::<Vec<_>>());
        }
        let mut x = Need::default();
        x.add(&["y".to_owned()]);
        assert_eq!(needs, BTreeMap::from([("states".to_owned(), states), ("x".to_owned(), x)]));
    }

    #[test]
    fn a_variable_that_the_expression_binds_is_not_read_from_outside() {
        let source = r"( $cause := $states.input.a; $contains($cause, /^\{[\s\S]*\}$/) ? $cause : 2 / 1 )";
        let scanned = scan(source).unwrap();
        assert_eq!(scanned.needs.keys().collect::<Vec<_>>(), ["states"]);
        assert_eq!(scanned.bound.iter().collect::<Vec<_>>(), ["cause"]);
    }

    #[test]
    fn calls_of_our_own_functions_are_renamed_outside_of_texts() {
        let rewritten =
            scan("$substring('$string(1)', 1) & $string (2) & $substringAfter('a', 'b')").unwrap().rewritten;
        assert_eq!(rewritten, "$own_substring('$string(1)', 1) & $own_string (2) & $substringAfter('a', 'b')");
    }

    #[test]
    fn a_plain_path_is_told_from_other_expressions() {
        assert_eq!(plain_path("$states.input.a").unwrap(), ["states", "input", "a"]);
        for source in ["$states", "$a.b[0]", "$a()", "a.b", "$a.0", "$a & $b", "$", "$a."] {
            assert_eq!(plain_path(source), None, "{source}");
        }
    }
}
