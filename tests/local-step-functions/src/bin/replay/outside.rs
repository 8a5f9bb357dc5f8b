//! Answers each call as it was answered then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use local_step_functions::{BoxFuture, Call, Engine, Fault, Resource, TaskError, Tasks};
use serde_json::{Value, json};

use crate::recorded::{Answer, Executions, Recorded};

/// What lies outside of one execution.
pub(crate) struct Outside {
    recorded: Arc<Recorded>,
    executions: Arc<Executions>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    engine: Option<Engine>,
    /// How many calls were made.
    calls: usize,
}

impl Outside {
    pub(crate) fn new(recorded: Arc<Recorded>, executions: Arc<Executions>) -> Arc<Self> {
        Arc::new(Self { recorded, executions, state: Mutex::default() })
    }

    /// It stops the executions of this engine where they were stopped. The engine holds this in turn, until it works
    /// for none any more.
    pub(crate) fn works_for(&self, engine: Option<Engine>) {
        self.state().engine = engine;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine(&self) -> Option<Engine> {
        self.state().engine.clone()
    }

    fn last(&self) -> Answer {
        let calls = self.state().calls;
        calls.checked_sub(1).and_then(|last| self.recorded.answers.get(last)).cloned().unwrap_or(Answer::None)
    }

    fn next(&self) -> Answer {
        self.state().calls += 1;
        let answer = self.last();
        if answer == Answer::None {
            self.stop(&self.recorded.arn);
        }
        answer
    }

    fn stop(&self, arn: &str) {
        let said = self.executions.get(arn).map(|one| one.described.clone()).unwrap_or_default();
        if let Some(engine) = self.engine() {
            drop(engine.stop_execution(arn, said["error"].as_str(), said["cause"].as_str()));
        }
    }

    fn of_function(&self) -> Option<Result<Value, TaskError>> {
        match self.next() {
            Answer::Succeeded(result) => Some(Ok(result["Payload"].clone())),
            Answer::Failed { error, cause } => Some(Err(TaskError::new(error, cause))),
            Answer::TimedOut | Answer::None => None,
        }
    }

    fn of_event_bus(&self, call: &Call) -> Option<Result<Value, TaskError>> {
        match self.next() {
            Answer::Succeeded(output) => {
                let token = call.arguments["Entries"][0]["Detail"]["token"].as_str().unwrap_or_default();
                if let Some(Err(error)) =
                    self.engine().map(|engine| engine.send_task_success(token, &output.to_string()))
                {
                    return Some(Err(TaskError::new("TokenRefused", error.to_string())));
                }
            }
            Answer::Failed { error, cause } => return Some(Err(TaskError::new(error, cause))),
            Answer::TimedOut | Answer::None => {}
        }
        Some(Ok(json!({"FailedEntryCount": 0, "Entries": [{"EventId": "0"}]})))
    }

    /// How a child ends for which the execution waits.
    fn of_child(&self, call: &Call) -> Option<Result<Value, TaskError>> {
        if matches!(self.last(), Answer::TimedOut | Answer::None) {
            return None;
        }
        let child = self.executions.get(&call.execution)?;
        let text = |name: &str| child.described[name].as_str().unwrap_or_default();
        match child.status.as_str() {
            "SUCCEEDED" => Some(Ok(serde_json::from_str(text("output")).unwrap_or_default())),
            "FAILED" => Some(Err(TaskError::new(text("error"), text("cause")))),
            _ => {
                self.stop(&call.execution);
                None
            }
        }
    }
}

impl Tasks for Outside {
    fn perform(&self, call: Call) -> BoxFuture<Result<Value, TaskError>> {
        let answer = match call.resource {
            _ if call.machine != self.recorded.machine => self.of_child(&call),
            Resource::InvokeFunction => self.of_function(),
            _ => self.of_event_bus(&call),
        };
        Box::pin(async {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }

    fn fault(&self, _: &Call) -> BoxFuture<Fault> {
        let fault = match self.next() {
            // The child's own end.
            Answer::Failed { error, .. } if error == "States.TaskFailed" => Fault::None,
            Answer::Failed { error, cause } => Fault::Refused(TaskError::new(error, cause)),
            _ => Fault::None,
        };
        Box::pin(async { fault })
    }
}
