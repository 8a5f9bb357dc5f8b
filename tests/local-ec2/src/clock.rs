//! Simulated time.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// Gives the time, such as that of a simulation that the local EC2 is a part of.
#[derive(Clone)]
pub struct TimeSource(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl TimeSource {
    /// One that asks `now` whenever the time matters. It may stand still; it must not go back.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The wall's time now, and from then on `speed` simulated seconds a second.
    fn from_now(speed: f64) -> Self {
        let (start, started) = (SystemTime::now(), Instant::now());
        // A speed that makes no sense (negative, infinite) stops the clock.
        let elapsed = move || Duration::try_from_secs_f64(started.elapsed().as_secs_f64() * speed).unwrap_or_default();
        Self::new(move || start + elapsed())
    }
}

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimeSource").field(&(self.0)()).finish()
    }
}

/// A clock that runs as its source does, and is moved by hand besides.
#[derive(Debug)]
pub(crate) struct Clock {
    source: TimeSource,
    jumped: Duration,
}

impl Clock {
    /// A clock that shows what a source gives, or without one runs at `speed` simulated seconds a second.
    pub(crate) fn new(source: Option<TimeSource>, speed: f64) -> Self {
        Self { source: source.unwrap_or_else(|| TimeSource::from_now(speed)), jumped: Duration::ZERO }
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.source.0)() + self.jumped
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
