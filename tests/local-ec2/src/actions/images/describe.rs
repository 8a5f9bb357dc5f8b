//! DescribeImages.

use std::time::SystemTime;

use aws_sdk_ec2::types::ImageState;

use super::sharing::is_given_to;
use crate::{
    account::{ACCOUNT, REGION},
    api_error::ApiError,
    clock::timestamp,
    filters::Filters,
    ids,
    lags::Lags,
    pages::Page,
    query::Query,
    resources::image::{Device, Image, Presence, not_found},
    tags,
    world::World,
    xml::Xml,
};

const FILTERS: &[&str] = &[
    "architecture",
    "block-device-mapping.device-name",
    "block-device-mapping.snapshot-id",
    "boot-mode",
    "creation-date",
    "description",
    "ena-support",
    "hypervisor",
    "image-id",
    "image-type",
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "platform-details",
    "root-device-name",
    "root-device-type",
    "source-image-id",
    "source-instance-id",
    "state",
    "virtualization-type",
];

fn filter_values(image: &Image, now: SystemTime, name: &str) -> Vec<String> {
    let of_devices = |value: fn(&Device) -> &String| image.shown_devices(now).iter().map(value).cloned().collect();
    let value = match name {
        "block-device-mapping.device-name" => return of_devices(|device| &device.name),
        "block-device-mapping.snapshot-id" => return of_devices(|device| &device.snapshot_id),
        "boot-mode" => image.machine.boot_mode.clone(),
        "description" => image.description.shown(now).clone(),
        "owner-alias" => owner_alias(image).map(str::to_owned),
        "source-image-id" => image.source.as_ref().map(|source| source.image_id.clone()),
        "source-instance-id" => image.source.as_ref().map(|source| source.instance_id.clone()),
        "architecture" => Some(image.machine.architecture.clone()),
        "creation-date" => Some(timestamp(image.created)),
        "ena-support" => Some("true".to_owned()),
        "hypervisor" => Some("xen".to_owned()),
        "image-id" => Some(image.id.clone()),
        "image-type" => Some("machine".to_owned()),
        "is-public" => Some(image.is_public().to_string()),
        "name" => Some(image.name.clone()),
        "owner-id" => Some(image.owner.to_owned()),
        "platform-details" => Some("Linux/UNIX".to_owned()),
        "root-device-name" => Some(image.machine.root_device_name.clone()),
        "root-device-type" => Some(image.machine.root_device_type().to_owned()),
        "state" => Some(image.state(now).as_str().to_owned()),
        "virtualization-type" => Some("hvm".to_owned()),
        _ => None,
    };
    value.into_iter().collect()
}

fn owner_alias(image: &Image) -> Option<&'static str> {
    image.is_amazons().then_some("amazon")
}

fn is_owned_by(image: &Image, owner: &str) -> bool {
    match owner {
        "self" => image.owner == ACCOUNT,
        "amazon" => image.is_amazons(),
        account => image.owner == account,
    }
}

/// What EBS tells of a volume's speed: I/O operations a second, and MiB a second.
fn speed(kind: &str) -> (Option<u32>, Option<u32>) {
    match kind {
        "gp3" => (Some(3000), Some(125)),
        "io1" | "io2" => (Some(100), None),
        _ => (None, None),
    }
}

fn check_ids(world: &World, ids: &[String]) -> Result<(), ApiError> {
    for id in ids {
        ids::check(id, "ami", "InvalidAMIID.Malformed")?;
    }
    let missing: Vec<_> = ids.iter().map(String::as_str).filter(|id| !world.knows_image(id)).collect();
    if missing.is_empty() { Ok(()) } else { Err(not_found(&missing)) }
}

