//! DescribeImageReferences.

use aws_sdk_ec2::types::InstanceStateName;

use crate::{
    account::{ACCOUNT, REGION},
    api_error::ApiError,
    pages::Page,
    query::Query,
    world::World,
    xml::Xml,
};

const INSTANCE: &str = "ec2:Instance";

/// Only instances refer to images here: there are no launch templates, parameters or recipes.
pub(crate) fn describe_image_references(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.required_list("ImageId")?;
    let all = query.flag("IncludeAllResourceTypes")?.unwrap_or(false);
    let mut types = Vec::new();
    for mut resource_type in query.structures("ResourceType") {
        types.push(resource_type.required("ResourceType")?);
        resource_type.ignore(&["ResourceTypeOption"]);
        resource_type.finish()?;
    }
    let page = Page::take(query, 1)?;
    query.finish()?;
    if !all && types.is_empty() {
        return Err(ApiError::missing("ResourceType"));
    }
    for id in &ids {
        world.image(id)?;
    }
    let now = world.now();
    let users = page
        .rest(&world.instances)
        .filter(|_| all || types.iter().any(|resource_type| resource_type == INSTANCE))
        .filter(|instance| ids.contains(&instance.image_id))
        .filter(|instance| instance.state(now) != InstanceStateName::Terminated);
    let (users, next) = page.cut(users, |instance| instance.id.clone(), |_| true);
    let mut xml = Xml::default();
    xml.list("imageReferenceSet", users, |xml, instance| {
        xml.text("imageId", &instance.image_id);
        xml.text("resourceType", INSTANCE);
        xml.text("arn", format_args!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{}", instance.id));
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}
