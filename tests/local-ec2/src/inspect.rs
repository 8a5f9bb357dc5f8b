//! Looks at the truth behind the API: at once, and without counting as a call.

use std::time::SystemTime;

use aws_sdk_ec2::types::{ImageState, InstanceStateName, SnapshotState};

use crate::{
    account::ACCOUNT,
    resources::{image::Image, instance::Instance, snapshot::Snapshot},
    tags::Tags,
    world::World,
};

/// A registered image of this account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ImageState,
    /// Its description, the latest change included.
    pub description: Option<String>,
    /// When it is deprecated, the latest change included.
    pub deprecation: Option<SystemTime>,
    /// Its tags.
    pub tags: Tags,
    /// The snapshots made for it, whether it shows them or not.
    pub snapshot_ids: Vec<String>,
    /// The instance CreateImage made it from.
    pub source_instance_id: Option<String>,
}

/// A snapshot that is not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its id.
    pub id: String,
    /// The volume it was made of.
    pub volume_id: String,
    /// When it began, or will: nobody sees it before.
    pub begun: SystemTime,
    /// Its state.
    pub state: SnapshotState,
    /// Its progress in percent.
    pub percent: u8,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
    /// The registered image that uses it.
    pub image_id: Option<String>,
    /// Whether a lock keeps it from being deleted.
    pub locked: bool,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceInfo {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: InstanceStateName,
    /// Every reboot, whether CreateImage or RebootInstances did it.
    pub reboots: Vec<SystemTime>,
    /// Its tags.
    pub tags: Tags,
    /// Its volumes' ids.
    pub volume_ids: Vec<String>,
}

impl World {
    /// Of the account's registered images those wanted.
    pub(crate) fn image_infos(&self, wanted: impl Fn(&Image) -> bool) -> Vec<ImageInfo> {
        let now = self.now();
        let info = |image: &Image| ImageInfo {
            id: image.id.clone(),
            name: image.name.clone(),
            state: image.state(now),
            description: image.description.latest().clone(),
            deprecation: *image.deprecation.latest(),
            tags: image.tags.clone(),
            snapshot_ids: image.devices.iter().map(|device| device.snapshot_id.clone()).collect(),
            source_instance_id: image.source.as_ref().map(|source| source.instance_id.clone()),
        };
        let ours = |image: &&Image| image.is_registered() && image.owner == ACCOUNT;
        self.images.values().filter(ours).filter(|image| wanted(image)).map(info).collect()
    }

    /// Of the snapshots those wanted.
    pub(crate) fn snapshot_infos(&self, wanted: impl Fn(&Snapshot) -> bool) -> Vec<SnapshotInfo> {
        let now = self.now();
        let users = self.users_of_snapshots();
        let info = |snapshot: &Snapshot| SnapshotInfo {
            id: snapshot.id.clone(),
            volume_id: snapshot.volume_id.clone(),
            begun: snapshot.begun,
            state: snapshot.state(now),
            percent: snapshot.percent(now),
            description: snapshot.description.clone(),
            tags: snapshot.tags.clone(),
            image_id: users.get(snapshot.id.as_str()).map(|image| (*image).to_owned()),
            locked: snapshot.lock.as_ref().is_some_and(|lock| now < lock.expires),
        };
        self.snapshots.values().filter(|snapshot| wanted(snapshot)).map(info).collect()
    }

    /// Of the instances those wanted.
    pub(crate) fn instance_infos(&self, wanted: impl Fn(&Instance) -> bool) -> Vec<InstanceInfo> {
        let now = self.now();
        let info = |instance: &Instance| InstanceInfo {
            id: instance.id.clone(),
            state: instance.state(now),
            reboots: instance.reboots.clone(),
            tags: instance.tags.clone(),
            volume_ids: instance.volumes.iter().map(|volume| volume.id.clone()).collect(),
        };
        self.instances.values().filter(|instance| wanted(instance)).map(info).collect()
    }
}
