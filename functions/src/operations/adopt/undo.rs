//! Undoes an adopt: the tags go, and nothing else.

use aws_sdk_ec2::types::{Snapshot, Tag};
use aws_sdk_sfn::types::ExecutionStatus;

use super::Adopt;
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    model::{run::RUN_TAG, tags::SERIES_TAG},
    operations::{EndedRun, Undone},
};

/// For how long, in seconds, an adopt that was cut off may still tag: its function lives for up to a minute after
/// its machine was stopped, and EC2 shows a tag some seconds later.
const SETTLES: u64 = 90;

/// Takes the run's tags off what the run has not made.
pub(super) async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
    let mut undone = Undone::default();
    for adopt in run.documents::<Adopt>() {
        let images = ec2::images_of_run(&app.ec2, &run.run).await?;
        let images = images.iter().filter(|image| !run.made(image)).filter_map(|image| image.image_id());
        let snapshots = ec2::snapshots_of_run(&app.ec2, &run.run).await?;
        let is_older = |snapshot: &&Snapshot| !ec2::is_since(snapshot.start_time, Some(run.started));
        let snapshots = snapshots.iter().filter(is_older).filter_map(Snapshot::snapshot_id);
        // With their values, so that nobody else's go.
        let series = adopt.arguments.as_ref().and_then(|adopt| adopt.series.as_deref());
        let series = series.map(|series| ec2::tag(SERIES_TAG, series));
        let tags: Vec<Tag> = [ec2::tag(RUN_TAG, run.run.arn())].into_iter().chain(series).collect();
        for id in images.chain(snapshots) {
            let answer = app.ec2.delete_tags().resources(id).set_tags(Some(tags.clone())).send().await;
            match answer.map_err(|error| error_codes::unexpected("ec2:DeleteTags", &error)) {
                Ok(_) => undone.removal.done(),
                Err(error) if error.is_to_be_retried() => return Err(error),
                Err(error) => undone.removal.untagged(&format!("the tag {RUN_TAG} of {id}"), error.to_string()),
            }
        }
        if *adopt.status != ExecutionStatus::Succeeded {
            undone.settles_seconds = SETTLES;
        }
    }
    Ok(undone)
}
