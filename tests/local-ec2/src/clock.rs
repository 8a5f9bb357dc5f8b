//! Simulated time.

use std::time::{Duration, Instant, SystemTime};

/// A clock that runs faster or slower than the wall's, or stands still and is moved by hand.
#[derive(Debug)]
pub(crate) struct Clock {
    start: SystemTime,
    started: Instant,
    speed: f64,
    jumped: Duration,
}

impl Clock {
    /// A clock that shows the wall's time now and runs at `speed` simulated seconds a second.
    pub(crate) fn new(speed: f64) -> Self {
        Self { start: SystemTime::now(), started: Instant::now(), speed, jumped: Duration::ZERO }
    }

    pub(crate) fn now(&self) -> SystemTime {
        // A speed that makes no sense (negative, infinite) stops the clock.
        let run = Duration::try_from_secs_f64(self.started.elapsed().as_secs_f64() * self.speed).unwrap_or_default();
        self.start + run + self.jumped
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.jumped += by;
    }
}

/// The time between two moments; none if `later` is the earlier one.
pub(crate) fn between(earlier: SystemTime, later: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}

/// A moment as EC2 writes it, such as `2030-01-01T00:00:00.000Z`.
pub(crate) fn timestamp(moment: SystemTime) -> String {
    humantime::format_rfc3339_millis(moment).to_string()
}
