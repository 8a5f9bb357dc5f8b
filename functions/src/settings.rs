//! What a deployment decides, from the functions' environment.

use std::env;

use serde_json::Value;

use crate::{
    error::Error,
    limits::{self, Limits},
    tags::{self, Tags},
};

/// Tags for every image and snapshot, as a JSON object; a request's tags win.
pub const DEFAULT_TAGS: &str = "DEFAULT_TAGS";
/// ARN of the machine that users start.
pub const LIFECYCLE_MACHINE_ARN: &str = "LIFECYCLE_MACHINE_ARN";
/// ARN of the machine that runs one operation.
pub const OPERATION_MACHINE_ARN: &str = "OPERATION_MACHINE_ARN";
/// `true` where the roles may change and delete images that no run made.
pub const ALLOW_UNMANAGED_IMAGES: &str = "ALLOW_UNMANAGED_IMAGES";
/// How long a create may take where the request does not say, as in the request's `timeouts`.
pub const CREATE_TIMEOUT: &str = "CREATE_TIMEOUT";
/// How long an update may take.
pub const UPDATE_TIMEOUT: &str = "UPDATE_TIMEOUT";
/// How long a delete or a rollback may take.
pub const DELETE_TIMEOUT: &str = "DELETE_TIMEOUT";

/// A deployment's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tags for every image and snapshot.
    pub default_tags: Tags,
    /// ARN of the machine that users start.
    pub lifecycle_machine_arn: String,
    /// ARN of the machine that runs one operation.
    pub operation_machine_arn: String,
    /// Whether images that no run made may be changed and deleted, when the input says so.
    pub allow_unmanaged_images: bool,
    /// Time limits where the request sets none.
    pub limits: Limits,
}

impl Settings {
    /// Reads the environment; an unset variable or unreadable tags are named in the error.
    pub fn from_env() -> Result<Self, Error> {
        let variable = |name: &str| env::var(name).map_err(|_| Error::invalid(name, "this variable must be set"));
        let json = variable(DEFAULT_TAGS)?;
        let value =
            serde_json::from_str(&json).map_err(|error| Error::invalid(DEFAULT_TAGS, format!("JSON: {error}")))?;
        let limit = |name: &str| {
            let text = variable(name)?;
            limits::parse(name, &text.parse::<u64>().map_or(Value::String(text), Value::from))
        };
        Ok(Self {
            default_tags: tags::parse(DEFAULT_TAGS, &value)?,
            lifecycle_machine_arn: variable(LIFECYCLE_MACHINE_ARN)?,
            operation_machine_arn: variable(OPERATION_MACHINE_ARN)?,
            allow_unmanaged_images: variable(ALLOW_UNMANAGED_IMAGES)? == "true",
            limits: Limits {
                create: limit(CREATE_TIMEOUT)?,
                update: limit(UPDATE_TIMEOUT)?,
                delete: limit(DELETE_TIMEOUT)?,
            },
        })
    }

    /// ARN of an image of this partition and Region; image ARNs carry no account.
    pub(crate) fn image_arn(&self, image_id: &str) -> String {
        let mut parts = self.lifecycle_machine_arn.split(':').skip(1);
        let partition = parts.next().unwrap_or_default();
        let region = parts.nth(1).unwrap_or_default();
        format!("arn:{partition}:ec2:{region}::image/{image_id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_arn_has_the_deployments_partition_and_region_and_no_account() {
        let settings = Settings {
            default_tags: Tags::new(),
            lifecycle_machine_arn: "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:ami".into(),
            operation_machine_arn: String::new(),
            allow_unmanaged_images: false,
            limits: Limits::default(),
        };
        assert_eq!(settings.image_arn("ami-1"), "arn:aws-cn:ec2:cn-north-1::image/ami-1");
    }
}
