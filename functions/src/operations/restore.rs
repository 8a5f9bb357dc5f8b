//! A restore: brings an image and its snapshots back from the Recycle Bin.
//!
//! EC2 does not restore an image whose snapshots are in the bin (EBS User Guide, considerations for Recycle Bin): they
//! come first.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Image, SnapshotState};
use aws_sdk_sfn::types::ExecutionStatus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Operation, Rehearsing, Undone,
    attributes::{self, Attributes},
    availability::Arguments,
    ended_run::EndedRun,
    ownership,
    rehearsal::Changed,
};
use crate::{
    app::App,
    aws::{
        ec2,
        error_codes::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE, SNAPSHOT_NOT_FOUND},
        recycle_bin::{self, InBin},
    },
    error::Error,
    machine::{answer, call},
    model::ids::{ImageId, SnapshotId},
};

/// Seconds until the next look.
const SHORTLY: u64 = 5;
/// For how long, in seconds, EC2 may not show what was deleted or restored a moment ago.
const SHOWS_WITHIN: u64 = 30;
/// For how long, in seconds, a restore that was cut off may still bring something back: its function lives for up to a
/// minute after its machine was stopped.
const SETTLES: u64 = 90;

/// Brings an image back.
#[derive(Debug)]
pub struct Restore;

/// What a restore knows between two calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The snapshots that it brings back.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    snapshot_ids: BTreeSet<SnapshotId>,
    /// How long it had waited, in seconds, when it first asked for the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_after: Option<u64>,
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Attributes>;

impl Operation for Restore {
    const NAME: &'static str = "restore";
    const TIMEOUT: &'static str = "update";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Attributes;

    async fn begin(app: &App, call: Call) -> Result<Answer, Error> {
        let image_id = call.arguments.image_id.clone();
        // EC2 goes on showing an image that has just gone to the bin.
        if let Some(image) = recycle_bin::image(&app.ec2, &image_id).await? {
            return bring_back(app, call, &image).await;
        }
        let is_early = call.waited() < call.memory.asked_after.unwrap_or_default() + SHOWS_WITHIN;
        let Some(image) = ec2::image(&app.ec2, &image_id).await? else {
            if is_early {
                return Ok(Answer::pending(SHORTLY, "neither EC2 nor the Recycle Bin shows the image", call.memory));
            }
            return Err(in_neither(&image_id));
        };
        // Nothing was restored, and a moment after the delete the bin may not list it.
        if is_early && call.memory.asked_after.is_none() {
            let reason = "EC2 shows the image, and the Recycle Bin may not list it yet";
            return Ok(Answer::pending(SHORTLY, reason, call.memory));
        }
        let is_own = ownership::check_change(&image, call.arguments.allow_unmanaged_images, app.settings.machines()?);
        if is_early && is_own.is_err() {
            return Ok(Answer::pending(SHORTLY, "EC2 does not show the image's tags yet", call.memory));
        }
        is_own?;
        match missing(app, &image).await? {
            None => {
                Ok(Answer::succeeded(attributes::of(app, &image, None).await?, "the image is restored", call.memory))
            }
            Some(reason) => Ok(Answer::pending(call.growing(SHORTLY), reason, call.memory)),
        }
    }

    async fn rehearse(app: &App, call: Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        let image_id = &call.arguments.image_id;
        let Some(image) = recycle_bin::image(&app.ec2, image_id).await? else {
            let image = ec2::image(&app.ec2, image_id).await?.ok_or_else(|| in_neither(image_id))?;
            return ownership::check_change(&image, call.arguments.allow_unmanaged_images, app.settings.machines()?);
        };
        check_name(app, &image).await?;
        for snapshot in recycle_bin::snapshots_described_for(&app.ec2, image_id).await? {
            let request = app.ec2.restore_snapshot_from_recycle_bin().snapshot_id(snapshot.as_str()).dry_run(true);
            rehearsing.ask("ec2:RestoreSnapshotFromRecycleBin", &[snapshot.as_str()], request.send().await)?;
        }
        let id = image_id.to_string();
        rehearsing.given().would_change.push(Changed { image_id: id.clone(), fields: vec!["state".to_owned()] });
        let answer = app.ec2.restore_image_from_recycle_bin().image_id(&id).dry_run(true).send().await;
        rehearsing.ask("ec2:RestoreImageFromRecycleBin", &[&id], answer)
    }

    /// Names the snapshots that are back without their image: they cost as before, and nothing else finds them.
    async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
        let mut undone = Undone::default();
        for document in run.documents::<Self>() {
            if !matches!(document.status, ExecutionStatus::Succeeded | ExecutionStatus::Failed) {
                undone.settles_seconds = SETTLES;
            }
            let Some(Arguments { image_id, .. }) = &document.arguments else { continue };
            if is_back(app, image_id).await? {
                continue;
            }
            for snapshot in ec2::snapshots(&app.ec2, &document.memory.snapshot_ids).await? {
                let why = format!("it is back from the Recycle Bin, and EC2 does not show its image {image_id}");
                undone.removal.keep_for_a_while(snapshot.snapshot_id().unwrap_or_default(), why);
                undone.of_others = true;
            }
        }
        Ok(undone)
    }
}

