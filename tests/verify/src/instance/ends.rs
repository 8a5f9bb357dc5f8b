//! Runs that must not make an image.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    aws::{EC2, LAMBDA, text},
    ec2,
    run::Run,
    scene::{Scene, Stage, Untold, ensure, shows},
    world::TAG,
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const BEGINS_WITHIN: u32 = 180;

/// A run is aborted as soon as its image is there.
pub(super) async fn aborted(stage: &Stage<'_>, instance: &str) {
    let expected = "nothing is left of a run that is aborted while EC2 makes its image";
    let play = async |scene: &Scene<'_>| {
        let (run, image) = abort_amid(scene, instance).await?;
        let stopped = Instant::now();
        let (_, began) = run.rollback().await?;
        scene.nothing_is_left_of(&run.arn, &scene.name("")).await?;
        let seconds = scene.stage.aws.elapsed(stopped.elapsed()).as_secs();
        shows(scene.stage.aws, async || {
            let is_there = ec2::image(scene.stage.aws, &image).await?.is_some();
            ensure(!is_there, || format!("{image} is there"))
        })
        .await?;
        Ok(((), format!("its rollback began {began:.0} s after the abort; {image} was gone within {seconds} s")))
    };
    stage.play("abort", expected, play).await;
}

/// Aborts a run once its image is there. Gives the run and the image's id.
async fn abort_amid<'a>(scene: &Scene<'a>, instance: &str) -> Result<(Run<'a>, String)> {
    let run = scene.start("", scene.create(instance, "")).await?;
    for _ in 0..BEGINS_WITHIN {
        if let Some(image) = ec2::images_named(scene.stage.aws, &scene.name("")).await?.first() {
            run.stop().await?;
            return Ok((run, text(&image["imageId"]).to_owned()));
        }
        scene.stage.aws.sleep(LOOK_EVERY).await;
    }
    bail!("there was no image after {BEGINS_WITHIN} s")
}

/// A run has a limit that cannot hold.
pub(super) async fn too_late(stage: &Stage<'_>, instance: &str) {
    let expected = "TimedOut after a minute, and nothing is left";
    let play = async |scene: &Scene<'_>| {
        let mut request = scene.create(instance, "");
        request["timeouts"] = json!({"create": "1m"});
        let run = scene.start("", request).await?;
        let ended = run.end().await?;
        if ended.status == "SUCCEEDED" {
            bail!(Untold("EC2 made the image within the minute: the limit was not reached".to_owned()));
        }
        let took = ended.took.as_secs();
        ended.failed_with("TimedOut")?;
        let seconds = scene.nothing_is_left_of(&run.arn, &scene.name("")).await?;
        Ok(((), format!("it ended after {took} s, and nothing was left {seconds} s later")))
    };
    stage.play("time-limit", expected, play).await;
}

/// A name that an image has already.
pub(super) async fn name_taken(stage: &Stage<'_>, instance: &str, image: &str) {
    let expected = "NameTaken, which names the image that has the name and leaves it alone";
    let play = async |scene: &Scene<'_>| {
        let there = ec2::image(scene.stage.aws, image).await?.context("EC2 shows no image")?;
        let mut request = scene.create(instance, "");
        request["name"] = there["name"].clone();
        let cause = scene.run("", request).await?.failed_with("NameTaken")?;
        ensure(cause.contains(image), || cause.clone())?;
        ensure(ec2::image(scene.stage.aws, image).await?.is_some(), || format!("{image} is gone"))?;
        Ok(((), cause))
    };
    stage.play("name/taken", expected, play).await;
}

/// Two runs for one name at once.
pub(super) async fn same_name_twice(stage: &Stage<'_>, instance: &str) {
    let expected = "one of two runs makes the image, the other ends with NameTaken";
    let play = async |scene: &Scene<'_>| {
        let request = scene.create(instance, "");
        let (one, other) = tokio::try_join!(scene.start("1", request.clone()), scene.start("2", request))?;
        let (one, other) = tokio::try_join!(one.end(), other.end())?;
        let (first, second) = if one.status == "SUCCEEDED" { (one, other) } else { (other, one) };
        first.succeeded()?;
        let cause = second.failed_with("NameTaken")?;
        let count = ec2::images_named(scene.stage.aws, &scene.name("")).await?.len();
        ensure(count == 1, || format!("there are {count} images of the name"))?;
        Ok(((), cause))
    };
    stage.play("name/twice", expected, play).await;
}

