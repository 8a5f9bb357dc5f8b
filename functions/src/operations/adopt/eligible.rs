//! Which images can be taken over.

use aws_sdk_ec2::types::{Image, ImageState};

use crate::{
    app::App,
    aws::ec2,
    error::Error,
    model::{ids::SnapshotId, tags},
    operations::ownership,
};

/// How old an image must be when the run starts, in seconds: what is younger could be taken for what the run has made.
const AGE: i64 = 10 * 60;

/// Tags that tell that something else manages an image, and goes on deleting it.
const MANAGERS: [(&str, &str); 3] =
    [("aws:dlm:", "Data Lifecycle Manager"), ("aws:backup:", "AWS Backup"), ("Ec2ImageBuilderArn", "Image Builder")];

/// Refuses an image that something else manages, or whose removal would touch what is not its own.
///
/// # Errors
///
/// `ImageNotManaged` of another account's image and where the deployment does not allow it, and `InvalidRequest`.
pub(crate) async fn check(app: &App, image: &Image, run_started: &str) -> Result<(), Error> {
    ownership::check_change(image, app.settings.allow_unmanaged_images, app.settings.machines()?)?;
    let id = image.image_id().unwrap_or_default();
    let refuse = |why: String| Err(Error::invalid("imageId", format!("must be an image that {why}")));
    if let Some(run) = tags::run_of(image.tags()) {
        return refuse(format!("no other stack has made: {id} has the run tag {run}"));
    }
    let keys = || image.tags().iter().filter_map(|tag| tag.key());
    for (prefix, manager) in MANAGERS {
        if keys().any(|key| key.starts_with(prefix)) {
            return refuse(format!("nothing else manages: {id} is one of {manager}, which goes on deleting it"));
        }
    }
    if !matches!(image.state(), Some(ImageState::Available | ImageState::Disabled)) {
        let state = image.state().map_or("in no known state", ImageState::as_str);
        return refuse(format!("is available: {id} is {state}"));
    }
    let age = ec2::time(Some(run_started)).zip(ec2::time(image.creation_date()));
    if age.is_none_or(|(started, created)| started.secs() - created.secs() < AGE) {
        return refuse(format!("is at least ten minutes old: {id} is younger, start the run again later"));
    }
    let snapshots: Vec<_> = ec2::snapshot_ids(image).map(SnapshotId::from).collect();
    if let Some(other) = ec2::images_of_snapshots(&app.ec2, &snapshots).await?.into_iter().find(|one| one != id) {
        return refuse(format!("shares no snapshot: {other} has one of {id}'s, and a delete would remove it"));
    }
    Ok(())
}
