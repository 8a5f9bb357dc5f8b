//! Deregistration protection: what an image has, and taking it off an image that is to go.

use aws_sdk_ec2::{Client, types::Image};
use serde::{Deserialize, Serialize};

use crate::{
    aws::{ec2, error_codes},
    error::Error,
};

/// The tag of an image whose protection was disabled, with the time from which EC2 lets it be deregistered.
pub(crate) const DELETABLE_FROM_TAG: &str = "ami-from-instance:deletable-from";

/// How long after its protection was disabled an image with a cooldown stays, in seconds (EC2 User Guide, protect an
/// AMI from deregistration).
const COOLDOWN: i64 = 24 * 3600;

/// The protection that an image is to have, in EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Protection {
    /// It may be deregistered.
    Disabled,
    /// It may not, until the protection is disabled.
    EnabledWithoutCooldown,
    /// It may not, until the protection has been disabled for a day.
    EnabledWithCooldown,
}

impl Protection {
    /// EC2's word.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What protects the image from deregistration.
pub(crate) fn of(image: &Image) -> Option<&str> {
    image.deregistration_protection().filter(|protection| *protection != Protection::Disabled.as_str())
}

/// Why an image with a protection stays.
pub(crate) fn keeps(protection: &str) -> String {
    format!("deregistration protection is {protection}")
}

/// Whether the image stays for a day after its protection is disabled.
pub(crate) fn has_cooldown(image: &Image) -> bool {
    of(image) == Some(Protection::EnabledWithCooldown.as_str())
}

/// From when on EC2 lets the image be deregistered, in seconds since 1970, as its tag says.
pub(crate) fn deletable_from(image: &Image) -> Option<i64> {
    let tag = image.tags().iter().find(|tag| tag.key() == Some(DELETABLE_FROM_TAG))?;
    ec2::time(tag.value()).map(|time| time.secs())
}

/// Disables the image's protection; notes on the image when its cooldown ends, before that begins.
pub(crate) async fn disable(client: &Client, image: &Image, now: i64) -> Result<(), Error> {
    let id = image.image_id().unwrap_or_default();
    if has_cooldown(image) {
        let request =
            client.create_tags().resources(id).tags(ec2::tag(DELETABLE_FROM_TAG, &ec2::shown(now + COOLDOWN)));
        request.send().await.map_err(|error| error_codes::unexpected("ec2:CreateTags", &error))?;
    }
    let answer = client.disable_image_deregistration_protection().image_id(id).send().await;
    answer.map_err(|error| error_codes::unexpected("ec2:DisableImageDeregistrationProtection", &error))?;
    tracing::info!(imageId = id, "the image's deregistration protection is disabled");
    Ok(())
}
