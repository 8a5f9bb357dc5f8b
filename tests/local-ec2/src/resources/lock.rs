//! Locks of snapshots.

use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A lock on a snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) created: SystemTime,
    pub(crate) expires: SystemTime,
}

impl Lock {
    pub(crate) fn new(created: SystemTime, days: u32) -> Self {
        Self { created, expires: created + DAY * days }
    }
}
