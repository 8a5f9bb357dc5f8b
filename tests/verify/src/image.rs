//! The proof with an image out of nothing: of an empty snapshot, which costs next to nothing and takes a minute.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    aws::{Aws, EC2, EVENTBRIDGE, LAMBDA, SQS, items, text},
    ec2,
    empty_snapshot::empty_snapshot,
    instance::changes::{self, is_gone},
    report::Report,
    scene::{Scene, Stage, ensure},
    stack::Stack,
    world::{TAG, World},
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOKS: u32 = 90;

/// Plays every scenario.
pub async fn prove(aws: &Aws, stack: &Stack, world: &World, report: &Report<'_>) {
    let stage = Stage { depth: "image", aws, stack, world, report };
    let expected = "EC2 takes an empty snapshot, and registers an image of it";
    let made = async |scene: &Scene<'_>| {
        let snapshot = empty_snapshot(&scene.stage, &scene.name("")).await?;
        let image = register(scene, &snapshot, "made", Some(&stack.run_arn(&scene.name("")))).await?;
        Ok(((snapshot, image.clone()), format!("{image} is available")))
    };
    let Some((snapshot, image)) = stage.play("register", expected, made).await else { return };
    event(&stage, &snapshot).await;
    changes::update(&stage, &image).await;
    changes::disable_and_enable(&stage, &image).await;
    tokio::join!(foreign(&stage, &snapshot), sweep(&stage, &image));
    delete(&stage, &image).await;
}

/// Registers an image of the snapshot, with the tag of a run or of none.
async fn register(scene: &Scene<'_>, snapshot: &str, what: &str, run: Option<&str>) -> Result<String> {
    let aws = scene.stage.aws;
    let mut tags = vec![json!({"Key": TAG, "Value": scene.stage.world.value()})];
    tags.extend(run.map(|run| json!({"Key": "ami-from-instance:run", "Value": run})));
    let answer = aws.call(EC2, "RegisterImage", json!({
        "Name": scene.name(what), "Architecture": "x86_64", "VirtualizationType": "hvm", "RootDeviceName": "/dev/xvda",
        "BlockDeviceMapping": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
        "TagSpecification": [{"ResourceType": "image", "Tag": tags}],
    }));
    let id = text(&answer.await?["imageId"]).to_owned();
    for _ in 0..LOOKS {
        if ec2::image(aws, &id).await?.is_some_and(|image| text(&image["imageState"]) == "available") {
            return Ok(id);
        }
        aws.sleep(LOOK_EVERY).await;
    }
    bail!("{id} is not available")
}

/// EC2 tells EventBridge of a new image: a rule of the proof's own puts what it hears into a queue.
async fn event(stage: &Stage<'_>, snapshot: &str) {
    let expected = "EventBridge tells within a minute or two that an image is available";
    let play = async |scene: &Scene<'_>| {
        let (aws, stack) = (scene.stage.aws, scene.stage.stack);
        let (name, arn) = (scene.name(""), stack.arn("sqs", &scene.name("")));
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn,
            "Principal": {"Service": "events.amazonaws.com"},
            "Condition": {"ArnEquals": {"aws:SourceArn": stack.arn("events", &format!("rule/{name}"))}},
        }]});
        let queue = aws.call(
            SQS,
            "CreateQueue",
            json!({
                "QueueName": name, "Attributes": {"Policy": policy.to_string()},
                "tags": {TAG: scene.stage.world.value()},
            }),
        );
        let queue = queue.await?["QueueUrl"].clone();
        let pattern = json!({"source": ["aws.ec2"], "detail-type": ["EC2 AMI State Change"]});
        let rule = json!({
            "Name": name, "EventPattern": pattern.to_string(), "Description": scene.stage.world.value(),
        });
        aws.call(EVENTBRIDGE, "PutRule", rule).await?;
        let targets = json!({"Rule": name, "Targets": [{"Id": "Queue", "Arn": arn}]});
        let put = aws.call(EVENTBRIDGE, "PutTargets", targets).await?;
        ensure(put["FailedEntryCount"].as_u64().unwrap_or_default() == 0, || format!("no target was put: {put}"))?;
        // A new rule takes events only after a while.
        aws.sleep(Duration::from_secs(60)).await;
        let start = std::time::Instant::now();
        let image = register(scene, snapshot, "image", None).await?;
        let heard = async {
            for _ in 0..LOOKS {
                let arguments = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10});
                let answer = aws.call(SQS, "ReceiveMessage", arguments).await?;
                if items(&answer["Messages"]).iter().any(|message| text(&message["Body"]).contains(&image)) {
                    return Ok(aws.elapsed(start.elapsed()).as_secs());
                }
                aws.sleep(LOOK_EVERY).await;
            }
            bail!("no event has come")
        };
        let seconds = heard.await;
        aws.call(EC2, "DeregisterImage", json!({"ImageId": image})).await?;
        Ok(((), format!("it came after {} s", seconds?)))
    };
    stage.play("event", expected, play).await;
}

