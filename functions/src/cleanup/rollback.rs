//! A rollback: removes what a run's create made, once Step Functions says that nobody wants it.

use std::time::SystemTime;

use aws_sdk_ec2::{
    Client,
    primitives::DateTime,
    types::{Image, Snapshot},
};
use aws_sdk_sfn::{operation::describe_execution::DescribeExecutionOutput, types::ExecutionStatus};

use super::removal::Removal;
use crate::{
    aws_error, ec2,
    error::Error,
    run::{Operation, Run},
    settings::Settings,
    step::{Document, Status, Step},
};

/// For how long, in seconds, a create that was cut off may still make an image: its function lives
/// for up to a minute after its machine was stopped, and EC2 shows an image some seconds later.
const SETTLES: u64 = 90;
/// The longest wait between looks that find nothing, in seconds.
const LONGEST_WAIT: u64 = 30;
/// For how long, in seconds, Step Functions may say that a run goes on that has ended.
const HEARS_WITHIN: u64 = 60;
/// Seconds until it is asked again.
const ASK_AGAIN: u64 = 15;
/// For how long after its end a run is rolled back, in seconds. Step Functions forgets an execution
/// after 90 days.
pub(crate) const REMEMBERED: i64 = 30 * 24 * 3600;

/// The names a create fails with when EC2 made nothing.
const MADE_NOTHING: &[&str] = &[
    "InvalidRequest",
    "NameTaken",
    "SourceInstanceNotFound",
    "SourceInstanceNotImageable",
    "QuotaExceeded",
    "NotAuthorized",
];

pub(super) async fn look(
    client: &Client,
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    document: Document,
) -> Result<Step, Error> {
    let run = document.run.clone();
    match undo(client, step_functions, settings, document).await {
        // Trying again does not help; the run ends with this, and must name what it leaves.
        Err(error @ (Error::NotAuthorized { .. } | Error::CallRefused { .. })) => {
            Err(naming(client, &run, error).await)
        }
        answer => answer,
    }
}

/// The error, with the ids of all that carries the run's tag, as far as they can be had.
async fn naming(client: &Client, run: &Run, error: Error) -> Error {
    let images = ec2::images_of_run(client, run).await.unwrap_or_default();
    let snapshots = ec2::snapshots_of_run(client, run.arn()).await.unwrap_or_default();
    let mut ids: Vec<_> = images.iter().filter_map(Image::image_id).collect();
    ids.extend(snapshots.iter().filter_map(Snapshot::snapshot_id));
    if ids.is_empty() {
        return error;
    }
    Error::LeftoversRemain { leftovers: format!("{}: {error}", ids.join(", ")) }
}

async fn undo(
    client: &Client,
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    document: Document,
) -> Result<Step, Error> {
    let run = &document.run;
    let (settles, started) = match verdict(step_functions, settings, &document).await? {
        Verdict::Remove { settles, started } => (settles, started),
        Verdict::Keep(why) => {
            tracing::info!(why, "what the run made is kept");
            return Ok(document.step(Status::Gone, 0).because(why));
        }
        Verdict::AskAgain => {
            return Ok(document.step(Status::Pending, ASK_AGAIN).because("Step Functions says that the run goes on"));
        }
    };
    let images = ec2::images_of_run(client, run).await?;
    let images: Vec<_> =
        images.into_iter().filter(|image| ec2::is_since(ec2::time(image.creation_date()), Some(started))).collect();
    let snapshots = ec2::snapshots_of_run(client, run.arn()).await?;
    let snapshots: Vec<_> =
        snapshots.into_iter().filter(|snapshot| ec2::is_since(snapshot.start_time, Some(started))).collect();
    let found = images.len() + snapshots.len();
    if found > 0 {
        let mut step = remove(client, &images, &snapshots).await?.step(&document, found);
        step.quiet_seconds = Some(0);
        return Ok(step);
    }
    let quiet = document.quiet_seconds + document.wait_seconds;
    if quiet < settles {
        let wait = (settles - quiet).min(LONGEST_WAIT);
        let mut step = document.step(Status::Pending, wait).because("a call that was cut off may still make an image");
        step.quiet_seconds = Some(quiet);
        return Ok(step);
    }
    tracing::info!("nothing of the run is left");
    Ok(document.step(Status::Gone, 0).because("nothing of the run is left"))
}

async fn remove(client: &Client, images: &[Image], snapshots: &[Snapshot]) -> Result<Removal, Error> {
    let mut removal = Removal::default();
    let mut held = vec![];
    for image in images {
        if !removal.image(client, image).await? {
            held.extend(ec2::snapshot_ids(image).map(str::to_owned));
        }
    }
    for id in snapshots.iter().filter_map(|snapshot| snapshot.snapshot_id()) {
        if held.iter().any(|other| other == id) {
            removal.keep(id, "its image stays");
        } else {
            removal.snapshot(client, id).await?;
        }
    }
    Ok(removal)
}

