//! A rollback: undoes what a run's operations did, once Step Functions says that nobody wants it.
//!
//! The run itself asks for it when an operation fails; for a run that was aborted or has timed out, and for
//! what is left later, the functions of [`crate::events`] do.

mod children;
mod failure;
mod verdict;

use std::ops::ControlFlow;

use aws_sdk_ec2::types::{Image, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::verdict::Verdict;
pub(crate) use self::verdict::{REMEMBERED, is_kept};
use super::{
    OPERATIONS, Operation, Rehearsing, Undone,
    ended_run::EndedRun,
    instance_state::{self, STOPPED_BY_TAG},
    removal::{Progress, Standing},
    restore,
};
use crate::{
    app::App,
    aws::ec2,
    error::{Error, Failure, REDRIVEN},
    machine::{answer, call},
    model::run::{ROLLED_BACK_TAG, RUN_TAG, Run},
};

/// The longest wait between looks that find nothing, in seconds.
const LONGEST_WAIT: u64 = 30;

/// Undoes what a run did.
#[derive(Debug)]
pub struct Rollback;

/// What a rollback is told by the run itself; nothing where somebody else asks for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Arguments {
    /// The operation that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedOperation>,
}

/// An operation of a plan that failed, as the lifecycle machine knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedOperation {
    /// Its position in the plan, from 1 on.
    pub position: usize,
    /// What the plan says about it.
    pub planned: Planned,
    /// What its state caught; of the cause, the beginning.
    pub caught: Failure,
}

impl FailedOperation {
    /// Whether the run keeps its image from the operation's beginning on. One that a redriven run would have begun keeps
    /// nothing: another rollback may have removed the image before.
    fn keeps_image(&self) -> bool {
        self.planned.keeps_image && self.caught.name != REDRIVEN
    }
}

/// What a rollback needs of a plan's operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// Its name.
    pub operation: String,
    /// What it works on.
    #[serde(default)]
    pub arguments: Value,
    /// Its timeout, in seconds.
    pub timeout_seconds: u64,
    /// Whether the run keeps its image from the operation's beginning on.
    pub keeps_image: bool,
    /// What the error is to say besides.
    pub note: String,
}

/// What a rollback knows between two calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Why the run fails; only the first look can tell, before it stops what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    /// For how long looks have found nothing, in seconds.
    quiet_seconds: u64,
    /// Whether Step Functions was only asked again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    asked_again: bool,
    #[serde(flatten)]
    progress: Progress,
}

/// What a rollback gives.
#[derive(Clone, Debug, Serialize)]
pub struct Output {
    /// The error that the run fails with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Output>;

impl Operation for Rollback {
    const NAME: &'static str = "rollback";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Output;

    async fn begin(app: &App, mut call: Call) -> Result<Answer, Error> {
        match look(app, &mut call).await {
            // Trying again does not help; the run ends with this, and must name what it leaves.
            Err(error @ (Error::NotAuthorized { .. } | Error::CallRefused { .. } | Error::InvalidSetting { .. })) => {
                let mut left = tagged(app, &call.run).await;
                left.extend(instance_state::left_by(app, &call.run).await);
                let mut others = vec![];
                for (operation, arguments) in planned(app, &call).await {
                    others.extend(restore::back_without_image(app, &operation, &arguments).await);
                }
                let of_others = !others.is_empty();
                left.extend(others.into_iter().chain([error.to_string()]));
                let tags =
                    format!("{RUN_TAG}, and an instance that it may have stopped the tag {STOPPED_BY_TAG}, each");
                Ok(left_behind(call, left.join("; "), Some(&*tags).filter(|_| !of_others)))
            }
            answer => answer,
        }
    }

