//! What lies outside of the engine: the functions, the event bus, and what goes wrong with calls.

use std::{future::Future, pin::Pin};

use serde_json::Value;

pub use crate::definition::Resource;

/// A future that can be sent to another thread, as those of the AWS SDK can.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A call that a Task makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The ARN of the execution.
    pub execution: String,
    /// The ARN of its machine.
    pub machine: String,
    /// The name of the state.
    pub state: String,
    /// How often the state was retried before.
    pub retries: u64,
    /// What is called.
    pub resource: Resource,
    /// With what.
    pub arguments: Value,
}

/// How a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskError {
    /// The error's name, such as `Lambda.TooManyRequestsException`.
    pub error: String,
    /// What is known about it.
    pub cause: Option<String>,
}

impl TaskError {
    /// An error with a cause.
    #[must_use]
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: error.into(), cause: Some(cause.into()) }
    }

    /// What Step Functions makes of the error that a function answers: it is named after the error's
    /// type, and the cause is the answer's JSON.
    #[must_use]
    pub fn of_function(error_type: &str, error_message: &str) -> Self {
        let (kind, message) = (Value::from(error_type), Value::from(error_message));
        Self::new(error_type, format!(r#"{{"errorType":{kind},"errorMessage":{message}}}"#))
    }
}

/// What goes wrong with a call that the engine answers itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The call fails, and nothing is done.
    Refused(TaskError),
    /// The work is done, and the call fails all the same.
    AnswerLost(TaskError),
}

/// Does the work of Tasks. A call goes on to its end even when the Task times out or its execution is
/// stopped, as a function's invocation does.
pub trait Tasks: Send + Sync + 'static {
    /// Performs a call of a function or of the event bus.
    ///
    /// The answer is the function's answer, or that of PutEvents: `{"FailedEntryCount": 0, "Entries": […]}`.
    fn perform(&self, call: Call) -> BoxFuture<Result<Value, TaskError>>;

    /// What goes wrong with a call that the engine answers itself: `states:startExecution.sync:2` and
    /// `aws-sdk:sfn:describeExecution`. The call waits for this.
    fn fault(&self, call: &Call) -> BoxFuture<Fault> {
        let _ = call;
        Box::pin(async { Fault::None })
    }
}
