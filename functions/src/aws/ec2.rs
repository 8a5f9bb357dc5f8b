//! What the functions ask EC2.

use aws_sdk_ec2::{
    Client,
    primitives::{DateTime, DateTimeFormat},
    types::{Filter, Image, Instance, Snapshot, Tag},
};

use super::error_codes::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE, INSTANCE_MALFORMED, INSTANCE_NOT_FOUND};
use crate::{
    error::Error,
    model::{
        ids::{ImageId, InstanceId, SnapshotId},
        run::{RUN_TAG, Run},
        tags::SERIES_TAG,
    },
};

/// The largest page of images or snapshots, for what may be many. EC2 cuts its pages before it filters, so that
/// a page may be empty and not be the last; without pages, a filter that admits few is answered at once.
const PAGE: i32 = 1000;
/// How far EC2's clock may be behind that of Step Functions, in seconds.
const SKEW: i64 = 5 * 60;

fn filter(name: impl Into<String>, value: impl Into<String>) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn run_filter(run: &Run) -> Filter {
    filter(format!("tag:{RUN_TAG}"), run.arn())
}

/// The image of an id; none if EC2 does not know it, or not yet, or no longer.
pub(crate) async fn image(ec2: &Client, image_id: &ImageId) -> Result<Option<Image>, Error> {
    let answer = ec2.describe_images().image_ids(image_id.as_str()).include_disabled(true).send().await;
    match answer {
        Ok(answer) => Ok(answer.images.unwrap_or_default().pop()),
        Err(error) if matches!(error_codes::code(&error), Some(IMAGE_NOT_FOUND | IMAGE_UNAVAILABLE)) => Ok(None),
        Err(error) => Err(error_codes::unexpected("ec2:DescribeImages", &error)),
    }
}

async fn own_images(ec2: &Client, filter: Filter, page: Option<i32>) -> Result<Vec<Image>, Error> {
    let request = ec2.describe_images().owners("self").include_disabled(true).filters(filter);
    let pages = request.set_max_results(page).into_paginator();
    let images: Result<Vec<_>, _> = pages.items().send().collect().await;
    images.map_err(|error| error_codes::unexpected("ec2:DescribeImages", &error))
}

/// This account's image of a name, disabled ones included.
pub(crate) async fn image_named(ec2: &Client, name: &str) -> Result<Option<Image>, Error> {
    // A filter takes * and ? as wildcards; neither may stand in a name.
    Ok(own_images(ec2, filter("name", name), None).await?.pop())
}

/// Every image that carries the run's tag.
pub(crate) async fn images_of_run(ec2: &Client, run: &Run) -> Result<Vec<Image>, Error> {
    own_images(ec2, run_filter(run), None).await
}

/// Every image that carries any run's tag.
pub(crate) async fn images_of_runs(ec2: &Client) -> Result<Vec<Image>, Error> {
    own_images(ec2, filter("tag-key", RUN_TAG), Some(PAGE)).await
}

/// Every image of a series.
pub(crate) async fn images_of_series(ec2: &Client, series: &str) -> Result<Vec<Image>, Error> {
    // A filter takes * and ? as wildcards, and a backslash takes that from them.
    let escaped = series.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?");
    own_images(ec2, filter(format!("tag:{SERIES_TAG}"), escaped), Some(PAGE)).await
}

/// The ids of this account's images that have one of the snapshots.
pub(crate) async fn images_of_snapshots(ec2: &Client, ids: &[SnapshotId]) -> Result<Vec<String>, Error> {
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let ids = ids.iter().map(|id| id.as_str().to_owned()).collect();
    let filter = Filter::builder().name("block-device-mapping.snapshot-id").set_values(Some(ids)).build();
    Ok(own_images(ec2, filter, None).await?.into_iter().filter_map(|image| image.image_id).collect())
}

/// Any image that a run of the lifecycle machine of an ARN has made.
pub(crate) async fn image_of_any_run(ec2: &Client, lifecycle_arn: &str) -> Result<Option<Image>, Error> {
    let runs = format!("{}:*", lifecycle_arn.replacen(":stateMachine:", ":execution:", 1));
    let filter = filter(format!("tag:{RUN_TAG}"), runs);
    let request = ec2.describe_images().owners("self").filters(filter).max_results(PAGE);
    let mut images = request.into_paginator().items().send();
    images.next().await.transpose().map_err(|error| error_codes::unexpected("ec2:DescribeImages", &error))
}

/// The run whose tag an image carries.
pub(crate) async fn run_of_image(ec2: &Client, image_id: &str) -> Result<Option<Run>, Error> {
    let request = ec2.describe_tags().filters(filter("resource-id", image_id)).filters(filter("key", RUN_TAG));
    let answer = request.send().await.map_err(|error| error_codes::unexpected("ec2:DescribeTags", &error))?;
    Ok(answer.tags().first().and_then(|tag| tag.value()).map(Run::new))
}

async fn own_snapshots(ec2: &Client, filter: Filter, page: Option<i32>) -> Result<Vec<Snapshot>, Error> {
    let request = ec2.describe_snapshots().owner_ids("self").filters(filter);
    let pages = request.set_max_results(page).into_paginator();
    let snapshots: Result<Vec<_>, _> = pages.items().send().collect().await;
    snapshots.map_err(|error| error_codes::unexpected("ec2:DescribeSnapshots", &error))
}