    async fn rehearse(app: &App, _call: Call, rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        rehearse(app, rehearsing).await
    }
}

/// What the plan says about the operation that failed or, where nobody has told that, about all that have begun, as far as
/// Step Functions shows them: their names and arguments.
async fn planned(app: &App, call: &Call) -> Vec<(String, Value)> {
    if let Some(failed) = &call.arguments.failed {
        return vec![(failed.planned.operation.clone(), failed.planned.arguments.clone())];
    }
    let Ok(machines) = app.settings.machines() else { return vec![] };
    let executions = children::executions(&app.step_functions, &machines.operation, &call.run).await;
    executions.unwrap_or_default().iter().filter_map(children::planned).collect()
}

/// Whether what a run makes could be removed: asked about an earlier image, as that of this run is not made.
async fn rehearse(app: &App, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
    let image = ec2::image_of_any_run(&app.ec2, &app.settings.machines()?.lifecycle).await?;
    let Some(image) = image else {
        let why = "this stack has made no image yet, and the role may remove nothing else";
        rehearsing.cannot_tell("ec2:CreateTags", &[], why);
        rehearsing.cannot_tell("ec2:DeregisterImage", &[], why);
        rehearsing.cannot_tell("ec2:DeleteSnapshot", &[], why);
        return Ok(());
    };
    let id = image.image_id().unwrap_or_default();
    let tag = ec2::tag(ROLLED_BACK_TAG, "true");
    let answer = app.ec2.create_tags().resources(id).tags(tag).dry_run(true).send().await;
    rehearsing.about_another().ask("ec2:CreateTags", &[id], answer)?;
    let answer = app.ec2.deregister_image().image_id(id).dry_run(true).send().await;
    rehearsing.about_another().ask("ec2:DeregisterImage", &[id], answer)?;
    let Some(id) = ec2::snapshot_ids(&image).next() else { return Ok(()) };
    let answer = app.ec2.delete_snapshot().snapshot_id(id).dry_run(true).send().await;
    rehearsing.about_another().ask("ec2:DeleteSnapshot", &[id], answer)
}

async fn look(app: &App, call: &mut Call) -> Result<Answer, Error> {
    let asked_again = std::mem::take(&mut call.memory.asked_again);
    let run = match verdict::ask(app, call).await? {
        Verdict::Undo(run) => run,
        Verdict::Keep(why) => return Ok(kept(call, why)),
        Verdict::AskAgain(seconds) => {
            call.memory.asked_again = true;
            let reason = "Step Functions may not show yet how the run has ended";
            return Ok(Answer::pending(seconds, reason, call.memory.clone()));
        }
    };
    let settles = match undo(app, call, &run).await? {
        ControlFlow::Break(answer) => return Ok(answer),
        ControlFlow::Continue(settles_seconds) => settles_seconds,
    };
    if !asked_again {
        call.memory.quiet_seconds += call.wait_seconds;
    }
    let quiet = call.memory.quiet_seconds;
    if quiet < settles {
        let wait = (settles - quiet).min(LONGEST_WAIT);
        return Ok(Answer::pending(wait, "a call that was cut off may still make an image", call.memory.clone()));
    }
    if run.keeps_image {
        return Ok(kept(call, "the run keeps its image"));
    }
    Ok(done(call, "nothing of the run is left"))
}

/// Undoes the operations, the last one first. Gives the answer, or, where nothing is found, for how many seconds that
/// must stay so.
async fn undo(app: &App, call: &mut Call, run: &EndedRun) -> Result<ControlFlow<Answer, u64>, Error> {
    let mut all = Undone::default();
    for room in OPERATIONS.iter().rev().filter(|room| !run.keeps_image || !room.is_of_the_image) {
        let undone = (room.undo)(app, run).await?;
        all.settles_seconds = all.settles_seconds.max(undone.settles_seconds);
        all.removal.extend(undone.removal);
        all.of_others |= undone.of_others;
        if undone.keeps_the_rest {
            all.keeps_the_rest = true;
            break;
        }
    }
    match all.removal.standing(&mut call.memory.progress, call.wait_seconds) {
        Standing::NothingLeft => Ok(ControlFlow::Continue(all.settles_seconds)),
        Standing::LookAgain(wait, reason) => {
            // What has just been found says that more may come.
            call.memory.quiet_seconds = 0;
            Ok(ControlFlow::Break(Answer::pending(wait, reason, call.memory.clone())))
        }
        Standing::Stuck(leftovers) if all.keeps_the_rest && !run.keeps_image => {
            let images = tagged(app, &run.run).await.into_iter().map(|id| format!("{id} stays until then"));
            let leftovers = [leftovers].into_iter().chain(images).collect::<Vec<_>>().join("; ");
            Ok(ControlFlow::Break(left_behind(call.clone(), leftovers, Some(RUN_TAG))))
        }
        Standing::Stuck(leftovers) => {
            let tags = Some(RUN_TAG).filter(|_| !all.of_others);
            Ok(ControlFlow::Break(left_behind(call.clone(), leftovers, tags)))
        }
    }
}

/// What the run made stays; the error names it.
fn kept(call: &mut Call, why: &str) -> Answer {
    if let (Some(failure), Some(image_id)) = (&mut call.memory.failure, &call.results.id) {
        failure.message = format!("{}; the new image is {image_id}", failure.message);
    }
    done(call, why)
}

fn done(call: &Call, why: &str) -> Answer {
    Answer::succeeded(Output { error: call.memory.failure.clone() }, why, call.memory.clone())
}

/// The rollback fails: what is left, by which tags it is found, and why the run failed before. What another run made does
/// not have this run's tag.
fn left_behind(call: Call, mut leftovers: String, tags: Option<&str>) -> Answer {
    if let Some(tags) = tags {
        leftovers.push_str(&format!("; what the run made has the tag {tags} = {}", call.run.arn()));
    }
    let failure = call.memory.failure.clone().or(call.arguments.failed.as_ref().map(failure::untold));
    if let Some(failure) = failure {
        leftovers = format!("{}: {}; and the rollback: {leftovers}", failure.name, failure.message);
    }
    Answer::failed(Error::LeftoversRemain { leftovers }, call.memory)
}

/// The ids of all that carries the run's tag, as far as they can be had.
async fn tagged(app: &App, run: &Run) -> Vec<String> {
    let images = ec2::images_of_run(&app.ec2, run).await.unwrap_or_default();
    let snapshots = ec2::snapshots_of_run(&app.ec2, run).await.unwrap_or_default();
    let ids = images.iter().filter_map(Image::image_id).chain(snapshots.iter().filter_map(Snapshot::snapshot_id));
    ids.map(str::to_owned).collect()
}