/// EC2 goes on showing an image that has just gone to the bin.
async fn is_back(app: &App, image_id: &ImageId) -> Result<bool, Error> {
    let in_bin = error_codes::if_known(recycle_bin::image(&app.ec2, image_id).await).flatten();
    Ok(in_bin.is_none() && ec2::image(&app.ec2, image_id).await?.is_some())
}

/// The snapshots that are back without their image, where nothing is known but what the plan says of an operation. Where
/// EC2 does not show them, their image tells where to look: its id stands in their descriptions.
pub(super) async fn back_without_image(app: &App, operation: &str, arguments: &Value) -> Vec<String> {
    let Ok(Arguments { image_id, .. }) = serde_json::from_value(arguments.clone()) else { return vec![] };
    if operation != Restore::NAME || matches!(is_back(app, &image_id).await, Ok(true)) {
        return vec![];
    }
    match ec2::snapshots_made_or_copied_for(&app.ec2, &image_id).await {
        Ok(snapshots) => snapshots.into_iter().filter_map(|snapshot| snapshot.snapshot_id).collect(),
        Err(_) => {
            vec![format!("EC2 does not show which snapshots of {image_id} are back from the Recycle Bin without it")]
        }
    }
}

/// Asks for an image in the bin and, before that, for its snapshots.
async fn bring_back(app: &App, mut call: Call, image: &InBin) -> Result<Answer, Error> {
    let image_id = call.arguments.image_id.clone();
    check_name(app, image).await?;
    let snapshots = recycle_bin::snapshots_described_for(&app.ec2, &image_id).await?;
    let known = call.memory.snapshot_ids.len();
    call.memory.snapshot_ids.extend(snapshots.iter().cloned());
    // Should the restore be cut off, its rollback names them.
    if call.memory.snapshot_ids.len() > known {
        return Ok(Answer::pending(1, "the image's snapshots are noted", call.memory));
    }
    for id in snapshots {
        restore_snapshot(app, &id).await.map_err(|error| explained(&image_id, error))?;
    }
    let asked_after = *call.memory.asked_after.get_or_insert(call.waited());
    let reason = match restore_image(app, &image_id).await {
        Ok(()) => "EC2 does not show the image yet".to_owned(),
        // It may not know yet that the snapshots are back, or that the name is free.
        Err(error @ Error::CallRefused { .. }) if call.waited() < asked_after + SHOWS_WITHIN => error.to_string(),
        Err(error) => return Err(explained(&image_id, error)),
    };
    Ok(Answer::pending(call.growing(SHORTLY), reason, call.memory))
}

/// EC2 restores no image whose name another one has taken. Its snapshots would come back for nothing.
async fn check_name(app: &App, image: &InBin) -> Result<(), Error> {
    let Some(name) = &image.name else { return Ok(()) };
    match ec2::image_named(&app.ec2, name).await?.and_then(|other| other.image_id) {
        Some(holder) if holder != image.id => Err(Error::NameTaken { name: name.clone(), holder }),
        _ => Ok(()),
    }
}

/// One that is not in the bin any more has come back by an earlier attempt.
async fn restore_snapshot(app: &App, id: &SnapshotId) -> Result<(), Error> {
    match app.ec2.restore_snapshot_from_recycle_bin().snapshot_id(id.as_str()).send().await {
        Ok(_) => Ok(()),
        Err(error) if error_codes::code(&error) == Some(SNAPSHOT_NOT_FOUND) => Ok(()),
        Err(error) => Err(error_codes::unexpected("ec2:RestoreSnapshotFromRecycleBin", &error)),
    }
}

/// The same of the image.
async fn restore_image(app: &App, id: &ImageId) -> Result<(), Error> {
    match app.ec2.restore_image_from_recycle_bin().image_id(id.as_str()).send().await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error_codes::code(&error), Some(IMAGE_NOT_FOUND | IMAGE_UNAVAILABLE)) => Ok(()),
        Err(error) => Err(error_codes::unexpected("ec2:RestoreImageFromRecycleBin", &error)),
    }
}

/// What is not there yet; none once the image has all of its snapshots.
async fn missing(app: &App, image: &Image) -> Result<Option<String>, Error> {
    let wanted: BTreeSet<_> = ec2::snapshot_ids(image).map(SnapshotId::from).collect();
    let shown = ec2::snapshots(&app.ec2, &wanted).await?;
    let is_complete = |id: &&SnapshotId| {
        let mut of_it = shown.iter().filter(|one| one.snapshot_id() == Some(id.as_str()));
        of_it.any(|one| one.state() == Some(&SnapshotState::Completed))
    };
    let missing = wanted.iter().find(|id| !is_complete(id));
    Ok(missing.map(|id| format!("EC2 does not show its snapshot {id} as completed yet")))
}

fn in_neither(image_id: &ImageId) -> Error {
    let reason = "neither EC2 nor the Recycle Bin has it in this account and Region".to_owned();
    Error::ImageNotRestored { image_id: image_id.to_string(), reason }
}

/// What EC2 refuses for good.
fn explained(image_id: &ImageId, error: Error) -> Error {
    match error {
        Error::CallRefused { .. } => {
            Error::ImageNotRestored { image_id: image_id.to_string(), reason: error.to_string() }
        }
        error => error,
    }
}
