//! Ids: made up, and checked.

use crate::api_error::ApiError;

/// Makes ids that look random and are the same for the same seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Ids(u64);

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// `<prefix>-` and 17 hexadecimal digits, the first a zero as in all of EC2's.
    pub(crate) fn resource(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{:016x}", self.number())
    }

    /// The form of a UUID.
    pub(crate) fn request(&mut self) -> String {
        let (high, low) = (self.number(), self.number());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
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
