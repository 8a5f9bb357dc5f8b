//! The actions upon what an instance is reached with.

pub(crate) mod key_pairs;
pub(crate) mod security_groups;
pub(crate) mod vpcs;
