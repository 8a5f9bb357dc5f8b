//! DescribeImageReferences.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    account::{ACCOUNT, REGION},
    api_error::ApiError,
    pages::Page,
    query::Query,
    world::World,
    xml::Xml,
};

const INSTANCE: &str = "ec2:Instance";
const LAUNCH_TEMPLATE: &str = "ec2:LaunchTemplate";
/// Every type that EC2 asks for.
const TYPES: [&str; 5] =
    [INSTANCE, LAUNCH_TEMPLATE, "ssm:Parameter", "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"];

/// The most images of a request, and the smallest page.
const MOST_IMAGES: usize = 10;
const SMALLEST_PAGE: usize = 5;
/// How many versions of a launch template are looked at, unless the request says so, and at most.
const DEPTH: usize = 10;
const GREATEST_DEPTH: usize = 10_000;

/// The types that a request asks for, each with its options.
struct Wanted {
    types: BTreeSet<String>,
    states: Option<Vec<String>>,
    depth: usize,
}

/// What names the images. It counts instances in every state, terminated ones too, unless the request says which
/// (EC2 User Guide, AMI references).
pub(crate) fn describe_image_references(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.required_list("ImageId")?;
    if ids.len() > MOST_IMAGES {
        let problem = format!("Value ( {} ) for parameter ImageIds is invalid. At most {MOST_IMAGES} ids.", ids.len());
        return Err(ApiError::invalid_value(problem));
    }
    let wanted = wanted(query)?;
    let page = Page::take(query, SMALLEST_PAGE)?;
    query.finish()?;
    for id in &ids {
        world.image(id)?;
    }
    let found = references(world, &ids, &wanted);
    let rest = found.into_iter().filter(|(key, _)| page.is_to_come(key));
    let (found, next) = page.cut(rest, |(key, _)| key.clone(), |_| true);
    let mut xml = Xml::default();
    xml.list("imageReferenceSet", found, |xml, (_, (id, resource_type, arn))| {
        xml.text("imageId", id);
        xml.text("resourceType", resource_type);
        xml.text("arn", arn);
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}

fn wanted(query: &mut Query) -> Result<Wanted, ApiError> {
    let all = query.flag("IncludeAllResourceTypes")?.unwrap_or(false);
    let mut wanted = Wanted { types: BTreeSet::new(), states: None, depth: DEPTH };
    if all {
        wanted.types.extend(TYPES.map(str::to_owned));
    }
    for mut request in query.structures("ResourceType") {
        let resource_type = request.required("ResourceType")?;
        if !TYPES.contains(&resource_type.as_str()) {
            return Err(ApiError::invalid_value(format!(
                "Value ({resource_type}) for parameter ResourceType is invalid."
            )));
        }
        for mut option in request.structures("ResourceTypeOption") {
            let (name, values) = (option.required("OptionName")?, option.list("OptionValue"));
            option.finish()?;
            match (resource_type.as_str(), name.as_str()) {
                (INSTANCE, "state-name") => wanted.states = Some(values),
                (LAUNCH_TEMPLATE, "version-depth") => {
                    let depth = values.first().and_then(|value| value.parse().ok());
                    let depth = depth.filter(|depth| (1..=GREATEST_DEPTH).contains(depth));
                    let invalid = || ApiError::invalid_value("Value for option version-depth is invalid.");
                    wanted.depth = depth.ok_or_else(invalid)?;
                }
                _ => return Err(ApiError::invalid_value(format!("Option {name} is not one of {resource_type}."))),
            }
        }
        request.finish()?;
        wanted.types.insert(resource_type);
    }
    if wanted.types.is_empty() {
        return Err(ApiError::missing("ResourceType"));
    }
    Ok(wanted)
}

/// Each reference with its image and its type, in an order that pages can follow.
fn references(world: &World, ids: &[String], wanted: &Wanted) -> BTreeMap<String, (String, String, String)> {
    let now = world.now();
    let is_wanted = |resource_type: &str| wanted.types.contains(resource_type);
    let instances = world.instances.values().filter(|_| is_wanted(INSTANCE)).filter(|instance| {
        let state = instance.state(now);
        wanted.states.as_ref().is_none_or(|states| states.iter().any(|wanted| wanted == state.as_str()))
    });
    let instances = instances.map(|instance| {
        let arn = format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{}", instance.id);
        (instance.image_id.clone(), INSTANCE.to_owned(), arn)
    });
    let templates = world.referrers.templates.values().filter(|_| is_wanted(LAUNCH_TEMPLATE)).flat_map(|template| {
        let named = ids.iter().filter(|id| template.names(id, wanted.depth));
        named.map(|id| (id.clone(), LAUNCH_TEMPLATE.to_owned(), template.arn()))
    });
    let others = world.referrers.others.values().filter(|other| is_wanted(&other.resource_type));
    let others = others.map(|other| (other.image_id.clone(), other.resource_type.clone(), other.arn()));
    let all = instances.chain(templates).chain(others).filter(|(id, ..)| ids.contains(id));
    all.map(|one| (format!("{} {}", one.0, one.2), one)).collect()
}
