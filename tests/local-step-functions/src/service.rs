//! The actions of the service.

mod lists;
mod pages;

use std::sync::Arc;

use serde_json::Value;

pub use self::pages::Page;
use crate::{
    definition::Definition,
    execution::Execution,
    executions::{ServiceError, Settings, Shared},
    interpreter, limits,
    tasks::{TaskError, Tasks},
};

/// Step Functions: state machines and their executions. A clone is the same engine.
///
/// Executions run on the tokio runtime from which they are started.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// An engine without machines.
    #[must_use]
    pub fn new(settings: Settings, tasks: Arc<dyn Tasks>) -> Self {
        Self { shared: Arc::new(Shared::new(settings, tasks, interpreter::run)) }
    }

    /// CreateStateMachine.
    ///
    /// # Errors
    ///
    /// An ARN that is none of a state machine, or is taken.
    pub fn create_state_machine(&self, arn: &str, definition: impl Into<Arc<Definition>>) -> Result<(), ServiceError> {
        self.shared.put_machine(arn, definition.into(), false)
    }

    /// UpdateStateMachine. Executions that run keep the definition with which they started.
    ///
    /// # Errors
    ///
    /// There is no such machine.
    pub fn update_state_machine(&self, arn: &str, definition: impl Into<Arc<Definition>>) -> Result<(), ServiceError> {
        self.shared.put_machine(arn, definition.into(), true)
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

    /// RedriveExecution. It goes on from the state that it was in, with the definition that it had.
    ///
    /// # Errors
    ///
    /// There is no such execution, it runs, it has succeeded, or it ended more than 14 days ago.
    pub fn redrive_execution(&self, arn: &str) -> Result<Execution, ServiceError> {
        Shared::redrive_execution(&self.shared, arn)
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
