//! DescribeVolumes: of those attached to an instance, as there are no others.

use aws_sdk_ec2::types::InstanceStateName;

use crate::{
    account::ZONE,
    api_error::ApiError,
    clock::timestamp,
    filters::Filters,
    pages::Page,
    query::Query,
    resources::instance::{Instance, Volume},
    tags,
    world::World,
    xml::Xml,
};

const FILTERS: &[&str] =
    &["attachment.device", "attachment.instance-id", "availability-zone", "size", "status", "volume-id", "volume-type"];

pub(crate) fn describe_volumes(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.list("VolumeId");
    let filters = Filters::take(query, FILTERS)?;
    let page = Page::take(query, 5)?;
    query.finish()?;
    for id in &ids {
        world.tags_of(id)?;
    }
    let now = world.now();
    let standing = world.instances.values().filter(|instance| instance.state(now) != InstanceStateName::Terminated);
    let attached = standing.flat_map(|instance| instance.volumes.iter().map(move |volume| (instance, volume)));
    // In the order of their ids, as a page's token names the last one.
    let mut volumes: Vec<_> = attached.filter(|(_, volume)| ids.is_empty() || ids.contains(&volume.id)).collect();
    volumes.sort_by_key(|(_, volume)| volume.id.clone());
    let rest = volumes.into_iter().filter(|(_, volume)| page.is_to_come(&volume.id));
    let admits = |(instance, volume): &(&Instance, &Volume)| {
        filters.admit(&volume.tags, |name| {
            vec![match name {
                "attachment.device" => volume.device.clone(),
                "attachment.instance-id" => instance.id.clone(),
                "availability-zone" => ZONE.to_owned(),
                "size" => volume.size_gib.to_string(),
                "status" => "in-use".to_owned(),
                "volume-id" => volume.id.clone(),
                _ => volume.kind.clone(),
            }]
        })
    };
    let (volumes, next) = page.cut(rest, |(_, volume)| volume.id.clone(), admits);
    let mut xml = Xml::default();
    xml.list("volumeSet", volumes, |xml, (instance, volume)| {
        xml.text("volumeId", &volume.id);
        xml.text("size", volume.size_gib);
        xml.text("volumeType", &volume.kind);
        xml.text("status", "in-use");
        xml.text("availabilityZone", ZONE);
        xml.text("createTime", timestamp(volume.attached));
        xml.text("encrypted", instance.ungranted_key.is_some());
        xml.maybe("kmsKeyId", instance.ungranted_key.as_ref());
        xml.list("attachmentSet", [instance], |xml, instance| {
            xml.text("volumeId", &volume.id);
            xml.text("instanceId", &instance.id);
            xml.text("device", &volume.device);
            xml.text("status", "attached");
            xml.text("attachTime", timestamp(volume.attached));
            xml.text("deleteOnTermination", volume.delete_on_termination);
        });
        tags::write(xml, &volume.tags);
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}
