//! Images.

use std::time::SystemTime;

use aws_sdk_ec2::types::ImageState;

use crate::{
    account::AMAZON,
    api_error::ApiError,
    clock::between,
    lags::{Lagging, Lags},
    resources::{fate::Making, grantee::Grantee, machine::Machine, protection::Protection},
    tags::{self, Tags},
};

/// An EBS volume as an image describes it.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) snapshot_id: String,
    pub(crate) size_gib: u32,
    pub(crate) kind: String,
    pub(crate) delete_on_termination: bool,
}

/// Where an image comes from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) instance_id: String,
    pub(crate) image_id: String,
    /// Whether CreateImage was asked not to reboot the instance.
    pub(crate) no_reboot: bool,
}

/// An image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: &'static str,
    pub(crate) created: SystemTime,
    pub(crate) description: Lagging<Option<String>>,
    pub(crate) deprecation: Lagging<Option<SystemTime>>,
    pub(crate) source: Option<Source>,
    pub(crate) machine: Machine,
    pub(crate) devices: Vec<Device>,
    pub(crate) devices_show_at: SystemTime,
    pub(crate) tags: Tags,
    pub(crate) making: Making,
    pub(crate) disabled: bool,
    pub(crate) protection: Protection,
    /// Who besides its owner may launch it.
    pub(crate) grantees: Vec<Grantee>,
    pub(crate) last_launched: Option<SystemTime>,
    pub(crate) deregistered: Option<SystemTime>,
    /// When it came back from the Recycle Bin.
    pub(crate) restored: Option<SystemTime>,
    /// Whether EventBridge has not been told of its end yet, and is to be.
    pub(crate) is_to_be_told: bool,
}

/// What a look at an image finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Not there, or not yet, or no longer, unless an instance that was launched from it is.
    None,
    Listed,
    /// In no list any more, and an empty list to who asks by id.
    Fading,
}

impl Image {
    pub(crate) fn state(&self, now: SystemTime) -> ImageState {
        match self.making.state(now) {
            ImageState::Available if self.disabled => ImageState::Disabled,
            state => state,
        }
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.deregistered.is_none()
    }

    /// The devices whose snapshots it holds: a failed image has none.
    pub(crate) fn held_devices(&self, now: SystemTime) -> &[Device] {
        match self.making.state(now) {
            ImageState::Pending | ImageState::Available => &self.devices,
            _ => &[],
        }
    }

    /// The devices it shows.
    pub(crate) fn shown_devices(&self, now: SystemTime) -> &[Device] {
        if now < self.devices_show_at { &[] } else { self.held_devices(now) }
    }

    /// The tags it shows.
    pub(crate) fn shown_tags(&self, now: SystemTime, lags: &Lags) -> &Tags {
        if between(self.created, now) < lags.image_tags_show { &tags::NONE } else { &self.tags }
    }

    /// Whether CreateImage still makes it of an instance that it did not reboot.
    pub(crate) fn is_made_without_reboot(&self, instance_id: &str, now: SystemTime) -> bool {
        self.source.as_ref().is_some_and(|source| source.no_reboot && source.instance_id == instance_id)
            && self.making.state(now) == ImageState::Pending
    }

    /// Whether it is Amazon's.
    pub(crate) fn is_amazons(&self) -> bool {
        self.owner == AMAZON
    }

    pub(crate) fn is_public(&self) -> bool {
        self.is_amazons() || self.grantees.iter().any(Grantee::is_everybody)
    }

    pub(crate) fn presence(&self, now: SystemTime, lags: &Lags) -> Presence {
        let gone_for = self.deregistered.map(|at| between(at, now));
        match gone_for {
            _ if between(self.created, now) < lags.image_appears => Presence::None,
            None if self.restored.is_some_and(|at| between(at, now) < lags.restored_shows) => Presence::None,
            None => Presence::Listed,
            Some(gone) if gone < lags.image_lingers => Presence::Listed,
            Some(gone) if gone < lags.image_lingers + lags.image_fades => Presence::Fading,
            Some(_) => Presence::None,
        }
    }
}

pub(crate) fn not_found(ids: &[&str]) -> ApiError {
    let (noun, verb) = if ids.len() == 1 { ("id", "does") } else { ("ids", "do") };
    let problem = format!("The image {noun} '[{}]' {verb} not exist", ids.join(", "));
    ApiError::new("InvalidAMIID.NotFound", problem)
}
