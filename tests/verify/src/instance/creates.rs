//! Images of a running instance.

use anyhow::{Context, Result};
use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, items, text},
    ec2,
    scene::{Scene, Stage, ensure, shows},
    world::TAG,
};

/// A create of a running instance without a reboot. Gives the image's id.
pub(super) async fn without_reboot(stage: &Stage<'_>, instance: &str) -> Option<String> {
    let expected = "one image, available, as DescribeImages shows it, with the tags on it and both snapshots";
    let play = async |scene: &Scene<'_>| {
        let ended = scene.run("", scene.create(instance, "")).await?;
        let took = ended.took.as_secs();
        let result = ended.succeeded()?;
        let id = as_ec2_shows(scene, &result, &scene.name("")).await?;
        ensure(result["sourceInstance"]["rebooted"] == json!(false), || format!("rebooted: {result}"))?;
        Ok((id.clone(), format!("{id} after {took} s")))
    };
    stage.play("create/without-reboot", expected, play).await
}

/// A create with many arguments. Gives the image's id.
pub(super) async fn with_everything(stage: &Stage<'_>, instance: &str) -> Option<String> {
    let expected = "one image with its description, tags of the instance, deprecation time, series, watermark and \
                    protection, and the root volume only";
    let play = async |scene: &Scene<'_>| {
        let mut request = scene.create(instance, "");
        request["description"] = json!("made by a proof");
        request["copyTags"] = json!(true);
        request["excludeDataVolumes"] = json!(true);
        request["deprecateAfter"] = json!("30d");
        request["series"] = json!(scene.name("series"));
        request["watermarks"] = json!({"attach": ["proof"]});
        request["deregistrationProtection"] = json!("enabled-without-cooldown");
        request["timeouts"] = json!({"create": "1h", "update": 1800, "delete": "3600s"});
        let result = scene.run("", request).await?.succeeded()?;
        let id = text(&result["id"]).to_owned();
        let image = ec2::image(scene.stage.aws, &id).await?.context("EC2 shows no image")?;
        ensure(text(&image["description"]) == "made by a proof", || format!("description: {}", image["description"]))?;
        ensure(ec2::snapshot_ids(&image).len() == 1, || format!("devices: {}", image["blockDeviceMapping"]))?;
        let day = (Utc::now() + TimeDelta::days(30)).format("%Y-%m").to_string();
        let shown = text(&image["deprecationTime"]);
        // The time of the local AWS runs ahead of this computer's.
        let is_right = shown.starts_with(&day) || !scene.stage.aws.is_real() && !shown.is_empty();
        ensure(is_right, || format!("it is deprecated at {shown:?}"))?;
        let (tags, name) = (ec2::tags(&image), scene.stage.world.name("source"));
        ensure(tags.get("Name") == Some(&name.as_str()), || format!("tags: {tags:?}"))?;
        let series = scene.name("series");
        ensure(tags.get("ami-from-instance:series") == Some(&series.as_str()), || format!("tags: {tags:?}"))?;
        let protection = text(&image["deregistrationProtection"]);
        ensure(protection == "enabled-without-cooldown", || format!("its protection is {protection:?}"))?;
        let watermarks = items(&image["imageWatermarkSet"]).iter().map(|one| text(&one["watermarkKey"]));
        let own = format!("{}:proof", scene.stage.stack.caller.account);
        ensure(watermarks.eq([own.as_str()]), || format!("watermarks: {}", image["imageWatermarkSet"]))?;
        Ok((id.clone(), id))
    };
    stage.play("create/with-everything", expected, play).await
}

