//! What a request keeps of a series.

use serde_json::{Map, Value};
use strum::VariantNames;

use super::{Fields, source::only};
use crate::{
    error::Error,
    model::{
        days,
        retention::{Action, Exclusions, MAX_PER_RUN, MAX_PERCENT, Retain},
        tags::{self, Tags},
    },
};

/// The largest number that is taken: more images than an account may have.
const MOST: u64 = 50_000;

/// More deletes than this have no room in the history of one execution.
const MOST_PER_RUN: u64 = 500;

const MEMBERS: [&str; 8] =
    ["count", "age", "atLeast", "maxPerRun", "maxPercentPerRun", "exclusions", "action", "quarantine"];

impl Fields {
    /// What stays; none where the request prunes nothing.
    pub(in crate::plan) fn retain(&mut self) -> Result<Option<Retain>, Error> {
        let members = match self.given("retain") {
            None => return Ok(None),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(Error::invalid("retain", "must be an object, such as {\"count\": 7}")),
        };
        only("retain", &members, &MEMBERS)?;
        let number = |name: &str, most| number(&members, name, most);
        let count = number("count", MOST)?;
        let age = given(&members, "age").map(|value| days::parse("retain.age", value)).transpose()?;
        if count.is_none() && age.is_none() {
            return Err(Error::invalid("retain", "must have count or age, or both"));
        }
        Ok(Some(Retain {
            count,
            age,
            at_least: number("atLeast", MOST)?.unwrap_or(1),
            max_per_run: number("maxPerRun", MOST_PER_RUN)?.unwrap_or(MAX_PER_RUN),
            max_percent_per_run: number("maxPercentPerRun", 100)?.unwrap_or(MAX_PERCENT),
            exclusions: exclusions(&members)?,
            action: action(&members)?,
            quarantine: quarantine(&members)?,
        }))
    }
}

fn action(members: &Map<String, Value>) -> Result<Action, Error> {
    let Some(value) = given(members, "action") else { return Ok(Action::default()) };
    let action = value.as_str().and_then(|text| text.parse().ok());
    action.ok_or_else(|| Error::invalid("retain.action", format!("must be one of {}", Action::VARIANTS.join(", "))))
}

fn quarantine(members: &Map<String, Value>) -> Result<Option<i64>, Error> {
    let field = "retain.quarantine";
    let quarantine = given(members, "quarantine").map(|value| days::parse(field, value)).transpose()?;
    match action(members)? {
        Action::Disable | Action::Deprecate if quarantine.is_some() => {
            Err(Error::invalid(field, "must be left out unless retain.action is DELETE"))
        }
        _ => Ok(quarantine),
    }
}

fn given<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

fn number(members: &Map<String, Value>, name: &str, most: u64) -> Result<Option<usize>, Error> {
    let Some(value) = given(members, name) else { return Ok(None) };
    let number = value.as_u64().filter(|number| (1..=most).contains(number)).and_then(|number| number.try_into().ok());
    let problem = || Error::invalid(format!("retain.{name}"), format!("must be a whole number from 1 to {most}"));
    number.map(Some).ok_or_else(problem)
}

fn exclusions(members: &Map<String, Value>) -> Result<Exclusions, Error> {
    let field = "retain.exclusions";
    let members = match given(members, "exclusions") {
        None => return Ok(Exclusions::default()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(Error::invalid(field, "must be an object, such as {\"lastLaunched\": \"14d\"}")),
    };
    only(field, members, &["lastLaunched", "tagMap", "shared"])?;
    let shared = match given(members, "shared") {
        None => false,
        Some(Value::Bool(shared)) => *shared,
        Some(_) => return Err(Error::invalid("retain.exclusions.shared", "must be true or false")),
    };
    let last_launched = given(members, "lastLaunched");
    let tag_map = given(members, "tagMap").map(|value| tags::parse("retain.exclusions.tagMap", value)).transpose()?;
    Ok(Exclusions {
        last_launched: last_launched.map(|value| days::parse("retain.exclusions.lastLaunched", value)).transpose()?,
        tag_map: tag_map.unwrap_or_else(Tags::new),
        shared,
    })
}