pub(crate) fn describe_images(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.list("ImageId");
    let owners = query.list("Owner");
    let filters = Filters::take(query, FILTERS)?;
    let page = Page::take(query, 1)?;
    let include_disabled = query.flag("IncludeDisabled")?.unwrap_or(false);
    let include_deprecated = query.flag("IncludeDeprecated")?.unwrap_or(false);
    let users = query.list("ExecutableBy");
    query.finish()?;
    check_ids(world, &ids)?;
    let now = world.now();
    // An owner sees its own deprecated images whatever it asks for.
    let is_deprecated = |image: &Image| {
        image.owner != ACCOUNT && image.deprecation.shown(now).is_some_and(|deprecated| deprecated <= now)
    };
    let listed = page
        .rest(&world.images)
        .filter(|image| ids.is_empty() || ids.contains(&image.id))
        .filter(|image| image.presence(now, &world.lags) == Presence::Listed)
        .filter(|image| owners.is_empty() || owners.iter().any(|owner| is_owned_by(image, owner)))
        .filter(|image| users.is_empty() || users.iter().any(|user| is_given_to(image, user)));
    let admits = |image: &&Image| {
        (include_disabled || image.state(now) != ImageState::Disabled)
            && (include_deprecated || !is_deprecated(image))
            && filters.admit(image.shown_tags(now, &world.lags), |name| filter_values(image, now, name))
    };
    let (images, next) = page.cut(listed, |image| image.id.clone(), admits);
    let mut xml = Xml::default();
    xml.list("imagesSet", images, |xml, image| write_image(xml, image, now, &world.lags));
    xml.maybe("nextToken", next);
    Ok(xml)
}

fn write_image(xml: &mut Xml, image: &Image, now: SystemTime, lags: &Lags) {
    xml.text("imageId", &image.id);
    xml.text("imageLocation", format_args!("{}/{}", owner_alias(image).unwrap_or(image.owner), image.name));
    xml.text("imageState", image.state(now).as_str());
    xml.text("imageOwnerId", image.owner);
    xml.maybe("imageOwnerAlias", owner_alias(image));
    xml.text("creationDate", timestamp(image.created));
    xml.text("isPublic", image.is_public());
    xml.text("imageType", "machine");
    xml.text("name", &image.name);
    xml.maybe("description", image.description.shown(now).as_ref());
    xml.maybe("deprecationTime", image.deprecation.shown(now).map(timestamp));
    xml.text("deregistrationProtection", image.protection.shown());
    xml.text("freeTierEligible", true);
    xml.text("imdsSupport", "v2.0");
    xml.maybe("lastLaunchedTime", image.last_launched.map(timestamp));
    xml.text("sriovNetSupport", "simple");
    if let Some(source) = &image.source {
        xml.text("sourceInstanceId", &source.instance_id);
        xml.text("sourceImageId", &source.image_id);
        xml.text("sourceImageRegion", REGION);
    }
    let marked = image.source.as_ref().map_or(&image.id, |source| &source.image_id);
    xml.list("imageWatermarkSet", &image.machine.watermarks, |xml, key| {
        xml.text("watermarkKey", key);
        xml.text("sourceImageId", marked);
        xml.text("sourceImageRegion", REGION);
        xml.text("watermarkCreationTime", timestamp(image.created));
    });
    if let Some(reason) = image.making.reason(now) {
        xml.element("stateReason", |xml| {
            xml.text("code", &reason.code);
            xml.text("message", &reason.message);
        });
    }
    image.machine.write(xml);
    write_devices(xml, image.shown_devices(now));
    tags::write(xml, image.shown_tags(now, lags));
}

pub(crate) fn write_devices(xml: &mut Xml, devices: &[Device]) {
    xml.list("blockDeviceMapping", devices, |xml, device| {
        let (iops, throughput) = speed(&device.kind);
        xml.text("deviceName", &device.name);
        xml.element("ebs", |xml| {
            xml.text("snapshotId", &device.snapshot_id);
            xml.text("volumeSize", device.size_gib);
            xml.text("volumeType", &device.kind);
            xml.text("deleteOnTermination", device.delete_on_termination);
            xml.text("encrypted", false);
            xml.maybe("iops", iops);
            xml.maybe("throughput", throughput);
        });
    });
}
