//! DescribeLaunchConfigurations, the one action of Auto Scaling: it tells what DescribeImageReferences does not.

use crate::{
    api_error::ApiError, pages::Page, query::Query, resources::referrer::LAUNCH_CONFIGURATION, world::World, xml::Xml,
};

pub(crate) fn describe_launch_configurations(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let page = Page::take_named(query, "MaxRecords", 1)?;
    query.finish()?;
    let others = page.rest(&world.referrers.others).filter(|other| other.resource_type == LAUNCH_CONFIGURATION);
    let (found, next) = page.cut(others, |other| other.arn(), |_| true);
    let mut xml = Xml::default();
    xml.element("LaunchConfigurations", |xml| {
        for configuration in found {
            xml.element("member", |xml| {
                xml.text("LaunchConfigurationName", &configuration.name);
                xml.text("LaunchConfigurationARN", configuration.arn());
                xml.text("ImageId", &configuration.image_id);
                xml.text("InstanceType", "t3.micro");
                xml.text("CreatedTime", "2020-01-01T00:00:00.000Z");
            });
        }
    });
    xml.maybe("NextToken", next);
    Ok(xml)
}
