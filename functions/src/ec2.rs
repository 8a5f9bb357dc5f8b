//! What the handlers ask EC2.

use aws_sdk_ec2::{
    Client,
    primitives::{DateTime, DateTimeFormat},
    types::{Filter, Image, Instance, Snapshot, Tag},
};

use crate::{
    aws_error::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE, INSTANCE_MALFORMED, INSTANCE_NOT_FOUND},
    error::Error,
    ids::{ImageId, InstanceId},
    run::{RUN_TAG, Run},
};

/// The largest page of images or snapshots; a call without one may time out in a large account.
const PAGE: i32 = 1000;
/// How far EC2's clock may be behind that of Step Functions, in seconds.
const SKEW: i64 = 5 * 60;

fn filter(name: impl Into<String>, value: impl Into<String>) -> Filter {
    any_of(name, [value])
}

fn any_of<T: Into<String>>(name: impl Into<String>, values: impl IntoIterator<Item = T>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(Into::into).collect())).build()
}

fn run_filter(run: &str) -> Filter {
    filter(format!("tag:{RUN_TAG}"), run)
}

/// The image of an id; none if EC2 does not know it, or not yet, or no longer.
pub(crate) async fn image(ec2: &Client, image_id: &ImageId) -> Result<Option<Image>, Error> {
    let answer = ec2.describe_images().image_ids(image_id.as_str()).include_disabled(true).send().await;
    match answer {
        Ok(answer) => Ok(answer.images.unwrap_or_default().pop()),
        Err(error) if matches!(aws_error::code(&error), Some(IMAGE_NOT_FOUND | IMAGE_UNAVAILABLE)) => Ok(None),
        Err(error) => Err(aws_error::unexpected("ec2:DescribeImages", &error)),
    }
}

async fn own_images(ec2: &Client, filter: Filter) -> Result<Vec<Image>, Error> {
    let pages =
        ec2.describe_images().owners("self").include_disabled(true).filters(filter).max_results(PAGE).into_paginator();
    let images: Result<Vec<_>, _> = pages.items().send().collect().await;
    images.map_err(|error| aws_error::unexpected("ec2:DescribeImages", &error))
}

/// This account's image of a name, disabled ones included.
pub(crate) async fn image_named(ec2: &Client, name: &str) -> Result<Option<Image>, Error> {
    // A filter takes * and ? as wildcards; neither may stand in a name.
    Ok(own_images(ec2, filter("name", name)).await?.pop())
}

/// Every image that carries the run's tag.
pub(crate) async fn images_of_run(ec2: &Client, run: &Run) -> Result<Vec<Image>, Error> {
    own_images(ec2, run_filter(run.arn())).await
}

/// Every image that carries any run's tag.
pub(crate) async fn images_of_runs(ec2: &Client) -> Result<Vec<Image>, Error> {
    own_images(ec2, filter("tag-key", RUN_TAG)).await
}

/// Images under way.
pub(crate) struct UnderWay {
    /// Some of them, or all.
    pub(crate) images: Vec<Image>,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// The images that EC2 is making for runs of this one's machine, as many as one call tells.
pub(crate) async fn images_under_way(ec2: &Client, run: &Run) -> Result<UnderWay, Error> {
    // The pattern would do; with the run's name beside it, CloudTrail shows whose look it was.
    let runs = any_of(format!("tag:{RUN_TAG}"), [run.arn(), &run.pattern_of_all()]);
    let request = ec2.describe_images().owners("self").include_disabled(true).max_results(PAGE);
    let answer = request.filters(runs).filters(any_of("state", ["pending", "transient"])).send().await;
    let answer = answer.map_err(|error| aws_error::unexpected("ec2:DescribeImages", &error))?;
    Ok(UnderWay { more: answer.next_token.is_some(), images: answer.images.unwrap_or_default() })
}

/// The run whose tag an image carries.
pub(crate) async fn run_of_image(ec2: &Client, image_id: &str) -> Result<Option<Run>, Error> {
    let request = ec2.describe_tags().filters(filter("resource-id", image_id)).filters(filter("key", RUN_TAG));
    let answer = request.send().await.map_err(|error| aws_error::unexpected("ec2:DescribeTags", &error))?;
    Ok(answer.tags().first().and_then(|tag| tag.value()).map(Run::new))
}

async fn own_snapshots(ec2: &Client, filters: Vec<Filter>) -> Result<Vec<Snapshot>, Error> {
    let pages =
        ec2.describe_snapshots().owner_ids("self").set_filters(Some(filters)).max_results(PAGE).into_paginator();
    let snapshots: Result<Vec<_>, _> = pages.items().send().collect().await;
    snapshots.map_err(|error| aws_error::unexpected("ec2:DescribeSnapshots", &error))
}

/// Every snapshot that carries the run's tag.
pub(crate) async fn snapshots_of_run(ec2: &Client, run: &str) -> Result<Vec<Snapshot>, Error> {
    own_snapshots(ec2, vec![run_filter(run)]).await
}

/// Every snapshot that carries any run's tag.
pub(crate) async fn snapshots_of_runs(ec2: &Client) -> Result<Vec<Snapshot>, Error> {
    own_snapshots(ec2, vec![filter("tag-key", RUN_TAG)]).await
}

/// Every snapshot that CreateImage made for the image, known by the description EC2 gives it.
pub(crate) async fn snapshots_described_for(ec2: &Client, image_id: &ImageId) -> Result<Vec<Snapshot>, Error> {
    own_snapshots(ec2, vec![filter("description", format!("Created by CreateImage(*) for {image_id}*"))]).await
}

/// The instance of an id; none if EC2 does not know it.
pub(crate) async fn instance(ec2: &Client, instance_id: &InstanceId) -> Result<Option<Instance>, Error> {
    match ec2.describe_instances().instance_ids(instance_id.as_str()).send().await {
        Ok(answer) => {
            let reservations = answer.reservations.unwrap_or_default();
            Ok(reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()).next())
        }
        Err(error) if matches!(aws_error::code(&error), Some(INSTANCE_NOT_FOUND | INSTANCE_MALFORMED)) => Ok(None),
        Err(error) => Err(aws_error::unexpected("ec2:DescribeInstances", &error)),
    }
}

/// Reads a time that EC2 gives as text.
pub(crate) fn time(text: Option<&str>) -> Option<DateTime> {
    DateTime::from_str(text?, DateTimeFormat::DateTimeWithOffset).ok()
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
