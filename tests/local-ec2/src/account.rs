//! Whose resources these are, and where.

/// The account.
pub const ACCOUNT: &str = "000000000000";
/// The Region.
pub const REGION: &str = "us-east-1";
/// The Availability Zone of every instance.
pub(crate) const ZONE: &str = "us-east-1a";
/// The account of Amazon's Linux images.
pub(crate) const AMAZON: &str = "137112412989";
