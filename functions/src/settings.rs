//! What a deployment decides, from the functions' environment.
//!
//! Each setting is read for itself, and what cannot be read is an error only to the function that needs
//! it: a rollback needs no more than the machines' ARNs.

use std::env;

use serde_json::Value;

use crate::{
    error::Error,
    model::{
        run::Run,
        tags::{self, Tags},
        timeouts::{self, Timeouts},
    },
};

/// Tags for every image and snapshot, as a JSON object; a request's tags win.
pub const DEFAULT_TAGS: &str = "DEFAULT_TAGS";
/// ARN of the machine that users start.
pub const LIFECYCLE_MACHINE_ARN: &str = "LIFECYCLE_MACHINE_ARN";
/// ARN of the machine that does one operation.
pub const OPERATION_MACHINE_ARN: &str = "OPERATION_MACHINE_ARN";
/// `true` where the roles may change and delete images that no run made.
pub const ALLOW_UNMANAGED_IMAGES: &str = "ALLOW_UNMANAGED_IMAGES";
/// `true` where only instances with a tag may be imaged; see [`SOURCE_TAG`].
pub const ONLY_TAGGED_INSTANCES: &str = "ONLY_TAGGED_INSTANCES";
/// `report` where the sweep has nothing removed, and only reports what it finds.
pub const SWEEP: &str = "SWEEP";
/// The tag, and its value, of instances that may be imaged where not all may.
pub const SOURCE_TAG: (&str, &str) = ("ami-from-instance:source", "allowed");
/// How long a create may take where the request does not say, as in the request's `timeouts`.
pub const CREATE_TIMEOUT: &str = "CREATE_TIMEOUT";
/// How long an update may take.
pub const UPDATE_TIMEOUT: &str = "UPDATE_TIMEOUT";
/// How long a delete or a rollback may take.
pub const DELETE_TIMEOUT: &str = "DELETE_TIMEOUT";

/// A deployment's settings, each as far as the function has it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The deployment's machines.
    pub machines: Result<Machines, Error>,
    /// Tags for every image and snapshot.
    pub default_tags: Result<Tags, Error>,
    /// Whether images that no run made may be changed and deleted, when the request says so.
    pub allow_unmanaged_images: bool,
    /// Whether only instances with [`SOURCE_TAG`] may be imaged. The roles are narrowed the same way.
    pub only_tagged_instances: bool,
    /// Whether the sweep only reports what it finds.
    pub sweep_only_reports: bool,
    /// Timeouts where the request sets none.
    pub timeouts: Result<Timeouts, Error>,
}

/// The ARNs of a deployment's machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machines {
    /// The one that users start.
    pub lifecycle: String,
    /// The one that does one operation.
    pub operation: String,
}

impl Settings {
    /// Reads the environment.
    pub fn from_env() -> Self {
        Self::from(|name| env::var(name).ok())
    }

