//! Many runs, on all cores.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use crate::{
    plan::Plan,
    report::Report,
    run::{Finished, run},
};

/// After so many runs the campaign says how far it is.
const SAID_EVERY: u64 = 50_000;

/// If so many runs in a row have no request with a field, none has.
const NEVER: u64 = 10_000;

/// Simulates so many runs, all or those whose request has a field, and says at once which of them violate something. What
/// is left of each is too little to fill a computer's memory with.
///
/// # Errors
///
/// If no run's request has the field.
pub fn simulate(seed: u64, runs: u64, with: Option<&str>, say: &(dyn Fn(&str) + Sync)) -> Result<Report, String> {
    let all = (0..).map(|number| Plan::new(seed, number));
    let wanted = all.filter(|plan| with.is_none_or(|field| plan.asks_for(field)));
    if let Some(field) = with
        && !(0..NEVER).any(|number| Plan::new(seed, number).asks_for(field))
    {
        return Err(format!("--with: no run's request has the field {field}"));
    }
    let plans = Mutex::new((1..=runs).zip(wanted));
    let report = Mutex::new(Report::new(seed));
    let next = || plans.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some((drawn, plan)) = next() {
            let finished = run(&plan, false);
            for violation in &finished.violations {
                say(&format!("--seed {seed} --only {}: {}", plan.number, violation.seen));
            }
            if drawn.is_multiple_of(SAID_EVERY) {
                say(&format!("{drawn} runs"));
            }
            report.lock().unwrap_or_else(PoisonError::into_inner).add(finished);
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    Ok(report.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Simulates one run, with its trace.
#[must_use]
pub fn replay(seed: u64, number: u64) -> Finished {
    run(&Plan::new(seed, number), true)
}
