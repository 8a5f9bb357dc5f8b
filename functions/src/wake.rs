//! Ends the wait for an image when EventBridge tells of the image's end, so that the look comes at once.
//!
//! Nothing is stored for it. The image's run tag tells the run, which gives the name of the execution
//! that waits; the latest event of that execution's history has the token that ends the wait. EC2 sends
//! its events on a best effort (EC2 User Guide, monitor AMI events), and any of this may fail: then the
//! wait ends by itself, as if nobody had been told.

use std::time::Duration;

use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_sdk_ec2::Client;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType, TaskScheduledEventDetails};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    aws_error, ec2,
    error::Error,
    event,
    lambda::log_run,
    run::{Operation, Run},
    settings::Settings,
};

/// How often the operation is asked for while it does not wait, and the first pause between, which
/// doubles each time: it may be looking, and have looked just before the end.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);
/// How many of the latest events of its history are read: more than a Task has.
const EVENTS: i32 = 5;

/// What an event brought about.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Woken {
    /// The run of the image, if there is one.
    run: Option<Run>,
    /// Whether a wait was ended.
    woken: bool,
    /// Why, or why not.
    reason: &'static str,
}

/// Ends the wait of the image's operation.
pub async fn handle(
    client: &Client,
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    event: EventBridgeEvent<Value>,
) -> Result<Woken, Error> {
    let run = ec2::run_of_image(client, event::detail(&event, "ImageId")?).await?;
    let Some(run) = run.filter(|run| run.is_of(&settings.lifecycle_machine_arn)) else {
        return Ok(Woken { run: None, woken: false, reason: "no run of this deployment made the image" });
    };
    log_run(&run);
    let operation = run.child(&settings.operation_machine_arn, Operation::Create);
    let told = json!({"told": event.time.map(|time| time.to_rfc3339())}).to_string();
    let (woken, reason) = wake(step_functions, &operation, &told).await?;
    tracing::info!(woken, reason, "EventBridge has told of the image's end");
    Ok(Woken { run: Some(run), woken, reason })
}

async fn wake(
    step_functions: &aws_sdk_sfn::Client,
    operation: &str,
    told: &str,
) -> Result<(bool, &'static str), Error> {
    for tried in 0..TRIES {
        match doing(step_functions, operation).await? {
            Doing::Waiting(token) => {
                let answer = step_functions.send_task_success().task_token(token).output(told).send().await;
                return match answer {
                    Ok(_) => Ok((true, "it was waiting")),
                    Err(error) => match aws_error::code(&error) {
                        Some("TaskTimedOut" | "TaskDoesNotExist") => Ok((false, "its wait has just ended")),
                        _ => Err(aws_error::unexpected("states:SendTaskSuccess", &error)),
                    },
                };
            }
            Doing::SomethingElse => tokio::time::sleep(PAUSE * 2_u32.pow(tried)).await,
            Doing::Nothing => return Ok((false, "it has ended")),
        }
    }
    Ok((false, "it was not waiting for an image"))
}

/// What an operation is doing.
#[derive(Debug, PartialEq)]
enum Doing {
    /// It waits, until this token or its time comes.
    Waiting(String),
    /// It looks, or begins, or waits for something else.
    SomethingElse,
    /// It has ended, or never began.
    Nothing,
}

async fn doing(step_functions: &aws_sdk_sfn::Client, operation: &str) -> Result<Doing, Error> {
    let request = step_functions.get_execution_history().execution_arn(operation).reverse_order(true);
    match request.max_results(EVENTS).send().await {
        Ok(history) => Ok(latest(&history.events)),
        Err(error) if aws_error::code(&error) == Some("ExecutionDoesNotExist") => Ok(Doing::Nothing),
        Err(error) => Err(aws_error::unexpected("states:GetExecutionHistory", &error)),
    }
}

/// What the events of a history tell, the latest first. A Task that waits has been scheduled, started
/// and submitted.
fn latest(events: &[HistoryEvent]) -> Doing {
    match events.first().map(|event| &event.r#type) {
        Some(HistoryEventType::TaskSubmitted) => {
            let scheduled = events.iter().find_map(HistoryEvent::task_scheduled_event_details);
            scheduled.and_then(token).map_or(Doing::SomethingElse, Doing::Waiting)
        }
        Some(
            HistoryEventType::ExecutionSucceeded
            | HistoryEventType::ExecutionFailed
            | HistoryEventType::ExecutionAborted
            | HistoryEventType::ExecutionTimedOut,
        ) => Doing::Nothing,
        _ => Doing::SomethingElse,
    }
}

/// The token in the arguments of a Task that waits for one.
fn token(scheduled: &TaskScheduledEventDetails) -> Option<String> {
    let arguments: Value = serde_json::from_str(scheduled.parameters()).ok()?;
    let detail = arguments.pointer("/Entries/0/Detail")?;
    // EventBridge itself takes the detail as a text.
    let parsed = detail.as_str().and_then(|text| serde_json::from_str(text).ok());
    let token = parsed.as_ref().unwrap_or(detail).get("token").and_then(Value::as_str);
    if token.is_none() {
        tracing::warn!(parameters = scheduled.parameters(), "the Task that waits has no token where one is expected");
    }
    token.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;

    use super::*;

    fn event(kind: HistoryEventType, arguments: Option<&str>) -> HistoryEvent {
        let details = arguments.map(|arguments| {
            let details = TaskScheduledEventDetails::builder().resource_type("events").resource("putEvents");
            details.region("us-east-1").parameters(arguments).build().unwrap()
        });
        let event = HistoryEvent::builder().timestamp(DateTime::from_secs(0)).id(1).r#type(kind);
        event.set_task_scheduled_event_details(details).build().unwrap()
    }

    #[test]
    fn only_a_task_that_has_been_submitted_and_has_not_ended_waits() {
        use HistoryEventType::{ExecutionAborted, TaskScheduled, TaskStarted, TaskSubmitted, TaskTimedOut};
        let waits = |arguments| event(TaskScheduled, Some(arguments));
        let object = r#"{"Entries": [{"Detail": {"token": "t"}}]}"#;
        let text = r#"{"Entries": [{"Detail": "{\"token\": \"t\"}"}]}"#;
        let looks = || event(TaskScheduled, Some(r#"{"FunctionName": "f", "Payload": {"token": "t"}}"#));
        let plain = |kind| event(kind, None);
        for (events, expected) in [
            (vec![plain(TaskSubmitted), plain(TaskStarted), waits(object)], Doing::Waiting("t".into())),
            (vec![plain(TaskSubmitted), plain(TaskStarted), waits(text)], Doing::Waiting("t".into())),
            (vec![plain(TaskStarted), waits(object)], Doing::SomethingElse),
            (vec![plain(TaskTimedOut), plain(TaskSubmitted), waits(object)], Doing::SomethingElse),
            (vec![plain(TaskStarted), looks()], Doing::SomethingElse),
            (vec![plain(ExecutionAborted), plain(TaskSubmitted), waits(object)], Doing::Nothing),
            (vec![], Doing::SomethingElse),
        ] {
            assert_eq!(latest(&events), expected, "{events:?}");
        }
    }
}
