//! Ids: made up, and checked.

use fastrand::Rng;
use uuid::Builder;

use crate::api_error::ApiError;

/// Makes ids that look random and are the same for the same seed.
#[derive(Debug)]
pub(crate) struct Ids(Rng);

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// `<prefix>-` and 17 hexadecimal digits, the first a zero as in all of EC2's.
    pub(crate) fn resource(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{:016x}", self.0.u64(..))
    }

    /// A UUID.
    pub(crate) fn request(&mut self) -> String {
        Builder::from_random_bytes(self.0.u128(..).to_be_bytes()).into_uuid().to_string()
    }
}

/// Refuses, with the error `code`, what is not `<prefix>-` and 8 or 17 hexadecimal digits.
pub(crate) fn check(id: &str, prefix: &str, code: &'static str) -> Result<(), ApiError> {
    let digits = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
    if matches!(digits.len(), 8 | 17) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(ApiError::new(code, format!("Invalid id: \"{id}\" (expecting \"{prefix}-...\")")))
}
