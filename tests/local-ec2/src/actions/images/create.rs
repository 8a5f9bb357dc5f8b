//! CreateImage.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use aws_sdk_ec2::types::{InstanceStateName, SnapshotState};

use crate::{
    account::ACCOUNT,
    api_error::ApiError,
    clock::between,
    lags::Lagging,
    query::Query,
    resources::{
        fate::{Fate, Making, StateReason},
        image::{Device, Image, Source},
        instance::{Instance, Volume},
        power::Move,
        protection::Protection,
        snapshot::{Snapshot, usual_duration},
    },
    tags::{self, Tags},
    world::World,
    xml::Xml,
};

const SHORTEST_NAME: usize = 3;
const LONGEST_NAME: usize = 128;
const LONGEST_DESCRIPTION: usize = 255;
/// When [`Fate::InstanceTerminated`] strikes.
const TERMINATED_AFTER: Duration = Duration::from_secs(5);

/// What a block device mapping may change of a device of the instance.
#[derive(Debug, Default)]
struct Override {
    left_out: bool,
    delete_on_termination: Option<bool>,
    size_gib: Option<u32>,
    encrypted: bool,
}

#[derive(Debug)]
struct Request {
    instance_id: String,
    name: String,
    description: Option<String>,
    no_reboot: bool,
    image_tags: Tags,
    snapshot_tags: Tags,
    devices: BTreeMap<String, Override>,
}

impl Request {
    fn take(query: &mut Query) -> Result<Self, ApiError> {
        query.ignore(&["BootModeOverride", "SnapshotLocation"]);
        let mut specifications = tags::take_specifications(query, &["image", "snapshot"])?;
        let request = Self {
            instance_id: query.required("InstanceId")?,
            name: query.required("Name")?,
            description: query.text("Description").filter(|description| !description.is_empty()),
            no_reboot: query.flag("NoReboot")?.unwrap_or(false),
            image_tags: specifications.remove("image").unwrap_or_default(),
            snapshot_tags: specifications.remove("snapshot").unwrap_or_default(),
            devices: take_devices(query)?,
        };
        query.finish()?;
        check_name(&request.name)?;
        check_description(request.description.as_deref())?;
        Ok(request)
    }
}

fn take_devices(query: &mut Query) -> Result<BTreeMap<String, Override>, ApiError> {
    let mut devices = BTreeMap::new();
    for mut mapping in query.structures("BlockDeviceMapping") {
        let device = mapping.required("DeviceName")?;
        // Its presence counts: the value is the empty string.
        let mut change = Override { left_out: mapping.text("NoDevice").is_some(), ..Override::default() };
        if let Some(mut ebs) = mapping.structure("Ebs") {
            change.delete_on_termination = ebs.flag("DeleteOnTermination")?;
            change.size_gib = ebs.number("VolumeSize")?;
            change.encrypted = ebs.flag("Encrypted")?.unwrap_or(false);
            ebs.ignore(&["VolumeType", "Iops", "Throughput", "SnapshotId"]);
            ebs.finish()?;
        }
        mapping.finish()?;
        devices.insert(device, change);
    }
    Ok(devices)
}

pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    let length = name.chars().count();
    let allowed = |character: char| character.is_ascii_alphanumeric() || "()[] ./-'@_".contains(character);
    if (SHORTEST_NAME..=LONGEST_NAME).contains(&length) && name.chars().all(allowed) {
        return Ok(());
    }
    let problem = "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, \
                   '(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_'";
    Err(ApiError::new("InvalidAMIName.Malformed", problem))
}

pub(crate) fn check_description(description: Option<&str>) -> Result<(), ApiError> {
    let Some(description) = description else { return Ok(()) };
    if description.chars().any(|character| character != ' ' && !character.is_ascii_graphic()) {
        return Err(ApiError::invalid_value("Character sets beyond ASCII are not supported."));
    }
    if description.len() > LONGEST_DESCRIPTION {
        let problem = format!("A description may have at most {LONGEST_DESCRIPTION} characters.");
        return Err(ApiError::invalid_value(problem));
    }
    Ok(())
}

