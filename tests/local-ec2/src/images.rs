//! Images.

mod attributes;
mod create;
mod deprecation;
mod deregister;
mod describe;
mod disable;
mod fate;
mod foreign;
mod protection;
mod references;

use std::time::SystemTime;

pub(crate) use attributes::{describe_image_attribute, modify_image_attribute};
pub(crate) use create::create_image;
pub(crate) use deprecation::{disable_image_deprecation, enable_image_deprecation};
pub(crate) use deregister::deregister_image;
pub(crate) use describe::describe_images;
pub(crate) use disable::{disable_image, enable_image};
pub use fate::Fate;
pub(crate) use fate::{Making, StateReason};
pub use foreign::BASE_IMAGE;
pub(crate) use protection::{
    Protection, disable_image_deregistration_protection, enable_image_deregistration_protection,
};
pub(crate) use references::describe_image_references;

use aws_sdk_ec2::types::ImageState;

use super::{
    ACCOUNT, api_error::ApiError, clock::between, ids, lags::Lagging, machine::Machine, tags::Tags, world::World,
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
    pub(crate) tags: Tags,
    pub(crate) making: Making,
    pub(crate) disabled: bool,
    pub(crate) protection: Protection,
    pub(crate) last_launched: Option<SystemTime>,
    pub(crate) deregistered: Option<SystemTime>,
    /// Whether EventBridge has not been told of its end yet, and is to be.
    pub(crate) is_to_be_told: bool,
}

/// What a look at an image finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Not there, or not yet, or no longer.
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

    /// The devices it shows, which hold its snapshots: a failed image has none.
    pub(crate) fn shown_devices(&self, now: SystemTime) -> &[Device] {
        match self.making.state(now) {
            ImageState::Pending | ImageState::Available => &self.devices,
            _ => &[],
        }
    }

    fn presence(&self, world: &World) -> Presence {
        let (now, lags) = (world.now(), &world.lags);
        let gone_for = self.deregistered.map(|at| between(at, now));
        match gone_for {
            _ if between(self.created, now) < lags.image_appears => Presence::None,
            None => Presence::Listed,
            Some(gone) if gone < lags.image_lingers => Presence::Listed,
            Some(gone) if gone < lags.image_lingers + lags.image_fades => Presence::Fading,
            Some(_) => Presence::None,
        }
    }
}

impl World {
    /// A registered image that EC2 shows.
    pub(crate) fn image(&mut self, id: &str) -> Result<&mut Image, ApiError> {
        ids::check(id, "ami", "InvalidAMIID.Malformed")?;
        let now = self.now();
        let appears = self.lags.image_appears;
        match self.images.get_mut(id) {
            Some(image) if !image.is_registered() => {
                Err(ApiError::new("InvalidAMIID.Unavailable", format!("The image ID '{id}' is no longer available")))
            }
            Some(image) if between(image.created, now) >= appears => Ok(image),
            _ => Err(not_found(&[id])),
        }
    }

    /// A registered image that EC2 shows and this account may change.
    pub(crate) fn own_image(&mut self, id: &str) -> Result<&mut Image, ApiError> {
        let image = self.image(id)?;
        if image.owner == ACCOUNT {
            return Ok(image);
        }
        Err(ApiError::new("AuthFailure", format!("Not authorized for image:{id}")))
    }

    /// The registered image that refers to a snapshot, if there is one.
    pub(crate) fn image_that_uses(&self, snapshot_id: &str) -> Option<&str> {
        let now = self.now();
        let uses = |image: &&Image| {
            image.is_registered() && image.shown_devices(now).iter().any(|device| device.snapshot_id == snapshot_id)
        };
        self.images.values().find(uses).map(|image| image.id.as_str())
    }

    /// Fails the pending images of an instance that has been terminated or rebooted meanwhile.
    pub(crate) fn fail_images_in_the_making(&mut self, instance_id: &str) {
        let now = self.now();
        let is_source =
            |image: &&mut Image| image.source.as_ref().is_some_and(|source| source.instance_id == instance_id);
        for image in self.images.values_mut().filter(is_source) {
            if image.making.state(now) == ImageState::Pending {
                image.making = Making::instance_terminated(now);
            }
        }
    }
}

fn not_found(ids: &[&str]) -> ApiError {
    let (noun, verb) = if ids.len() == 1 { ("id", "does") } else { ("ids", "do") };
    let problem = format!("The image {noun} '[{}]' {verb} not exist", ids.join(", "));
    ApiError::new("InvalidAMIID.NotFound", problem)
}
