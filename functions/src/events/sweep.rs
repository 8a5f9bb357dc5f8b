//! From time to time: starts a rollback for every run that ended badly and left something behind, unless its
//! plan says that this stays. Events are delivered on a best effort; tags stay.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::{
    primitives::DateTime,
    types::{Instance, Tag},
};
use aws_sdk_sfn::types::ExecutionStatus;
use serde::Serialize;

use super::roll_back;
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    lambda::metrics,
    model::{
        ids::{ImageId, InstanceId, SnapshotId},
        run::Run,
        tags,
    },
    operations::{
        adopt,
        instance_state::{self, STOPPED_BY_TAG},
        rollback::{self, REMEMBERED},
    },
    settings::Machines,
};

/// What was started, and what was left alone.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Runs that are rolled back now.
    rolled_back: Vec<Run>,
    /// Runs that left something, where the sweep only reports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reported: Vec<Run>,
    /// Snapshots of no image, though their run has not ended badly or keeps its image: a delete that was cut off leaves
    /// them, or somebody who deregistered the image and may want them. Deleting that image again removes them.
    orphaned_snapshots: Vec<SnapshotId>,
    /// Instances with the tag of a run that stopped them, which neither goes on nor is rolled back: nobody starts them.
    stopped_instances: Vec<InstanceId>,
    /// Runs that could not be rolled back this time, and why.
    failed: Vec<(Run, String)>,
}

impl Found {
    /// How many runs left something. Snapshots of a succeeded run are named in the log and not counted: a
    /// delete may have kept them because its request said so.
    fn count(&self) -> usize {
        self.rolled_back.len() + self.reported.len() + self.stopped_instances.len() + self.failed.len()
    }

    /// Whether the run is among those that left something.
    fn knows(&self, run: &Run) -> bool {
        self.rolled_back.contains(run) || self.reported.contains(run)
    }

    /// Has a run rolled back that left something, unless the sweep only reports.
    async fn left_something(&mut self, app: &App, run: Run) {
        if app.settings.sweep_only_reports {
            self.reported.push(run);
            return;
        }
        match roll_back(app, &run).await {
            Ok(()) => self.rolled_back.push(run),
            Err(error) => self.failed.push((run, error.to_string())),
        }
    }
}

/// Starts a rollback for each run that left something.
///
/// # Errors
///
/// What AWS refuses, unless it is the start of one rollback.
pub async fn handle(app: &App) -> Result<Found, Error> {
    let machines = app.settings.machines()?;
    let mut found = Found::default();
    let since = DateTime::from_secs(app.seconds() - REMEMBERED);
    // Step Functions is asked for all runs of a status, and not about each run that made something:
    // most of those have succeeded, and there may be thousands.
    let ended_badly = [ExecutionStatus::Aborted, ExecutionStatus::Failed, ExecutionStatus::TimedOut];
    let ended_badly = runs(app, machines, &ended_badly, since).await?;
    let mut running = runs(app, machines, &[ExecutionStatus::Running], since).await?;
    let made_by_runs = made_by_runs(app, machines, since).await?;
    let stopped_instances = stopped_instances(app, machines).await?;
    // A run may have begun or ended while EC2 was asked.
    running.extend(runs(app, machines, &[ExecutionStatus::Running], since).await?);
    for (instance_id, run) in stopped_instances {
        if ended_badly.contains(&run) {
            found.left_something(app, run).await;
        } else if !running.contains(&run) {
            found.stopped_instances.push(instance_id);
        }
    }
    for (run, made) in made_by_runs {
        if found.knows(&run) {
            continue;
        }
        let is_to_go = if ended_badly.contains(&run) { made.is_to_go(app, &run).await } else { Ok(false) };
        match is_to_go {
            Ok(true) => found.left_something(app, run).await,
            Ok(false) if running.contains(&run) => {}
            Ok(false) => found.orphaned_snapshots.extend(made.snapshots_of_no_image()),
            Err(error) => found.failed.push((run, error.to_string())),
        }
    }
    (app.print)(&metrics::sweep_found(&machines.lifecycle, found.count(), (app.now)()));
    if found.count() > 0 || !found.orphaned_snapshots.is_empty() {
        tracing::warn!(?found, "the sweep has found what runs left");
    } else {
        tracing::info!("the sweep has found nothing");
    }
    Ok(found)
}