fn check_instance(instance: &Instance, now: SystemTime) -> Result<(), ApiError> {
    if !matches!(instance.state(now), InstanceStateName::Running | InstanceStateName::Stopped) {
        let problem = format!("Instance {} is not in state 'running' or 'stopped'.", instance.id);
        return Err(ApiError::invalid_value(problem));
    }
    if !instance.machine.root_is_ebs {
        // What EC2 itself says of an instance store is not documented; it says this of a missing root volume.
        let device = &instance.machine.root_device_name;
        return Err(ApiError::invalid_value(format!("Instance does not have a volume attached at root ({device})")));
    }
    Ok(())
}

/// The volumes to be in the image, with whether each is to go with its instance.
fn chosen_volumes(request: &Request, instance: &Instance) -> Result<Vec<(Volume, bool)>, ApiError> {
    let refuse = |problem: String| Err(ApiError::new("InvalidBlockDeviceMapping", problem));
    for (device, change) in &request.devices {
        let volume = instance.volumes.iter().find(|volume| volume.device == *device);
        match volume {
            Some(_) if change.left_out && *device == instance.machine.root_device_name => {
                return refuse(format!("The root device {device} cannot be left out."));
            }
            Some(volume) if change.size_gib.is_some_and(|size| size != volume.size_gib) || change.encrypted => {
                return refuse(format!(
                    "The size and encryption of the existing volume at {device} cannot be changed."
                ));
            }
            // EC2 would add an empty volume to the image.
            None if !change.left_out => return refuse(format!("The instance has no volume at {device}.")),
            _ => {}
        }
    }
    let unchanged = Override::default();
    let chosen = instance.volumes.iter().filter_map(|volume| {
        let change = request.devices.get(&volume.device).unwrap_or(&unchanged);
        let delete_on_termination = change.delete_on_termination.unwrap_or(volume.delete_on_termination);
        (!change.left_out).then(|| (volume.clone(), delete_on_termination))
    });
    Ok(chosen.collect())
}

pub(super) fn check_name_is_free(world: &World, name: &str) -> Result<(), ApiError> {
    let now = world.now();
    let holds = |image: &&Image| {
        let held = image.deregistered.is_none_or(|at| between(at, now) < world.lags.name_held);
        held && image.owner == ACCOUNT && image.name == name
    };
    match world.images.values().find(holds) {
        None => Ok(()),
        Some(image) => {
            let problem = format!("AMI name {name} is already in use by AMI {}", image.id);
            Err(ApiError::new("InvalidAMIName.Duplicate", problem))
        }
    }
}

fn check_concurrent_snapshots(world: &World, volume: &Volume) -> Result<(), ApiError> {
    let most = if matches!(volume.kind.as_str(), "st1" | "sc1") { 1 } else { 5 };
    let now = world.now();
    let pending =
        |snapshot: &&Snapshot| snapshot.volume_id == volume.id && snapshot.state(now) == SnapshotState::Pending;
    if world.snapshots.values().filter(pending).count() < most {
        return Ok(());
    }
    let problem = format!("Maximum allowed in-progress snapshots ({most}) for the volume {} exceeded.", volume.id);
    Err(ApiError::new("ConcurrentSnapshotLimitExceeded", problem))
}

fn check_concurrent_images(world: &World, instance: &Instance) -> Result<(), ApiError> {
    let now = world.now();
    let made = world.images.values().filter(|image| image.is_made_without_reboot(&instance.id, now)).count();
    if made < world.most_without_reboot {
        return Ok(());
    }
    let problem = format!("The instance {} has the maximum number of CreateImage requests under way.", instance.id);
    Err(ApiError::new("ConcurrentCreateImageNoRebootLimitExceeded", problem))
}