    /// Reads an environment.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Self {
        let required = |name: &'static str| variable(name).ok_or_else(|| Error::setting(name, "must be set"));
        let machines = || {
            Ok(Machines { lifecycle: required(LIFECYCLE_MACHINE_ARN)?, operation: required(OPERATION_MACHINE_ARN)? })
        };
        let default_tags = || {
            let value = serde_json::from_str(&required(DEFAULT_TAGS)?)
                .map_err(|error| Error::setting(DEFAULT_TAGS, format!("must be a JSON object: {error}")))?;
            tags::parse(DEFAULT_TAGS, &value).map_err(Error::of_setting)
        };
        let timeout = |name: &'static str| {
            let text = required(name)?;
            let value = text.parse::<u64>().map_or(Value::String(text), Value::from);
            timeouts::parse(name, &value).map_err(Error::of_setting)
        };
        let timeouts = || {
            Ok(Timeouts {
                create: timeout(CREATE_TIMEOUT)?,
                update: timeout(UPDATE_TIMEOUT)?,
                delete: timeout(DELETE_TIMEOUT)?,
            })
        };
        Self {
            machines: machines(),
            default_tags: default_tags(),
            allow_unmanaged_images: variable(ALLOW_UNMANAGED_IMAGES).as_deref() == Some("true"),
            only_tagged_instances: variable(ONLY_TAGGED_INSTANCES).as_deref() == Some("true"),
            sweep_only_reports: variable(SWEEP).as_deref() == Some("report"),
            timeouts: timeouts(),
        }
    }

    /// The deployment's machines.
    ///
    /// # Errors
    ///
    /// `InvalidSetting` if an ARN is not set.
    pub fn machines(&self) -> Result<&Machines, Error> {
        self.machines.as_ref().map_err(Clone::clone)
    }

    /// The tags for every image and snapshot.
    ///
    /// # Errors
    ///
    /// `InvalidSetting` if they are unreadable.
    pub fn default_tags(&self) -> Result<&Tags, Error> {
        self.default_tags.as_ref().map_err(Clone::clone)
    }
}

impl Machines {
    /// Whether a run of this deployment put the run tag on a resource with these tags.
    pub(crate) fn made(&self, tags: &[aws_sdk_ec2::types::Tag]) -> bool {
        tags::run_of(tags).is_some_and(|run| Run::new(run).is_of(&self.lifecycle))
    }

    /// ARN of an image of this partition and Region; image ARNs carry no account.
    pub(crate) fn image_arn(&self, image_id: &str) -> String {
        let mut parts = self.lifecycle.split(':').skip(1);
        let partition = parts.next().unwrap_or_default();
        let region = parts.nth(1).unwrap_or_default();
        format!("arn:{partition}:ec2:{region}::image/{image_id}")
    }

    /// The account's number.
    pub(crate) fn account(&self) -> &str {
        self.lifecycle.split(':').nth(4).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(changes: &[(&str, &str)]) -> Settings {
        Settings::from(|name| {
            let change = changes.iter().find(|(changed, _)| *changed == name);
            let value = change.map_or(
                match name {
                    DEFAULT_TAGS => "{}",
                    LIFECYCLE_MACHINE_ARN => "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:ami-lifecycle",
                    OPERATION_MACHINE_ARN => "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:ami-operation",
                    ALLOW_UNMANAGED_IMAGES => "false",
                    _ => "40m",
                },
                |(_, value)| value,
            );
            Some(value.to_owned())
        })
    }

    #[test]
    fn an_images_arn_has_the_deployments_partition_and_region_and_no_account() {
        let settings = settings(&[]);
        let machines = settings.machines().unwrap();
        assert_eq!(machines.image_arn("ami-1"), "arn:aws-cn:ec2:cn-north-1::image/ami-1");
        assert_eq!(machines.account(), "123456789012");
    }

    #[test]
    fn a_setting_that_cannot_be_read_is_named_and_hinders_no_other_one() {
        for (name, value) in [(DEFAULT_TAGS, "{x}"), (DEFAULT_TAGS, r#"{"aws:a": ""}"#), (CREATE_TIMEOUT, "0")] {
            let settings = settings(&[(name, value)]);
            assert!(settings.machines().is_ok());
            let errors = [settings.default_tags.err(), settings.timeouts.err()];
            let [error] = errors.into_iter().flatten().collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(error.name(), "InvalidSetting");
            let parameter = if name == DEFAULT_TAGS { "DefaultTags" } else { "CreateTimeout" };
            assert!(error.to_string().contains(parameter), "{error}");
        }
    }
    #[test]
    fn only_true_lets_runs_change_images_that_no_run_made() {
        for (value, allowed) in [("true", true), ("false", false), ("True", false)] {
            assert_eq!(settings(&[(ALLOW_UNMANAGED_IMAGES, value)]).allow_unmanaged_images, allowed, "{value}");
        }
    }
}
