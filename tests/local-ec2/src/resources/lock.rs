//! Locks of snapshots.

use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A lock on a snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) created: SystemTime,
    pub(crate) expires: SystemTime,
    /// From then on nobody can take it off: in compliance mode, after the cooling-off period.
    pub(crate) stays_from: Option<SystemTime>,
}

impl Lock {
    /// In governance mode.
    pub(crate) fn new(created: SystemTime, days: u32) -> Self {
        Self { created, expires: created + DAY * days, stays_from: None }
    }
}
