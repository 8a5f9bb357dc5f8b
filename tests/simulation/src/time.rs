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
    static WRONG_BY: Cell<i64> = const { Cell::new(0) };
}

/// Starts the time of a run, which the functions see wrong by so many seconds: the runtime that it is called
/// from has just been made.
pub(crate) fn start(wrong_by_seconds: i64) -> Clock {
    let clock = Clock::starting_at(START_MILLIS);
    WRONG_BY.set(wrong_by_seconds);
    CLOCK.set(Some(clock));
    clock
}

/// What a clock shows.
pub(crate) fn of(clock: Clock) -> SystemTime {
    after_epoch(clock.now_millis())
}

/// The time of this thread's run, as it is.
pub(crate) fn now() -> SystemTime {
    CLOCK.get().map_or(UNIX_EPOCH, of)
}

/// The same as the functions read it.
pub(crate) fn of_functions() -> SystemTime {
    CLOCK.get().map_or(UNIX_EPOCH, |clock| after_epoch(clock.now_millis() + WRONG_BY.get() * 1000))
}

fn after_epoch(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// Since the run's start, in milliseconds.
pub(crate) fn since_start(millis: i64) -> i64 {
    millis - START_MILLIS
}
