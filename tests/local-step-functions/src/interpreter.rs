//! Runs an execution, state by state.

mod task;
mod visit;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use self::visit::Visit;
use crate::{
    clock::iso8601,
    definition::{Next, State},
    execution::{Execution, Resume},
    executions::{Ended, Ending, Shared},
    history::Event,
    machine::Machine,
    tasks::BoxFuture,
};

/// Why a state does not go on.
#[derive(Debug)]
enum Stop {
    /// The execution has ended meanwhile.
    Ended,
    Failed(Failure),
}

/// An error, before Retry and Catch.
#[derive(Clone, Debug)]
struct Failure {
    error: String,
    cause: Option<String>,
}

impl Failure {
    fn new(error: &str, cause: impl Into<String>) -> Self {
        Self { error: error.to_owned(), cause: Some(cause.into()) }
    }
}

impl From<Ended> for Stop {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// With what a state is left.
struct Exit {
    output: Arc<Value>,
    assigned: Vec<(String, Value)>,
    next: Next,
}

/// An execution that runs.
struct Run {
    shared: Arc<Shared>,
    machine: Arc<Machine>,
    execution: Execution,
    input: Arc<Value>,
}

/// Runs an execution to its end, from its first state on or from where it goes on.
pub(crate) fn run(
    shared: Arc<Shared>,
    machine: Arc<Machine>,
    execution: Execution,
    input: Value,
    resume: Option<Resume>,
) -> BoxFuture<()> {
    let run = Run { shared, machine, execution, input: Arc::new(input) };
    Box::pin(run.drive(resume))
}

impl Run {
    async fn drive(self, resume: Option<Resume>) {
        let ending = match self.machine.definition.timeout_seconds {
            None => self.states(resume).await,
            Some(seconds) => {
                let states = self.states(resume);
                tokio::time::timeout(Duration::from_secs(seconds), states).await.unwrap_or(Ok(Ending::TimedOut))
            }
        };
        let ending = match ending {
            Ok(ending) => ending,
            Err(Stop::Failed(failure)) => Ending::failed(failure.error, failure.cause),
            Err(Stop::Ended) => return,
        };
        Shared::end(&self.shared, &self.execution.arn, ending);
    }

    async fn states(&self, resume: Option<Resume>) -> Result<Ending, Stop> {
        let first = || Resume {
            state: self.machine.definition.start_at.clone(),
            input: Arc::clone(&self.input),
            variables: Arc::default(),
        };
        let Resume { state, mut input, mut variables } = resume.unwrap_or_else(first);
        let mut name = self.state(&state)?.0;
        loop {
            let (name_of_state, state) = self.state(name)?;
            let resume = Resume { state: name.clone(), input: Arc::clone(&input), variables: Arc::clone(&variables) };
            self.shared.comes_to(&self.execution.arn, resume);
            self.shared.step().await;
            let kind = state.kind.name();
            let event = Event::StateEntered { kind, name: name_of_state.clone(), input: Arc::clone(&input) };
            let entered = self.record(event)?;
            let visit = Visit {
                run: self,
                state,
                name: name_of_state,
                entered,
                entered_time: iso8601(self.shared.now_millis()),
                input: &input,
                variables: &variables,
            };
            let exit = visit.pass_through().await?;
            let Exit { output, assigned, next } = exit;
            let (name_of_state, assigned) = (name_of_state.clone(), Arc::<[_]>::from(assigned));
            if !assigned.is_empty() {
                Arc::make_mut(&mut variables).extend(assigned.iter().cloned());
            }
            self.record(Event::StateExited { kind, name: name_of_state, output: Arc::clone(&output), assigned })?;
            match next {
                Next::End => return Ok(Ending::Succeeded(output)),
                Next::State(next) => {
                    name = self.state(&next)?.0;
                    input = output;
                }
            }
        }
    }

    fn state(&self, name: &str) -> Result<(&String, &State), Stop> {
        let found = self.machine.definition.states.get_key_value(name);
        found.ok_or_else(|| Failure::new("States.Runtime", format!("there is no state '{name}'")).into())
    }

    fn record(&self, event: Event) -> Result<u64, Ended> {
        self.shared.record(&self.execution.arn, event)
    }

    /// `$states.context`, without what belongs to the state.
    fn context(&self) -> Value {
        let mut context = json!({
            "Execution": {
                "Id": self.execution.arn,
                "Name": self.execution.name,
                "StartTime": iso8601(self.execution.start_millis),
                "Input": *self.input,
            },
            "StateMachine": {"Id": self.machine.arn, "Name": self.machine.name},
        });
        if self.execution.redrive_count > 0 {
            context["Execution"]["RedriveCount"] = self.execution.redrive_count.into();
        }
        context
    }
}
