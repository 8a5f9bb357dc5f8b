//! Virtual time: tokio's clock, which a test pauses, counted from a date of the test's choice.

use tokio::time::Instant;

/// Tells the time of day. Copies of a clock agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Instant,
    zero_millis: i64,
}

impl Clock {
    /// A clock that shows `now_millis`, in milliseconds since 1970, at this moment of the runtime.
    #[must_use]
    pub fn starting_at(now_millis: i64) -> Self {
        Self { zero: Instant::now(), zero_millis: now_millis }
    }

    /// Now, in milliseconds since 1970.
    #[must_use]
    pub fn now_millis(&self) -> i64 {
        let passed = Instant::now().saturating_duration_since(self.zero).as_millis();
        self.zero_millis.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

/// A time as Step Functions writes it, such as `2026-11-25T17:16:00.123Z`.
#[must_use]
pub fn iso8601(millis: i64) -> String {
    let (days, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (seconds, millis) = (rest / 1000, rest % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date of a day counted from 1970-01-01, in the Gregorian calendar. Years are counted from March,
/// so that a leap day is a year's last, and in eras of 400 years, which all have the same days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::iso8601;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso8601(1_795_626_960_123), "2026-11-25T17:16:00.123Z");
        assert_eq!(iso8601(-1), "1969-12-31T23:59:59.999Z");
    }
}
