//! Time limits of the operations: `timeouts` in the input.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::error::Error;

/// The shortest limit a user may set, in seconds.
pub const SHORTEST: u64 = 60;
/// The longest limit a user may set, in seconds: a day. The operation machine's own
/// `TimeoutSeconds` is just above it.
pub const LONGEST: u64 = 86_400;

/// How long each operation may take, in seconds; a rollback has the limit of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Making an image.
    pub create: u64,
    /// Changing an image.
    pub update: u64,
    /// Removing an image, or rolling back.
    pub delete: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { create: 40 * 60, update: 40 * 60, delete: 90 * 60 }
    }
}

/// The limits a user sets; the others are the deployment's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Making an image.
    pub create: Option<u64>,
    /// Changing an image.
    pub update: Option<u64>,
    /// Removing an image, or rolling back.
    pub delete: Option<u64>,
}

impl Timeouts {
    /// The limits, with the deployment's where the user sets none.
    pub fn over(self, deployment: Limits) -> Limits {
        Limits {
            create: self.create.unwrap_or(deployment.create),
            update: self.update.unwrap_or(deployment.update),
            delete: self.delete.unwrap_or(deployment.delete),
        }
    }
}

/// Reads one limit: a text such as "1h30m", or a whole number of seconds.
pub(crate) fn parse(field: &str, value: &Value) -> Result<u64, Error> {
    let seconds = match value {
        Value::String(text) => humantime::parse_duration(text)
            .ok()
            .filter(|duration| duration.subsec_nanos() == 0)
            .as_ref()
            .map(Duration::as_secs),
        other => other.as_u64(),
    };
    match seconds {
        Some(seconds) if (SHORTEST..=LONGEST).contains(&seconds) => Ok(seconds),
        _ => Err(Error::invalid(
            field,
            "from one minute to 24 hours is allowed, as \"40m\", \"1h30m\", \"2400s\" or a whole number of seconds",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limit_is_a_text_with_units_or_a_number_of_seconds() {
        for (value, seconds) in [
            (json!("40m"), 2400),
            (json!("1h30m"), 5400),
            (json!("2400s"), 2400),
            (json!(60), 60),
            (json!("24h"), 86400),
        ] {
            assert_eq!(parse("timeouts.create", &value), Ok(seconds), "{value}");
        }
    }

    #[test]
    fn a_users_limit_wins_over_the_deployments() {
        let timeouts = Timeouts { update: Some(60), ..Timeouts::default() };
        let deployment = Limits { create: 100, update: 200, delete: 300 };
        assert_eq!(timeouts.over(deployment), Limits { create: 100, update: 60, delete: 300 });
    }

    #[test]
    fn a_limit_that_is_unreadable_or_out_of_range_is_refused_by_its_field() {
        for value in [
            json!("soon"),
            json!("2400"),
            json!("59s"),
            json!(59),
            json!(86401),
            json!("25h"),
            json!(-60),
            json!(90.5),
            json!(null),
            json!(""),
        ] {
            let error = parse("timeouts.create", &value).unwrap_err();
            assert!(error.to_string().starts_with("timeouts.create: from one minute"), "{value}: {error}");
        }
    }
}
