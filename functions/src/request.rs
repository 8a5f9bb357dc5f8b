//! A user's request: the input of the lifecycle machine.
//!
//! It is read by hand, field by field, so that every error names its field and what is allowed
//! there, and so that an update can tell an absent field from a null one.

use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat};
use serde_json::{Map, Value};

use crate::{
    error::{Error, shown},
    ids::{ImageId, InstanceId},
    limits::{self, Timeouts},
    tags::{self, Tags},
};

/// The longest deprecation lead EC2 accepts: ten years, in seconds (EnableImageDeprecation).
const TEN_YEARS: i64 = 10 * 365 * 24 * 3600;
const NAME_LENGTHS: std::ops::RangeInclusive<usize> = 3..=128;
const NAME_PUNCTUATION: &str = "()[] ./-'@_";
const MAX_DESCRIPTION: usize = 255;

/// What a user asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What to do.
    pub action: Action,
    /// How long it may take, where the user says so.
    pub timeouts: Timeouts,
}

/// The actions with their arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make an image.
    Create(Create),
    /// Change an image.
    Update(Update),
    /// Remove an image and its snapshots.
    Delete(Delete),
    /// Make an image and remove an older one.
    Replace(Create, Delete),
}

/// What an image is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// The image's name, unique in the Region.
    pub name: String,
    /// The instance it is made from.
    pub source_instance_id: InstanceId,
    /// Whether the instance goes on running, with a crash-consistent image.
    pub snapshot_without_reboot: bool,
    /// The image's description.
    pub description: Option<String>,
    /// When the image is to be deprecated.
    pub deprecation_time: Option<DeprecationTime>,
    /// The user's tags.
    pub tags: Tags,
}

/// What changes about an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The image.
    pub image_id: ImageId,
    /// Its new description; empty to remove it.
    pub description: Option<String>,
    /// Its new deprecation time.
    pub deprecation_time: Option<Deprecation>,
    /// All the user's tags it is to have.
    pub tags: Option<Tags>,
}

/// Which image goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// The image.
    pub image_id: ImageId,
    /// For an image that no run made: whether its snapshots go with it.
    pub manage_ebs_snapshots: Option<bool>,
}

/// What an update does to the deprecation time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deprecation {
    /// Removes it.
    Never,
    /// Sets it.
    At(DeprecationTime),
}

/// A moment in seconds since 1970, rounded to the minute as EC2 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeprecationTime(i64);

impl DeprecationTime {
    /// Reads RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        let time = DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok()?;
        Some(Self((time.secs() + 30).div_euclid(60) * 60))
    }

    /// For the EC2 client.
    pub fn to_date_time(self) -> DateTime {
        DateTime::from_secs(self.0)
    }
}

impl Request {
    /// Checks the whole input; `now` is seconds since 1970, for the deprecation time. Without
    /// `now` a deprecation time that has passed meanwhile is let through.
    pub fn parse(input: &Value, now: Option<i64>) -> Result<Self, Error> {
        let Value::Object(members) = input else {
            return Err(Error::invalid(
                "input",
                "an object is allowed, such as {\"name\": …, \"sourceInstanceId\": …}",
            ));
        };
        let mut fields = Fields { members: members.clone(), now, allowed: vec![] };
        let action = match fields.take("action") {
            None => "create".to_owned(),
            Some(Value::String(action)) => action,
            Some(_) => String::new(),
        };
        let request = match action.as_str() {
            "create" => Action::Create(fields.create()?),
            "update" => Action::Update(fields.update()?),
            "delete" => Action::Delete(fields.delete()?),
            "replace" => {
                let delete = fields.delete()?;
                Action::Replace(fields.create()?, delete)
            }
            _ => return Err(Error::invalid("action", "create, update, delete or replace is allowed")),
        };
        let timeouts = fields.timeouts()?;
        fields.nothing_else(&action)?;
        Ok(Self { action: request, timeouts })
    }

    /// What a create, or the create of a replace, is made of.
    pub fn into_create(self) -> Result<Create, Error> {
        match self.action {
            Action::Create(create) | Action::Replace(create, _) => Ok(create),
            _ => Err(Error::invalid("action", "create or replace is allowed here")),
        }
    }

    /// Which image a delete, or the delete of a replace, removes.
    pub fn into_delete(self) -> Result<Delete, Error> {
        match self.action {
            Action::Delete(delete) | Action::Replace(_, delete) => Ok(delete),
            _ => Err(Error::invalid("action", "delete or replace is allowed here")),
        }
    }
}

/// The input's fields that were not read yet, and the names of those that were asked for.
struct Fields {
    members: Map<String, Value>,
    now: Option<i64>,
    allowed: Vec<&'static str>,
}

impl Fields {
    fn take(&mut self, field: &'static str) -> Option<Value> {
        self.allowed.push(field);
        self.members.remove(field)
    }

