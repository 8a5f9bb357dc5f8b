//! Placeholders, such as in the name `web-{{date}}`, so that every run of a schedule makes an image of another
//! name.
//!
//! All times are the execution's start, in UTC: a retry renders the same name.

use aws_sdk_ec2::Client;
use chrono::DateTime;
use serde_json::Value;

use super::fields::is_name_character;
use crate::{
    aws::ec2,
    error::{Error, shown},
    model::{ids::InstanceId, run::Run},
};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const PLACEHOLDERS: &str = "a placeholder must be {{date}}, {{time}}, {{instanceId}}, {{instanceName}} or {{runId}}";

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Placeholder {
    Date,
    Time,
    InstanceId,
    InstanceName,
    RunId,
}

/// A piece of a name.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Placeholder(Placeholder),
}

/// The fields that may have placeholders, besides the values of `tags`.
const FIELDS: [&str; 2] = ["name", "series"];

/// What placeholders are replaced with.
struct Rendering<'a> {
    client: &'a Client,
    run: &'a Run,
    start_time: &'a str,
    /// The request's instance, which need not be an id.
    source_instance_id: String,
}

/// The request with the placeholders of its name, its series and its tags' values replaced; without one it stays as it
/// is. Length and characters are checked with the rest of the request.
pub(crate) async fn render(client: &Client, run: &Run, start_time: &str, mut request: Value) -> Result<Value, Error> {
    let Value::Object(members) = &mut request else { return Ok(request) };
    let source_instance_id = members.get("sourceInstanceId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let rendering = Rendering { client, run, start_time, source_instance_id };
    for field in FIELDS {
        if let Some(value) = members.get_mut(field) {
            rendering.render(field, value, fitting).await?;
        }
    }
    if let Some(Value::Object(tags)) = members.get_mut("tags") {
        for (key, value) in tags {
            // A tag may have what a name may not.
            rendering.render(&format!("tags.{}", shown(key)), value, str::to_owned).await?;
        }
    }
    Ok(request)
}

impl Rendering<'_> {
    /// Replaces the placeholders of a field; `fits` makes what others have named fit into it.
    async fn render(&self, field: &str, value: &mut Value, fits: fn(&str) -> String) -> Result<(), Error> {
        let Some(text) = value.as_str().filter(|text| text.contains(OPEN)) else { return Ok(()) };
        let (date, time) = date_and_time(self.start_time)?;
        let mut rendered = String::new();
        for piece in pieces(field, text)? {
            match piece {
                Piece::Text(text) => rendered.push_str(text),
                Piece::Placeholder(Placeholder::Date) => rendered.push_str(&date),
                Piece::Placeholder(Placeholder::Time) => rendered.push_str(&time),
                Piece::Placeholder(Placeholder::InstanceId) => rendered.push_str(self.instance_id(field)?.as_str()),
                Piece::Placeholder(Placeholder::InstanceName) => {
                    rendered.push_str(&fits(&instance_name(self.client, field, &self.instance_id(field)?).await?));
                }
                Piece::Placeholder(Placeholder::RunId) => rendered.push_str(&fits(self.run.name())),
            }
        }
        tracing::info!(field, rendered, "the placeholders are replaced");
        *value = Value::String(rendered);
        Ok(())
    }

    fn instance_id(&self, field: &str) -> Result<InstanceId, Error> {
        if self.source_instance_id.is_empty() && field != "name" {
            let problem = "must have no {{instanceId}} and no {{instanceName}} without a sourceInstanceId";
            return Err(Error::invalid(field, problem));
        }
        InstanceId::parse("sourceInstanceId", &self.source_instance_id)
    }
}

fn pieces<'a>(field: &str, text: &'a str) -> Result<Vec<Piece<'a>>, Error> {
    let mut pieces = vec![];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((placeholder, after)) = after.split_once(CLOSE) else {
            return Err(Error::invalid(field, format!("must have {CLOSE} after each {OPEN}; {PLACEHOLDERS}")));
        };
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Placeholder(match placeholder {
            "date" => Placeholder::Date,
            "time" => Placeholder::Time,
            "instanceId" => Placeholder::InstanceId,
            "instanceName" => Placeholder::InstanceName,
            "runId" => Placeholder::RunId,
            _ => return Err(Error::invalid(field, format!("has an unknown placeholder; {PLACEHOLDERS}"))),
        }));
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// `2026-11-23` and `08-30-05`: a name may have no colon.
fn date_and_time(start_time: &str) -> Result<(String, String), Error> {
    let start = DateTime::parse_from_rfc3339(start_time)
        .map_err(|_| Error::invalid("startTime", "must be the execution's start, in RFC 3339"))?
        .to_utc();
    Ok((start.format("%Y-%m-%d").to_string(), start.format("%H-%M-%S").to_string()))
}

async fn instance_name(client: &Client, field: &str, instance_id: &InstanceId) -> Result<String, Error> {
    let Some(instance) = ec2::instance(client, instance_id).await? else {
        return Err(Error::SourceInstanceNotFound { instance_id: instance_id.to_string() });
    };
    let name = instance.tags().iter().find(|tag| tag.key() == Some("Name")).and_then(|tag| tag.value());
    match name {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(Error::invalid(field, format!("must have no {{{{instanceName}}}}: {instance_id} has no Name tag"))),
    }
}

/// The text with a hyphen for each character that a name may not have.
fn fitting(text: &str) -> String {
    text.chars().map(|c| if is_name_character(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_and_placeholders() {
        let web = [Piece::Text("web-"), Piece::Placeholder(Placeholder::Date), Piece::Text("")];
        assert_eq!(pieces("name", "web-{{date}}").unwrap(), web);
        let two = "{{instanceId}} {{time}}";
        let count =
            |name| pieces("name", name).unwrap().iter().filter(|piece| matches!(piece, Piece::Placeholder(_))).count();
        assert_eq!(count(two), 2);
    }

    #[test]
    fn an_unknown_or_unfinished_placeholder_is_refused_with_those_there_are() {
        for (name, start) in [
            ("web-{{day}}", "name: has an unknown placeholder; a placeholder must be {{date}}"),
            ("web-{{ date }}", "name: has an unknown placeholder"),
            ("web-{{}}", "name: has an unknown placeholder"),
            ("web-{{date", "name: must have }} after each {{"),
            ("web-{{date}}-{{", "name: must have }} after each {{"),
        ] {
            let error = pieces("name", name).unwrap_err().to_string();
            assert!(error.starts_with(start), "{name}: {error}");
        }
    }

    #[test]
    fn date_and_time_are_those_of_the_start_in_utc() {
        let expected = ("2026-11-23".to_owned(), "08-30-05".to_owned());
        for start in ["2026-11-23T08:30:05Z", "2026-11-23T08:30:05.999Z", "2026-11-23T09:30:05.5+01:00"] {
            assert_eq!(date_and_time(start).unwrap(), expected, "{start}");
        }
        assert_eq!(date_and_time("today").unwrap_err().name(), "InvalidRequest");
    }

    #[test]
    fn what_a_name_may_not_have_becomes_a_hyphen() {
        assert_eq!(fitting("web #1: blue/green, ключ"), "web -1- blue/green- ----");
    }
}
