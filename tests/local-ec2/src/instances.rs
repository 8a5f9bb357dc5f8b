//! Instances and their volumes.

mod describe;
mod power;
mod run;

use std::time::{Duration, SystemTime};

pub(crate) use describe::{describe_instance_status, describe_instances};
pub(crate) use power::{Move, Power, reboot_instances, start_instances, stop_instances, terminate_instances};
pub use run::InstanceSpec;
pub(crate) use run::run_instances;

use aws_sdk_ec2::types::InstanceStateName;

use super::{api_error::ApiError, clock::between, ids, machine::Machine, tags::Tags, world::World};

/// How long a terminated instance is still listed.
const TERMINATED_SHOWS: Duration = Duration::from_secs(3600);
/// How long the status checks say `initializing` after a start or a reboot.
const INITIALIZES: Duration = Duration::from_secs(30);

/// An EBS volume attached to an instance.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub(crate) id: String,
    pub(crate) device: String,
    pub(crate) size_gib: u32,
    pub(crate) kind: String,
    pub(crate) delete_on_termination: bool,
    pub(crate) attached: SystemTime,
    pub(crate) tags: Tags,
}

/// An instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) reservation_id: String,
    pub(crate) image_id: String,
    pub(crate) instance_type: String,
    pub(crate) machine: Machine,
    pub(crate) power: Power,
    pub(crate) reboots: Vec<SystemTime>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) tags: Tags,
    pub(crate) address: String,
    pub(crate) launch_index: u32,
}

impl Instance {
    pub(crate) fn state(&self, now: SystemTime) -> InstanceStateName {
        self.power.state(now)
    }

    fn is_listed(&self, now: SystemTime) -> bool {
        self.state(now) != InstanceStateName::Terminated || between(self.power.since(now), now) < TERMINATED_SHOWS
    }

    fn is_initializing(&self, now: SystemTime) -> bool {
        let latest = self.reboots.iter().copied().fold(self.power.since(now), SystemTime::max);
        between(latest, now) < INITIALIZES
    }
}

impl World {
    /// Refuses ids that are not ids, and those of no listed instance.
    fn check_instance_ids(&self, ids: &[String]) -> Result<(), ApiError> {
        for id in ids {
            ids::check(id, "i", "InvalidInstanceID.Malformed")?;
        }
        let now = self.now();
        let known = |id: &String| self.instances.get(id).is_some_and(|instance| instance.is_listed(now));
        let unknown: Vec<&str> = ids.iter().filter(|id| !known(id)).map(String::as_str).collect();
        match unknown.as_slice() {
            [] => Ok(()),
            [id] => Err(not_found(format!("The instance ID '{id}' does not exist"))),
            ids => Err(not_found(format!("The instance IDs '{}' do not exist", ids.join(", ")))),
        }
    }

    pub(crate) fn instance(&mut self, id: &str) -> Result<&mut Instance, ApiError> {
        self.check_instance_ids(&[id.to_owned()])?;
        self.instances.get_mut(id).ok_or_else(|| not_found(format!("The instance ID '{id}' does not exist")))
    }

    fn listed_instances(&self, ids: &[String]) -> Result<impl Iterator<Item = &Instance>, ApiError> {
        self.check_instance_ids(ids)?;
        let now = self.now();
        let wanted = |instance: &&Instance| ids.is_empty() || ids.contains(&instance.id);
        Ok(self.instances.values().filter(move |instance| instance.is_listed(now)).filter(wanted))
    }
}

fn not_found(message: String) -> ApiError {
    ApiError::new("InvalidInstanceID.NotFound", message)
}