/// What has one run's tag.
#[derive(Debug, Default)]
struct Made {
    snapshots: BTreeSet<SnapshotId>,
    snapshots_of_images: BTreeSet<SnapshotId>,
    /// Of each image and snapshot that is older than what Step Functions remembers: the image that it is, or that its
    /// description names, if it names one.
    older: Vec<Option<ImageId>>,
    /// Whether something is not older.
    has_recent: bool,
}

impl Made {
    fn snapshots_of_no_image(self) -> impl Iterator<Item = SnapshotId> {
        self.snapshots.into_iter().filter(move |id| !self.snapshots_of_images.contains(id))
    }

    /// Whether a rollback of a run that ended badly has something to do. It would leave what the run keeps, and the next
    /// sweep would find it again.
    async fn is_to_go(&self, app: &App, run: &Run) -> Result<bool, Error> {
        Ok((self.has_recent || self.is_taken_over(app, run).await?) && !rollback::is_kept(app, run).await?)
    }

    /// Whether the run was about to take over something that is older than itself. Otherwise an earlier run of the same
    /// name has made it, and a rollback leaves it.
    async fn is_taken_over(&self, app: &App, run: &Run) -> Result<bool, Error> {
        let Some(image_id) = adopt::image_of(app, run).await? else { return Ok(false) };
        // Somebody may have deregistered the image, and a snapshot may be described by anything.
        Ok(self.older.iter().any(|of| of.as_ref().is_none_or(|of| *of == image_id)))
    }
}

/// What has the tag of a run of this deployment, by run.
async fn made_by_runs(app: &App, machines: &Machines, since: DateTime) -> Result<BTreeMap<Run, Made>, Error> {
    let mut by_run: BTreeMap<Run, Made> = BTreeMap::new();
    for image in ec2::images_of_runs(&app.ec2).await? {
        let Some(run) = run(machines, image.tags()) else { continue };
        let made = by_run.entry(run).or_default();
        made.snapshots_of_images.extend(ec2::snapshot_ids(&image).map(SnapshotId::from));
        if ec2::is_since(ec2::time(image.creation_date()), Some(since)) {
            made.has_recent = true;
        } else {
            made.older.push(image.image_id().map(ImageId::from));
        }
    }
    for snapshot in ec2::snapshots_of_runs(&app.ec2).await? {
        let Some(run) = run(machines, snapshot.tags()) else { continue };
        let made = by_run.entry(run).or_default();
        made.snapshots.insert(SnapshotId::from(snapshot.snapshot_id().unwrap_or_default()));
        if ec2::is_since(snapshot.start_time, Some(since)) {
            made.has_recent = true;
        } else {
            made.older.push(snapshot.description().and_then(ec2::image_described).map(ImageId::from));
        }
    }
    Ok(by_run)
}

/// The instances that a run of this deployment has stopped, or says so.
async fn stopped_instances(app: &App, machines: &Machines) -> Result<Vec<(InstanceId, Run)>, Error> {
    let instances = ec2::instances_tagged(&app.ec2, STOPPED_BY_TAG).await?;
    let of_run = |instance: &Instance| {
        let run = instance_state::stopped_by(instance).filter(|run| run.is_of(&machines.lifecycle))?;
        Some((InstanceId::from(instance.instance_id()?), run))
    };
    Ok(instances.iter().filter_map(of_run).collect())
}

fn run(machines: &Machines, tags: &[Tag]) -> Option<Run> {
    tags::run_of(tags).map(Run::new).filter(|run| run.is_of(&machines.lifecycle))
}

/// The runs of these statuses that run, or ended of late.
async fn runs(
    app: &App,
    machines: &Machines,
    statuses: &[ExecutionStatus],
    since: DateTime,
) -> Result<BTreeSet<Run>, Error> {
    let mut runs = BTreeSet::new();
    for status in statuses {
        let request = app.step_functions.list_executions().state_machine_arn(&machines.lifecycle);
        let mut executions = request.status_filter(status.clone()).into_paginator().items().send();
        while let Some(execution) = executions.next().await {
            let execution = execution.map_err(|error| error_codes::unexpected("states:ListExecutions", &error))?;
            // Those that run come sorted by their start, those that have ended by their end; the latest comes first.
            if execution.stop_date.unwrap_or(execution.start_date).secs() < since.secs() {
                break;
            }
            runs.insert(Run::new(execution.execution_arn));
        }
    }
    Ok(runs)
}