/// The sweep finds what was left of an aborted run. The proof plants it, as if every event had been lost.
pub(super) async fn sweep(stage: &Stage<'_>, instance: &str) {
    let expected = "the sweep finds an image of an aborted run, and has it removed";
    let play = async |scene: &Scene<'_>| {
        let aws = scene.stage.aws;
        let (run, _) = abort_amid(scene, instance).await?;
        // Its own rollback must not take what is planted.
        let (rollback, _) = run.rollback().await?;
        rollback.end().await?;
        scene.nothing_is_left_of(&run.arn, &scene.name("")).await?;
        let tags = json!([
            {"Key": TAG, "Value": scene.stage.world.value()},
            {"Key": "ami-from-instance:run", "Value": run.arn},
        ]);
        let specification = json!([{"ResourceType": "image", "Tag": tags}, {"ResourceType": "snapshot", "Tag": tags}]);
        let planted = json!({
            "InstanceId": instance, "Name": scene.name("planted"), "NoReboot": true, "TagSpecification": specification,
        });
        let planted = ec2::create_image(aws, scene.stage.world, planted).await?;
        ec2::image_that(aws, &planted, |_| true).await?;
        let function = scene.stage.stack.id("StartRollbackFunction")?;
        let event = json!({"source": "ami-from-instance", "detail-type": "Sweep", "detail": {}});
        let found = aws.rest(LAMBDA, "POST", &format!("/2015-03-31/functions/{function}/invocations"), event).await?;
        let name = run.arn.rsplit(':').next().unwrap_or_default();
        ensure(found["rolledBack"].to_string().contains(name), || format!("the sweep found {found}"))?;
        let seconds = scene.nothing_is_left_of(&run.arn, &scene.name("planted")).await?;
        Ok(((), format!("{planted} was gone {seconds} s after the sweep")))
    };
    if stage.stack.is("Sweep", "remove") {
        stage.play("sweep", expected, play).await;
    }
}

/// A role that may not remove a snapshot: the proof has taken the run's tag off it.
pub(super) async fn refused(stage: &Stage<'_>, instance: &str) {
    let expected = "the delete names the snapshot that its role may not remove, and what AWS says; the snapshot stays";
    let play = async |scene: &Scene<'_>| {
        let aws = scene.stage.aws;
        let result = scene.run("", scene.create(instance, "")).await?.succeeded()?;
        let image = text(&result["id"]).to_owned();
        let shown = ec2::image(aws, &image).await?.context("EC2 shows no image")?;
        let snapshot = ec2::snapshot_ids(&shown).into_iter().next().context("it has no snapshot")?;
        let tags = json!({"ResourceId": [snapshot], "Tag": [{"Key": "ami-from-instance:run"}]});
        aws.call(EC2, "DeleteTags", tags).await?;
        shows(aws, async || {
            let shown = ec2::snapshots(aws, std::slice::from_ref(&snapshot)).await?;
            let is_tagged = shown.iter().any(|one| ec2::tags(one).contains_key("ami-from-instance:run"));
            ensure(!is_tagged, || format!("{snapshot} still has the tag"))
        })
        .await?;
        // IAM may see the tag for longer than EC2 shows it.
        aws.sleep(Duration::from_secs(15)).await;
        let ended = scene.run("delete", json!({"action": "delete", "imageId": image})).await?;
        let said = ended.told();
        ensure(ended.status == "FAILED", || said.clone())?;
        ensure(said.contains(&snapshot) && said.contains("UnauthorizedOperation"), || said.clone())?;
        let there = ec2::snapshots(aws, std::slice::from_ref(&snapshot)).await?.len();
        ensure(there == 1, || format!("{snapshot} is gone"))?;
        Ok(((), said))
    };
    if !stage.stack.is("AllowUnmanagedImages", "true") {
        stage.play("refused", expected, play).await;
    }
}
