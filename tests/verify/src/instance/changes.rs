//! What becomes of images that are there.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::creates::as_ec2_shows;
use crate::{
    aws::{Aws, EC2, items, text},
    ec2, recycle_bin,
    scene::{Scene, Stage, Untold, ensure, shows},
};

/// Description and tags of an image change.
pub(crate) async fn update(stage: &Stage<'_>, image: &str) {
    let expected = "EC2 shows the new description and tags, and the result says so";
    let play = async |scene: &Scene<'_>| {
        let mut tags = scene.tags();
        tags["Stage"] = json!("updated");
        let request = json!({"action": "update", "imageId": image, "description": "updated by a proof", "tags": tags});
        let result = scene.run("", request).await?.succeeded()?;
        let is_changed = |shown: &Value| {
            text(&shown["description"]) == "updated by a proof" && ec2::tags(shown).get("Stage") == Some(&"updated")
        };
        let shown = ec2::image_that(scene.stage.aws, image, is_changed).await?;
        ensure(is_changed(&shown), || format!("EC2 shows {} {}", shown["description"], shown["tagSet"]))?;
        ensure(result["description"] == shown["description"], || format!("the result says {}", result["description"]))?;
        Ok(((), "both changed".to_owned()))
    };
    stage.play("update", expected, play).await;
}

/// An image is disabled, and enabled again.
pub(crate) async fn disable_and_enable(stage: &Stage<'_>, image: &str) {
    let expected = "EC2 shows the image disabled, and then available";
    let play = async |scene: &Scene<'_>| {
        for (action, state) in [("disable", "disabled"), ("enable", "available")] {
            scene.run(action, json!({"action": action, "imageId": image})).await?.succeeded()?;
            let shown = ec2::image_that(scene.stage.aws, image, |shown| text(&shown["imageState"]) == state).await?;
            ensure(text(&shown["imageState"]) == state, || format!("after {action} it is {}", shown["imageState"]))?;
        }
        Ok(((), "both".to_owned()))
    };
    stage.play("disable-and-enable", expected, play).await;
}

/// The protection and the watermarks of an image change, and change back.
pub(super) async fn protect(stage: &Stage<'_>, image: &str) {
    let expected = "the image is protected and has a watermark, no delete takes it, and then it has neither";
    let play = async |scene: &Scene<'_>| {
        let aws = scene.stage.aws;
        let own = format!("{}:updated", scene.stage.stack.caller.account);
        let attach = json!({"attach": ["updated"]});
        for (what, protection, watermarks, marks) in
            [("on", "enabled-without-cooldown", attach, vec![own.as_str()]), ("off", "disabled", json!({}), vec![])]
        {
            let request = json!({
                "action": "update", "imageId": image, "deregistrationProtection": protection, "watermarks": watermarks,
            });
            scene.run(what, request).await?.succeeded()?;
            let is_right = |shown: &Value| {
                let shown_marks = items(&shown["imageWatermarkSet"]).iter().map(|one| text(&one["watermarkKey"]));
                text(&shown["deregistrationProtection"]) == protection && shown_marks.eq(marks.iter().copied())
            };
            let shown = ec2::image_that(aws, image, is_right).await?;
            ensure(is_right(&shown), || {
                let protection = text(&shown["deregistrationProtection"]);
                format!("{what}: its protection is {protection:?}, its watermarks {}", shown["imageWatermarkSet"])
            })?;
            if what == "on" {
                let delete = json!({"action": "delete", "imageId": image});
                scene.run("delete", delete).await?.failed_with("ImageProtected")?;
            }
        }
        Ok(((), "both changed, and changed back".to_owned()))
    };
    stage.play("update/protection-and-watermarks", expected, play).await;
}

/// An image is replaced by another one.
pub(super) async fn replace(stage: &Stage<'_>, instance: &str, image: &str) {
    let expected = "the new image is there; the old one and its snapshots are gone";
    let play = async |scene: &Scene<'_>| {
        let old = ec2::image(scene.stage.aws, image).await?.context("EC2 shows no image")?;
        let mut request = scene.create(instance, "");
        request["action"] = json!("replace");
        request["imageId"] = json!(image);
        let result = scene.run("", request).await?.succeeded()?;
        let new = as_ec2_shows(scene, &result, &scene.name("")).await?;
        is_gone(scene, image, &ec2::snapshot_ids(&old)).await?;
        Ok(((), format!("{new} in place of {image}")))
    };
    stage.play("replace/other-name", expected, play).await;
}