#[derive(Debug, PartialEq)]
enum Verdict {
    /// Remove what was made since the run started, and go on looking until nothing was found for so
    /// many seconds.
    Remove { settles: u64, started: DateTime },
    /// Somebody wants it, or nobody knows.
    Keep(&'static str),
    /// The run goes on, or Step Functions has not heard of its end yet.
    AskAgain,
}

/// Asks Step Functions about the run and stops those of its operations that still run.
async fn verdict(
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    document: &Document,
) -> Result<Verdict, Error> {
    let run = &document.run;
    if !run.is_of(&settings.lifecycle_machine_arn) {
        return Ok(Verdict::Keep("it is no run of this deployment"));
    }
    let child = |operation| run.child(&settings.operation_machine_arn, operation);
    let by_the_run_itself = document.execution.as_deref() == Some(child(Operation::Rollback).as_str());
    let Some(execution) = describe(step_functions, run.arn()).await? else {
        return Ok(Verdict::Keep("Step Functions does not know the run"));
    };
    match execution.status {
        ExecutionStatus::Succeeded => return Ok(Verdict::Keep("the run has succeeded")),
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive if !by_the_run_itself => {
            if document.waited() < HEARS_WITHIN {
                return Ok(Verdict::AskAgain);
            }
            return Err(Error::RunKept { run: run.arn().to_owned(), status: "still running".to_owned() });
        }
        _ => {}
    }
    // Its operations' executions are forgotten before it is, and they tell what to keep.
    if execution.stop_date.is_some_and(|end| end.secs() < DateTime::from(SystemTime::now()).secs() - REMEMBERED) {
        return Ok(Verdict::Keep("the run has ended too long ago"));
    }
    for operation in [Operation::Create, Operation::Update, Operation::Delete] {
        stop(step_functions, &child(operation)).await?;
    }
    let create = describe(step_functions, &child(Operation::Create)).await?;
    let made = create.as_ref().is_some_and(|create| create.status == ExecutionStatus::Succeeded);
    // A replace that has begun to delete the old image may have nothing but the new one to show.
    if document.keep || made && describe(step_functions, &child(Operation::Delete)).await?.is_some() {
        return Ok(Verdict::Keep("the old image is being deleted, so the new one stays"));
    }
    let settles = settles(create.as_ref(), by_the_run_itself);
    Ok(Verdict::Remove { settles, started: execution.start_date })
}

/// How long nothing must be found before a create counts as undone, by the way it ended.
fn settles(create: Option<&DescribeExecutionOutput>, by_the_run_itself: bool) -> u64 {
    let Some(create) = create else {
        // The run itself knows that it started none; anyone else may be ahead of its start.
        return if by_the_run_itself { 0 } else { SETTLES };
    };
    let made_nothing = create.error().is_some_and(|error| MADE_NOTHING.contains(&error));
    match create.status {
        ExecutionStatus::Succeeded => 0,
        ExecutionStatus::Failed if made_nothing && by_the_run_itself => 0,
        _ => SETTLES,
    }
}

async fn describe(step_functions: &aws_sdk_sfn::Client, arn: &str) -> Result<Option<DescribeExecutionOutput>, Error> {
    match step_functions.describe_execution().execution_arn(arn).send().await {
        Ok(execution) => Ok(Some(execution)),
        Err(error) if aws_error::code(&error) == Some("ExecutionDoesNotExist") => Ok(None),
        Err(error) => Err(aws_error::unexpected("states:DescribeExecution", &error)),
    }
}

async fn stop(step_functions: &aws_sdk_sfn::Client, arn: &str) -> Result<(), Error> {
    let cause = "the run it belongs to is rolled back";
    match step_functions.stop_execution().execution_arn(arn).error("RolledBack").cause(cause).send().await {
        Ok(_) => Ok(()),
        // It never started, or it has ended.
        Err(error) if matches!(aws_error::code(&error), Some("ExecutionDoesNotExist" | "ValidationException")) => {
            Ok(())
        }
        Err(error) => Err(aws_error::unexpected("states:StopExecution", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: ExecutionStatus, error: &str) -> DescribeExecutionOutput {
        DescribeExecutionOutput::builder()
            .execution_arn("arn")
            .state_machine_arn("arn")
            .start_date(aws_sdk_sfn::primitives::DateTime::from_secs(0))
            .status(status)
            .error(error)
            .build()
            .unwrap()
    }

    #[test]
    fn a_create_that_was_cut_off_is_watched_for_a_while() {
        for status in [ExecutionStatus::Aborted, ExecutionStatus::TimedOut, ExecutionStatus::Running] {
            assert_eq!(settles(Some(&ended(status, "")), true), SETTLES);
        }
        assert_eq!(settles(Some(&ended(ExecutionStatus::Failed, "ServiceUnavailable")), true), SETTLES);
    }

    #[test]
    fn a_create_that_was_refused_is_looked_at_once_by_its_run_and_for_longer_by_others() {
        let refused = ended(ExecutionStatus::Failed, "NameTaken");
        assert_eq!(settles(Some(&refused), true), 0);
        assert_eq!(settles(Some(&refused), false), SETTLES);
    }

    #[test]
    fn every_refusal_is_the_name_of_an_error() {
        assert!(MADE_NOTHING.iter().all(|name| Error::NAMES.contains(name)));
    }
}
