//! What a local EC2 is to be like.

use crate::{clock::TimeSource, lags::Lags, resources::snapshot::Progress};

/// What a local EC2 is to be like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Simulated seconds a second; at 0 the time only moves with [`Ec2::advance`](crate::Ec2::advance).
    pub speed: f64,
    /// What gives the time in place of the wall's clock and the speed.
    pub time: Option<TimeSource>,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// What the ids are made of, and which snapshots are unlucky.
    pub seed: u64,
    /// Whether requests are limited.
    pub request_buckets: bool,
    /// How many images of an instance may be made at once without a reboot. EC2 has such a limit and does
    /// not say which.
    pub images_without_reboot: usize,
    /// How the progress of snapshots grows.
    pub progress: Progress,
    /// How late changes show.
    pub lags: Lags,
}

impl Default for Settings {
    /// The speed of the real EC2.
    fn default() -> Self {
        Self {
            speed: 1.0,
            time: None,
            port: 0,
            seed: 0,
            request_buckets: true,
            images_without_reboot: 5,
            progress: Progress::default(),
            lags: Lags::default(),
        }
    }
}
