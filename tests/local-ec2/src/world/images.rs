//! Finding images.

use std::{collections::HashMap, time::Duration};

use aws_sdk_ec2::types::ImageState;

use super::World;
use crate::{
    account::ACCOUNT,
    api_error::ApiError,
    clock::between,
    ids,
    resources::{
        fate::Making,
        image::{Image, Presence, not_found},
        instance::Instance,
    },
};

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

    /// Lets an image, and its snapshots, be so much older.
    pub(crate) fn age_image(&mut self, id: &str, by: Duration) {
        let Some(image) = self.images.get_mut(id) else { return };
        image.created -= by;
        image.making = image.making.earlier(by);
        for device in &image.devices {
            if let Some(snapshot) = self.snapshots.get_mut(&device.snapshot_id) {
                snapshot.begun -= by;
                snapshot.completes = snapshot.completes.map(|at| at - by);
            }
        }
    }

    /// The registered image that refers to a snapshot, if there is one.
    pub(crate) fn image_that_uses(&self, snapshot_id: &str) -> Option<&str> {
        let now = self.now();
        let uses = |image: &&Image| {
            image.is_registered() && image.held_devices(now).iter().any(|device| device.snapshot_id == snapshot_id)
        };
        self.images.values().find(uses).map(|image| image.id.as_str())
    }

    /// Whether a look by this id is answered, be it with an empty list: for long after an image's
    /// deregistration, and for as long as there are instances of it.
    pub(crate) fn knows_image(&self, id: &str) -> bool {
        let now = self.now();
        let Some(image) = self.images.get(id) else { return false };
        let is_instance = |instance: &Instance| instance.image_id == id && instance.is_listed(now);
        image.presence(now, &self.lags) != Presence::None
            || !image.is_registered() && self.instances.values().any(is_instance)
    }

    /// The image that uses each snapshot in use.
    pub(crate) fn users_of_snapshots(&self) -> HashMap<&str, &str> {
        let now = self.now();
        let mut users = HashMap::new();
        for image in self.images.values().filter(|image| image.is_registered()) {
            users.extend(image.held_devices(now).iter().map(|device| (device.snapshot_id.as_str(), image.id.as_str())));
        }
        users
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
