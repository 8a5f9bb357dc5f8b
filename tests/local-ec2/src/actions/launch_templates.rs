//! Launch templates: of a template's data, only the image, and its tags.

use crate::{
    api_error::ApiError,
    filters::Filters,
    query::Query,
    resources::referrer::LaunchTemplate,
    tags::{self, take_specifications},
    world::World,
    xml::Xml,
};

/// What a request may say and nothing here depends on.
const IGNORED: &[&str] = &["ClientToken", "VersionDescription", "SourceVersion", "LaunchTemplateData"];
const TYPE: &str = "launch-template";

pub(crate) fn create_launch_template(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let name = query.required("LaunchTemplateName")?;
    let image = query.text("LaunchTemplateData.ImageId");
    let tags = take_specifications(query, &[TYPE])?.remove(TYPE).unwrap_or_default();
    query.ignore(IGNORED);
    query.finish()?;
    if world.referrers.templates.values().any(|template| template.name == name) {
        let problem = "Launch template name already in use.";
        return Err(ApiError::new("InvalidLaunchTemplateName.AlreadyExistsException", problem));
    }
    let template = LaunchTemplate { id: world.ids.resource("lt"), name, images: vec![image], tags };
    let mut xml = Xml::default();
    xml.element("launchTemplate", |xml| describe(xml, &template));
    world.referrers.templates.insert(template.id.clone(), template);
    Ok(xml)
}

pub(crate) fn create_launch_template_version(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = find(world, query)?;
    let image = query.text("LaunchTemplateData.ImageId");
    query.ignore(IGNORED);
    query.finish()?;
    let mut xml = Xml::default();
    if let Some(template) = world.referrers.templates.get_mut(&id) {
        template.images.push(image);
        xml.element("launchTemplateVersion", |xml| {
            xml.text("launchTemplateId", &template.id);
            xml.text("launchTemplateName", &template.name);
            xml.text("versionNumber", template.images.len());
        });
    }
    Ok(xml)
}

pub(crate) fn describe_launch_templates(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let filters = Filters::take(query, &["launch-template-name"])?;
    query.finish()?;
    let templates = world.referrers.templates.values();
    let templates = templates.filter(|one| filters.admit(&one.tags, |_| vec![one.name.clone()]));
    let mut xml = Xml::default();
    xml.list("launchTemplates", templates, describe);
    Ok(xml)
}

pub(crate) fn delete_launch_template(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = find(world, query)?;
    query.finish()?;
    let mut xml = Xml::default();
    if let Some(template) = world.referrers.templates.remove(&id) {
        xml.element("launchTemplate", |xml| describe(xml, &template));
    }
    Ok(xml)
}

/// The id of the template that a request names by its id or its name.
fn find(world: &World, query: &mut Query) -> Result<String, ApiError> {
    let (id, name) = (query.text("LaunchTemplateId"), query.text("LaunchTemplateName"));
    let is_named = |template: &&LaunchTemplate| {
        id.as_ref() == Some(&template.id) || (id.is_none() && name.as_ref() == Some(&template.name))
    };
    let found = world.referrers.templates.values().find(is_named);
    found.map(|template| template.id.clone()).ok_or_else(|| {
        ApiError::new("InvalidLaunchTemplateId.NotFound", "The specified launch template does not exist.")
    })
}

fn describe(xml: &mut Xml, template: &LaunchTemplate) {
    xml.text("launchTemplateId", &template.id);
    xml.text("launchTemplateName", &template.name);
    xml.text("defaultVersionNumber", 1);
    xml.text("latestVersionNumber", template.images.len());
    tags::write(xml, &template.tags);
}
