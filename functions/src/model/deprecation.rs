//! When an image is deprecated.

use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat};
use chrono::Months;
use serde::{Deserialize, Serialize};

/// A moment in seconds since 1970, rounded to the minute as EC2 does (EnableImageDeprecation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeprecationTime(i64);

impl DeprecationTime {
    /// Reads RFC 3339, but no leap second: the request's schema cannot say which there are.
    pub fn parse(text: &str) -> Option<Self> {
        if text.get(17..19) == Some("60") {
            return None;
        }
        let time = DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok()?;
        Some(Self::from_seconds(time.secs()))
    }

    /// Takes seconds since 1970.
    pub fn from_seconds(seconds: i64) -> Self {
        Self((seconds + 30).div_euclid(60) * 60)
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// For the EC2 client.
    pub fn to_date_time(self) -> DateTime {
        DateTime::from_secs(self.0)
    }
}

/// The same moment ten calendar years later, in seconds since 1970: the longest lead of a deprecation time
/// that EC2 accepts (EnableImageDeprecation).
pub(crate) fn ten_years_after(seconds: i64) -> i64 {
    let time = chrono::DateTime::from_timestamp(seconds, 0);
    // Ten years after a 29th of February it is the 28th.
    time.and_then(|time| time.checked_add_months(Months::new(120))).map_or(seconds, |later| later.timestamp())
}

/// What an update does to the deprecation time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Deprecation {
    /// Removes it.
    Never,
    /// Sets it.
    At(DeprecationTime),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deprecation_time_is_rounded_to_the_minute() {
        let of = |text| DeprecationTime::parse(text);
        assert_eq!(of("2030-01-31T08:00:29Z"), of("2030-01-31T09:00:00+01:00"));
        assert_eq!(of("2030-01-31T08:00:31Z"), of("2030-01-31T08:01:00Z"));
    }

    #[test]
    fn a_leap_second_is_no_deprecation_time() {
        assert_eq!(DeprecationTime::parse("2030-06-30T23:59:60Z"), None);
        assert!(DeprecationTime::parse("2030-06-30T23:59:59.999Z").is_some());
    }

    #[test]
    fn ten_years_are_calendar_years() {
        for (from, to) in [
            ("2026-11-25T10:20:30Z", "2036-11-25T10:20:30Z"),
            ("2028-01-01T00:00:00Z", "2038-01-01T00:00:00Z"),
            ("2028-02-29T12:00:00Z", "2038-02-28T12:00:00Z"),
        ] {
            let seconds = |text| DateTime::from_str(text, DateTimeFormat::DateTime).unwrap().secs();
            assert_eq!(ten_years_after(seconds(from)), seconds(to), "{from}");
        }
    }
}
