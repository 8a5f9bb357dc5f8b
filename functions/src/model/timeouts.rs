//! The timeouts of the operations: `timeouts` in the request.

use serde_json::Value;

use crate::error::Error;

/// The shortest timeout a user may set, in seconds.
pub const SHORTEST: u64 = 60;
/// The longest timeout a user may set, in seconds: a day. The operation machine's own
/// `TimeoutSeconds` is just above it.
pub const LONGEST: u64 = 86_400;
/// As many digits as `LONGEST` has in seconds.
const MAX_DIGITS: usize = 5;
/// The shortest timeout of a rollback, in seconds: it waits for calls that were cut off and for
/// snapshots that EC2 calls in use.
const SHORTEST_ROLLBACK: u64 = 900;

/// How long each operation may take, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Making an image.
    pub create: u64,
    /// Changing an image.
    pub update: u64,
    /// Removing an image.
    pub delete: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { create: 40 * 60, update: 40 * 60, delete: 90 * 60 }
    }
}

impl Timeouts {
    /// How long a rollback may take: as long as a delete, and not less than it needs.
    pub fn rollback(self) -> u64 {
        self.delete.max(SHORTEST_ROLLBACK)
    }
}

/// The timeouts a request sets; the others are the deployment's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestedTimeouts {
    /// Making an image.
    pub create: Option<u64>,
    /// Changing an image.
    pub update: Option<u64>,
    /// Removing an image, or rolling back.
    pub delete: Option<u64>,
}

impl RequestedTimeouts {
    /// The timeouts, with the deployment's where the request sets none.
    pub fn over(self, deployment: Timeouts) -> Timeouts {
        Timeouts {
            create: self.create.unwrap_or(deployment.create),
            update: self.update.unwrap_or(deployment.update),
            delete: self.delete.unwrap_or(deployment.delete),
        }
    }
}

/// Reads one timeout in seconds: a string such as "1h30m", or a whole number.
///
/// # Errors
///
/// `InvalidRequest`, naming `field`.
pub(crate) fn parse(field: &str, value: &Value) -> Result<u64, Error> {
    let seconds = match value {
        Value::String(text) => with_units(text),
        other => other.as_u64().or_else(|| whole(other.as_f64()?)),
    };
    match seconds {
        Some(seconds) if (SHORTEST..=LONGEST).contains(&seconds) => Ok(seconds),
        _ => Err(Error::invalid(
            field,
            "must be from one minute to 24 hours, such as \"40m\", \"1h30m\", \"2400s\" or a whole number of seconds",
        )),
    }
}

/// Hours, minutes and seconds in this order, each of them once at most. All but the first are below 60, so that
/// the request's schema can say what is in range.
fn with_units(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = None;
    for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
        let Some((digits, after)) = rest.split_once(unit) else { continue };
        let is_first = total.is_none();
        let fits = if is_first { !digits.starts_with('0') && digits.len() <= MAX_DIGITS } else { digits.len() <= 2 };
        if !fits || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let number = digits.parse::<u64>().ok().filter(|number| is_first || *number < 60)?;
        total = Some(total.unwrap_or(0) + number * seconds);
        rest = after;
    }
    total.filter(|_| rest.is_empty())
}

/// A whole number that JSON wrote with a fraction, such as 2400.0.
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=LONGEST as f64).contains(&number)).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_timeout_is_a_string_with_units_or_a_whole_number_of_seconds() {
        for (value, seconds) in [
            (json!("40m"), 2400),
            (json!("1h30m"), 5400),
            (json!("2400s"), 2400),
            (json!("90m30s"), 5430),
            (json!("1h05m09s"), 3909),
            (json!("24h0m0s"), 86400),
            (json!(60), 60),
            (json!(2400.0), 2400),
            (json!("24h"), 86400),
        ] {
            assert_eq!(parse("timeouts.create", &value), Ok(seconds), "{value}");
        }
    }

    #[test]
    fn a_requests_timeout_wins_over_the_deployments() {
        let requested = RequestedTimeouts { update: Some(60), ..RequestedTimeouts::default() };
        let deployment = Timeouts { create: 100, update: 200, delete: 300 };
        assert_eq!(requested.over(deployment), Timeouts { create: 100, update: 60, delete: 300 });
    }

    #[test]
    fn a_rollback_has_the_timeout_of_a_delete_and_a_quarter_of_an_hour_at_least() {
        let with_delete = |delete| Timeouts { delete, ..Timeouts::default() }.rollback();
        assert_eq!([60, 900, 5400].map(with_delete), [900, 900, 5400]);
    }

    #[test]
    fn a_timeout_that_is_unreadable_or_out_of_range_is_refused_by_its_field() {
        for value in [
            json!("soon"),
            json!("2400"),
            json!("59s"),
            json!(59),
            json!(86401),
            json!("25h"),
            json!("24h1s"),
            json!("1h60m"),
            json!("1h 30m"),
            json!("30m1h"),
            json!("1h1h"),
            json!("0h40m"),
            json!("1.5h"),
            json!("h"),
            json!("100000000000000000000000s"),
            json!(-60),
            json!(90.5),
            json!(1e300),
            json!([]),
            json!(""),
        ] {
            let error = parse("timeouts.create", &value).unwrap_err();
            assert!(error.to_string().starts_with("timeouts.create: must be from one minute"), "{value}: {error}");
        }
    }
}
