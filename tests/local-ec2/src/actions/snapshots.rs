//! The actions upon snapshots.

pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod lock;
pub(crate) mod sharing;
