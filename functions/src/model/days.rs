//! Times in days, such as `90d`.

use serde_json::Value;

use crate::error::Error;

/// The longest time, in days: ten years.
const LONGEST: i64 = 3650;
const SECONDS: i64 = 24 * 3600;

/// Reads a number of days with the unit `d`, and gives it in seconds.
///
/// # Errors
///
/// `InvalidRequest`, naming `field`.
pub(crate) fn parse(field: &str, value: &Value) -> Result<i64, Error> {
    let digits = value.as_str().and_then(|text| text.strip_suffix('d')).unwrap_or_default();
    let is_number = !digits.starts_with('0') && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<i64>() {
        Ok(days) if is_number && (1..=LONGEST).contains(&days) => Ok(days * SECONDS),
        _ => Err(Error::invalid(field, format!("must be 1d to {LONGEST}d, a number of days such as \"90d\""))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn days_are_a_number_with_their_unit() {
        assert_eq!(parse("deprecateAfter", &json!("1d")), Ok(86_400));
        assert_eq!(parse("deprecateAfter", &json!("3650d")), Ok(315_360_000));
        for wrong in [json!("0d"), json!("3651d"), json!("90"), json!("+9d"), json!("09d"), json!("9D"), json!(90)] {
            let error = parse("deprecateAfter", &wrong).unwrap_err().to_string();
            assert!(error.starts_with("deprecateAfter: must be 1d to 3650d"), "{wrong}: {error}");
        }
    }
}
