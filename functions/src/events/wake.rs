//! Ends the wait for an image when EventBridge tells of the image's end, so that the look comes at once.
//!
//! Nothing is stored for it. The image's run tag tells the run, which gives the names of the executions of its
//! operations; the latest event of the one that waits has the token that ends the wait. EC2 sends its events
//! on a best effort (EC2 User Guide, monitor AMI events), and any of this may fail: then the wait ends by
//! itself.

use std::time::Duration;

use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType, TaskScheduledEventDetails};
use serde::Serialize;
use serde_json::{Value, json};

use super::{detail, parse};
use crate::{
    app::App,
    aws::{ec2, error_codes, step_functions},
    error::Error,
    lambda::logs::log_run,
    model::run::Run,
    settings::Machines,
};

/// How often the operations are asked for while none waits, and the first pause between, which
/// doubles each time: one may be looking, and have looked just before the end.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);
/// How many of the latest events of a history are read: more than a Task has.
const EVENTS: i32 = 5;

/// What an event brought about.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Woken {
    /// The run of the image, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Run>,
    /// Whether a wait was ended.
    woken: bool,
    /// Why, or why not.
    reason: &'static str,
}

/// Ends the wait of the image's operation.
///
/// # Errors
///
/// `InvalidRequest` if it is no event of an image, and what AWS refuses.
pub async fn handle(app: &App, event: Value) -> Result<Woken, Error> {
    let event: EventBridgeEvent<Value> = parse(event)?;
    let machines = app.settings.machines()?;
    let run = ec2::run_of_image(&app.ec2, detail(&event, "ImageId")?).await?;
    let Some(run) = run.filter(|run| run.is_of(&machines.lifecycle)) else {
        return Ok(Woken { run: None, woken: false, reason: "no run of this stack made the image" });
    };
    log_run(&run);
    let (woken, reason) = wake(app, machines, &run).await?;
    tracing::info!(woken, reason, "EventBridge tells of the image's end");
    Ok(Woken { run: Some(run), woken, reason })
}

async fn wake(app: &App, machines: &Machines, run: &Run) -> Result<(bool, &'static str), Error> {
    for tried in 0..TRIES {
        match doing(app, machines, run).await? {
            Doing::Waiting(token) => return end_the_wait(app, token).await,
            Doing::SomethingElse => tokio::time::sleep(PAUSE * 2_u32.pow(tried)).await,
            Doing::Nothing => return Ok((false, "it has ended")),
        }
    }
    Ok((false, "it was not waiting for an event"))
}

async fn end_the_wait(app: &App, token: String) -> Result<(bool, &'static str), Error> {
    let answer = app.step_functions.send_task_success().task_token(token).output(json!({}).to_string()).send().await;
    match answer {
        Ok(_) => Ok((true, "it was waiting")),
        Err(error) => match error_codes::code(&error) {
            Some("TaskTimedOut" | "TaskDoesNotExist") => Ok((false, "its wait has just ended")),
            _ => Err(error_codes::unexpected("states:SendTaskSuccess", &error)),
        },
    }
}

/// What a run's operations are doing.
#[derive(Debug, PartialEq)]
enum Doing {
    /// One waits, until this token or its time comes.
    Waiting(String),
    /// One looks, or begins, or waits for something else.
    SomethingElse,
    /// They have ended, or never began.
    Nothing,
}

/// What the run's latest operation is doing: those before it have ended.
async fn doing(app: &App, machines: &Machines, run: &Run) -> Result<Doing, Error> {
    let mut doing = Doing::Nothing;
    for position in 1.. {
        let operation = run.operation(&machines.operation, position);
        match step_functions::latest_events(&app.step_functions, &operation, EVENTS).await? {
            Some(events) => doing = latest(&events),
            None => break,
        }
        if doing != Doing::Nothing {
            break;
        }
    }
    Ok(doing)
}

/// What the events of a history tell, the latest first. A Task that waits has been scheduled, started
/// and submitted.
fn latest(events: &[HistoryEvent]) -> Doing {
    match events.first().map(|event| &event.r#type) {
        Some(HistoryEventType::TaskSubmitted) => {
            let scheduled = events.iter().find_map(HistoryEvent::task_scheduled_event_details);
            scheduled.and_then(token).map_or(Doing::SomethingElse, Doing::Waiting)
        }
        Some(kind) if step_functions::is_the_end(kind) => Doing::Nothing,
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
