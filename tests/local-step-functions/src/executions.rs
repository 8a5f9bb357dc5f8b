//! Executions: how they start and end, and what they share. The service and the interpreter work on them.

mod ending;
mod error;
mod settings;
mod shared;
mod tokens;

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

pub(crate) use self::{
    ending::Ending,
    shared::{Ended, Shared},
    tokens::Token,
};
pub use self::{error::ServiceError, settings::Settings};
use crate::{
    execution::{Execution, Record, Resume, Status, numbered_uuid},
    history::Event,
    limits,
    machine::Machine,
};

impl Shared {
    pub(crate) fn start_execution(
        shared: &Arc<Self>,
        machine: &str,
        name: Option<&str>,
        input: &str,
    ) -> Result<Execution, ServiceError> {
        let now = shared.now_millis();
        let document: Value = serde_json::from_str(input).map_err(|_| ServiceError::InvalidExecutionInput)?;
        if input.len() > limits::PAYLOAD_BYTES {
            return Err(ServiceError::InvalidExecutionInput);
        }
        let (machine, described) = {
            let mut state = shared.state();
            let Some(found) = state.machines.get(machine).cloned() else {
                return Err(ServiceError::StateMachineDoesNotExist(machine.to_owned()));
            };
            let name = match name {
                Some(name) if limits::is_execution_name(name) => name.to_owned(),
                Some(name) => return Err(ServiceError::InvalidName(name.to_owned())),
                None => {
                    state.names_given += 1;
                    numbered_uuid(2, state.names_given)
                }
            };
            let arn = format!("{}:{name}", machine.replacen(":stateMachine:", ":execution:", 1));
            if let Some(record) = state.executions.get(&arn).filter(|record| !record.is_forgotten(now)) {
                let known = &record.described;
                return if known.status == Status::Running && known.input == input {
                    Ok(known.clone())
                } else {
                    Err(ServiceError::ExecutionAlreadyExists(arn))
                };
            }
            let described = Execution {
                arn: arn.clone(),
                name,
                machine: machine.to_owned(),
                status: Status::Running,
                start_millis: now,
                stop_millis: None,
                input: input.to_owned(),
                output: None,
                error: None,
                cause: None,
                redrive_count: 0,
                redrive_millis: None,
            };
            let started = state.next_in_order();
            let mut record = Record {
                described: described.clone(),
                machine: Arc::clone(&found),
                history: Vec::new(),
                resume: None,
                started,
                ended: 0,
                child: None,
                interpreter: None,
                end: watch::Sender::new(false),
            };
            record.history.push((now, Event::ExecutionStarted { input: input.to_owned() }));
            state.executions.insert(arn, record);
            (found, described)
        };
        Self::go(shared, machine, described.clone(), document, None);
        Ok(described)
    }

    /// Lets an execution go on that failed, was stopped or timed out: from the state that it had not left, with the
    /// definition that it had.
    pub(crate) fn redrive_execution(shared: &Arc<Self>, arn: &str) -> Result<Execution, ServiceError> {
        shared.describe_execution(arn)?;
        let now = shared.now_millis();
        let (machine, described, resume) = {
            let mut state = shared.state();
            let order = state.next_in_order();
            let found = state.executions.get_mut(arn).filter(|record| record.is_redrivable(now));
            let record = found.ok_or_else(|| ServiceError::ExecutionNotRedrivable(arn.to_owned()))?;
            let resume = record.resume.clone();
            let described = &mut record.described;
            described.redrive_count += 1;
            described.redrive_millis = Some(now);
            described.status = Status::Running;
            (described.stop_millis, described.error, described.cause) = (None, None, None);
            let described = described.clone();
            record.history.push((now, Event::ExecutionRedriven { count: described.redrive_count }));
            (record.started, record.ended) = (order, 0);
            record.end.send_replace(false);
            (Arc::clone(&record.machine), described, resume)
        };
        let input = serde_json::from_str(&described.input).unwrap_or_default();
        Self::go(shared, machine, described.clone(), input, resume);
        Ok(described)
    }

