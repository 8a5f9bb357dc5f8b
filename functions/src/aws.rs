//! How the functions call AWS, and what its answers mean.

pub mod clients;
pub(crate) mod ec2;
pub mod error_codes;
pub(crate) mod recycle_bin;
pub(crate) mod references;
pub(crate) mod step_functions;