/// Every snapshot that carries the run's tag.
pub(crate) async fn snapshots_of_run(ec2: &Client, run: &Run) -> Result<Vec<Snapshot>, Error> {
    own_snapshots(ec2, run_filter(run), None).await
}

/// Every snapshot that carries any run's tag.
pub(crate) async fn snapshots_of_runs(ec2: &Client) -> Result<Vec<Snapshot>, Error> {
    own_snapshots(ec2, filter("tag-key", RUN_TAG), Some(PAGE)).await
}

/// Every snapshot that CreateImage made for the image, known by the description EC2 gives it.
pub(crate) async fn snapshots_described_for(ec2: &Client, image_id: &ImageId) -> Result<Vec<Snapshot>, Error> {
    own_snapshots(ec2, filter("description", format!("Created by CreateImage(*) for {image_id}*")), None).await
}

/// The same, and those that CopyImage made for it.
pub(crate) async fn snapshots_made_or_copied_for(ec2: &Client, image_id: &ImageId) -> Result<Vec<Snapshot>, Error> {
    let made = format!("Created by CreateImage(*) for {image_id}*");
    let copied = format!("Copied for DestinationAmi {image_id} *");
    own_snapshots(ec2, Filter::builder().name("description").values(made).values(copied).build(), None).await
}

/// The id of the image that CreateImage or CopyImage made a snapshot for, by the description EC2 gives it.
pub(crate) fn image_described(description: &str) -> Option<&str> {
    let made = description.strip_prefix("Created by CreateImage(").and_then(|rest| rest.split_once(") for "));
    let of_image = made.map(|(_, rest)| rest).or_else(|| description.strip_prefix("Copied for DestinationAmi "));
    of_image?.split(' ').next()
}

/// The snapshots of these ids, as far as EC2 knows them.
pub(crate) async fn snapshots(
    ec2: &Client,
    ids: impl IntoIterator<Item = &SnapshotId>,
) -> Result<Vec<Snapshot>, Error> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.as_str().to_owned()).collect();
    if ids.is_empty() {
        return Ok(vec![]);
    }
    // A filter, because one id that EC2 does not know would make the others an error.
    own_snapshots(ec2, Filter::builder().name("snapshot-id").set_values(Some(ids)).build(), None).await
}

/// The instance of an id; none if EC2 does not know it.
pub(crate) async fn instance(ec2: &Client, instance_id: &InstanceId) -> Result<Option<Instance>, Error> {
    match ec2.describe_instances().instance_ids(instance_id.as_str()).send().await {
        Ok(answer) => {
            let reservations = answer.reservations.unwrap_or_default();
            Ok(reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()).next())
        }
        Err(error) if matches!(error_codes::code(&error), Some(INSTANCE_NOT_FOUND | INSTANCE_MALFORMED)) => Ok(None),
        Err(error) => Err(error_codes::unexpected("ec2:DescribeInstances", &error)),
    }
}

/// Every instance that has a tag of a key.
pub(crate) async fn instances_tagged(ec2: &Client, key: &str) -> Result<Vec<Instance>, Error> {
    let pages = ec2.describe_instances().filters(filter("tag-key", key)).into_paginator();
    let reservations: Result<Vec<_>, _> = pages.items().send().collect().await;
    let reservations = reservations.map_err(|error| error_codes::unexpected("ec2:DescribeInstances", &error))?;
    Ok(reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()).collect())
}

/// Reads a time that EC2 gives as text.
pub(crate) fn time(text: Option<&str>) -> Option<DateTime> {
    DateTime::from_str(text?, DateTimeFormat::DateTimeWithOffset).ok()
}

/// A time in RFC 3339, from seconds since 1970.
pub(crate) fn shown(seconds: i64) -> String {
    DateTime::from_secs(seconds).fmt(DateTimeFormat::DateTime).unwrap_or_default()
}

/// Whether something was made since a run started. The tag alone does not tell: an execution's name,
/// and with it its ARN, can be used again after 90 days.
pub(crate) fn is_since(made: Option<DateTime>, started: Option<DateTime>) -> bool {
    made.zip(started).is_none_or(|(made, started)| made.secs() >= started.secs() - SKEW)
}

/// A tag for EC2.
pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// The ids of the snapshots an image refers to.
pub(crate) fn snapshot_ids(image: &Image) -> impl Iterator<Item = &str> {
    image.block_device_mappings().iter().filter_map(|mapping| mapping.ebs().and_then(|ebs| ebs.snapshot_id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_the_image_that_a_snapshot_was_made_for() {
        for (description, image) in [
            ("Created by CreateImage(i-1) for ami-1", Some("ami-1")),
            ("Created by CreateImage(i-1) for ami-1 from vol-1", Some("ami-1")),
            ("Copied for DestinationAmi ami-1 from SourceAmi ami-2 for SourceSnapshot snap-2.", Some("ami-1")),
            ("[Copied snap-2 from us-east-1]", None),
            ("made by hand, for ami-1", None),
            ("", None),
        ] {
            assert_eq!(image_described(description), image, "{description}");
        }
    }
}
