//! Undoes a create: removes every image and snapshot that its run made.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Image, ImageState, Snapshot, Tag};
use aws_sdk_sfn::types::ExecutionStatus;

use super::Create;
use crate::{
    app::App,
    aws::{ec2, error_codes, references},
    error::Error,
    model::{
        ids::{ImageId, SnapshotId},
        run::{ROLLED_BACK_TAG, RUN_TAG},
        tags,
    },
    operations::{
        Undone,
        ended_run::{Document, EndedRun},
        in_use, protection,
        removal::Removal,
    },
};

/// For how long, in seconds, a create that was cut off may still make an image: its function lives
/// for up to a minute after its machine was stopped, and EC2 shows an image some seconds later.
const SETTLES: u64 = 90;
/// The same where EC2 reboots the instance and no snapshot has begun yet: they begin up to minutes after
/// CreateImage's answer, and whether the image is gone by then does not keep them from it.
const SNAPSHOTS_BEGIN_WITHIN: u64 = 5 * 60;

/// For how long, in seconds, EC2 may not show what an earlier attempt has made whose answer was lost.
const SHOWS_WITHIN: u64 = 15;

/// The names a create fails with when its last attempt made nothing.
const MADE_NOTHING: &[&str] =
    &["InvalidRequest", "SourceInstanceNotFound", "SourceInstanceNotImageable", "QuotaExceeded", "NotAuthorized"];

/// Removes what carries the run's tag, and names what the create's documents know and nothing shows to be
/// the run's any more.
pub(super) async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
    let documents = run.documents::<Create>();
    let (images, snapshots) = made(app, run).await?;
    let mut removal = Removal::default();
    let mut held = BTreeSet::new();
    let mut going = Vec::new();
    for image in &images {
        let id = image.image_id().unwrap_or_default();
        let why = match protection::of(image) {
            Some(protection) => Some(protection::keeps(protection)),
            None => used(app, image).await?,
        };
        if let Some(why) = why {
            removal.keep(id, why);
            held.extend(ec2::snapshot_ids(image).map(str::to_owned));
        } else {
            going.push(image);
        }
    }
    mark(app, &going, &snapshots, &held).await;
    for image in going {
        if !removal.image(&app.ec2, image).await? {
            held.extend(ec2::snapshot_ids(image).map(str::to_owned));
        }
    }
    for id in snapshots.iter().filter_map(Snapshot::snapshot_id) {
        if held.contains(id) {
            removal.keep(id, "its image stays");
        } else {
            removal.snapshot(&app.ec2, id).await?;
        }
    }
    name_the_untagged(app, run, &documents, &mut removal).await?;
    Ok(Undone { removal, settles_seconds: settles(run, &documents), ..Undone::default() })
}

/// Tags what is about to go, so that a Region's rule of the Recycle Bin can leave it out. Nobody misses a part of an image
/// that was not finished, and nothing can be deleted from the bin. What cannot be tagged goes all the same.
async fn mark(app: &App, images: &[&Image], snapshots: &[Snapshot], stay: &BTreeSet<String>) {
    let images = images.iter().map(|image| (image.image_id(), image.tags()));
    let all = images.chain(snapshots.iter().map(|snapshot| (snapshot.snapshot_id(), snapshot.tags())));
    let is_marked = |tags: &[Tag]| tags.iter().any(|tag| tag.key() == Some(ROLLED_BACK_TAG));
    let going = all.filter(|(_, tags)| !is_marked(tags)).filter_map(|(id, _)| id.map(str::to_owned));
    let going: Vec<_> = going.filter(|id| !stay.contains(id)).collect();
    if going.is_empty() {
        return;
    }
    // One of several that is gone already, or has as many tags as it may, keeps the others from being tagged.
    if let Err(Error::CallRefused { .. } | Error::QuotaExceeded { .. }) = tag(app, &going).await {
        for id in going.chunks(1) {
            let _ = tag(app, id).await;
        }
    }
}

async fn tag(app: &App, ids: &[String]) -> Result<(), Error> {
    let request = app.ec2.create_tags().set_resources(Some(ids.to_vec())).tags(ec2::tag(ROLLED_BACK_TAG, "true"));
    let answer = request.send().await.map_err(|error| error_codes::unexpected("ec2:CreateTags", &error));
    answer.map(|_| ()).inspect_err(|error| tracing::warn!(%error, "what is rolled back has no tag"))
}

