//! Tags.

use std::collections::BTreeMap;

use crate::{api_error::ApiError, query::Query, xml::Xml};

/// The tags of one resource.
pub type Tags = BTreeMap<String, String>;

/// No tags.
pub(crate) static NONE: Tags = Tags::new();

const MOST: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// Writes the tags as `tagSet`.
pub(crate) fn write(xml: &mut Xml, tags: &Tags) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key);
        xml.text("value", value);
    });
}

fn check(key: &str, value: &str) -> Result<(), ApiError> {
    let problem = if key.is_empty() {
        "Tag key cannot be empty.".to_owned()
    } else if key.to_ascii_lowercase().starts_with("aws:") {
        format!("Tag keys starting with 'aws:' are reserved for internal use: {key}")
    } else if key.chars().count() > LONGEST_KEY {
        format!("Tag key exceeds the maximum length of {LONGEST_KEY} characters")
    } else if value.chars().count() > LONGEST_VALUE {
        format!("Tag value exceeds the maximum length of {LONGEST_VALUE} characters")
    } else {
        return Ok(());
    };
    Err(ApiError::invalid_value(problem))
}

/// Refuses more tags than a resource may have.
pub(crate) fn check_number(tags: usize) -> Result<(), ApiError> {
    if tags <= MOST {
        return Ok(());
    }
    Err(ApiError::new("TagLimitExceeded", format!("The maximum number of Tags for a resource is {MOST}.")))
}

/// Takes `Tag.N`.
pub(crate) fn take_tags(query: &mut Query) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for mut tag in query.structures("Tag") {
        let (key, value) = (tag.text("Key").unwrap_or_default(), tag.text("Value").unwrap_or_default());
        tag.finish()?;
        check(&key, &value)?;
        if tags.insert(key.clone(), value).is_some() {
            return Err(ApiError::invalid_value(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    check_number(tags.len())?;
    Ok(tags)
}

/// Takes `TagSpecification.N`: the tags for each type of resource, which must be one of `allowed`.
pub(crate) fn take_specifications(query: &mut Query, allowed: &[&str]) -> Result<BTreeMap<String, Tags>, ApiError> {
    let mut specifications = BTreeMap::new();
    for mut specification in query.structures("TagSpecification") {
        let resource_type = specification.required("ResourceType")?;
        let tags = take_tags(&mut specification)?;
        specification.finish()?;
        if !allowed.contains(&resource_type.as_str()) {
            let problem = format!("'{resource_type}' is not a valid taggable resource type for this operation.");
            return Err(ApiError::invalid_value(problem));
        }
        if specifications.insert(resource_type.clone(), tags).is_some() {
            let problem = format!("The same resource type may not be specified more than once: {resource_type}");
            return Err(ApiError::invalid_value(problem));
        }
    }
    Ok(specifications)
}