pub(crate) fn create_image(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let request = Request::take(query)?;
    let now = world.now();
    let instance = world.instance(&request.instance_id)?.clone();
    check_instance(&instance, now)?;
    let mut volumes = chosen_volumes(&request, &instance)?;
    check_name_is_free(world, &request.name)?;
    if request.no_reboot {
        check_concurrent_images(world, &instance)?;
    }
    for (volume, _) in &volumes {
        check_concurrent_snapshots(world, volume)?;
    }

    let mut begun = now;
    if !request.no_reboot && instance.state(now) == InstanceStateName::Running {
        world.instance(&instance.id)?.reboots.push(now);
        begun += world.lags.rebooted_snapshots_begin;
    }
    let is_to_be_told = !world.untold.remove(&instance.id);
    let id = world.ids.resource("ami");
    let fate = world.next_fate(&instance.id);
    if fate == Some(Fate::TakesEveryVolume) {
        let every = instance.volumes.iter().map(|volume| (volume.clone(), volume.delete_on_termination));
        volumes = every.collect();
    }
    let usual = volumes.iter().map(|(volume, _)| usual_duration(volume.size_gib)).max().unwrap_or_default();
    let set_takes = match &fate {
        Some(Fate::Takes(duration)) => Some(*duration),
        Some(Fate::Never) => None,
        _ => Some(usual),
    };
    let making = match fate {
        Some(Fate::Fail { state, code, message, after }) => {
            Making::fails(now + after, state, StateReason { code, message })
        }
        Some(Fate::InstanceTerminated) => {
            let at = now + TERMINATED_AFTER;
            world.instance(&instance.id)?.power.make(at, Move::Terminate);
            Making::instance_terminated(at)
        }
        Some(Fate::Takes(_) | Fate::TakesEveryVolume | Fate::Never) | None => {
            set_takes.map_or_else(Making::never_ends, |takes| Making::succeeds(begun + takes))
        }
    };
    let mut devices = Vec::new();
    for (volume, delete_on_termination) in volumes {
        let alone = usual_duration(volume.size_gib);
        let snapshot = Snapshot {
            id: world.ids.resource("snap"),
            volume_id: volume.id,
            size_gib: volume.size_gib,
            description: format!("Created by CreateImage({}) for {id}", instance.id),
            tags: request.snapshot_tags.clone(),
            grantees: Vec::new(),
            begun,
            takes: set_takes.map_or(alone, |set| alone.min(set)),
            completes: set_takes.map(|takes| begun + takes),
            progress: world.progress,
            lock: None,
            held: None,
        };
        devices.push(Device {
            name: volume.device,
            snapshot_id: snapshot.id.clone(),
            size_gib: volume.size_gib,
            kind: volume.kind,
            delete_on_termination,
        });
        world.snapshots.insert(snapshot.id.clone(), snapshot);
    }
    let image = Image {
        id: id.clone(),
        name: request.name,
        owner: ACCOUNT,
        created: now,
        description: Lagging::new(request.description),
        deprecation: Lagging::new(None),
        source: Some(Source { instance_id: instance.id, image_id: instance.image_id, no_reboot: request.no_reboot }),
        machine: instance.machine,
        devices,
        devices_show_at: begun.max(now + world.lags.image_devices_show),
        tags: request.image_tags,
        making,
        disabled: false,
        protection: Protection::Off,
        grantees: Vec::new(),
        last_launched: None,
        deregistered: None,
        restored: None,
        is_to_be_told,
    };
    world.images.insert(id.clone(), image);
    let mut xml = Xml::default();
    xml.text("imageId", id);
    Ok(xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_3_to_128_of_the_allowed_characters() {
        for name in ["web", "a (b) [c]/d.e-f'g@h_i", &"n".repeat(128)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["we", "web:1", "wéb", "web*", &"n".repeat(129)] {
            assert_eq!(check_name(name).unwrap_err().code, "InvalidAMIName.Malformed", "{name}");
        }
    }
}
