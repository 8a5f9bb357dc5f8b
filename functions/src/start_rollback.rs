//! Starts rollbacks for runs that ended without one: when EventBridge tells that a run was aborted,
//! timed out or failed, and from time to time for every run that left something behind.

use std::collections::BTreeSet;

use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_sdk_ec2::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{aws_error, ec2, error::Error, run::Run, settings::Settings, tags};

/// What EventBridge calls the end of an execution.
const STATUS_CHANGE: &str = "Step Functions Execution Status Change";

/// What was started, and what was left alone.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// Runs that are rolled back now.
    rolled_back: Vec<Run>,
    /// Runs whose image stays: they go on, or have succeeded.
    kept: Vec<Run>,
    /// Runs that Step Functions does not know, with ids that may be leftovers: for a person to decide.
    unknown: Vec<Run>,
}

/// Starts a rollback for the run an event tells of, or for each one the sweep finds.
pub async fn handle(
    client: &Client,
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    event: EventBridgeEvent<Value>,
) -> Result<Started, Error> {
    let mut started = Started::default();
    for run in runs(client, settings, &event).await? {
        let execution = step_functions.describe_execution().execution_arn(run.arn()).send().await;
        match execution {
            Ok(execution) => match execution.status {
                ExecutionStatus::Aborted | ExecutionStatus::Failed | ExecutionStatus::TimedOut => {
                    roll_back(step_functions, settings, &run).await?;
                    started.rolled_back.push(run);
                }
                _ => started.kept.push(run),
            },
            Err(error) if aws_error::code(&error) == Some("ExecutionDoesNotExist") => {
                tracing::warn!(run = run.arn(), "Step Functions does not know the run: what it made is kept");
                started.unknown.push(run);
            }
            Err(error) => return Err(aws_error::unexpected("states:DescribeExecution", &error)),
        }
    }
    Ok(started)
}

async fn runs(client: &Client, settings: &Settings, event: &EventBridgeEvent<Value>) -> Result<BTreeSet<Run>, Error> {
    let is_ours = |run: &Run| run.is_of(&settings.lifecycle_machine_arn);
    if event.detail_type == STATUS_CHANGE {
        let Some(arn) = event.detail.get("executionArn").and_then(Value::as_str) else {
            return Err(Error::invalid("detail.executionArn", "an execution's ARN is required"));
        };
        return Ok(Some(Run::new(arn)).into_iter().filter(is_ours).collect());
    }
    let images = ec2::images_of_runs(client).await?;
    let snapshots = ec2::snapshots_of_runs(client).await?;
    let tags = images.iter().map(|image| image.tags()).chain(snapshots.iter().map(|snapshot| snapshot.tags()));
    Ok(tags.filter_map(tags::run_of).map(Run::new).filter(is_ours).collect())
}

async fn roll_back(step_functions: &aws_sdk_sfn::Client, settings: &Settings, run: &Run) -> Result<(), Error> {
    let input = json!({"operation": "rollback", "run": run});
    let request = step_functions.start_execution().state_machine_arn(&settings.operation_machine_arn);
    let answer = request.input(input.to_string()).send().await;
    let execution = answer.map_err(|error| aws_error::unexpected("states:StartExecution", &error))?;
    tracing::info!(run = run.arn(), rollback = execution.execution_arn(), "a rollback is started");
    Ok(())
}
