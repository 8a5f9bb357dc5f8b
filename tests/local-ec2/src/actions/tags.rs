//! CreateTags, DeleteTags and DescribeTags.

use crate::{
    api_error::ApiError,
    filters::Filters,
    pages::Page,
    query::Query,
    tags::{self, check_number, take_tags},
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
    world.take_tag_access(&resources)?;
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
    world.take_tag_access(&resources)?;
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
    let rows = world.tagged_resources();
    let rows = rows.iter().flat_map(|(resource_type, id, tags)| tags.iter().map(move |tag| (*resource_type, *id, tag)));
    let key_of = |(_, id, (key, _)): &(_, &str, (&String, _))| format!("{id}/{key}");
    let to_come = rows.skip_while(|row| !page.is_to_come(&key_of(row)));
    let admits = |(resource_type, id, (key, value)): &(&str, &str, (&String, &String))| {
        filters.admit(&tags::NONE, |name| {
            let value = match name {
                "key" => key.as_str(),
                "value" => value.as_str(),
                "resource-id" => *id,
                _ => *resource_type,
            };
            vec![value.to_owned()]
        })
    };
    let (rows, next) = page.cut(to_come, key_of, admits);
    let mut xml = Xml::default();
    xml.list("tagSet", rows, |xml, (resource_type, id, (key, value))| {
        xml.text("resourceId", id);
        xml.text("resourceType", resource_type);
        xml.text("key", key);
        xml.text("value", value);
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}