/// An image without the tag of a run is left alone.
async fn foreign(stage: &Stage<'_>, snapshot: &str) {
    let expected = "ImageNotManaged, and the image that no run made stays";
    let play = async |scene: &Scene<'_>| {
        let image = register(scene, snapshot, "image", None).await?;
        let request = json!({"action": "delete", "imageId": image});
        scene.run("", request).await?.failed_with("ImageNotManaged")?;
        ec2::image(scene.stage.aws, &image).await?.context("it is gone")?;
        scene.stage.aws.call(EC2, "DeregisterImage", json!({"ImageId": image})).await?;
        Ok(((), format!("{image} was untouched")))
    };
    if !stage.stack.is("AllowUnmanagedImages", "true") {
        stage.play("foreign", expected, play).await;
    }
}

/// The sweep removes what is left of a run that was aborted: the proof plants it, after the run's own rollback.
async fn sweep(stage: &Stage<'_>, image: &str) {
    let expected = "the sweep finds an image of an aborted run, and has it removed";
    let play = async |scene: &Scene<'_>| {
        let (aws, stack) = (scene.stage.aws, scene.stage.stack);
        // What it asks for does not matter.
        let request = json!({"action": "update", "imageId": image, "description": "never", "dryRun": true});
        let run = scene.start("", request).await?;
        run.stop().await?;
        ensure(run.end().await?.status == "ABORTED", || "the run had ended before it could be aborted".to_owned())?;
        // Its own rollback must not take what is planted.
        let (rollback, _) = run.rollback().await?;
        rollback.end().await?;
        let planted = empty_snapshot(&scene.stage, &scene.name("")).await?;
        let planted = register(scene, &planted, "planted", Some(&run.arn)).await?;
        let function = stack.id("StartRollbackFunction")?;
        let sweep = json!({"source": "ami-from-instance", "detail-type": "Sweep", "detail": {}});
        let found = aws.rest(LAMBDA, "POST", &format!("/2015-03-31/functions/{function}/invocations"), sweep).await?;
        ensure(found["rolledBack"].to_string().contains(&scene.name("")), || format!("the sweep found {found}"))?;
        for _ in 0..LOOKS {
            if ec2::image(aws, &planted).await?.is_none() {
                return Ok(((), format!("{planted} is gone")));
            }
            aws.sleep(LOOK_EVERY).await;
        }
        bail!("{planted} is still there")
    };
    if stage.stack.is("Sweep", "remove") {
        stage.play("sweep", expected, play).await;
    }
}

/// The image and its snapshot are deleted.
async fn delete(stage: &Stage<'_>, image: &str) {
    let expected = "the image and its snapshot are gone";
    let play = async |scene: &Scene<'_>| {
        let shown = ec2::image(scene.stage.aws, image).await?.context("EC2 shows no image")?;
        scene.run("", json!({"action": "delete", "imageId": image})).await?.succeeded()?;
        is_gone(scene, image, &ec2::snapshot_ids(&shown)).await?;
        Ok(((), format!("{image} is gone")))
    };
    stage.play("delete", expected, play).await;
}