/// Why the image must not go: something uses it already. Only one that has been available can be in use, and what
/// cannot be found out does not keep a rollback from removing it.
async fn used(app: &App, image: &Image) -> Result<Option<String>, Error> {
    let (Some(id), Some(ImageState::Available | ImageState::Disabled)) = (image.image_id(), image.state()) else {
        return Ok(None);
    };
    match references::of(&app.ec2, &app.auto_scaling, &[ImageId::from(id)], None).await {
        Ok(all) => Ok(all
            .get(id)
            .filter(|arns| !arns.is_empty())
            .map(|arns| format!("it is in use by {}", in_use::named(arns)))),
        Err(error) if error.is_to_be_retried() => Err(error),
        Err(error) => {
            tracing::warn!(imageId = id, %error, "whether the image is in use is not known");
            Ok(None)
        }
    }
}

/// The images and snapshots with the run's tag, made since the run started.
async fn made(app: &App, run: &EndedRun) -> Result<(Vec<Image>, Vec<Snapshot>), Error> {
    let started = Some(run.started);
    let mut images = ec2::images_of_run(&app.ec2, &run.run).await?;
    images.retain(|image| run.made(image));
    let mut snapshots = ec2::snapshots_of_run(&app.ec2, &run.run).await?;
    snapshots.retain(|snapshot| ec2::is_since(snapshot.start_time, started));
    Ok((images, snapshots))
}

/// What the create made and somebody has taken the tag off: nothing may touch it, and nothing else names it.
async fn name_the_untagged(
    app: &App,
    run: &EndedRun,
    documents: &[Document<'_, Create>],
    removal: &mut Removal,
) -> Result<(), Error> {
    let why = format!("it does not carry the tag {RUN_TAG} = {} any more; remove it by hand", run.run.arn());
    let is_of_the_run = |shown: &[_]| tags::run_of(shown) == Some(run.run.arn());
    let image_ids: BTreeSet<&ImageId> = documents.iter().filter_map(|one| one.memory.image_id.as_ref()).collect();
    for id in image_ids {
        if let Some(image) = ec2::image(&app.ec2, id).await?
            && !is_of_the_run(image.tags())
        {
            removal.keep_for_a_while(id.as_str(), &why);
        }
    }
    let snapshot_ids: BTreeSet<&SnapshotId> = documents.iter().flat_map(|one| &one.memory.snapshot_ids).collect();
    for snapshot in ec2::snapshots(&app.ec2, snapshot_ids).await? {
        if !is_of_the_run(snapshot.tags()) {
            removal.keep_for_a_while(snapshot.snapshot_id().unwrap_or_default(), &why);
        }
    }
    Ok(())
}

/// How long nothing must be found before a create counts as undone, by the way it ended.
fn settles(run: &EndedRun, documents: &[Document<'_, Create>]) -> u64 {
    let of_one = |create: &Document<'_, Create>| {
        let made_nothing = create.error.is_some_and(|error| MADE_NOTHING.contains(&error));
        match create.status {
            ExecutionStatus::Succeeded => 0,
            // A name is one image's.
            ExecutionStatus::Failed if create.error == Some("NameTaken") && run.rolls_itself_back => 0,
            ExecutionStatus::Failed if made_nothing && run.rolls_itself_back => SHOWS_WITHIN,
            _ if may_begin_snapshots(create) => SNAPSHOTS_BEGIN_WITHIN,
            _ => SETTLES,
        }
    };
    // The run itself knows that it started none; anyone else may be ahead of its start.
    let of_none = if run.rolls_itself_back { 0 } else { SETTLES };
    documents.iter().map(of_one).max().unwrap_or(of_none)
}

/// Whether the snapshots of an instance that EC2 reboots may not have begun when the create ended.
fn may_begin_snapshots(create: &Document<'_, Create>) -> bool {
    let memory = &create.memory;
    let asked_to = || create.arguments.as_ref().is_none_or(|arguments| !arguments.snapshot_without_reboot);
    let reboots = memory.source_instance.as_ref().map_or_else(asked_to, |instance| instance.rebooted);
    reboots && memory.snapshot_ids.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_the_name_of_an_error() {
        assert!(MADE_NOTHING.iter().all(|name| Error::NAMES.contains(name)));
    }
}