/// An image is replaced by one of the same name.
pub(super) async fn replace_by_same_name(stage: &Stage<'_>, instance: &str, image: &str) {
    let expected = "a new image has the name; the old one and its snapshots are gone";
    let play = async |scene: &Scene<'_>| {
        let old = ec2::image(scene.stage.aws, image).await?.context("EC2 shows no image")?;
        let name = text(&old["name"]).to_owned();
        let mut request = scene.create(instance, "");
        request["action"] = json!("replace");
        request["imageId"] = json!(image);
        request["name"] = json!(name);
        // It has it from its create.
        request["disableProtection"] = json!(true);
        let result = scene.run("", request).await?.succeeded()?;
        let new = as_ec2_shows(scene, &result, &name).await?;
        ensure(new != image, || format!("it is still {image}"))?;
        is_gone(scene, image, &ec2::snapshot_ids(&old)).await?;
        // It is deleted, which later scenarios do with none of theirs.
        let delete = json!({"action": "delete", "imageId": new});
        let shown = ec2::image(scene.stage.aws, &new).await?.context("EC2 shows no image")?;
        scene.run("delete", delete).await?.succeeded()?;
        is_gone(scene, &new, &ec2::snapshot_ids(&shown)).await?;
        Ok(((), format!("{new} in place of {image}, and deleted in the end")))
    };
    stage.play("replace/same-name-and-delete", expected, play).await;
}

pub(crate) async fn is_gone(scene: &Scene<'_>, image: &str, snapshots: &[String]) -> anyhow::Result<()> {
    let aws = scene.stage.aws;
    shows(aws, async || {
        let is_there = ec2::image(aws, image).await?.is_some();
        let count = ec2::snapshots(aws, snapshots).await?.len();
        ensure(!is_there && count == 0, || format!("{image} is there: {is_there}; {count} of its snapshots are"))
    })
    .await
}

/// An image that no run made is left alone, unless the stack may change such images.
pub(super) async fn foreign(stage: &Stage<'_>, instance: &str) {
    let expected = "ImageNotManaged, and the image that no run made stays";
    let play = async |scene: &Scene<'_>| {
        let aws = scene.stage.aws;
        let tags = scene.stage.world.tags();
        let specification = json!([{"ResourceType": "image", "Tag": tags}, {"ResourceType": "snapshot", "Tag": tags}]);
        let made = json!({
            "InstanceId": instance, "Name": scene.name(""), "NoReboot": true, "TagSpecification": specification,
        });
        let image = ec2::create_image(aws, scene.stage.world, made).await?;
        for action in ["delete", "update", "disable"] {
            let mut request = json!({"action": action, "imageId": image});
            if action == "update" {
                request["description"] = json!("not ours");
            }
            scene.run(action, request).await?.failed_with("ImageNotManaged")?;
        }
        let shown = ec2::image(aws, &image).await?.context("it is gone")?;
        ensure(text(&shown["description"]).is_empty(), || format!("its description is {}", shown["description"]))?;
        Ok(((), format!("{image} is untouched")))
    };
    if !stage.stack.is("AllowUnmanagedImages", "true") {
        stage.play("foreign", expected, play).await;
    }
}

/// An image that a launch template names.
pub(super) async fn in_use(stage: &Stage<'_>, instance: &str) {
    let expected = "an image that a launch template names is not deleted, a replace keeps it, and later it is deleted";
    let play = async |scene: &Scene<'_>| {
        let aws = scene.stage.aws;
        let result = scene.run("", scene.create(instance, "")).await?.succeeded()?;
        let image = text(&result["id"]).to_owned();
        let tags = scene.stage.world.tags();
        let template = json!({
            "LaunchTemplateName": scene.name(""), "LaunchTemplateData": {"ImageId": image},
            "TagSpecification": [{"ResourceType": "launch-template", "Tag": tags}],
        });
        let made = aws.call(EC2, "CreateLaunchTemplate", template).await?;
        let template = text(&made["launchTemplate"]["launchTemplateId"]).to_owned();
        ensure(template.starts_with("lt-"), || format!("EC2 made {made}"))?;
        is_named(aws, &image, true).await?;
        let delete = json!({"action": "delete", "imageId": image});
        let cause = scene.run("delete", delete.clone()).await?.failed_with("ImageInUse")?;
        ensure(cause.contains(&template), || format!("it does not name {template}: {cause}"))?;
        let mut replace = scene.create(instance, "new");
        replace["action"] = json!("replace");
        replace["imageId"] = json!(image);
        replace["keepPrevious"] = json!(true);
        let result = scene.run("replace", replace).await?.succeeded()?;
        as_ec2_shows(scene, &result, &scene.name("new")).await?;
        ensure(text(&result["keptImageId"]) == image, || format!("the result says {result}"))?;
        let shown = ec2::image(aws, &image).await?.context("the image that is in use is gone")?;
        aws.call(EC2, "DeleteLaunchTemplate", json!({"LaunchTemplateId": template})).await?;
        is_named(aws, &image, false).await?;
        scene.run("delete-again", delete).await?.succeeded()?;
        is_gone(scene, &image, &ec2::snapshot_ids(&shown)).await?;
        Ok(((), format!("{image} stayed as long as {template} was there")))
    };
    stage.play("in-use", expected, play).await;
}

