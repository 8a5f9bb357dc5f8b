//! What a request says of the source instance's volumes.

use serde::{Deserialize, Serialize};

/// One volume that is not taken over as it is, as CreateImage spells it in `BlockDeviceMapping`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDeviceMapping {
    /// The device as the instance names it, such as `/dev/sdf`.
    pub device_name: String,
    /// Whether it is left out of the image.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_device: bool,
    /// Whether the volume goes with an instance that is launched from the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_on_termination: Option<bool>,
}

impl BlockDeviceMapping {
    /// A volume that is left out.
    pub fn left_out(device_name: &str) -> Self {
        Self { device_name: device_name.to_owned(), no_device: true, delete_on_termination: None }
    }
}
