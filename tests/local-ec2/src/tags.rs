//! Tags, and the actions upon them.

use std::collections::BTreeMap;

use super::{api_error::ApiError, filters::Filters, pages::Page, query::Query, world::World, xml::Xml};

/// The tags of one resource.
pub type Tags = BTreeMap<String, String>;

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

fn check_number(tags: usize) -> Result<(), ApiError> {
    if tags <= MOST {
        return Ok(());
    }
    Err(ApiError::new("TagLimitExceeded", format!("The maximum number of Tags for a resource is {MOST}.")))
}

fn take_tags(query: &mut Query) -> Result<Tags, ApiError> {
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

pub(crate) fn create_tags(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let resources = query.required_list("ResourceId")?;
    let tags = take_tags(query)?;
    query.finish()?;
    if tags.is_empty() {
        return Err(ApiError::missing("Tag"));
    }
    // All or nothing: first every resource is looked at, then every one is tagged.
    for resource in &resources {
        let present = world.tags_of(resource)?;
        check_number(present.keys().filter(|key| !tags.contains_key(*key)).count() + tags.len())?;
    }
    for resource in &resources {
        world.tags_of(resource)?.extend(tags.clone());
    }
    Ok(Xml::done())
}

pub(crate) fn delete_tags(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let resources = query.required_list("ResourceId")?;
    let mut unwanted = Vec::new();
    for mut tag in query.structures("Tag") {
        unwanted.push((tag.required("Key")?, tag.text("Value")));
        tag.finish()?;
    }
    query.finish()?;
    for resource in &resources {
        world.tags_of(resource)?;
    }
    for resource in &resources {
        world.tags_of(resource)?.retain(|key, value| {
            let is_unwanted =
                |(name, only): &(String, Option<String>)| name == key && only.as_ref().is_none_or(|only| only == value);
            // Without any tag named, all of a user's go.
            !(unwanted.is_empty() || unwanted.iter().any(is_unwanted))
        });
    }
    Ok(Xml::done())
}

pub(crate) fn describe_tags(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let filters = Filters::take(query, &["key", "value", "resource-id", "resource-type"])?;
    let page = Page::take(query, 5)?;
    query.finish()?;
    let rows = world.tagged_resources().into_iter().flat_map(|(resource_type, id, tags)| {
        tags.into_iter().map(move |(key, value)| (resource_type, id.clone(), key, value))
    });
    let admitted = rows.filter(|(resource_type, id, key, value)| {
        filters.admit(&Tags::from([(key.clone(), value.clone())]), |name| {
            let value = match name {
                "key" => key,
                "value" => value,
                "resource-id" => id,
                _ => *resource_type,
            };
            vec![value.to_owned()]
        })
    });
    let (rows, next) = page.cut(admitted, |(_, id, key, _)| format!("{id}/{key}"));
    let mut xml = Xml::default();
    xml.list("tagSet", rows, |xml, (resource_type, id, key, value)| {
        xml.text("resourceId", id);
        xml.text("resourceType", resource_type);
        xml.text("key", key);
        xml.text("value", value);
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}
