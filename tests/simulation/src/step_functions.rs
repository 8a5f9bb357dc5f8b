//! Step Functions' API over the interpreter of the machines: JSON in, JSON out.

use local_step_functions::{Execution, HistoryEvent, Page, ServiceError, Status};
use serde_json::{Value, json};

use crate::{
    faults::CallFault,
    replies::Sent,
    trace::short,
    world::{World, lock},
};

/// What of a request a reader of the trace wants to see.
pub(crate) fn about(body: &str) -> String {
    let request: Value = serde_json::from_str(body).unwrap_or_default();
    let texts = ["executionArn", "stateMachineArn", "statusFilter", "taskToken"].map(|name| request[name].as_str());
    texts.into_iter().flatten().map(short).collect::<Vec<_>>().join(" ")
}

/// Answers a request, unless a fault keeps it from that.
pub(crate) fn answer(world: &World, action: &str, request: &Value, fault: Option<CallFault>) -> Sent {
    let unavailable = |status| Sent::error(status, "ServiceUnavailable", "not now");
    match fault {
        Some(CallFault::Throttled) => return Sent::error(400, "ThrottlingException", "Rate exceeded"),
        Some(CallFault::Refused) => return Sent::error(400, "AccessDeniedException", "not for now"),
        Some(CallFault::ServerError(status)) => return unavailable(status),
        Some(CallFault::Reset) => return Sent::Reset,
        Some(CallFault::AnswerLost | CallFault::AnswerLostAs(_) | CallFault::Slow(_)) | None => {}
    }
    let done = perform(world, action, request);
    match fault {
        Some(CallFault::AnswerLost) => Sent::Reset,
        Some(CallFault::AnswerLostAs(status)) => unavailable(status),
        _ => match done {
            Ok(answer) => Sent::json(&answer),
            Err(error) => Sent::error(400, error.code(), &error.to_string()),
        },
    }
}

fn perform(world: &World, action: &str, request: &Value) -> Result<Value, ServiceError> {
    let engine = world.engine();
    let text = |name: &str| request[name].as_str();
    let required = |name: &str| text(name).unwrap_or_default();
    let most = request["maxResults"].as_u64().and_then(|most| usize::try_from(most).ok());
    Ok(match action {
        "StartExecution" => {
            let started =
                engine.start_execution(required("stateMachineArn"), text("name"), text("input").unwrap_or("{}"))?;
            let started = started.to_json();
            json!({"executionArn": started["executionArn"], "startDate": started["startDate"]})
        }
        "StopExecution" => {
            let stopped = engine.stop_execution(required("executionArn"), text("error"), text("cause"))?;
            json!({"stopDate": stopped.to_json()["stopDate"]})
        }
        "DescribeExecution" => {
            let arn = required("executionArn");
            // One that is forgotten is an error at once.
            engine.describe_execution(arn)?;
            let shown = lock(&world.shown).execution(world.clock.now_millis(), arn);
            shown.ok_or_else(|| ServiceError::ExecutionDoesNotExist(arn.to_owned()))?.to_json()
        }
        "ListExecutions" => {
            let status = text("statusFilter").and_then(Status::from_name);
            let Page { items, next_token } =
                engine.list_executions(required("stateMachineArn"), status, most, text("nextToken"))?;
            let executions: Vec<_> = items.iter().map(listed).collect();
            json!({"executions": executions, "nextToken": next_token})
        }
        "GetExecutionHistory" => {
            let reverse = request["reverseOrder"].as_bool().unwrap_or_default();
            let Page { items, next_token } =
                engine.get_execution_history(required("executionArn"), reverse, most, text("nextToken"))?;
            let events: Vec<_> = items.iter().map(HistoryEvent::to_json).collect();
            json!({"events": events, "nextToken": next_token})
        }
        "SendTaskSuccess" => {
            engine.send_task_success(required("taskToken"), required("output"))?;
            json!({})
        }
        // The functions call nothing else; one that does shows up as a run that fails.
        _ => return Err(ServiceError::InvalidName(action.to_owned())),
    })
}

fn listed(execution: &Execution) -> Value {
    let mut listed = execution.to_json();
    if let Some(fields) = listed.as_object_mut() {
        let kept = ["executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate"];
        fields.retain(|name, _| kept.contains(&name.as_str()));
    }
    listed
}
