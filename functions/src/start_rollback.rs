//! Starts rollbacks for runs that ended without one: when EventBridge tells that a run was aborted,
//! timed out or failed, and from time to time for every run that left something behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_sdk_ec2::{Client, primitives::DateTime, types::Tag};
use aws_sdk_sfn::types::ExecutionStatus;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    aws_error, cleanup, ec2, error::Error, event, ids::SnapshotId, metrics, run::Run, settings::Settings, tags,
};

/// What EventBridge calls the end of an execution.
const STATUS_CHANGE: &str = "Step Functions Execution Status Change";

/// What was started, and what was left alone.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// Runs that are rolled back now.
    rolled_back: Vec<Run>,
    /// Snapshots whose image is gone, though their run has not ended badly: a delete that was cut off
    /// leaves them, or somebody who deregistered the image and wants them. Deleting the image again
    /// removes them.
    orphaned_snapshots: Vec<SnapshotId>,
    /// Runs that could not be rolled back this time, and why.
    failed: Vec<(Run, String)>,
}

impl Started {
    /// How many runs and snapshots are not as they should be.
    fn found(&self) -> usize {
        self.rolled_back.len() + self.orphaned_snapshots.len() + self.failed.len()
    }
}

/// Starts a rollback for the run an event tells of, or for each one the sweep finds.
pub async fn handle(
    client: &Client,
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    event: EventBridgeEvent<Value>,
) -> Result<Started, Error> {
    let mut started = Started::default();
    if event.detail_type == STATUS_CHANGE {
        let run = Run::new(event::detail(&event, "executionArn")?);
        // The event tells of the run's end; the rollback itself asks whether it is true.
        roll_back(step_functions, settings, &run).await?;
        started.rolled_back.push(run);
        return Ok(started);
    }
    let since = DateTime::from_secs(DateTime::from(SystemTime::now()).secs() - cleanup::REMEMBERED);
    // Step Functions is asked for all runs of a status, and not about each run that made something:
    // most of those have succeeded, and there may be thousands.
    let ended_badly = [ExecutionStatus::Aborted, ExecutionStatus::Failed, ExecutionStatus::TimedOut];
    let ended_badly = runs(step_functions, settings, &ended_badly, since).await?;
    let running = runs(step_functions, settings, &[ExecutionStatus::Running], since).await?;
    for (run, made) in made_by_runs(client, settings, since).await? {
        if ended_badly.contains(&run) {
            match roll_back(step_functions, settings, &run).await {
                Ok(()) => started.rolled_back.push(run),
                Err(error) => started.failed.push((run, error.to_string())),
            }
        } else if !made.has_image && !running.contains(&run) {
            started.orphaned_snapshots.extend(made.snapshots);
        }
    }
    metrics::sweep_found(&settings.lifecycle_machine_arn, started.found());
    tracing::info!(?started, "the sweep is done");
    Ok(started)
}

/// What one run has made.
#[derive(Debug, Default)]
struct Made {
    has_image: bool,
    snapshots: Vec<SnapshotId>,
}

/// What this deployment's runs of late have made, by run. Step Functions forgets the older ones.
async fn made_by_runs(client: &Client, settings: &Settings, since: DateTime) -> Result<BTreeMap<Run, Made>, Error> {
    let mut made: BTreeMap<Run, Made> = BTreeMap::new();
    for image in ec2::images_of_runs(client).await? {
        if let Some(run) = run(settings, image.tags())
            && ec2::is_since(ec2::time(image.creation_date()), Some(since))
        {
            made.entry(run).or_default().has_image = true;
        }
    }
    for snapshot in ec2::snapshots_of_runs(client).await? {
        if let Some(run) = run(settings, snapshot.tags())
            && ec2::is_since(snapshot.start_time, Some(since))
        {
            let id = snapshot.snapshot_id().unwrap_or_default();
            made.entry(run).or_default().snapshots.push(SnapshotId::from(id));
        }
    }
    Ok(made)
}

fn run(settings: &Settings, tags: &[Tag]) -> Option<Run> {
    tags::run_of(tags).map(Run::new).filter(|run| run.is_of(&settings.lifecycle_machine_arn))
}

/// The runs of these statuses that started of late.
async fn runs(
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    statuses: &[ExecutionStatus],
    since: DateTime,
) -> Result<BTreeSet<Run>, Error> {
    let mut runs = BTreeSet::new();
    for status in statuses {
        let request = step_functions.list_executions().state_machine_arn(&settings.lifecycle_machine_arn);
        let mut executions = request.status_filter(status.clone()).into_paginator().items().send();
        while let Some(execution) = executions.next().await {
            let execution = execution.map_err(|error| aws_error::unexpected("states:ListExecutions", &error))?;
            // The latest comes first.
            if execution.start_date.secs() < since.secs() {
                break;
            }
            runs.insert(Run::new(execution.execution_arn));
        }
    }
    Ok(runs)
}

async fn roll_back(step_functions: &aws_sdk_sfn::Client, settings: &Settings, run: &Run) -> Result<(), Error> {
    let input = json!({"operation": "rollback", "run": run});
    let request = step_functions.start_execution().state_machine_arn(&settings.operation_machine_arn);
    let answer = request.input(input.to_string()).send().await;
    let execution = answer.map_err(|error| aws_error::unexpected("states:StartExecution", &error))?;
    tracing::info!(run = run.arn(), rollback = execution.execution_arn(), "a rollback is started");
    Ok(())
}
