//! Tags: a user's, a deployment's default ones, and the run tag.

use std::collections::BTreeMap;

use serde_json::Value;

use super::run::RUN_TAG;
use crate::error::{Error, shown};

/// Tag keys with their values.
pub type Tags = BTreeMap<String, String>;

/// The tag that says among which images an image counts.
pub const SERIES_TAG: &str = "ami-from-instance:series";

/// What begins every key of a tag that this application itself puts on.
pub const OWN_PREFIX: &str = "ami-from-instance:";

/// How many tags EC2 allows on a resource (EC2 User Guide, tag restrictions), but for the run's and the series'.
const MAX_TAGS: usize = MOST_TAGS - 2;
/// How many tags EC2 allows on a resource; those of AWS itself do not count.
pub(crate) const MOST_TAGS: usize = 50;
const MAX_KEY: usize = 128;
/// How many characters a tag's value may have.
pub(crate) const MAX_VALUE: usize = 256;

/// Whether users may neither set nor lose the tag: AWS's own and this application's.
pub fn is_reserved(key: &str) -> bool {
    key.starts_with(OWN_PREFIX) || key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Reads an object of tags that stands in `field`.
pub fn parse(field: &str, value: &Value) -> Result<Tags, Error> {
    let Value::Object(members) = value else {
        return Err(Error::invalid(field, "must be an object of keys and string values, such as {\"team\": \"web\"}"));
    };
    if members.len() > MAX_TAGS {
        return Err(Error::invalid(field, format!("must be at most {MAX_TAGS}; these are {}", members.len())));
    }
    members.iter().map(|(key, value)| Ok((key.clone(), parse_tag(field, key, value)?))).collect()
}

fn parse_tag(field: &str, key: &str, value: &Value) -> Result<String, Error> {
    let field = format!("{field}.{}", shown(key));
    if key.is_empty() || key.chars().count() > MAX_KEY {
        return Err(Error::invalid(field, format!("must have a key of 1 to {MAX_KEY} characters")));
    }
    if is_reserved(key) {
        return Err(Error::invalid(
            field,
            format!("must have a key that does not begin with \"aws:\" or {OWN_PREFIX:?}, which are reserved"),
        ));
    }
    let Value::String(text) = value else {
        return Err(Error::invalid(field, "must be a string"));
    };
    if text.chars().count() > MAX_VALUE {
        return Err(Error::invalid(field, format!("must have at most {MAX_VALUE} characters")));
    }
    if key.chars().chain(text.chars()).any(char::is_control) {
        return Err(Error::invalid(field, "must have no control character in key and value"));
    }
    Ok(text.clone())
}

/// The user's tags over those that are copied from the instance, and these over the deployment's default ones:
/// where two have a key, the first wins.
///
/// # Errors
///
/// `InvalidRequest` where they are more than EC2 allows, naming what the user can make less.
pub fn merged(defaults: &Tags, copied: Option<&Tags>, own: &Tags) -> Result<Tags, Error> {
    let all: Tags = defaults.iter().chain(copied.into_iter().flatten()).chain(own).map(owned).collect();
    if all.len() <= MAX_TAGS {
        return Ok(all);
    }
    let sum = format!("{} tags, {} default tags of the stack among them", all.len(), defaults.len());
    Err(match copied {
        None => Error::invalid("tags", format!("must be at most {MAX_TAGS}; with the rest there are {sum}")),
        Some(copied) => {
            let problem = format!("must leave out some of the instance's {} tags: there are {sum}", copied.len());
            Error::invalid("copyTags.exclude", format!("{problem}, and at most {MAX_TAGS} are possible"))
        }
    })
}

fn owned((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// What EC2 shows of a resource's tags.
pub(crate) fn shown_by_ec2(tags: &[aws_sdk_ec2::types::Tag]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

/// A resource's run tag among its EC2 tags.
pub fn run_of(tags: &[aws_sdk_ec2::types::Tag]) -> Option<&str> {
    tags.iter().find(|tag| tag.key() == Some(RUN_TAG)).and_then(|tag| tag.value())
}

/// Among which images an image with these tags counts.
pub fn series_of(tags: &[aws_sdk_ec2::types::Tag]) -> Option<&str> {
    tags.iter().find(|tag| tag.key() == Some(SERIES_TAG)).and_then(|tag| tag.value())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_users_tag_wins_over_a_default_of_the_same_key() {
        let defaults = Tags::from([("team".into(), "platform".into()), ("env".into(), "test".into())]);
        let own = Tags::from([("team".into(), "web".into())]);
        let all = merged(&defaults, None, &own).unwrap();
        assert_eq!(all, Tags::from([("team".into(), "web".into()), ("env".into(), "test".into())]));
    }

    #[test]
    fn a_copied_tag_wins_over_a_default_one_and_a_users_over_both() {
        let tags = |value: &str, keys: &[&str]| keys.iter().map(|key| ((*key).into(), value.into())).collect::<Tags>();
        let (defaults, copied, own) =
            (tags("d", &["a", "b", "c"]), tags("i", &["b", "c", "e"]), tags("r", &["c", "f"]));
        let all = merged(&defaults, Some(&copied), &own).unwrap();
        let values: Vec<_> = all.iter().map(|(key, value)| format!("{key}{value}")).collect();
        assert_eq!(values.join(" "), "ad bi cr ei fr");
    }

    #[test]
    fn forty_eight_tags_fit_beside_those_of_run_and_series() {
        let tags = |count: usize| (0..count).map(|n| (format!("k{n}"), String::new())).collect::<Tags>();
        let none = Tags::new();
        assert!(merged(&none, None, &tags(48)).is_ok());
        let (one, too_many) = (tags(1), tags(49));
        let refusal = |copied, own| merged(&none, copied, own).unwrap_err().to_string();
        assert!(refusal(None, &too_many).starts_with("tags: must be at most 48"));
        let error = refusal(Some(&too_many), &one);
        assert!(error.starts_with("copyTags.exclude: must leave out some of the instance's 49 tags"), "{error}");
    }

    #[test]
    fn each_wrong_tag_is_refused_by_its_key() {
        let long = "k".repeat(129);
        for (tags, start) in [
            (json!({"": "v"}), "tags.\"\": must have a key of 1 to 128"),
            (json!({long.clone(): "v"}), "tags.kkk"),
            (json!({"aws:name": "v"}), "tags.aws:name: must have a key that"),
            (json!({"AWS:name": "v"}), "tags.AWS:name: must have a key that"),
            (json!({"ami-from-instance:run": "v"}), "tags.ami-from-instance:run: must have a key that"),
            (json!({"k": 1}), "tags.k: must be a string"),
            (json!({"k": "v".repeat(257)}), "tags.k: must have at most 256"),
            (json!({"k\n": "v"}), "tags.k\\n: must have no control"),
            (json!(["k"]), "tags: must be an object"),
            ((0..49).map(|n| (format!("k{n}"), json!(""))).collect(), "tags: must be at most 48; these are 49"),
        ] {
            let error = parse("tags", &tags).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        assert!(parse("tags", &json!({"k": "", "ключ": "значение"})).is_ok());
    }
}
