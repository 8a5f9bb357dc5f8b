//! Many runs, on all cores.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    plan::Plan,
    report::Report,
    run::{Finished, run},
};

/// After so many runs the campaign says how far it is.
const SAID_EVERY: u64 = 50_000;

/// Simulates the runs of these numbers, and says at once which of them violate something. What is left of each is too
/// little to fill a computer's memory with.
#[must_use]
pub fn simulate(seed: u64, numbers: Range<u64>, say: &(dyn Fn(&str) + Sync)) -> Report {
    let next = AtomicU64::new(numbers.start);
    let report = Mutex::new(Report::new(seed));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                break;
            }
            let finished = run(&Plan::new(seed, number), false);
            for violation in &finished.violations {
                say(&format!("--seed {seed} --only {number}: {}", violation.seen));
            }
            if (number + 1).is_multiple_of(SAID_EVERY) {
                say(&format!("{} runs", number + 1));
            }
            report.lock().unwrap_or_else(PoisonError::into_inner).add(finished);
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Simulates one run, with its trace.
#[must_use]
pub fn replay(seed: u64, number: u64) -> Finished {
    run(&Plan::new(seed, number), true)
}
