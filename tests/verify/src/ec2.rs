//! What EC2 shows of images, snapshots and instances.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, EC2, Refusal, items, text},
    world::World,
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What was changed shows only in a while.
const SHOWS_WITHIN: Duration = Duration::from_secs(60);

/// An image, if there is one.
pub async fn image(aws: &Aws, id: &str) -> Result<Option<Value>> {
    let arguments = json!({"ImageId": [id], "IncludeDisabled": true});
    let images = gone_is_none(aws.call(EC2, "DescribeImages", arguments).await, "imagesSet")?;
    Ok(images.into_iter().find(|image| text(&image["imageState"]) != "deregistered"))
}

/// An image once it shows something, or as it is after a minute.
pub async fn image_that(aws: &Aws, id: &str, shows: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut waited = Duration::ZERO;
    loop {
        let image = image(aws, id).await?;
        match image {
            Some(image) if shows(&image) || waited > SHOWS_WITHIN => return Ok(image),
            None if waited > SHOWS_WITHIN => bail!("EC2 does not show {id}"),
            _ => {}
        }
        aws.sleep(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
}

/// What EC2 says when it makes too many images or snapshots at once.
const NOT_NOW: [&str; 6] = [
    "SnapshotCreationPerVolumeRateExceeded",
    "ConcurrentSnapshotLimitExceeded",
    "PendingSnapshotLimitExceeded",
    "ConcurrentCreateImageNoRebootLimitExceeded",
    "MaximumConcurrentCreateImageNoRebootLimitExceeded",
    "IncorrectState",
];
const TRIES: u32 = 10;

/// Has an image made of the proof's instance, without a run. Gives its id.
pub async fn create_image(aws: &Aws, world: &World, arguments: Value) -> Result<String> {
    let mut tries = 1;
    loop {
        world.turn(aws).await;
        match aws.call(EC2, "CreateImage", arguments.clone()).await {
            Err(error)
                if tries < TRIES && Refusal::of(&error).is_some_and(|it| NOT_NOW.contains(&it.code.as_str())) =>
            {
                tries += 1;
            }
            answer => return Ok(text(&answer?["imageId"]).to_owned()),
        }
    }
}

/// The account's images with a name.
pub async fn images_named(aws: &Aws, name: &str) -> Result<Vec<Value>> {
    let filter = json!([{"Name": "name", "Value": [name]}]);
    let arguments = json!({"Owner": ["self"], "IncludeDisabled": true, "Filter": filter});
    let answer = aws.call(EC2, "DescribeImages", arguments).await?;
    Ok(items(&answer["imagesSet"]).to_vec())
}

/// The account's snapshots with a tag.
pub async fn snapshots_tagged(aws: &Aws, key: &str, value: &str) -> Result<Vec<Value>> {
    let filter = json!([{"Name": format!("tag:{key}"), "Value": [value]}]);
    let answer = aws.call(EC2, "DescribeSnapshots", json!({"Owner": ["self"], "Filter": filter})).await?;
    Ok(items(&answer["snapshotSet"]).to_vec())
}

/// The ids of an image's snapshots.
pub fn snapshot_ids(image: &Value) -> Vec<String> {
    let devices = items(&image["blockDeviceMapping"]).iter();
    let ids = devices.map(|device| text(&device["ebs"]["snapshotId"]).to_owned());
    ids.filter(|id| !id.is_empty()).collect()
}

/// Those of some snapshots that are there.
pub async fn snapshots(aws: &Aws, ids: &[String]) -> Result<Vec<Value>> {
    let mut there = vec![];
    for id in ids {
        there.extend(gone_is_none(
            aws.call(EC2, "DescribeSnapshots", json!({"SnapshotId": [id]})).await,
            "snapshotSet",
        )?);
    }
    Ok(there)
}

/// A resource's tags.
pub fn tags(resource: &Value) -> BTreeMap<&str, &str> {
    items(&resource["tagSet"]).iter().map(|tag| (text(&tag["key"]), text(&tag["value"]))).collect()
}

/// The state of an instance.
pub async fn instance_state(aws: &Aws, id: &str) -> Result<String> {
    Ok(text(&instance(aws, id).await?["instanceState"]["name"]).to_owned())
}

/// The name of an instance's root volume.
pub async fn root_device(aws: &Aws, id: &str) -> Result<String> {
    Ok(text(&instance(aws, id).await?["rootDeviceName"]).to_owned())
}

async fn instance(aws: &Aws, id: &str) -> Result<Value> {
    let answer = aws.call(EC2, "DescribeInstances", json!({"InstanceId": [id]})).await?;
    let mut all = items(&answer["reservationSet"]).iter().flat_map(|one| items(&one["instancesSet"]));
    Ok(all.next().cloned().unwrap_or_default())
}

/// Waits until an instance has a state.
pub async fn wait_for_instance(aws: &Aws, id: &str, state: &str, within: Duration) -> Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match instance_state(aws, id).await {
            Ok(is) if is == state => return Ok(()),
            // A new instance may not show at once.
            Ok(_) | Err(_) if waited < within => {}
            Ok(is) => bail!("{id} is {is} after {} s, and not {state}", within.as_secs()),
            Err(error) => return Err(error),
        }
        aws.sleep(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
}

fn gone_is_none(answer: Result<Value>, set: &str) -> Result<Vec<Value>> {
    match answer {
        Ok(answer) => Ok(items(&answer[set]).to_vec()),
        Err(error) if Refusal::of(&error).is_some_and(Refusal::is_not_there) => Ok(vec![]),
        Err(error) => Err(error),
    }
}