/// How many looks in a row must say that a template names an image, or that none does: EC2 may tell it late.
const SAME_LOOKS: u32 = 5;
const LOOK_EVERY: Duration = Duration::from_secs(5);
const MOST_LOOKS: u32 = 60;

/// Waits until EC2 tells that a launch template names an image, or that none does.
async fn is_named(aws: &Aws, image: &str, named: bool) -> anyhow::Result<()> {
    let mut same = 0;
    for _ in 0..MOST_LOOKS {
        let templates = json!([{"ResourceType": "ec2:LaunchTemplate"}]);
        let arguments = json!({"ImageId": [image], "ResourceType": templates});
        let answer = aws.call(EC2, "DescribeImageReferences", arguments).await?;
        same = if items(&answer["imageReferenceSet"]).is_empty() == named { 0 } else { same + 1 };
        if same == SAME_LOOKS {
            return Ok(());
        }
        aws.sleep(LOOK_EVERY).await;
    }
    bail!(Untold(format!("DescribeImageReferences does not show of {image} what launch templates name it")))
}

/// A create that prunes, and a prune right after it: new images stay whatever the count is.
pub(super) async fn prune(stage: &Stage<'_>, instance: &str) {
    let expected = "two new images of a series, named after their runs, stay, and the results say why";
    let play = async |scene: &Scene<'_>| {
        let aws = scene.stage.aws;
        let retain = json!({"count": 1});
        let create = async |number: &str, retain: Value| {
            let mut request = scene.create(instance, "");
            request["name"] = json!("{{runId}} {{date}}");
            request["series"] = json!(scene.name("series"));
            request["retain"] = retain;
            scene.run(number, request).await?.succeeded()
        };
        let one = create("1", Value::Null).await?;
        let other = create("2", retain.clone()).await?;
        let request = json!({"action": "prune", "series": scene.name("series"), "retain": retain});
        let result = scene.run("prune", request).await?.succeeded()?;
        for (kept, number, made) in [(&other, "1", &one), (&result, "1", &one), (&result, "2", &other)] {
            let image = text(&made["id"]);
            let is_told = |kept: &Value| text(&kept["id"]) == image && !text(&kept["because"]).is_empty();
            ensure(items(&kept["kept"]).iter().any(is_told), || format!("why {image} stays is not told: {kept}"))?;
            let shown = ec2::image(aws, image).await?.with_context(|| format!("{image} is gone"))?;
            let begins = format!("{} 2", scene.name(number));
            ensure(text(&shown["name"]).starts_with(&begins), || format!("{image} is named {}", shown["name"]))?;
        }
        Ok(((), result["kept"].to_string()))
    };
    stage.play("prune", expected, play).await;
}

/// An image that was deleted comes back from the Recycle Bin, where rules of the proof's own keep it for the moment.
pub(super) async fn restore(stage: &Stage<'_>, instance: &str, rules: &[String]) {
    let expected = "a delete says what the Recycle Bin keeps, and a restore brings image and snapshots back";
    let play = async |scene: &Scene<'_>| {
        let aws = scene.stage.aws;
        let mut create = scene.create(instance, "");
        create["tags"][recycle_bin::KEPT] = json!(scene.stage.world.value());
        let result = scene.run("", create).await?.succeeded()?;
        let image = text(&result["id"]).to_owned();
        let snapshots = ec2::snapshot_ids(&ec2::image(aws, &image).await?.context("EC2 shows no image")?);
        recycle_bin::hold(aws, rules).await?;
        let delete = json!({"action": "delete", "imageId": image});
        let deleted = scene.run("delete", delete.clone()).await?.succeeded()?;
        let all: BTreeSet<_> = snapshots.iter().chain([&image]).cloned().collect();
        let shown = recycle_bin::shows(aws, &all).await?;
        ensure(shown == all, || format!("of {all:?} the Recycle Bin shows {shown:?}"))?;
        let told = items(&deleted["recycleBin"]).iter().map(|one| text(&one["id"]).to_owned());
        let told: BTreeSet<_> = told.collect();
        ensure(told == all, || format!("the bin shows {all:?}, but the delete said {}", deleted["recycleBin"]))?;
        let restored = scene.run("restore", json!({"action": "restore", "imageId": image})).await?.succeeded()?;
        // The last delete is for good.
        recycle_bin::delete_rules(aws, rules).await?;
        ensure(text(&restored["state"]) == "available", || format!("the restore says {restored}"))?;
        let there = ec2::snapshots(aws, &snapshots).await?.len();
        ensure(there == snapshots.len(), || format!("{there} of {} snapshots are back", snapshots.len()))?;
        let again = scene.run("delete-again", delete).await?.succeeded()?;
        is_gone(scene, &image, &snapshots).await?;
        ensure(items(&again["recycleBin"]).is_empty(), || {
            format!("the rules are gone, and the bin keeps {}", again["recycleBin"])
        })?;
        Ok(((), format!("{image} was in the bin, came back, and was deleted for good")))
    };
    stage.play("restore", expected, play).await;
}
