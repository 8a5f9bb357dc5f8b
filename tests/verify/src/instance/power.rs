//! What creates do to the instance itself.

use std::time::Duration;

use serde_json::json;

use super::creates::as_ec2_shows;
use crate::{
    aws::{EC2, text},
    ec2,
    scene::{Scene, Stage, ensure},
};

const STOPS_WITHIN: Duration = Duration::from_secs(600);

/// A create with a reboot.
pub(super) async fn reboot(stage: &Stage<'_>, instance: &str) {
    let expected = "the result says that the instance was rebooted, and it runs";
    let play = async |scene: &Scene<'_>| {
        let mut request = scene.create(instance, "");
        request["snapshotWithoutReboot"] = json!(false);
        let result = scene.run("", request).await?.succeeded()?;
        as_ec2_shows(scene, &result, &scene.name("")).await?;
        let source = &result["sourceInstance"];
        ensure(source["rebooted"] == json!(true), || format!("the result says {source}"))?;
        let state = ec2::instance_state(scene.stage.aws, instance).await?;
        ensure(state == "running", || format!("{instance} is {state}"))?;
        Ok(((), source.to_string()))
    };
    stage.play("create/reboot", expected, play).await;
}

/// A create that stops the instance and starts it again.
pub(super) async fn stop_and_start(stage: &Stage<'_>, instance: &str) {
    let expected = "the instance was stopped for its image, and runs again";
    let play = async |scene: &Scene<'_>| {
        let mut request = scene.create(instance, "");
        let fields = request.as_object_mut();
        fields.map(|fields| fields.remove("snapshotWithoutReboot"));
        request["stopInstance"] = json!(true);
        let result = scene.run("", request).await?.succeeded()?;
        as_ec2_shows(scene, &result, &scene.name("")).await?;
        let state = ec2::instance_state(scene.stage.aws, instance).await?;
        ensure(state == "running", || format!("{instance} is {state}"))?;
        Ok(((), result["sourceInstance"].to_string()))
    };
    stage.play("create/stop-instance", expected, play).await;
}

/// A create of a stopped instance.
pub(super) async fn stopped(stage: &Stage<'_>, instance: &str) {
    let expected = "an image of the stopped instance, which stays stopped";
    let play = async |scene: &Scene<'_>| {
        let aws = scene.stage.aws;
        aws.call(EC2, "StopInstances", json!({"InstanceId": [instance]})).await?;
        ec2::wait_for_instance(aws, instance, "stopped", STOPS_WITHIN).await?;
        let result = scene.run("", scene.create(instance, "")).await?.succeeded()?;
        let id = as_ec2_shows(scene, &result, &scene.name("")).await?;
        let state = ec2::instance_state(aws, instance).await?;
        ensure(state == "stopped", || format!("{instance} is {state}"))?;
        Ok(((), format!("{id}, {}", text(&result["sourceInstance"]["stateBefore"]))))
    };
    stage.play("create/stopped", expected, play).await;
}
