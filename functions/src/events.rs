//! What EventBridge and Scheduler start: none of it belongs to a run.

pub mod ended_run;
pub mod sweep;
pub mod wake;

use aws_lambda_events::eventbridge::EventBridgeEvent;
use serde_json::{Value, json};

use crate::{
    app::App,
    aws::error_codes,
    error::Error,
    model::{run::Run, timeouts},
    operations::{Operation, rollback::Rollback},
};

/// What EventBridge calls the end of an execution.
const STATUS_CHANGE: &str = "Step Functions Execution Status Change";

/// Starts the rollback of the run that an event tells of, or of each one that the sweep finds.
///
/// # Errors
///
/// `InvalidRequest` if it is no event, and what AWS refuses.
pub async fn start_rollback(app: &App, event: Value) -> Result<Value, Error> {
    let event = parse(event)?;
    if event.detail_type == STATUS_CHANGE {
        ended_run::handle(app, &event).await.map(|started| json!(started))
    } else {
        sweep::handle(app).await.map(|found| json!(found))
    }
}

/// Reads an event.
///
/// # Errors
///
/// `InvalidRequest` if it is none.
pub(crate) fn parse(event: Value) -> Result<EventBridgeEvent<Value>, Error> {
    serde_json::from_value(event)
        .map_err(|error| Error::invalid("input", format!("must be an event of EventBridge: {error}")))
}

/// A text of the event's detail.
fn detail<'a>(event: &'a EventBridgeEvent<Value>, field: &str) -> Result<&'a str, Error> {
    let text = event.detail.get(field).and_then(Value::as_str);
    text.ok_or_else(|| Error::invalid(format!("detail.{field}"), "must be a string"))
}

/// Starts the rollback of a run, as an execution of the operation machine.
async fn roll_back(app: &App, run: &Run) -> Result<(), Error> {
    let input = json!({
        "operation": Rollback::NAME,
        "run": run,
        "timeoutSeconds": timeouts::LONGEST,
        "arguments": {},
    });
    let machine = &app.settings.machines()?.operation;
    let request = app.step_functions.start_execution().state_machine_arn(machine).input(input.to_string());
    let answer = request.send().await;
    let execution = answer.map_err(|error| error_codes::unexpected("states:StartExecution", &error))?;
    tracing::info!(run = run.arn(), rollback = execution.execution_arn(), "a rollback is started");
    Ok(())
}
