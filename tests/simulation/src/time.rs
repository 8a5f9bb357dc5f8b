//! The virtual time of the run that the current thread simulates.

use std::{
    cell::Cell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use local_step_functions::Clock;

/// 2026-11-23, in milliseconds since 1970: when every run begins.
const START_MILLIS: i64 = 1_795_392_000_000;

thread_local! {
    static CLOCK: Cell<Option<Clock>> = const { Cell::new(None) };
}

/// Starts the time of a run: the runtime that it is called from has just been made.
pub(crate) fn start() -> Clock {
    let clock = Clock::starting_at(START_MILLIS);
    CLOCK.set(Some(clock));
    clock
}

/// What a clock shows.
pub(crate) fn of(clock: Clock) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(clock.now_millis()).unwrap_or_default())
}

/// The time of this thread's run, which the functions read.
pub(crate) fn now() -> SystemTime {
    CLOCK.get().map_or(UNIX_EPOCH, of)
}

/// Since the run's start, in milliseconds.
pub(crate) fn since_start(millis: i64) -> i64 {
    millis - START_MILLIS
}