    fn required_text(&mut self, field: &'static str, what: &str) -> Result<String, Error> {
        match self.take(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Error::invalid(field, format!("a text is allowed: {what}"))),
            None => Err(Error::invalid(field, format!("this field is required: {what}"))),
        }
    }

    fn optional_flag(&mut self, field: &'static str) -> Result<Option<bool>, Error> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(Error::invalid(field, "true or false is allowed")),
        }
    }

    fn create(&mut self) -> Result<Create, Error> {
        let name = self.required_text("name", "the image's name")?;
        check_name(&name)?;
        let instance = self.required_text("sourceInstanceId", "the id of the instance to make the image from")?;
        Ok(Create {
            name,
            source_instance_id: InstanceId::parse("sourceInstanceId", &instance)?,
            snapshot_without_reboot: self.optional_flag("snapshotWithoutReboot")?.unwrap_or_default(),
            description: self.description()?.filter(|text| !text.is_empty()),
            deprecation_time: match self.deprecation()? {
                Some(Deprecation::At(time)) => Some(time),
                Some(Deprecation::Never) | None => None,
            },
            tags: self.tags()?.unwrap_or_default(),
        })
    }

    fn update(&mut self) -> Result<Update, Error> {
        let update = Update {
            image_id: self.image_id()?,
            description: self.description()?,
            deprecation_time: self.deprecation()?,
            tags: self.tags()?,
        };
        if update.description.is_none() && update.deprecation_time.is_none() && update.tags.is_none() {
            return Err(Error::invalid(
                "description, deprecationTime, tags",
                "at least one of these is required to update",
            ));
        }
        Ok(update)
    }

    fn delete(&mut self) -> Result<Delete, Error> {
        let manage_ebs_snapshots = self.optional_flag("manageEbsSnapshots")?;
        Ok(Delete { image_id: self.image_id()?, manage_ebs_snapshots })
    }

    fn image_id(&mut self) -> Result<ImageId, Error> {
        let text = self.required_text("imageId", "the id of the image")?;
        ImageId::parse("imageId", &text)
    }

    fn description(&mut self) -> Result<Option<String>, Error> {
        match self.take("description") {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(String::new())),
            Some(Value::String(text))
                if text.chars().count() <= MAX_DESCRIPTION && !text.chars().any(char::is_control) =>
            {
                Ok(Some(text))
            }
            Some(_) => {
                let problem =
                    format!("a text of at most {MAX_DESCRIPTION} characters without control characters is allowed");
                Err(Error::invalid("description", problem))
            }
        }
    }

    fn deprecation(&mut self) -> Result<Option<Deprecation>, Error> {
        let field = "deprecationTime";
        let problem = "a moment in RFC 3339 is allowed, not in the past and at most ten years ahead, such as 2030-01-31T08:00:00Z";
        let time = match self.take(field) {
            None => return Ok(None),
            Some(Value::Null) => return Ok(Some(Deprecation::Never)),
            Some(Value::String(text)) if text.is_empty() => return Ok(Some(Deprecation::Never)),
            Some(Value::String(text)) => DeprecationTime::parse(&text),
            Some(_) => None,
        };
        let acceptable = |time: &DeprecationTime| self.now.is_none_or(|now| (now..=now + TEN_YEARS).contains(&time.0));
        match time.filter(acceptable) {
            Some(time) => Ok(Some(Deprecation::At(time))),
            None => Err(Error::invalid(field, problem)),
        }
    }

    fn tags(&mut self) -> Result<Option<Tags>, Error> {
        self.take("tags").map(|value| tags::parse("tags", &value)).transpose()
    }

    fn timeouts(&mut self) -> Result<Timeouts, Error> {
        let mut timeouts = Timeouts::default();
        let members = match self.take("timeouts") {
            None => return Ok(timeouts),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(Error::invalid("timeouts", "an object is allowed, such as {\"create\": \"40m\"}")),
        };
        for (name, value) in &members {
            let limit = match name.as_str() {
                "create" => &mut timeouts.create,
                "update" => &mut timeouts.update,
                "delete" => &mut timeouts.delete,
                _ => {
                    return Err(Error::invalid(
                        format!("timeouts.{}", shown(name)),
                        "create, update and delete are allowed",
                    ));
                }
            };
            *limit = Some(limits::parse(&format!("timeouts.{name}"), value)?);
        }
        Ok(timeouts)
    }

    fn nothing_else(&self, action: &str) -> Result<(), Error> {
        let Some(unknown) = self.members.keys().next() else { return Ok(()) };
        let problem = format!("unknown field; {action} allows {}", self.allowed.join(", "));
        Err(Error::invalid(shown(unknown), problem))
    }
}

/// Whether an image's name may have the character.
pub(crate) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || NAME_PUNCTUATION.contains(c)
}

