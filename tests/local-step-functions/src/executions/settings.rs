//! How an engine behaves.

use std::{ops::RangeInclusive, sync::Arc};

use crate::{
    clock::Clock,
    execution::StatusChange,
    expression::{self, Recorder},
};

/// How an engine behaves.
#[derive(Clone)]
pub struct Settings {
    /// Decides all that is left to chance: the jitter of retries and what follows here.
    pub seed: u64,
    /// Tells the time.
    pub clock: Clock,
    /// How likely it is, in percent, that an execution is stopped when the Task that waits for it ends before:
    /// Step Functions tries to, and promises nothing.
    pub stop_children_percent: u8,
    /// How many milliseconds later it is stopped.
    pub stop_children_after_millis: RangeInclusive<u64>,
    /// How many milliseconds Step Functions takes before each state.
    pub step_millis: RangeInclusive<u64>,
    /// Takes each change of an execution's status, once and at once. It must not wait.
    pub on_status_change: Option<Arc<dyn Fn(StatusChange) + Send + Sync>>,
    /// Takes each evaluation of an expression. By default they go to the folder that the environment variable
    /// `JSONATA_EVALUATIONS` names, if it names one.
    pub on_evaluation: Option<Recorder>,
}

impl Settings {
    /// No time between states, and every second child is stopped.
    #[must_use]
    pub fn new(seed: u64, clock: Clock) -> Self {
        Self {
            seed,
            clock,
            stop_children_percent: 50,
            stop_children_after_millis: 0..=2000,
            step_millis: 0..=0,
            on_status_change: None,
            on_evaluation: expression::keeper(),
        }
    }
}
