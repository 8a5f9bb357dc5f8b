//! Numbers are floating-point numbers, as in JavaScript.

use serde_json::{Number, Value};

/// Up to here each whole number is exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number in JSON. Whole numbers are written without a fraction.
pub(super) fn to_json(number: f64) -> Result<Value, String> {
    #[expect(clippy::cast_possible_truncation, reason = "it is a whole number within the range of both types")]
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Ok(Value::from(number as i64));
    }
    let number = Number::from_f64(number).ok_or_else(|| format!("D1001: Number out of range: {number}"))?;
    Ok(Value::Number(number))
}

/// A number as `$string` and `&` write it: with 15 digits at most, in JavaScript's notation.
pub(super) fn to_text(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    let size = rounded.abs();
    if rounded == 0.0 {
        "0".to_owned()
    } else if size >= 1e21 {
        format!("{rounded:e}").replace('e', "e+")
    } else if size < 1e-6 {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (15.0, "15"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
        ] {
            assert_eq!(to_text(number), text);
        }
    }

    #[test]
    fn whole_numbers_have_no_fraction_in_json() {
        assert_eq!(to_json(3.0).unwrap().to_string(), "3");
        assert_eq!(to_json(2.5).unwrap().to_string(), "2.5");
        assert!(to_json(f64::INFINITY).is_err());
    }
}
