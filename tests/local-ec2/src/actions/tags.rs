//! CreateTags, DeleteTags and DescribeTags.

use crate::{
    api_error::ApiError,
    filters::Filters,
    pages::Page,
    query::Query,
    tags::{Tags, check_number, take_tags},
    world::World,
    xml::Xml,
};

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
