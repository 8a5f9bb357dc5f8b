//! A restore: brings an image and its snapshots back from the Recycle Bin.
//!
//! EC2 does not restore an image whose snapshots are in the bin (EBS User Guide, considerations for Recycle Bin): they
//! come first.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Image, SnapshotState};
use serde::{Deserialize, Serialize};

use super::{
    Operation, Rehearsing,
    attributes::{self, Attributes},
    availability::Arguments,
    ownership,
    rehearsal::Changed,
};
use crate::{
    app::App,
    aws::{
        ec2,
        error_codes::{self, SNAPSHOT_NOT_FOUND},
        recycle_bin,
    },
    error::Error,
    machine::{answer, call},
    model::ids::{ImageId, SnapshotId},
};

/// Seconds until the next look.
const SHORTLY: u64 = 5;

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
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Attributes>;

impl Operation for Restore {
    const NAME: &'static str = "restore";
    const TIMEOUT: &'static str = "update";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Attributes;

    async fn begin(app: &App, mut call: Call) -> Result<Answer, Error> {
        let image_id = call.arguments.image_id.clone();
        // EC2 goes on showing an image that has just gone to the bin.
        if recycle_bin::image(&app.ec2, &image_id).await?.is_some() {
            let snapshots = recycle_bin::snapshots_described_for(&app.ec2, &image_id).await?;
            let known = call.memory.snapshot_ids.len();
            call.memory.snapshot_ids.extend(snapshots.iter().cloned());
            // Should the restore be cut off, its error names them.
            if call.memory.snapshot_ids.len() > known {
                let reason = format!("its snapshots {} are to come back first", named(&call));
                return Ok(Answer::pending(1, reason, call.memory));
            }
            for id in snapshots {
                restore_snapshot(app, &id).await.map_err(|error| explained(&call, error))?;
            }
            let answer = app.ec2.restore_image_from_recycle_bin().image_id(image_id.as_str()).send().await;
            let answer = answer.map_err(|error| error_codes::unexpected("ec2:RestoreImageFromRecycleBin", &error));
            answer.map_err(|error| explained(&call, error))?;
            let reason = format!("EC2 does not show the image yet; its snapshots {} are back", named(&call));
            return Ok(Answer::pending(SHORTLY, reason, call.memory));
        }
        let image = ec2::image(&app.ec2, &image_id).await?;
        let image = image.ok_or_else(|| explained(&call, in_neither(&image_id)))?;
        ownership::check_change(&image, call.arguments.allow_unmanaged_images, app.settings.machines()?)?;
        match missing(app, &image).await? {
            None => {
                Ok(Answer::succeeded(attributes::of(app, &image, None).await?, "the image is restored", call.memory))
            }
            Some(reason) => Ok(Answer::pending(call.growing(SHORTLY), reason, call.memory)),
        }
    }

    async fn rehearse(app: &App, call: Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        let image_id = &call.arguments.image_id;
        if recycle_bin::image(&app.ec2, image_id).await?.is_none() {
            let image = ec2::image(&app.ec2, image_id).await?.ok_or_else(|| in_neither(image_id))?;
            return ownership::check_change(&image, call.arguments.allow_unmanaged_images, app.settings.machines()?);
        }
        let id = image_id.to_string();
        for snapshot in recycle_bin::snapshots_described_for(&app.ec2, image_id).await? {
            let request = app.ec2.restore_snapshot_from_recycle_bin().snapshot_id(snapshot.as_str()).dry_run(true);
            rehearsing.ask("ec2:RestoreSnapshotFromRecycleBin", &[snapshot.as_str()], request.send().await)?;
        }
        rehearsing.given().would_change.push(Changed { image_id: id.clone(), fields: vec!["state".to_owned()] });
        let answer = app.ec2.restore_image_from_recycle_bin().image_id(&id).dry_run(true).send().await;
        rehearsing.ask("ec2:RestoreImageFromRecycleBin", &[&id], answer)
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
    Error::ImageNotRestored {
        image_id: image_id.to_string(),
        reason: "neither EC2 nor the Recycle Bin has it in this account and Region".to_owned(),
    }
}

fn named(call: &Call) -> String {
    call.memory.snapshot_ids.iter().map(SnapshotId::as_str).collect::<Vec<_>>().join(", ")
}

/// An error for good says what may be back and stays.
fn explained(call: &Call, error: Error) -> Error {
    if error.is_to_be_retried() || call.memory.snapshot_ids.is_empty() {
        return error;
    }
    let reason = format!("{error}; of its snapshots {}, those that are back stay", named(call));
    Error::ImageNotRestored { image_id: call.arguments.image_id.to_string(), reason }
}
