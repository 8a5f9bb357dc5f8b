//! Snapshots.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::types::SnapshotState;

use crate::{
    clock::between,
    lags::Lags,
    resources::{grantee::Grantee, lock::Lock},
    tags::{self, Tags},
};

/// Seconds that the smallest snapshot takes, before its size counts.
const BASE_SECONDS: u64 = 20;
const SECONDS_A_GIB: u64 = 2;
const SHORTEST_SECONDS: u64 = 30;

/// How long a snapshot of a volume takes on its own.
pub(crate) fn usual_duration(size_gib: u32) -> Duration {
    Duration::from_secs((BASE_SECONDS + SECONDS_A_GIB * u64::from(size_gib)).max(SHORTEST_SECONDS))
}

/// How a pending snapshot's progress grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Evenly.
    #[default]
    Linear,
    /// In leaps: nothing for a third of the time, and then 40 %, and then 80 %.
    Jumping,
    /// 0 % until it is complete.
    AtOnce,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) volume_id: String,
    pub(crate) size_gib: u32,
    pub(crate) description: String,
    pub(crate) tags: Tags,
    /// Who besides its owner may make volumes of it.
    pub(crate) grantees: Vec<Grantee>,
    pub(crate) begun: SystemTime,
    /// How long its own copying takes.
    pub(crate) takes: Duration,
    /// When the whole set is complete; never, if there is no such moment.
    pub(crate) completes: Option<SystemTime>,
    pub(crate) progress: Progress,
    pub(crate) lock: Option<Lock>,
    /// Until when a deregistered image seems to use it.
    pub(crate) held: Option<(SystemTime, String)>,
}

impl Snapshot {
    pub(crate) fn state(&self, now: SystemTime) -> SnapshotState {
        match self.completes {
            Some(completes) if completes <= now => SnapshotState::Completed,
            _ => SnapshotState::Pending,
        }
    }

    /// In percent. A snapshot that is done waits at 99 % for the others of its set.
    pub(crate) fn percent(&self, now: SystemTime) -> u8 {
        if self.state(now) == SnapshotState::Completed {
            return 100;
        }
        let share = between(self.begun, now).as_secs_f64() / self.takes.as_secs_f64().max(f64::MIN_POSITIVE);
        match self.progress {
            Progress::AtOnce => 0,
            _ if share >= 1.0 => 99,
            Progress::Linear => (share * 100.0) as u8,
            Progress::Jumping if share < 1.0 / 3.0 => 0,
            Progress::Jumping if share < 2.0 / 3.0 => 40,
            Progress::Jumping => 80,
        }
    }

    pub(crate) fn is_listed(&self, now: SystemTime, lags: &Lags) -> bool {
        self.begun + lags.snapshot_appears <= now
    }

    /// The tags it shows.
    pub(crate) fn shown_tags(&self, now: SystemTime, lags: &Lags) -> &Tags {
        if between(self.begun, now) < lags.snapshot_tags_show { &tags::NONE } else { &self.tags }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_is_done_waits_for_its_set_at_99_percent() {
        let begun = SystemTime::UNIX_EPOCH;
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut snapshot = Snapshot {
            id: String::new(),
            volume_id: String::new(),
            size_gib: 8,
            description: String::new(),
            tags: Tags::new(),
            grantees: Vec::new(),
            begun,
            takes: usual_duration(8),
            completes: Some(at(220)),
            progress: Progress::Linear,
            lock: None,
            held: None,
        };
        let progress = [0, 18, 36, 219, 220].map(|seconds| snapshot.percent(at(seconds)));
        assert_eq!(progress, [0, 50, 99, 99, 100]);
        snapshot.progress = Progress::AtOnce;
        assert_eq!([0, 219, 220].map(|seconds| snapshot.percent(at(seconds))), [0, 0, 100]);
        snapshot.completes = None;
        assert_eq!(snapshot.state(at(1_000_000)), SnapshotState::Pending);
    }
}
