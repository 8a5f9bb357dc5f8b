//! Tags: a user's, a deployment's default ones, and the run tag.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    error::{Error, shown},
    run::RUN_TAG,
};

/// Tag keys with their values.
pub type Tags = BTreeMap<String, String>;

/// What begins every key of a tag that this application itself puts on.
pub const OWN_PREFIX: &str = "ami-from-instance:";

/// How many tags EC2 allows on a resource (EC2 User Guide, tag restrictions).
const MAX_TAGS: usize = 50;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

/// Whether users may neither set nor lose the tag: AWS's own and this application's.
pub fn is_reserved(key: &str) -> bool {
    key.starts_with(OWN_PREFIX) || key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Reads an object of tags that stands in `field`.
pub fn parse(field: &str, value: &Value) -> Result<Tags, Error> {
    let Value::Object(members) = value else {
        return Err(Error::invalid(field, "an object of keys and text values is allowed, such as {\"team\": \"web\"}"));
    };
    members.iter().map(|(key, value)| Ok((key.clone(), parse_tag(field, key, value)?))).collect()
}

fn parse_tag(field: &str, key: &str, value: &Value) -> Result<String, Error> {
    let field = format!("{field}.{}", shown(key));
    if key.is_empty() || key.chars().count() > MAX_KEY {
        return Err(Error::invalid(field, format!("a key of 1 to {MAX_KEY} characters is allowed")));
    }
    if is_reserved(key) {
        return Err(Error::invalid(field, format!("keys that begin with \"aws:\" or {OWN_PREFIX:?} are reserved")));
    }
    let Value::String(text) = value else {
        return Err(Error::invalid(field, "a text is allowed as the value"));
    };
    if text.chars().count() > MAX_VALUE {
        return Err(Error::invalid(field, format!("a value of at most {MAX_VALUE} characters is allowed")));
    }
    if key.chars().chain(text.chars()).any(char::is_control) {
        return Err(Error::invalid(field, "control characters are not allowed in keys and values"));
    }
    Ok(text.clone())
}

/// The user's tags over the deployment's default ones: where both have a key, the user's wins.
pub fn with_defaults(defaults: &Tags, own: &Tags) -> Result<Tags, Error> {
    let mut all = defaults.clone();
    all.extend(own.clone());
    // One place is the run tag's.
    if all.len() < MAX_TAGS {
        return Ok(all);
    }
    let allowed = MAX_TAGS - 1;
    let problem =
        format!("at most {allowed} tags are allowed, the deployment's {} default tags included", defaults.len());
    Err(Error::invalid("tags", format!("{problem}; these are {}", all.len())))
}

/// A resource's run tag among its EC2 tags.
pub fn run_of(tags: &[aws_sdk_ec2::types::Tag]) -> Option<&str> {
    tags.iter().find(|tag| tag.key() == Some(RUN_TAG)).and_then(|tag| tag.value())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_users_tag_wins_over_a_default_of_the_same_key() {
        let defaults = Tags::from([("team".into(), "platform".into()), ("env".into(), "test".into())]);
        let own = Tags::from([("team".into(), "web".into())]);
        let all = with_defaults(&defaults, &own).unwrap();
        assert_eq!(all, Tags::from([("team".into(), "web".into()), ("env".into(), "test".into())]));
    }

    #[test]
    fn forty_nine_tags_fit_beside_the_run_tag() {
        let tags = |count: usize| (0..count).map(|n| (format!("k{n}"), String::new())).collect::<Tags>();
        assert!(with_defaults(&Tags::new(), &tags(49)).is_ok());
        assert!(with_defaults(&Tags::new(), &tags(50)).unwrap_err().to_string().contains("at most 49 tags"));
    }

    #[test]
    fn each_wrong_tag_is_refused_by_its_key() {
        let long = "k".repeat(129);
        for (tags, start) in [
            (json!({"": "v"}), "tags.\"\": a key of 1 to 128"),
            (json!({long.clone(): "v"}), "tags.kkk"),
            (json!({"aws:name": "v"}), "tags.aws:name: keys that begin with"),
            (json!({"AWS:name": "v"}), "tags.AWS:name: keys that begin with"),
            (json!({"ami-from-instance:run": "v"}), "tags.ami-from-instance:run: keys that begin with"),
            (json!({"k": 1}), "tags.k: a text is allowed"),
            (json!({"k": "v".repeat(257)}), "tags.k: a value of at most 256"),
            (json!({"k\n": "v"}), "tags.k\\n: control characters"),
            (json!(["k"]), "tags: an object"),
        ] {
            let error = parse("tags", &tags).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        assert!(parse("tags", &json!({"k": "", "ключ": "значение"})).is_ok());
    }
}