/// A create that leaves a volume out by its tag, and keeps the root volume of instances that are launched from the image.
pub(super) async fn some_volumes(stage: &Stage<'_>, instance: &str) {
    let expected = "an image without the volume that has a tag, whose root volume outlives its instances";
    let play = async |scene: &Scene<'_>| {
        let aws = scene.stage.aws;
        let root = ec2::root_device(aws, instance).await?;
        let mut request = scene.create(instance, "");
        request["excludeDataVolumeTags"] = scene.tags();
        request["blockDeviceMappings"] = json!([{"deviceName": root, "ebs": {"deleteOnTermination": false}}]);
        request["deprecationTime"] =
            json!((Utc::now() + TimeDelta::days(300)).to_rfc3339_opts(SecondsFormat::Secs, true));
        let result = scene.run("", request).await?.succeeded()?;
        let id = as_ec2_shows(scene, &result, &scene.name("")).await?;
        let image = ec2::image(aws, &id).await?.context("EC2 shows no image")?;
        let devices = items(&image["blockDeviceMapping"]);
        let is_right = devices.len() == 1
            && text(&devices[0]["deviceName"]) == root
            && text(&devices[0]["ebs"]["deleteOnTermination"]) == "false";
        ensure(is_right, || format!("devices: {}", image["blockDeviceMapping"]))?;
        ensure(!text(&image["deprecationTime"]).is_empty(), || "it has no deprecation time".to_owned())?;
        Ok(((), format!("{id} has {root} only")))
    };
    stage.play("create/volumes", expected, play).await;
}

/// A dry run says what the create would do, makes nothing, and every function says that it may.
pub(super) async fn dry_run(stage: &Stage<'_>, instance: &str) {
    let expected = "nothing is made, and every role is allowed what it would call";
    let play = async |scene: &Scene<'_>| {
        let mut request = scene.create(instance, "");
        request["dryRun"] = json!(true);
        let result = scene.run("", request).await?.succeeded()?;
        ensure(ec2::images_named(scene.stage.aws, &scene.name("")).await?.is_empty(), || {
            "an image is there".to_owned()
        })?;
        let calls = items(&result["wouldDo"]);
        let others: Vec<_> =
            calls.iter().filter(|one| text(&one["verdict"]) != "allowed").map(Value::to_string).collect();
        ensure(!calls.is_empty() && others.is_empty(), || format!("not allowed: {}", others.join(", ")))?;
        Ok(((), format!("{} calls allowed", calls.len())))
    };
    stage.play("create/dry-run", expected, play).await;
}

/// Whether a result says what EC2 shows, and EC2 shows what was asked for. Gives the image's id.
pub(super) async fn as_ec2_shows(scene: &Scene<'_>, result: &Value, name: &str) -> Result<String> {
    shows(scene.stage.aws, async || as_ec2_shows_now(scene, result, name).await).await
}

async fn as_ec2_shows_now(scene: &Scene<'_>, result: &Value, name: &str) -> Result<String> {
    let aws = scene.stage.aws;
    let id = text(&result["id"]).to_owned();
    let images = ec2::images_named(aws, name).await?;
    ensure(images.len() == 1, || format!("there are {} images called {name}", images.len()))?;
    let image = &images[0];
    for (field, shown) in [
        ("id", "imageId"),
        ("name", "name"),
        ("state", "imageState"),
        ("architecture", "architecture"),
        ("rootDeviceName", "rootDeviceName"),
        ("virtualizationType", "virtualizationType"),
    ] {
        let (told, shown) = (text(&result[field]), text(&image[shown]));
        ensure(told == shown, || format!("{field}: the result says {told:?}, EC2 shows {shown:?}"))?;
    }
    ensure(text(&image["imageState"]) == "available", || format!("it is {}", image["imageState"]))?;
    ensure(ec2::tags(image).get(TAG) == Some(&scene.stage.world.value().as_str()), || {
        format!("tags: {}", image["tagSet"])
    })?;
    snapshots_are_tagged(scene, aws, image).await?;
    Ok(id)
}

async fn snapshots_are_tagged(scene: &Scene<'_>, aws: &Aws, image: &Value) -> Result<()> {
    let ids = ec2::snapshot_ids(image);
    let snapshots = ec2::snapshots(aws, &ids).await?;
    let value = scene.stage.world.value();
    let tagged = snapshots.iter().filter(|one| ec2::tags(one).get(TAG) == Some(&value.as_str())).count();
    ensure(tagged == ids.len() && tagged > 0, || format!("{tagged} of {} snapshots have the tag", ids.len()))
}
