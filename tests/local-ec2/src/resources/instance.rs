//! Instances and their volumes.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::types::InstanceStateName;

use crate::{
    clock::between,
    resources::{machine::Machine, power::Power},
    tags::Tags,
};

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

/// A volume to be attached.
#[derive(Clone, Debug)]
pub(crate) struct NewVolume {
    pub(crate) device: String,
    pub(crate) size_gib: u32,
    pub(crate) kind: String,
    pub(crate) delete_on_termination: bool,
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
    /// Its `disableApiStop`.
    pub(crate) stop_protection: bool,
    /// The ARN of the customer managed key of its volumes, which nobody may grant it the use of.
    pub(crate) ungranted_key: Option<String>,
}

impl Instance {
    pub(crate) fn state(&self, now: SystemTime) -> InstanceStateName {
        self.power.state(now)
    }

    pub(crate) fn is_listed(&self, now: SystemTime) -> bool {
        self.state(now) != InstanceStateName::Terminated || between(self.power.since(now), now) < TERMINATED_SHOWS
    }

    pub(crate) fn is_initializing(&self, now: SystemTime) -> bool {
        let latest = self.reboots.iter().copied().fold(self.power.since(now), SystemTime::max);
        between(latest, now) < INITIALIZES
    }
}
