//! Finding images.

use aws_sdk_ec2::types::ImageState;

use super::World;
use crate::{
    account::ACCOUNT,
    api_error::ApiError,
    clock::between,
    ids,
    resources::{
        fate::Making,
        image::{Image, not_found},
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
