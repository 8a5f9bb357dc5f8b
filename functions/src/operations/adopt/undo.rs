//! Undoes an adopt: the tags go, and nothing else.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Tag;
use aws_sdk_sfn::types::ExecutionStatus;

use super::{Adopt, Arguments, Memory};
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    model::{
        ids::SnapshotId,
        run::{RUN_TAG, Run},
        tags::{self, SERIES_TAG},
    },
    operations::{EndedRun, Undone},
};

/// For how long, in seconds, an adopt that was cut off may still tag: its function lives for up to a minute after
/// its machine was stopped, and EC2 shows a tag some seconds later.
const SETTLES: u64 = 90;

/// Takes the run's tags off the snapshots of the image that it was to take over, and then off the image: by that the sweep
/// finds what is left.
pub(super) async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
    let mut undone = Undone::default();
    for adopt in run.documents::<Adopt>() {
        let Some(arguments) = &adopt.arguments else { continue };
        // With their values, so that nobody else's go. The series was put on only where there was none.
        let series = arguments.series.as_deref().map(|series| ec2::tag(SERIES_TAG, series));
        let tags: Vec<Tag> = [ec2::tag(RUN_TAG, run.run.arn())].into_iter().chain(series).collect();
        let mut keeps_tags = false;
        for id in tagged(app, &run.run, arguments, &adopt.memory).await? {
            if keeps_tags && id == arguments.image_id.as_str() {
                undone
                    .removal
                    .keep_for_a_while(&format!("the tag {RUN_TAG} of {id}"), "its snapshots still have theirs");
                continue;
            }
            let answer = app.ec2.delete_tags().resources(&id).set_tags(Some(tags.clone())).send().await;
            match answer.map_err(|error| error_codes::unexpected("ec2:DeleteTags", &error)) {
                Ok(_) => undone.removal.done(),
                Err(error) if error.is_to_be_retried() => return Err(error),
                Err(error) => {
                    keeps_tags = true;
                    undone.removal.keep_for_a_while(&format!("the tag {RUN_TAG} of {id}"), error.to_string());
                }
            }
        }
        if *adopt.status != ExecutionStatus::Succeeded {
            undone.settles_seconds = SETTLES;
        }
    }
    Ok(undone)
}

/// What of the snapshots and their image shows the run's tag, the image last.
async fn tagged(app: &App, run: &Run, adopt: &Arguments, memory: &Memory) -> Result<Vec<String>, Error> {
    let image = ec2::image(&app.ec2, &adopt.image_id).await?;
    let mut ids: BTreeSet<_> =
        memory.noted.iter().filter(|id| id.starts_with("snap-")).map(|id| SnapshotId::from(id.as_str())).collect();
    ids.extend(image.iter().flat_map(ec2::snapshot_ids).map(SnapshotId::from));
    let snapshots = ec2::snapshots(&app.ec2, &ids).await?;
    let of_image = image.iter().map(|image| (image.image_id(), image.tags()));
    let shown = snapshots.iter().map(|snapshot| (snapshot.snapshot_id(), snapshot.tags())).chain(of_image);
    let of_the_run = shown.filter(|(_, shown)| tags::run_of(shown) == Some(run.arn()));
    Ok(of_the_run.filter_map(|(id, _)| id.map(str::to_owned)).collect())
}
