//! RunInstances, and instances made for a test.

use std::time::SystemTime;

use aws_sdk_ec2::types::{ImageState, InstanceStateName};

use super::{Instance, Move, Power, Volume};
use crate::{
    api_error::ApiError,
    images::BASE_IMAGE,
    instances::describe::write_reservation,
    machine::Machine,
    query::Query,
    tags::{self, Tags},
    world::World,
    xml::Xml,
};

const MOST_AT_ONCE: u32 = 100;

/// A volume to be attached.
#[derive(Clone, Debug)]
struct NewVolume {
    device: String,
    size_gib: u32,
    kind: String,
    delete_on_termination: bool,
}

/// An instance to be made by [`Ec2::add_instance`](crate::Ec2::add_instance): a running
/// `t3.micro` with an 8 GiB root, unless told otherwise.
#[derive(Clone, Debug)]
pub struct InstanceSpec {
    id: Option<String>,
    state: InstanceStateName,
    instance_type: String,
    machine: Machine,
    volumes: Vec<NewVolume>,
    tags: Tags,
}

impl Default for InstanceSpec {
    fn default() -> Self {
        Self {
            id: None,
            state: InstanceStateName::Running,
            instance_type: "t3.micro".to_owned(),
            machine: Machine::default(),
            volumes: Vec::new(),
            tags: Tags::new(),
        }
        .volume("/dev/xvda", 8, "gp3")
    }
}

impl InstanceSpec {
    /// Gives it an id instead of one made up.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Puts it into a state as of now; one that passes, such as `pending`, then passes as usual.
    #[must_use]
    pub fn state(mut self, state: InstanceStateName) -> Self {
        self.state = state;
        self
    }

    /// Sets the instance type.
    #[must_use]
    pub fn instance_type(mut self, instance_type: impl Into<String>) -> Self {
        self.instance_type = instance_type.into();
        self
    }

    /// Attaches a volume, or replaces the one of that device.
    #[must_use]
    pub fn volume(mut self, device: &str, size_gib: u32, kind: &str) -> Self {
        let delete_on_termination = device == self.machine.root_device_name;
        self.volumes.retain(|volume| volume.device != device);
        self.volumes.push(NewVolume {
            device: device.to_owned(),
            size_gib,
            kind: kind.to_owned(),
            delete_on_termination,
        });
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Makes its root device an instance store, from which no image can be made.
    #[must_use]
    pub fn instance_store_root(mut self) -> Self {
        self.machine.root_is_ebs = false;
        self.volumes.retain(|volume| volume.device != self.machine.root_device_name);
        self
    }

    /// Makes it boot by UEFI with a TPM and a variable store (base64).
    #[must_use]
    pub fn uefi(mut self, data: impl Into<String>) -> Self {
        self.machine.boot_mode = Some("uefi".to_owned());
        self.machine.tpm_support = Some("v2.0".to_owned());
        self.machine.uefi_data = Some(data.into());
        self
    }
}

impl World {
    pub(crate) fn add_instance(&mut self, spec: InstanceSpec) -> String {
        let id = spec.id.unwrap_or_else(|| self.ids.resource("i"));
        let power = Power::in_state(&spec.state, self.now());
        let attached = power.launched(self.now());
        let volumes = spec.volumes.iter().map(|volume| self.attach(volume, attached, &Tags::new())).collect();
        let instance = Instance {
            id: id.clone(),
            reservation_id: self.ids.resource("r"),
            image_id: BASE_IMAGE.to_owned(),
            instance_type: spec.instance_type,
            machine: spec.machine,
            power,
            reboots: Vec::new(),
            volumes,
            tags: spec.tags,
            address: self.next_address(),
            launch_index: 0,
        };
        self.instances.insert(id.clone(), instance);
        id
    }

    fn attach(&mut self, volume: &NewVolume, attached: SystemTime, tags: &Tags) -> Volume {
        Volume {
            id: self.ids.resource("vol"),
            device: volume.device.clone(),
            size_gib: volume.size_gib,
            kind: volume.kind.clone(),
            delete_on_termination: volume.delete_on_termination,
            attached,
            tags: tags.clone(),
        }
    }

    fn next_address(&self) -> String {
        let number = self.instances.len() + 10;
        format!("172.31.{}.{}", number / 250 % 250, number % 250)
    }
}

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
        };
        world.instances.insert(id, instance);
    }
    if let Some(token) = token {
        world.launch_tokens.insert(token, reservation_id.clone());
    }
    Ok(write_reservation(world, &reservation_id))
}
