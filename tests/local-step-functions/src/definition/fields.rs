//! A JSON object that is read field by field: what nobody has read at the end is refused.

use serde_json::{Map, Value};

use super::DefinitionError;
use crate::{limits, template::Template};

pub(super) struct Fields<'a> {
    location: String,
    /// Those not read yet.
    rest: Map<String, Value>,
    of: &'a str,
}

impl<'a> Fields<'a> {
    /// The fields of an object; `of` is what has them, for the message.
    pub(super) fn of(value: &Value, of: &'a str, location: &str) -> Result<Self, DefinitionError> {
        match value {
            Value::Object(fields) => Ok(Self { location: location.to_owned(), rest: fields.clone(), of }),
            _ => Err(DefinitionError::new(location, "must be an object")),
        }
    }

    /// Where a field stands.
    pub(super) fn at(&self, name: &str) -> String {
        if self.location.is_empty() { name.to_owned() } else { format!("{}/{name}", self.location) }
    }

    pub(super) fn error(&self, name: &str, message: impl Into<String>) -> DefinitionError {
        DefinitionError::new(self.at(name), message)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name)
    }

    pub(super) fn required(&mut self, name: &str) -> Result<Value, DefinitionError> {
        self.take(name).ok_or_else(|| self.error(name, "is missing"))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, DefinitionError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(name, "must be a string")),
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String, DefinitionError> {
        self.text(name)?.ok_or_else(|| self.error(name, "is missing"))
    }

    /// A whole number in a range.
    pub(super) fn whole(&mut self, name: &str, least: u64, most: u64) -> Result<Option<u64>, DefinitionError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
                _ => Err(self.error(name, format!("must be a whole number from {least} to {most}"))),
            },
        }
    }

    /// A list that is not empty.
    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, DefinitionError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) if !items.is_empty() => Ok(Some(items)),
            Some(_) => Err(self.error(name, "must be a list with at least one item")),
        }
    }

    pub(super) fn template(&mut self, name: &str) -> Result<Option<Template>, DefinitionError> {
        self.take(name).map(|value| Template::parse(&value, &self.at(name))).transpose()
    }

    /// A number of seconds, or an expression that gives one.
    pub(super) fn seconds(&mut self, name: &str, least: u64) -> Result<Option<Template>, DefinitionError> {
        match self.take(name) {
            None => Ok(None),
            Some(value @ Value::String(_)) => match Template::parse(&value, &self.at(name))? {
                template @ Template::Expression(_) => Ok(Some(template)),
                _ => Err(self.error(name, "must be a number or an expression")),
            },
            Some(value) => {
                self.rest.insert(name.to_owned(), value);
                Ok(self.whole(name, least, limits::SECONDS)?.map(|seconds| Template::Literal(seconds.into())))
            }
        }
    }

    /// Refuses what nobody has read.
    pub(super) fn end(self) -> Result<(), DefinitionError> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.error(name, format!("is no field of {} that is supported", self.of))),
        }
    }
}