    /// Tells that an execution runs, and lets it.
    fn go(shared: &Arc<Self>, machine: Arc<Machine>, described: Execution, input: Value, resume: Option<Resume>) {
        shared.announce(&described.arn);
        let arn = described.arn.clone();
        let running = tokio::spawn((shared.interpreter)(Arc::clone(shared), machine, described, input, resume));
        if let Some(record) = shared.state().running(&arn) {
            record.interpreter = Some(running.abort_handle());
        }
        let watcher = Arc::clone(shared);
        tokio::spawn(async move {
            if running.await.is_err_and(|error| error.is_panic()) {
                let cause = "the interpreter of the state machine has panicked".to_owned();
                Self::end(&watcher, &arn, Ending::failed("Interpreter.Panicked", Some(cause)));
            }
        });
    }

    /// Ends an execution, unless it has ended. A child that it waits for may be stopped.
    pub(crate) fn end(shared: &Arc<Self>, arn: &str, ending: Ending) {
        let ending = ending.cut();
        let now = shared.now_millis();
        let child = {
            let mut state = shared.state();
            let ended = state.order + 1;
            let Some(record) = state.running(arn) else { return };
            record.history.push((now, ending.event()));
            record.ended = ended;
            record.described.status = ending.status();
            record.described.stop_millis = Some(now);
            match ending {
                Ending::Succeeded(output) => record.described.output = Some(output.to_string()),
                Ending::Failed { error, cause } => {
                    (record.described.error, record.described.cause) = (Some(error), cause);
                }
                Ending::Aborted { error, cause } => {
                    (record.described.error, record.described.cause) = (error, cause);
                }
                Ending::TimedOut => {}
            }
            record.end.send_replace(true);
            let child = record.child.take();
            state.order = ended;
            child
        };
        shared.announce(arn);
        if let Some(child) = child {
            Self::perhaps_stop(shared, child);
        }
    }

    /// What Step Functions does with an execution when the Task that waits for it ends before: it tries to stop it.
    pub(crate) fn perhaps_stop(shared: &Arc<Self>, child: String) {
        if let Some(delay) = shared.draw_stop_of_child() {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                // It may be forgotten by then.
                let _ = Self::stop_execution(&shared, &child, None, None);
            });
        }
    }

    pub(crate) fn stop_execution(
        shared: &Arc<Self>,
        arn: &str,
        error: Option<&str>,
        cause: Option<&str>,
    ) -> Result<Execution, ServiceError> {
        shared.describe_execution(arn)?;
        let interpreter = shared.state().running(arn).and_then(|record| record.interpreter.take());
        Self::end(shared, arn, Ending::Aborted { error: error.map(str::to_owned), cause: cause.map(str::to_owned) });
        if let Some(interpreter) = interpreter {
            interpreter.abort();
        }
        shared.describe_execution(arn)
    }

    pub(crate) fn describe_execution(&self, arn: &str) -> Result<Execution, ServiceError> {
        self.look_up(arn, |record| record.described.clone())
    }

    pub(crate) async fn wait_for_end(&self, arn: &str) -> Result<Execution, ServiceError> {
        let mut end = self.look_up(arn, |record| record.end.subscribe())?;
        // The sender lives as long as the execution is known.
        let _ = end.wait_for(|ended| *ended).await;
        self.describe_execution(arn)
    }

    /// Keeps in mind which execution a Task waits for.
    pub(crate) fn set_child(&self, arn: &str, child: Option<&str>) {
        if let Some(record) = self.state().running(arn) {
            record.child = child.map(str::to_owned);
        }
    }

    /// The execution that a Task waited for.
    pub(crate) fn take_child(&self, arn: &str) -> Option<String> {
        self.state().running(arn).and_then(|record| record.child.take())
    }

    pub(crate) fn look_up<T>(&self, arn: &str, read: impl FnOnce(&Record) -> T) -> Result<T, ServiceError> {
        let now = self.now_millis();
        if !arn.contains(":execution:") {
            return Err(ServiceError::InvalidArn(arn.to_owned()));
        }
        match self.state().executions.get(arn).filter(|record| !record.is_forgotten(now)) {
            Some(record) => Ok(read(record)),
            None => Err(ServiceError::ExecutionDoesNotExist(arn.to_owned())),
        }
    }
}
