//! The actions of the service.

mod error;
mod executions;
mod pages;
mod shared;
mod tokens;

use std::{ops::RangeInclusive, sync::Arc};

use serde_json::Value;

pub use self::{error::ServiceError, pages::Page};
pub(crate) use self::{
    executions::Ending,
    shared::{Ended, Machine, Shared},
    tokens::Token,
};
use crate::{
    clock::Clock,
    definition::Definition,
    execution::{Execution, Status, StatusChange},
    expression::{self, Recorder},
    history::HistoryEvent,
    limits,
    tasks::{TaskError, Tasks},
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

/// Step Functions: state machines and their executions. A clone is the same engine.
///
/// Executions run on the tokio runtime from which they are started.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

impl Engine {
    /// An engine without machines.
    #[must_use]
    pub fn new(settings: Settings, tasks: Arc<dyn Tasks>) -> Self {
        Self { shared: Arc::new(Shared::new(settings, tasks)) }
    }

    /// CreateStateMachine.
    ///
    /// # Errors
    ///
    /// An ARN that is none of a state machine, or is taken.
    pub fn create_state_machine(&self, arn: &str, definition: Definition) -> Result<(), ServiceError> {
        self.shared.put_machine(arn, definition, false)
    }

    /// UpdateStateMachine. Executions that run keep the definition with which they started.
    ///
    /// # Errors
    ///
    /// There is no such machine.
    pub fn update_state_machine(&self, arn: &str, definition: Definition) -> Result<(), ServiceError> {
        self.shared.put_machine(arn, definition, true)
    }

    /// StartExecution. Without a name, the execution gets one of its own. With the name and the input of an
    /// execution that runs, it is that execution.
    ///
    /// # Errors
    ///
    /// There is no such machine, the name is taken or has a character that is refused, or the input is no
    /// JSON or too large.
    pub fn start_execution(&self, machine: &str, name: Option<&str>, input: &str) -> Result<Execution, ServiceError> {
        Shared::start_execution(&self.shared, machine, name, input)
    }

    /// StopExecution. One that has ended stays as it is.
    ///
    /// # Errors
    ///
    /// There is no such execution.
    pub fn stop_execution(
        &self,
        arn: &str,
        error: Option<&str>,
        cause: Option<&str>,
    ) -> Result<Execution, ServiceError> {
        Shared::stop_execution(&self.shared, arn, error, cause)
    }

    /// DescribeExecution.
    ///
    /// # Errors
    ///
    /// There is no such execution.
    pub fn describe_execution(&self, arn: &str) -> Result<Execution, ServiceError> {
        self.shared.describe_execution(arn)
    }

    /// Waits until an execution has ended.
    ///
    /// # Errors
    ///
    /// There is no such execution.
    pub async fn wait_for_end(&self, arn: &str) -> Result<Execution, ServiceError> {
        self.shared.wait_for_end(arn).await
    }

    /// ListExecutions: the newest first, those that run by the time of their start, those that have ended by
    /// the time of their end.
    ///
    /// # Errors
    ///
    /// There is no such machine, or the token is not one of a page before.
    pub fn list_executions(
        &self,
        machine: &str,
        status: Option<Status>,
        max_results: Option<usize>,
        next_token: Option<&str>,
    ) -> Result<Page<Execution>, ServiceError> {
        self.shared.list_executions(machine, status, max_results, next_token)
    }

    /// GetExecutionHistory.
    ///
    /// # Errors
    ///
    /// There is no such execution, or the token is not one of a page before.
    pub fn get_execution_history(
        &self,
        arn: &str,
        reverse_order: bool,
        max_results: Option<usize>,
        next_token: Option<&str>,
    ) -> Result<Page<HistoryEvent>, ServiceError> {
        self.shared.history(arn, reverse_order, max_results, next_token)
    }

    /// SendTaskSuccess. The output is a JSON text.
    ///
    /// # Errors
    ///
    /// The token is none, the Task does not wait any more, or the output is no JSON or too large.
    pub fn send_task_success(&self, token: &str, output: &str) -> Result<(), ServiceError> {
        let parsed: Option<Value> = serde_json::from_str(output).ok();
        match parsed {
            Some(output) if !limits::too_large(&output) => self.shared.answer_token(token, Ok(output)),
            _ => Err(ServiceError::InvalidOutput),
        }
    }

    /// SendTaskFailure.
    ///
    /// # Errors
    ///
    /// The token is none, or the Task does not wait any more.
    pub fn send_task_failure(&self, token: &str, error: &str, cause: &str) -> Result<(), ServiceError> {
        self.shared.answer_token(token, Err(TaskError::new(error, cause)))
    }
}
