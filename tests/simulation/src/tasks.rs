//! What the machines call: functions, the event bus, and Step Functions with its faults.

use std::sync::Arc;

use local_step_functions::{BoxFuture, Call, Fault, Resource, TaskError, Tasks};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{
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
            if call.resource != Resource::InvokeFunction {
                return put_events(&world, &call);
            }
            let (sender, answer) = oneshot::channel();
            let function = short(call.arguments["FunctionName"].as_str().unwrap_or_default()).to_owned();
            let event = call.arguments["Payload"].clone();
            drop(world.invocations.send(Invocation { function, event, answer: Some(sender) }));
            answer.await.unwrap_or_else(|_| Err(TaskError::new("Lambda.Unknown", "the simulation is over")))
        })
    }

    fn fault(&self, call: &Call) -> BoxFuture<Fault> {
        let world = Arc::clone(&self.0);
        let (prefix, service, state) = match call.resource {
            Resource::DescribeExecution => ("Sfn", "Sfn", call.state.clone()),
            _ => ("StepFunctions", "AWSStepFunctions", call.state.clone()),
        };
        let execution = call.execution.clone();
        Box::pin(async move {
            world.pause(5..100).await;
            let struck = lock(&world.troubles).machine_call();
            let Some((is_done, error)) = struck else { return Fault::None };
            let name = if error == "Exception" { format!("{service}{error}") } else { error.to_owned() };
            let error = TaskError::new(format!("{prefix}.{name}"), "not now");
            world.say(format!("{:<14} {state}: {} [done: {is_done}]", short(&execution), error.error));
            if is_done { Fault::AnswerLost(error) } else { Fault::Refused(error) }
        })
    }
}

fn put_events(world: &World, call: &Call) -> Result<Value, TaskError> {
    if lock(&world.troubles).put_events() {
        world.say(format!("{:<14} PutEvents is refused", short(&call.execution)));
        return Err(TaskError::new("EventBridge.EventBridgeException", "not now"));
    }
    Ok(json!({"FailedEntryCount": 0, "Entries": [{"EventId": "0"}]}))
}
