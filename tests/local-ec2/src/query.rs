//! The parameters of a request, as the EC2 Query protocol flattens them.

use std::{collections::BTreeMap, str::FromStr};

use crate::api_error::ApiError;

/// The parameters as sent, such as `Tag.1.Key` → `Name`, without the action and the version.
pub type Parameters = BTreeMap<String, String>;

/// Parameters still to be taken. An action takes all it knows and then calls [`Query::finish`].
#[derive(Debug)]
pub(crate) struct Query {
    /// What stands before the names, such as `Filter.1.`.
    prefix: String,
    left: Parameters,
}

impl Query {
    pub(crate) fn new(parameters: Parameters) -> Self {
        Self { prefix: String::new(), left: parameters }
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.left.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<String, ApiError> {
        match self.text(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(ApiError::missing(&self.full(name))),
        }
    }

    pub(crate) fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        self.parsed(name, |text| text.parse().ok())
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        self.parsed(name, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let refuse =
            || ApiError::invalid_value(format!("Value ({text}) for parameter {} is invalid.", self.full(name)));
        parse(&text).map(Some).ok_or_else(refuse)
    }

    /// The values of `<name>.1`, `<name>.2` …, in the order of their numbers.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let number = |key: &str| key.strip_prefix(name)?.strip_prefix('.')?.parse::<u32>().ok();
        let mut numbered: Vec<_> = self
            .left
            .extract_if(.., |key, _| number(key).is_some())
            .map(|(key, value)| (number(&key), value))
            .collect();
        numbered.sort();
        numbered.into_iter().map(|(_, value)| value).collect()
    }

    /// At least one of `<name>.1`, `<name>.2` ….
    pub(crate) fn required_list(&mut self, name: &str) -> Result<Vec<String>, ApiError> {
        let values = self.list(name);
        if values.is_empty() { Err(ApiError::missing(&self.full(name))) } else { Ok(values) }
    }

    /// The structure whose members are `<name>.<member>`.
    pub(crate) fn structure(&mut self, name: &str) -> Option<Query> {
        let prefix = format!("{name}.");
        let left: Parameters = self
            .left
            .extract_if(.., |key, _| key.starts_with(&prefix))
            .map(|(key, value)| (key[prefix.len()..].to_owned(), value))
            .collect();
        (!left.is_empty()).then(|| Query { prefix: self.full(&prefix), left })
    }

    /// The structures whose members are `<name>.1.<member>`, `<name>.2.<member>` ….
    pub(crate) fn structures(&mut self, name: &str) -> Vec<Query> {
        let Some(mut all) = self.structure(name) else { return Vec::new() };
        let index = |key: &String| key.split_once('.')?.0.parse::<u32>().ok();
        let mut indices: Vec<_> = all.left.keys().filter_map(index).collect();
        indices.sort_unstable();
        indices.dedup();
        let structures = indices.into_iter().filter_map(|index| all.structure(&index.to_string())).collect();
        // What has no number is nobody's, and finish() shall see it.
        self.left.extend(all.left.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        structures
    }

    /// Accepts parameters that change nothing here, with all their members.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        self.left.retain(|key, _| !names.contains(&key.split('.').next().unwrap_or_default()));
    }

    /// Refuses the parameters that nobody took.
    pub(crate) fn finish(&self) -> Result<(), ApiError> {
        match self.left.keys().next() {
            Some(name) => Err(ApiError::unknown(&self.full(name))),
            None => Ok(()),
        }
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(body: &str) -> Query {
        Query::new(form_urlencoded::parse(body.as_bytes()).into_owned().collect())
    }

    #[test]
    fn a_list_is_in_the_order_of_its_numbers() {
        let mut query = query("Id.10=j&Id.2=b&Id.1=a");
        assert_eq!(query.list("Id"), ["a", "b", "j"]);
        assert!(query.finish().is_ok());
    }

    #[test]
    fn structures_nest() {
        let mut query = query("Spec.1.Type=image&Spec.1.Tag.1.Key=k&Spec.1.Tag.1.Value=v");
        let mut specification = query.structures("Spec").remove(0);
        assert_eq!(specification.required("Type").unwrap(), "image");
        let mut tag = specification.structures("Tag").remove(0);
        assert_eq!(tag.required("Key").unwrap(), "k");
        assert_eq!(tag.finish().unwrap_err().message, "The parameter Spec.1.Tag.1.Value is not recognized");
    }

    #[test]
    fn a_parameter_that_nobody_takes_is_unknown() {
        let mut query = query("Spec.Type=image");
        assert!(query.structures("Spec").is_empty());
        assert_eq!(query.finish().unwrap_err(), ApiError::unknown("Spec.Type"));
    }
}
