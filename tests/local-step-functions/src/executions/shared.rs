//! What all executions of an engine share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::oneshot;

use super::{Ending, ServiceError, Settings};
use crate::{
    definition::Definition,
    execution::{Execution, Record, Resume, StatusChange},
    history::Event,
    limits,
    machine::Machine,
    tasks::{BoxFuture, TaskError, Tasks},
};

/// The execution has ended, so the interpreter has nothing more to do.
#[derive(Debug)]
pub(crate) struct Ended;

/// Runs an execution to its end.
type Interpreter = fn(Arc<Shared>, Arc<Machine>, Execution, Value, Option<Resume>) -> BoxFuture<()>;

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) tasks: Arc<dyn Tasks>,
    pub(super) interpreter: Interpreter,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) machines: BTreeMap<String, Arc<Machine>>,
    pub(crate) executions: BTreeMap<String, Record>,
    /// Where the answer to a token goes. One that has been answered, or whose Task has ended, is not here.
    pub(super) tokens: BTreeMap<String, oneshot::Sender<Result<Value, TaskError>>>,
    pub(super) tokens_issued: u64,
    pub(super) names_given: u64,
    /// Counts starts and ends of executions.
    pub(super) order: u64,
    events: u64,
    random: fastrand::Rng,
}

impl Shared {
    pub(crate) fn new(settings: Settings, tasks: Arc<dyn Tasks>, interpreter: Interpreter) -> Self {
        let state = State {
            machines: BTreeMap::new(),
            executions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            tokens_issued: 0,
            names_given: 0,
            order: 0,
            events: 0,
            random: fastrand::Rng::with_seed(settings.seed),
        };
        Self { settings, tasks, interpreter, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now_millis(&self) -> i64 {
        self.settings.clock.now_millis()
    }

    /// A number from 0 up to but without 1.
    pub(crate) fn draw(&self) -> f64 {
        self.state().random.f64()
    }

    /// Waits for as long as Step Functions takes before a state.
    pub(crate) async fn step(&self) {
        let millis = self.settings.step_millis.clone();
        if *millis.end() > 0 {
            let millis = self.state().random.u64(millis);
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }

    /// Whether to stop a child, and after how long.
    pub(super) fn draw_stop_of_child(&self) -> Option<Duration> {
        let mut state = self.state();
        let stopped = state.random.u8(0..100) < self.settings.stop_children_percent;
        let millis = state.random.u64(self.settings.stop_children_after_millis.clone());
        stopped.then_some(Duration::from_millis(millis))
    }

    pub(crate) fn put_machine(
        &self,
        arn: &str,
        definition: Arc<Definition>,
        replace: bool,
    ) -> Result<(), ServiceError> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "states", region, _, "stateMachine", name, ..] = parts.as_slice() else {
            return Err(ServiceError::InvalidArn(arn.to_owned()));
        };
        let mut state = self.state();
        match (state.machines.contains_key(arn), replace) {
            (true, false) => return Err(ServiceError::StateMachineAlreadyExists(arn.to_owned())),
            (false, true) => return Err(ServiceError::StateMachineDoesNotExist(arn.to_owned())),
            _ => {}
        }
        let (name, region) = ((*name).to_owned(), (*region).to_owned());
        state.machines.insert(arn.to_owned(), Arc::new(Machine { arn: arn.to_owned(), name, region, definition }));
        Ok(())
    }

    /// Adds an event to the history of an execution that runs, and returns its id. The execution fails where
    /// the history would become too long.
    pub(crate) fn record(self: &Arc<Self>, arn: &str, event: Event) -> Result<u64, Ended> {
        let now = self.now_millis();
        {
            let mut state = self.state();
            let record = state.running(arn).ok_or(Ended)?;
            if !record.is_full_for(&event) {
                record.history.push((now, event));
                return Ok(record.history.len() as u64);
            }
        }
        let cause = format!("The execution reached the maximum number of history events ({}).", limits::HISTORY_EVENTS);
        Shared::end(self, arn, Ending::failed("States.Runtime", Some(cause)));
        Err(Ended)
    }

    /// Notes the state that an execution comes to, for a redrive.
    pub(crate) fn comes_to(&self, arn: &str, resume: Resume) {
        if let Some(record) = self.state().running(arn) {
            record.resume = Some(resume);
        }
    }

    /// Tells of a change of an execution's status.
    pub(super) fn announce(&self, arn: &str) {
        let Some(callback) = &self.settings.on_status_change else { return };
        let now = self.now_millis();
        let change = {
            let mut state = self.state();
            state.events += 1;
            let number = state.events;
            state.executions.get(arn).map(|record| StatusChange::of(&record.described, number, now))
        };
        if let Some(change) = change {
            callback(change);
        }
    }
}

impl State {
    /// An execution that has not ended.
    pub(super) fn running(&mut self, arn: &str) -> Option<&mut Record> {
        self.executions.get_mut(arn).filter(|record| record.described.stop_millis.is_none())
    }

    pub(super) fn next_in_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }
}