/// Checks an image's name by EC2's rule (CreateImage, Name).
pub fn check_name(name: &str) -> Result<(), Error> {
    if NAME_LENGTHS.contains(&name.chars().count()) && name.chars().all(is_name_character) {
        return Ok(());
    }
    let (least, most) = (NAME_LENGTHS.start(), NAME_LENGTHS.end());
    Err(Error::invalid("name", format!("{least} to {most} letters, digits and {NAME_PUNCTUATION} are allowed")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn refusal(input: Value) -> String {
        Request::parse(&input, Some(NOW)).unwrap_err().to_string()
    }

    fn create(extra: Value) -> Value {
        let mut input = json!({"name": "web-1", "sourceInstanceId": "i-0123456789abcdef0"});
        if let (Some(input), Value::Object(extra)) = (input.as_object_mut(), extra) {
            input.extend(extra);
        }
        input
    }

    #[test]
    fn a_name_and_an_instance_are_enough() {
        let request = Request::parse(&create(json!({})), Some(NOW)).unwrap();
        assert_eq!(request.timeouts, Timeouts::default());
        let create = request.into_create().unwrap();
        assert!(!create.snapshot_without_reboot);
        assert_eq!((create.description, create.deprecation_time, create.tags), (None, None, Tags::new()));
    }

    #[test]
    fn each_wrong_field_is_refused_by_its_name() {
        for (input, start) in [
            (json!([]), "input: an object"),
            (json!({}), "name: this field is required"),
            (json!({"name": "web"}), "sourceInstanceId: this field is required"),
            (create(json!({"name": 1})), "name: a text"),
            (create(json!({"name": "ab"})), "name: 3 to 128"),
            (create(json!({"name": "web!"})), "name: 3 to 128"),
            (create(json!({"name": "n".repeat(129)})), "name: 3 to 128"),
            (create(json!({"sourceInstanceId": "ami-0123456789abcdef0"})), "sourceInstanceId: i-"),
            (create(json!({"snapshotWithoutReboot": "true"})), "snapshotWithoutReboot: true or false"),
            (
                create(json!({"snapshotWithoutReboots": true})),
                "snapshotWithoutReboots: unknown field; create allows action, name",
            ),
            (create(json!({"imageId": "ami-0123456789abcdef0"})), "imageId: unknown field"),
            (create(json!({"": 1})), "\"\": unknown field"),
            (create(json!({"description": "d".repeat(256)})), "description: a text of at most 255"),
            (create(json!({"deprecationTime": "tomorrow"})), "deprecationTime: a moment"),
            (create(json!({"deprecationTime": "2020-01-01T00:00:00Z"})), "deprecationTime: a moment"),
            (create(json!({"deprecationTime": "2099-01-01T00:00:00Z"})), "deprecationTime: a moment"),
            (create(json!({"timeouts": {"destroy": "1h"}})), "timeouts.destroy: create, update and delete"),
            (create(json!({"timeouts": {"create": "1 fortnight"}})), "timeouts.create: from one minute"),
            (create(json!({"action": "destroy"})), "action: create, update, delete or replace"),
            (create(json!({"action": null})), "action: create, update, delete or replace"),
            (json!({"action": "update"}), "imageId: this field is required"),
            (
                json!({"action": "update", "imageId": "ami-0123456789abcdef0"}),
                "description, deprecationTime, tags: at least one",
            ),
            (json!({"action": "delete", "imageId": "snap-0123456789abcdef0"}), "imageId: ami-"),
        ] {
            let error = refusal(input);
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn every_character_ec2_allows_in_a_name_is_allowed() {
        for name in ["abc", "a()[] ./-'@_Z9", &"n".repeat(128)] {
            assert!(Request::parse(&create(json!({"name": name})), Some(NOW)).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_update_tells_absent_from_null() {
        let update = |extra: Value| {
            let mut input = json!({"action": "update", "imageId": "ami-0123456789abcdef0", "tags": {}});
            if let (Some(input), Value::Object(extra)) = (input.as_object_mut(), extra) {
                input.extend(extra);
            }
            match Request::parse(&input, Some(NOW)).unwrap().action {
                Action::Update(update) => update,
                other => panic!("{other:?}"),
            }
        };
        let absent = update(json!({}));
        assert_eq!((absent.description, absent.deprecation_time), (None, None));
        let null = update(json!({"description": null, "deprecationTime": null}));
        assert_eq!((null.description, null.deprecation_time), (Some(String::new()), Some(Deprecation::Never)));
    }

    #[test]
    fn a_deprecation_time_is_rounded_to_the_minute() {
        let of = |text| DeprecationTime::parse(text);
        assert_eq!(of("2030-01-31T08:00:29Z"), of("2030-01-31T09:00:00+01:00"));
        assert_eq!(of("2030-01-31T08:00:31Z"), of("2030-01-31T08:01:00Z"));
    }
}
