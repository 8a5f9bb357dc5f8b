//! The fields of a request: each is read once, and is refused by its name if it is not what it must be.

mod retain;
mod source;

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::{
    error::{Error, shown},
    model::{
        deprecation::{Deprecation, DeprecationTime, ten_years_after},
        ids::{ImageId, InstanceId},
        tags::{self, Tags},
        timeouts::{self, RequestedTimeouts},
    },
    operations::protection::Protection,
};

const NAME_LENGTHS: RangeInclusive<usize> = 3..=128;
const NAME_PUNCTUATION: &str = "()[] ./-'@_";
const MAX_DESCRIPTION: usize = 255;

/// What others put into an input: Step Functions and the CDK into that of a nested execution, editors into
/// any JSON.
const PASSED_OVER: [&str; 2] = ["AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID", "$schema"];

/// The input's fields that were not read yet, and the names of those that were asked for.
pub(super) struct Fields {
    members: Map<String, Value>,
    asked_for: Vec<&'static str>,
}

impl Fields {
    pub(super) fn of(input: &Value) -> Result<Self, Error> {
        let Value::Object(members) = input else {
            let problem = "must be an object, such as {\"name\": …, \"sourceInstanceId\": …}";
            return Err(Error::invalid("input", problem));
        };
        let mut members = members.clone();
        for field in PASSED_OVER {
            members.remove(field);
        }
        Ok(Self { members, asked_for: vec![] })
    }

    /// A field's value, null included.
    fn take(&mut self, field: &'static str) -> Option<Value> {
        self.asked_for.push(field);
        self.members.remove(field)
    }

    /// A field's value; null is as good as absent.
    fn given(&mut self, field: &'static str) -> Option<Value> {
        self.take(field).filter(|value| !value.is_null())
    }

    fn required(&mut self, field: &'static str, what: &str) -> Result<String, Error> {
        match self.given(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Error::invalid(field, format!("must be a string: {what}"))),
            None => Err(Error::invalid(field, format!("must be given: {what}"))),
        }
    }

    /// A string, or what stands for it if it is absent; empty if it is something else.
    pub(super) fn text_or(&mut self, field: &'static str, default: &str) -> String {
        match self.given(field) {
            None => default.to_owned(),
            Some(Value::String(text)) => text,
            Some(_) => String::new(),
        }
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<Option<bool>, Error> {
        match self.given(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(Error::invalid(field, "must be true or false")),
        }
    }

    pub(super) fn name(&mut self) -> Result<String, Error> {
        let name = self.required("name", "the image's name")?;
        check_name(&name)?;
        Ok(name)
    }

    pub(super) fn instance_id(&mut self) -> Result<InstanceId, Error> {
        let text = self.required("sourceInstanceId", "the id of the instance to make the image from")?;
        InstanceId::parse("sourceInstanceId", &text)
    }

    pub(super) fn image_id(&mut self) -> Result<ImageId, Error> {
        let text = self.required("imageId", "the id of the image")?;
        ImageId::parse("imageId", &text)
    }

    /// A description; null and the empty string remove it. EC2 refuses characters beyond ASCII
    /// (ModifyImageAttribute).
    pub(super) fn description(&mut self) -> Result<Option<String>, Error> {
        let is_printable = |text: &str| text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        match self.take("description") {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(String::new())),
            Some(Value::String(text)) if text.len() <= MAX_DESCRIPTION && is_printable(&text) => Ok(Some(text)),
            Some(_) => {
                let problem = format!("must be a string of at most {MAX_DESCRIPTION} printable ASCII characters");
                Err(Error::invalid("description", problem))
            }
        }
    }

    /// A deprecation time; null and the empty string remove it.
    pub(super) fn deprecation(&mut self, now: i64) -> Result<Option<Deprecation>, Error> {
        let field = "deprecationTime";
        let time = match self.take(field) {
            None => return Ok(None),
            Some(Value::Null) => return Ok(Some(Deprecation::Never)),
            Some(Value::String(text)) if text.is_empty() => return Ok(Some(Deprecation::Never)),
            Some(Value::String(text)) => DeprecationTime::parse(&text),
            Some(_) => None,
        };
        match time.filter(|time| (now..=ten_years_after(now)).contains(&time.seconds())) {
            Some(time) => Ok(Some(Deprecation::At(time))),
            None => Err(Error::invalid(
                field,
                "must be a time in RFC 3339, not in the past and at most ten years ahead, such as 2030-01-31T08:00:00Z",
            )),
        }
    }

    /// Whether an image may be deregistered.
    pub(super) fn deregistration_protection(&mut self) -> Result<Option<Protection>, Error> {
        let field = "deregistrationProtection";
        let problem = "must be disabled, enabled-without-cooldown or enabled-with-cooldown";
        let parsed = |value: Value| value.as_str().and_then(|text| text.parse().ok());
        let parsed = self.given(field).map(|value| parsed(value).ok_or_else(|| Error::invalid(field, problem)));
        parsed.transpose()
    }

    pub(super) fn tags(&mut self) -> Result<Option<Tags>, Error> {
        self.given("tags").map(|value| tags::parse("tags", &value)).transpose()
    }

    pub(super) fn timeouts(&mut self) -> Result<RequestedTimeouts, Error> {
        let mut requested = RequestedTimeouts::default();
        let members = match self.given("timeouts") {
            None => return Ok(requested),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(Error::invalid("timeouts", "must be an object, such as {\"create\": \"40m\"}")),
        };
        for (name, value) in &members {
            let field = format!("timeouts.{}", shown(name));
            let timeout = match name.as_str() {
                "create" => &mut requested.create,
                "update" => &mut requested.update,
                "delete" => &mut requested.delete,
                _ => return Err(Error::invalid(field, "is no field of timeouts, which has create, update and delete")),
            };
            if !value.is_null() {
                *timeout = Some(timeouts::parse(&field, value)?);
            }
        }
        Ok(requested)
    }

    /// Refuses a field that the action does not have.
    pub(super) fn nothing_else(&self, action: &str) -> Result<(), Error> {
        let Some(unknown) = self.members.keys().next() else { return Ok(()) };
        let problem = format!("is no field of {action}, which has {}", self.asked_for.join(", "));
        Err(Error::invalid(shown(unknown), problem))
    }
}

/// Whether an image's name may have the character.
pub(super) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || NAME_PUNCTUATION.contains(c)
}

/// Whether EC2 takes it for an image's name, or a watermark's.
fn is_name(name: &str) -> bool {
    NAME_LENGTHS.contains(&name.chars().count()) && name.chars().all(is_name_character)
}

/// Checks an image's name by EC2's rule (CreateImage, Name).
fn check_name(name: &str) -> Result<(), Error> {
    let length = name.chars().count();
    let wrong = name.chars().find(|c| !is_name_character(*c));
    if NAME_LENGTHS.contains(&length) && wrong.is_none() {
        return Ok(());
    }
    let (least, most) = (NAME_LENGTHS.start(), NAME_LENGTHS.end());
    let what = wrong.map_or_else(|| length.to_string(), |c| format!("{c:?}"));
    let name = shown(name);
    let problem = format!("must have {least} to {most} letters, digits and {NAME_PUNCTUATION}; {name} has {what}");
    Err(Error::invalid("name", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_is_shown_with_its_length() {
        let error = check_name(&"n".repeat(129)).unwrap_err().to_string();
        assert!(error.starts_with("name: must have 3 to 128") && error.ends_with("n has 129"), "{error}");
    }
}
