//! Questions about an image that the proof makes by itself, without the stack.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Probe, looks::refused};
use crate::{
    aws::{Aws, EC2, Refusal, items, text},
    ec2,
    empty_snapshot::empty_snapshot,
    scene::Stage,
    world::TAG,
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// For an image, which takes minutes, and for what takes seconds.
const LOOKS: u32 = 600;
const FEW_LOOKS: u32 = 30;

/// A request for an image with the proof's tag.
fn request(stage: &Stage<'_>, instance: &str, what: &str) -> Value {
    let tags = stage.world.tags();
    json!({
        "InstanceId": instance, "Name": stage.world.name(what), "NoReboot": true,
        "TagSpecification": [{"ResourceType": "image", "Tag": tags}, {"ResourceType": "snapshot", "Tag": tags}],
    })
}

pub(super) async fn ask(stage: &Stage<'_>, instance: &str, folder: &Path, origin: &str) {
    let probe = Probe { stage: *stage, folder, origin };
    let aws = stage.aws;
    // Before any question: what an instance shows is nobody's.
    let Ok(root) = ec2::root_device(aws, instance).await else {
        return stage.report.say("no question is asked about images: the instance does not show");
    };
    let mut made = None;
    probe
        .ask("create/what-shows-first", async || {
            let id = ec2::create_image(aws, stage.world, request(stage, instance, "probe")).await?;
            made = Some(id.clone());
            shows_first(aws, &id).await
        })
        .await;
    let Some(image) = made else { return };
    probe.ask("create/snapshots-show", async || snapshots_show(stage, &image).await).await;
    let call = async |action: &str, arguments: Value| aws.call(EC2, action, arguments).await;
    probe
        .ask("create/duplicate-name", async || {
            refused(call("CreateImage", request(stage, instance, "probe")).await, &["InvalidAMIName.Duplicate"])
        })
        .await;
    probe
        .ask("create/unknown-device", async || {
            let mut request = request(stage, instance, "probe-device");
            request["BlockDeviceMapping"] = json!([{"DeviceName": "/dev/sdz", "NoDevice": ""}]);
            let image = ec2::create_image(aws, stage.world, request).await?;
            Ok((!image.is_empty(), format!("EC2 makes {image}")))
        })
        .await;
    probe
        .ask("create/root-left-out", async || {
            let mut request = request(stage, instance, "probe-root");
            request["BlockDeviceMapping"] = json!([{"DeviceName": root, "NoDevice": ""}]);
            match ec2::create_image(aws, stage.world, request).await {
                Ok(image) => Ok((false, format!("EC2 makes {image}"))),
                Err(error) => match Refusal::of(&error) {
                    // Such as InvalidBlockDeviceMapping or InvalidParameterValue.
                    Some(refusal) if refusal.code.starts_with("Invalid") => Ok((true, refusal.to_string())),
                    _ => Err(error),
                },
            }
        })
        .await;
    probe
        .ask("create/malformed-name-dry", async || {
            let mut request = request(stage, instance, "probe");
            request["Name"] = json!("?");
            request["DryRun"] = json!(true);
            refused(call("CreateImage", request).await, &["InvalidAMIName.Malformed", "DryRunOperation"])
        })
        .await;
    probe.ask("create/progress", async || progress(aws, &image).await).await;
    probe
        .ask("update/empty-description", async || {
            let arguments = json!({"ImageId": image, "Description": {"Value": ""}});
            call("ModifyImageAttribute", arguments).await?;
            let shown = ec2::image_that(aws, &image, |shown| text(&shown["description"]).is_empty()).await?;
            Ok((text(&shown["description"]).is_empty(), format!("EC2 shows {}", shown["description"])))
        })
        .await;
    probe
        .ask("delete/snapshot-in-use", async || {
            let shown = ec2::image(aws, &image).await?.context("the image does not show")?;
            let snapshot = ec2::snapshot_ids(&shown).into_iter().next().context("it has no snapshot")?;
            refused(call("DeleteSnapshot", json!({"SnapshotId": snapshot})).await, &["InvalidSnapshot.InUse"])
        })
        .await;
    // Before the question; no image has ever used it.
    let alone = empty_snapshot(stage, &stage.world.name("probe-locked")).await;
    probe
        .ask("delete/locked-snapshot", async || {
            let snapshot = json!({"SnapshotId": alone?});
            let mut lock = snapshot.clone();
            // Who may lock it so may take the lock off.
            lock["LockMode"] = json!("governance");
            lock["LockDuration"] = json!(1);
            call("LockSnapshot", lock).await?;
            let told = refused(call("DeleteSnapshot", snapshot.clone()).await, &["SnapshotLocked"]);
            // If it is gone, there is no lock either.
            let unlocked = call("UnlockSnapshot", snapshot).await;
            let told = told?;
            if told.0 {
                unlocked?;
            }
            Ok(told)
        })
        .await;
    probe
        .ask("delete/protected", async || {
            // With a cooldown, nobody could remove it for a day.
            call("EnableImageDeregistrationProtection", json!({"ImageId": image, "WithCooldown": false})).await?;
            let answer = call("DeregisterImage", json!({"ImageId": image})).await;
            call("DisableImageDeregistrationProtection", json!({"ImageId": image})).await?;
            refused(answer, &["OperationNotPermitted"])
        })
        .await;
    probe
        .ask("delete/what-shows-after", async || {
            call("DeregisterImage", json!({"ImageId": image, "DeleteAssociatedSnapshots": true})).await?;
            shows_after(aws, &image).await
        })
        .await;
    probe
        .ask("delete/twice", async || {
            let codes = ["InvalidAMIID.Unavailable", "InvalidAMIID.NotFound"];
            refused(call("DeregisterImage", json!({"ImageId": image})).await, &codes)
        })
        .await;
}

async fn shows_first(aws: &Aws, id: &str) -> Result<(bool, String)> {
    let mut seen: Vec<String> = vec![];
    for _ in 0..FEW_LOOKS {
        let saw = match ec2::image(aws, id).await? {
            Some(image) => format!("{} with {} tags", text(&image["imageState"]), items(&image["tagSet"]).len()),
            None => "nothing".to_owned(),
        };
        if seen.last() != Some(&saw) {
            seen.push(saw.clone());
        }
        if saw != "nothing" && !saw.ends_with(" 0 tags") {
            return Ok((saw.starts_with("pending"), seen.join(", then ")));
        }
        aws.sleep(LOOK_EVERY).await;
    }
    Ok((false, seen.join(", then ")))
}

async fn snapshots_show(stage: &Stage<'_>, image: &str) -> Result<(bool, String)> {
    let filter = json!([
        {"Name": "description", "Value": [format!("Created by CreateImage(*) for {image}*")]},
        {"Name": format!("tag:{TAG}"), "Value": [stage.world.value()]},
    ]);
    for look in 0..FEW_LOOKS {
        let arguments = json!({"Owner": ["self"], "Filter": filter});
        let answer = stage.aws.call(EC2, "DescribeSnapshots", arguments).await?;
        if let Some(snapshot) = items(&answer["snapshotSet"]).first() {
            let (seconds, state) = (u64::from(look) * LOOK_EVERY.as_secs(), text(&snapshot["status"]));
            return Ok((true, format!("{state} in the look after {seconds} s")));
        }
        stage.aws.sleep(LOOK_EVERY).await;
    }
    Ok((false, "none shows".to_owned()))
}

async fn progress(aws: &Aws, id: &str) -> Result<(bool, String)> {
    let mut seen: Vec<String> = vec![];
    for _ in 0..LOOKS {
        let image = ec2::image(aws, id).await?.context("the image does not show")?;
        let snapshots = ec2::snapshots(aws, &ec2::snapshot_ids(&image)).await?;
        let told: Vec<_> = snapshots.iter().map(|one| text(&one["progress"])).collect();
        let told = told.join(" and ");
        if !told.is_empty() && seen.last() != Some(&told) {
            seen.push(told);
        }
        if text(&image["imageState"]) == "available" {
            let percents: Vec<u32> =
                seen.iter().filter_map(|told| told.split('%').next()?.trim().parse().ok()).collect();
            return Ok((percents.is_sorted(), seen.join(", then ")));
        }
        aws.sleep(LOOK_EVERY).await;
    }
    bail!("the image is not available after {} s", LOOK_EVERY.as_secs() * u64::from(LOOKS))
}

async fn shows_after(aws: &Aws, id: &str) -> Result<(bool, String)> {
    let mut seen: Vec<String> = vec![];
    for _ in 0..FEW_LOOKS {
        let saw = match aws.call(EC2, "DescribeImages", json!({"ImageId": [id]})).await {
            Ok(answer) => match items(&answer["imagesSet"]).first() {
                Some(image) => text(&image["imageState"]).to_owned(),
                None => "an empty list".to_owned(),
            },
            Err(error) => match Refusal::of(&error) {
                Some(refusal) => refusal.code.clone(),
                None => return Err(error),
            },
        };
        if seen.last() != Some(&saw) {
            seen.push(saw);
        }
        aws.sleep(LOOK_EVERY).await;
    }
    let last = seen.last().map(String::as_str).unwrap_or_default();
    let gone = ["an empty list", "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "deregistered"];
    Ok((gone.contains(&last), seen.join(", then ")))
}
