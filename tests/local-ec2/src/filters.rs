//! `Filter.N` of the Describe actions.

use crate::{api_error::ApiError, query::Query, tags::Tags};

/// Filters. A resource must pass each of them, and passes one by matching any of its values.
#[derive(Debug)]
pub(crate) struct Filters(Vec<Filter>);

#[derive(Debug)]
struct Filter {
    name: String,
    patterns: Vec<Pattern>,
}

/// A filter's value.
#[derive(Debug)]
enum Pattern {
    Exact(String),
    Wild(String),
}

impl Pattern {
    fn new(text: String) -> Self {
        if text.contains(['*', '?', '\\']) { Self::Wild(text) } else { Self::Exact(text) }
    }

    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => text == value,
            Self::Wild(pattern) => matches(pattern, value),
        }
    }
}

impl Filter {
    fn fits(&self, value: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.fits(value))
    }
}

impl Filters {
    /// Takes the filters; `known` are the names allowed besides those of tags.
    pub(crate) fn take(query: &mut Query, known: &[&str]) -> Result<Self, ApiError> {
        let filter = |mut filter: Query| {
            let name = filter.required("Name")?;
            let patterns = filter.list("Value").into_iter().map(Pattern::new).collect();
            filter.finish()?;
            let of_tags = name.starts_with("tag:") || matches!(name.as_str(), "tag-key" | "tag-value");
            if !of_tags && !known.contains(&name.as_str()) {
                return Err(ApiError::invalid_value(format!("The filter '{name}' is invalid")));
            }
            Ok(Filter { name, patterns })
        };
        query.structures("Filter").into_iter().map(filter).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a resource with these tags passes; `values` gives its values for a filter's name.
    pub(crate) fn admit(&self, tags: &Tags, values: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|filter| match (filter.name.as_str(), filter.name.strip_prefix("tag:")) {
            (_, Some(key)) => tags.get(key).is_some_and(|value| filter.fits(value)),
            ("tag-key", _) => tags.keys().any(|key| filter.fits(key)),
            ("tag-value", _) => tags.values().any(|value| filter.fits(value)),
            (name, _) => values(name).iter().any(|value| filter.fits(value)),
        })
    }
}

/// Whether `text` fits a pattern in which `*` stands for any text, `?` for any character, and `\`
/// before either for the character itself.
fn matches(pattern: &str, text: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = characters.as_str();
            text.char_indices().any(|(at, _)| matches(rest, &text[at..])) || matches(rest, "")
        }
        Some('?') => text.chars().next().is_some_and(|first| matches(characters.as_str(), &text[first.len_utf8()..])),
        Some(mut expected) => {
            if expected == '\\' {
                expected = characters.next().unwrap_or('\\');
            }
            text.strip_prefix(expected).is_some_and(|rest| matches(characters.as_str(), rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_any_text_and_a_question_mark_for_one_character() {
        for (pattern, text) in [("web", "web"), ("w*", "web"), ("*", ""), ("*b", "web"), ("w?b", "web"), (r"\*", "*")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("web", "web1"), ("w?b", "wb"), (r"\*", "web"), ("", "web"), ("WEB", "web")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
