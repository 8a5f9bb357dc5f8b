//! RunInstances.

use aws_sdk_ec2::types::ImageState;

use super::describe::write_reservation;
use crate::{
    api_error::ApiError,
    query::Query,
    resources::{
        instance::{Instance, NewVolume},
        power::{Move, Power},
    },
    tags,
    world::World,
    xml::Xml,
};

const MOST_AT_ONCE: u32 = 100;

/// Changes the volumes that the image brings by the request's block device mappings.
fn map_devices(volumes: &mut Vec<NewVolume>, query: &mut Query) -> Result<(), ApiError> {
    for mut mapping in query.structures("BlockDeviceMapping") {
        let device = mapping.required("DeviceName")?;
        let left_out = mapping.text("NoDevice").is_some();
        mapping.ignore(&["VirtualName"]);
        let mut size_gib = None;
        let mut kind = None;
        let mut delete_on_termination = None;
        if let Some(mut ebs) = mapping.structure("Ebs") {
            size_gib = ebs.number::<u32>("VolumeSize")?;
            kind = ebs.text("VolumeType");
            delete_on_termination = ebs.flag("DeleteOnTermination")?;
            ebs.ignore(&["Iops", "Throughput", "Encrypted", "KmsKeyId", "SnapshotId", "VolumeInitializationRate"]);
            ebs.finish()?;
        }
        mapping.finish()?;
        if left_out {
            volumes.retain(|volume| volume.device != device);
            continue;
        }
        let refuse = |problem: String| Err(ApiError::new("InvalidBlockDeviceMapping", problem));
        match (volumes.iter_mut().find(|volume| volume.device == device), size_gib) {
            (Some(volume), Some(size)) if size < volume.size_gib => {
                return refuse(format!(
                    "Volume of size {size}GB is smaller than snapshot, expect size >= {}GB",
                    volume.size_gib
                ));
            }
            (Some(volume), size_gib) => {
                volume.size_gib = size_gib.unwrap_or(volume.size_gib);
                volume.kind = kind.unwrap_or_else(|| volume.kind.clone());
                volume.delete_on_termination = delete_on_termination.unwrap_or(volume.delete_on_termination);
            }
            (None, Some(size_gib)) => volumes.push(NewVolume {
                device,
                size_gib,
                kind: kind.unwrap_or_else(|| "gp2".to_owned()),
                delete_on_termination: delete_on_termination.unwrap_or(true),
            }),
            (None, None) => return refuse(format!("The device '{device}' has neither a size nor a snapshot.")),
        }
    }
    Ok(())
}

pub(crate) fn run_instances(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    // What decides about network, access and billing changes nothing here.
    query.ignore(&[
        "KeyName",
        "SecurityGroup",
        "SecurityGroupId",
        "SubnetId",
        "UserData",
        "Monitoring",
        "Placement",
        "IamInstanceProfile",
        "EbsOptimized",
        "MetadataOptions",
        "CreditSpecification",
        "NetworkInterface",
        "DisableApiTermination",
        "DisableApiStop",
        "InstanceInitiatedShutdownBehavior",
        "PrivateIpAddress",
    ]);
    let image_id = query.required("ImageId")?;
    let least = query.number::<u32>("MinCount")?.ok_or_else(|| ApiError::missing("MinCount"))?;
    let most = query.number::<u32>("MaxCount")?.ok_or_else(|| ApiError::missing("MaxCount"))?;
    let instance_type = query.text("InstanceType").unwrap_or_else(|| "m1.small".to_owned());
    let token = query.text("ClientToken").filter(|token| !token.is_empty());
    let mut specifications =
        tags::take_specifications(query, &["instance", "volume", "network-interface", "spot-instances-request"])?;
    if least == 0 || least > most || most > MOST_AT_ONCE {
        let problem = format!("Value ({most}) for parameter maxCount is invalid.");
        return Err(ApiError::invalid_value(problem));
    }
    let now = world.now();
    let image = world.image(&image_id)?;
    if image.state(now) != ImageState::Available {
        return Err(ApiError::new("InvalidAMIID.Unavailable", format!("The image ID '{image_id}' is not available")));
    }
    let machine = image.machine.clone();
    let mut volumes: Vec<_> = image
        .devices
        .iter()
        .map(|device| NewVolume {
            device: device.name.clone(),
            size_gib: device.size_gib,
            kind: device.kind.clone(),
            delete_on_termination: device.delete_on_termination,
        })
        .collect();
    map_devices(&mut volumes, query)?;
    query.finish()?;

    if let Some(reservation_id) = token.as_ref().and_then(|token| world.launch_tokens.get(token)) {
        return Ok(write_reservation(world, reservation_id));
    }
    world.image(&image_id)?.last_launched = Some(now);
    let instance_tags = specifications.remove("instance").unwrap_or_default();
    let volume_tags = specifications.remove("volume").unwrap_or_default();
    let reservation_id = world.ids.resource("r");
    for launch_index in 0..most {
        let id = world.ids.resource("i");
        let instance = Instance {
            id: id.clone(),
            reservation_id: reservation_id.clone(),
            image_id: image_id.clone(),
            instance_type: instance_type.clone(),
            machine: machine.clone(),
            power: Power::new(now, Move::Start),
            reboots: Vec::new(),
            volumes: volumes.iter().map(|volume| world.attach(volume, now, &volume_tags)).collect(),
            tags: instance_tags.clone(),
            address: world.next_address(),
            launch_index,
            stop_protection: false,
            ungranted_key: None,
        };
        world.instances.insert(id, instance);
    }
    if let Some(token) = token {
        world.launch_tokens.insert(token, reservation_id.clone());
    }
    Ok(write_reservation(world, &reservation_id))
}
