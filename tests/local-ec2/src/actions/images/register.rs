//! RegisterImage, of snapshots that are there.

use aws_sdk_ec2::types::SnapshotState;

use super::create::{check_description, check_name, check_name_is_free};
use crate::{
    account::ACCOUNT,
    api_error::ApiError,
    lags::Lagging,
    query::Query,
    resources::{
        fate::Making,
        image::{Device, Image},
        machine::Machine,
        protection::Protection,
    },
    tags,
    world::World,
    xml::Xml,
};

pub(crate) fn register_image(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    query.ignore(&["VirtualizationType", "EnaSupport", "ImdsSupport", "SriovNetSupport"]);
    let mut specifications = tags::take_specifications(query, &["image", "snapshot"])?;
    let name = query.required("Name")?;
    let description = query.text("Description").filter(|description| !description.is_empty());
    let machine = Machine {
        boot_mode: query.text("BootMode"),
        architecture: query.text("Architecture").unwrap_or_else(|| "i386".to_owned()),
        root_device_name: query.required("RootDeviceName")?,
        ..Machine::default()
    };
    let now = world.now();
    let mut devices = vec![];
    for mut mapping in query.structures("BlockDeviceMapping") {
        let device = mapping.required("DeviceName")?;
        let Some(mut ebs) = mapping.structure("Ebs") else { return Err(ApiError::missing("Ebs")) };
        let snapshot_id = ebs.required("SnapshotId")?;
        let delete_on_termination = ebs.flag("DeleteOnTermination")?.unwrap_or(true);
        let kind = ebs.text("VolumeType").unwrap_or_else(|| "gp2".to_owned());
        ebs.finish()?;
        mapping.finish()?;
        let snapshot = world.snapshots.get(&snapshot_id).ok_or_else(|| {
            ApiError::new("InvalidSnapshot.NotFound", format!("The snapshot '{snapshot_id}' does not exist."))
        })?;
        if snapshot.state(now) != SnapshotState::Completed {
            return Err(ApiError::invalid_value(format!("Snapshot {snapshot_id} is not completed")));
        }
        devices.push(Device { name: device, snapshot_id, size_gib: snapshot.size_gib, kind, delete_on_termination });
    }
    query.finish()?;
    check_name(&name)?;
    check_description(description.as_deref())?;
    check_name_is_free(world, &name)?;
    if !devices.iter().any(|device| device.name == machine.root_device_name) {
        return Err(ApiError::new("InvalidBlockDeviceMapping", "The root device has no snapshot"));
    }
    let id = world.ids.resource("ami");
    let image = Image {
        id: id.clone(),
        name,
        owner: ACCOUNT,
        created: now,
        description: Lagging::new(description),
        deprecation: Lagging::new(None),
        source: None,
        machine,
        devices,
        devices_show_at: now,
        tags: specifications.remove("image").unwrap_or_default(),
        making: Making::succeeds(now),
        disabled: false,
        protection: Protection::Off,
        grantees: Vec::new(),
        last_launched: None,
        deregistered: None,
        restored: None,
        is_to_be_told: true,
    };
    world.images.insert(id.clone(), image);
    let mut xml = Xml::default();
    xml.text("imageId", id);
    Ok(xml)
}
