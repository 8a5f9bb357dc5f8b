//! Which images can be taken over.

use std::collections::BTreeSet;

use aws_sdk_ec2::{
    primitives::DateTime,
    types::{Image, ImageState, Snapshot, Tag},
};

use crate::{
    app::App,
    aws::ec2,
    error::Error,
    model::{
        ids::SnapshotId,
        run::Run,
        tags::{self, MOST_TAGS},
    },
    operations::ownership,
};

/// How old an image and its snapshots must be when the run starts, in seconds: what is younger could be taken for
/// what the run has made.
const AGE: i64 = 10 * 60;

/// The beginnings of tags that tell that something else manages an image or a snapshot, and goes on deleting it.
const MANAGERS: [(&str, &str); 3] =
    [("aws:dlm:", "Data Lifecycle Manager"), ("aws:backup:", "AWS Backup"), ("Ec2ImageBuilderArn", "Image Builder")];

/// The ids of the image and its snapshots that do not show the run's tag yet.
///
/// # Errors
///
/// `ImageNotManaged` of another account's image and where the deployment does not allow it; `InvalidRequest` of an
/// image that something else manages, or whose removal would touch what is not its own.
pub(crate) async fn untagged(
    app: &App,
    run: &Run,
    image: &Image,
    run_started: &str,
) -> Result<BTreeSet<String>, Error> {
    let id = image.image_id().unwrap_or_default();
    if !matches!(image.state(), Some(ImageState::Available | ImageState::Disabled)) {
        let state = image.state().map_or("in no known state", ImageState::as_str);
        return Err(refusal(format!("is available: {id} is {state}")));
    }
    let started = ec2::time(Some(run_started));
    let ids: BTreeSet<_> = ec2::snapshot_ids(image).map(SnapshotId::from).collect();
    let snapshots = ec2::snapshots(&app.ec2, &ids).await?;
    ownership::check_change(image, app.settings.allow_unmanaged_images, app.settings.machines()?)?;
    let shown: BTreeSet<_> = snapshots.iter().filter_map(Snapshot::snapshot_id).collect();
    if let Some(missing) = ids.iter().find(|id| !shown.contains(id.as_str())) {
        return Err(refusal(format!("has all its snapshots in this account: EC2 shows no {missing} of {id}")));
    }
    let has_series = tags::series_of(image.tags()).is_some();
    let of_image = (id, image.tags(), ec2::time(image.creation_date()));
    let of_snapshots = snapshots.iter().map(|one| (one.snapshot_id().unwrap_or_default(), one.tags(), one.start_time));
    let mut untagged = BTreeSet::new();
    for (id, tags, made) in [of_image].into_iter().chain(of_snapshots) {
        if tags::run_of(tags) == Some(run.arn()) {
            continue;
        }
        check(id, tags, started.zip(made), has_series)?;
        untagged.insert(id.to_owned());
    }
    let ids: Vec<_> = ids.into_iter().collect();
    if let Some(other) = ec2::images_of_snapshots(&app.ec2, &ids).await?.into_iter().find(|one| one != id) {
        return Err(refusal(format!("shares no snapshot: {other} has one of {id}'s, and a delete would remove it")));
    }
    Ok(untagged)
}

/// Whether the image, or one of its snapshots, can be tagged; `times` are the run's start and when it was made.
fn check(id: &str, shown: &[Tag], times: Option<(DateTime, DateTime)>, has_series: bool) -> Result<(), Error> {
    if let Some(run) = tags::run_of(shown) {
        return Err(refusal(format!("no run has made or adopted: {id} has the run tag {run}")));
    }
    let keys = || shown.iter().filter_map(Tag::key);
    for (prefix, manager) in MANAGERS {
        if keys().any(|key| key.starts_with(prefix)) {
            return Err(refusal(format!("nothing else manages: {id} is one of {manager}, which goes on deleting it")));
        }
    }
    if !has_series && let Some(series) = tags::series_of(shown) {
        return Err(refusal(format!("has its series itself: {id} is in {series}, and the image is in none")));
    }
    if times.is_none_or(|(started, made)| started.secs() - made.secs() < AGE) {
        return Err(refusal(format!("is at least ten minutes old: {id} is younger, start the run again later")));
    }
    let own = keys().filter(|key| !key.starts_with("aws:")).count();
    let added = if has_series { 1 } else { 2 };
    if own + added > MOST_TAGS {
        return Err(refusal(format!("has room for {added} more tags: {id} has {own} of {MOST_TAGS}")));
    }
    Ok(())
}

fn refusal(what: String) -> Error {
    Error::invalid("imageId", format!("must be an image that {what}"))
}
