//! An engine with a machine, and functions that do what a test says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use local_step_functions::{
    BoxFuture, Call, Clock, Definition, Engine, Execution, Fault, HistoryEvent, Settings, TaskError, Tasks,
};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z
pub(crate) const EPOCH_MILLIS: i64 = 1_767_225_600_000;
pub(crate) const MACHINE: &str = "arn:aws:states:eu-central-1:123456789012:stateMachine:machine";
pub(crate) const CHILD: &str = "arn:aws:states:eu-central-1:123456789012:stateMachine:child";

type Perform = Box<dyn Fn(Call) -> BoxFuture<Result<Value, TaskError>> + Send + Sync>;
type FaultOf = Box<dyn Fn(&Call) -> Fault + Send + Sync>;

/// The outside, as a test wants it.
pub(crate) struct Outside {
    perform: Perform,
    fault: FaultOf,
}

impl Tasks for Outside {
    fn perform(&self, call: Call) -> BoxFuture<Result<Value, TaskError>> {
        (self.perform)(call)
    }

    fn fault(&self, call: &Call) -> BoxFuture<Fault> {
        let fault = (self.fault)(call);
        Box::pin(async { fault })
    }
}

impl Outside {
    /// Functions that answer at once. PutEvents succeeds.
    pub(crate) fn answering(answer: impl Fn(&Call) -> Result<Value, TaskError> + Send + Sync + 'static) -> Self {
        Self::answering_after(Duration::ZERO, answer)
    }

    /// Functions that take their time.
    pub(crate) fn answering_after(
        time: Duration,
        answer: impl Fn(&Call) -> Result<Value, TaskError> + Send + Sync + 'static,
    ) -> Self {
        let perform: Perform = Box::new(move |call| {
            let answer = answer(&call);
            Box::pin(async move {
                tokio::time::sleep(time).await;
                answer
            })
        });
        Self { perform, fault: Box::new(|_| Fault::None) }
    }

    /// Functions that give back their payload, and an event bus that takes everything.
    pub(crate) fn echoing() -> Self {
        Self::answering(echo)
    }

    /// Fails the first calls with these errors, one after the other, and echoes then.
    pub(crate) fn failing_first(errors: &[&str]) -> Self {
        let left = Mutex::new(errors.iter().rev().map(|&error| error.to_owned()).collect::<Vec<_>>());
        Self::answering(move |call| match left.lock().unwrap().pop() {
            Some(error) => Err(TaskError::of_function(&error, "no")),
            None => echo(call),
        })
    }

    pub(crate) fn with_fault(mut self, fault: impl Fn(&Call) -> Fault + Send + Sync + 'static) -> Self {
        self.fault = Box::new(fault);
        self
    }
}

pub(crate) fn echo(call: &Call) -> Result<Value, TaskError> {
    Ok(match call.arguments.get("Entries") {
        Some(_) => json!({"FailedEntryCount": 0, "Entries": [{"EventId": "event"}]}),
        None => call.arguments["Payload"].clone(),
    })
}

pub(crate) fn settings(seed: u64) -> Settings {
    Settings::new(seed, Clock::starting_at(EPOCH_MILLIS))
}

/// A definition with these states, which starts at `A`.
pub(crate) fn definition(states: &Value) -> Definition {
    try_definition(states).unwrap()
}

pub(crate) fn try_definition(states: &Value) -> Result<Definition, local_step_functions::DefinitionError> {
    Definition::parse(&json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": states}).to_string())
}

/// A Task that calls a function with its input, and more fields.
pub(crate) fn invoke(more: &Value) -> Value {
    let mut task = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "f", "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
        "End": true,
    });
    let more = more.as_object().unwrap();
    if more.contains_key("Next") {
        task.as_object_mut().unwrap().remove("End");
    }
    task.as_object_mut().unwrap().extend(more.clone());
    task
}

/// A Task that runs the child.
pub(crate) fn run_child(more: &Value) -> Value {
    let mut task = invoke(&json!({
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": {"StateMachineArn": CHILD, "Name": "{% $states.context.Execution.Name & '-1' %}", "Input": "{% $states.input %}"},
        "Output": "{% $states.result.Output %}",
    }));
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    if more.get("Next").is_some() {
        task.as_object_mut().unwrap().remove("End");
    }
    task
}

pub(crate) fn engine(states: &Value, outside: Outside) -> Engine {
    engine_with(settings(1), states, outside)
}

pub(crate) fn engine_with(settings: Settings, states: &Value, outside: Outside) -> Engine {
    let engine = Engine::new(settings, Arc::new(outside));
    engine.create_state_machine(MACHINE, definition(states)).unwrap();
    engine
}

/// Runs an execution to its end.
pub(crate) async fn run(engine: &Engine, input: &Value) -> Execution {
    let started = engine.start_execution(MACHINE, Some("run"), &input.to_string()).unwrap();
    engine.wait_for_end(&started.arn).await.unwrap()
}

pub(crate) fn output(execution: &Execution) -> Value {
    serde_json::from_str(execution.output.as_deref().unwrap_or_else(|| panic!("{execution:?}"))).unwrap()
}

/// The error and the cause with which it ended.
pub(crate) fn failure(execution: &Execution) -> (&str, &str) {
    (execution.error.as_deref().unwrap_or_default(), execution.cause.as_deref().unwrap_or_default())
}

pub(crate) fn history(engine: &Engine, arn: &str) -> Vec<HistoryEvent> {
    engine.get_execution_history(arn, false, Some(1000), None).unwrap().items
}

/// The types of the events.
pub(crate) fn event_types(engine: &Engine, arn: &str) -> Vec<String> {
    history(engine, arn).into_iter().map(|event| event.event_type).collect()
}

/// How many seconds an execution took.
pub(crate) fn seconds(execution: &Execution) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "it is small")]
    let millis = (execution.stop_millis.unwrap() - execution.start_millis) as f64;
    millis / 1000.0
}
