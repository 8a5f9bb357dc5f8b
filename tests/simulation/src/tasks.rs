//! What the machines call: functions, the event bus, and Step Functions with its faults.

use std::sync::Arc;

use local_step_functions::{BoxFuture, Call, Fault, Resource, TaskError, Tasks};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{
    check::NOT_ALLOWED,
    coverage, roles,
    template::DEPLOYED,
    trace::short,
    world::{Invocation, World, lock},
};

/// The outside of a world's machines.
#[derive(Debug)]
pub(crate) struct Outside(pub(crate) Arc<World>);

impl Tasks for Outside {
    fn perform(&self, call: Call) -> BoxFuture<Result<Value, TaskError>> {
        let world = Arc::clone(&self.0);
        Box::pin(async move {
            check_role(&world, &call);
            let place = coverage::state(&call.machine, &call.state);
            if call.resource != Resource::InvokeFunction {
                return put_events(&world, &call, place);
            }
            let (sender, answer) = oneshot::channel();
            let function = short(call.arguments["FunctionName"].as_str().unwrap_or_default()).to_owned();
            let event = call.arguments["Payload"].clone();
            drop(world.invocations.send(Invocation { function, event, place, answer: Some(sender) }));
            answer.await.unwrap_or_else(|_| Err(TaskError::new("Lambda.Unknown", "the simulation is over")))
        })
    }

    fn fault(&self, call: &Call) -> BoxFuture<Fault> {
        let world = Arc::clone(&self.0);
        let (prefix, service, state) = match call.resource {
            Resource::DescribeExecution => ("Sfn", "Sfn", call.state.clone()),
            _ => ("StepFunctions", "AWSStepFunctions", call.state.clone()),
        };
        check_role(&world, call);
        let (execution, place) = (call.execution.clone(), coverage::state(&call.machine, &call.state));
        Box::pin(async move {
            world.pause(5..100).await;
            let struck = lock(&world.troubles).machine_call();
            let Some((is_done, error)) = struck else { return Fault::None };
            let name = if error == "Exception" { format!("{service}{error}") } else { error.to_owned() };
            let error = TaskError::new(format!("{prefix}.{name}"), "not now");
            world.say(|| format!("{:<14} {state}: {} [done: {is_done}]", short(&execution), error.error));
            let fault = if is_done { coverage::ANSWER_LOST } else { coverage::REFUSED };
            lock(&world.coverage).note(place, fault);
            if is_done { Fault::AnswerLost(error) } else { Fault::Refused(error) }
        })
    }
}

fn put_events(world: &World, call: &Call, place: String) -> Result<Value, TaskError> {
    if lock(&world.troubles).put_events() {
        world.say(|| format!("{:<14} PutEvents is refused", short(&call.execution)));
        lock(&world.coverage).note(place, coverage::REFUSED);
        return Err(TaskError::new("EventBridge.EventBridgeException", "not now"));
    }
    Ok(json!({"FailedEntryCount": 0, "Entries": [{"EventId": "0"}]}))
}

/// The machine's role must allow what it calls.
fn check_role(world: &World, call: &Call) {
    let machine = if call.machine == DEPLOYED.lifecycle_arn { "LifecycleMachine" } else { "OperationMachine" };
    let function = short(call.arguments["FunctionName"].as_str().unwrap_or_default());
    let (action, on) = match call.resource {
        Resource::InvokeFunction => ("lambda:InvokeFunction", format!("{function}.Arn")),
        Resource::PutEvents | Resource::PutEventsAndWait => ("events:PutEvents", String::new()),
        Resource::RunExecution => ("states:StartExecution", "OperationMachine".to_owned()),
        Resource::DescribeExecution => ("states:DescribeExecution", String::new()),
    };
    if !roles::allow_machine(machine, action, &on) {
        world.violation(NOT_ALLOWED, format!("{machine} calls {action} {on}"));
    }
}
