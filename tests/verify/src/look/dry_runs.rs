//! The functions send every call that changes something with DryRun, under their own roles. That takes something to ask
//! about: an instance that is there, and the newest image that a run of the stack has made. Both stay as they are.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, EC2, items, text},
    report::{Check, Report, Verdict},
    run::{NotSucceeded, Run},
    stack::Stack,
    world::PREFIX,
};

/// Has each kind of run say what it would do.
pub async fn look(aws: &Aws, stack: &Stack, report: &Report<'_>) {
    let is_wrong = |check: &Check| check.id.starts_with("look/machine/") && check.verdict != Verdict::Passed;
    if report.checks().iter().any(is_wrong) {
        report.say("look/dry-run is not asked: the machines are not those of this clone");
        return;
    }
    let (instance, image) = match tokio::try_join!(instance(aws, stack), image(aws, stack)) {
        Ok(found) => found,
        Err(error) => {
            report.add(Check::unknown("look/dry-run", "something to ask about", &error));
            return;
        }
    };
    let id: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
    let name = |action: &str| format!("{PREFIX}{id}-look-{action}");
    match instance {
        Some(instance) => {
            let request = json!({"name": name("create"), "sourceInstanceId": instance, "snapshotWithoutReboot": true});
            report.add(ask(aws, stack, &name("create"), request).await);
        }
        None => report.say("look/dry-run/create is not asked: the account has no instance to ask about"),
    }
    for action in ["update", "disable", "delete"] {
        let Some(image) = &image else {
            report.say(&format!("look/dry-run/{action} is not asked: no run of the stack has an image"));
            continue;
        };
        let mut request = json!({"action": action, "imageId": image});
        if action == "update" {
            request["description"] = json!("a dry run of a proof");
        }
        report.add(ask(aws, stack, &name(action), request).await);
    }
}

/// One dry run. Where a role may not do something, the run fails and says so.
async fn ask(aws: &Aws, stack: &Stack, name: &str, mut request: Value) -> Check {
    request["dryRun"] = json!(true);
    let action = text(&request["action"]).to_owned();
    let action = if action.is_empty() { "create" } else { &action };
    let (id, expected) = (format!("look/dry-run/{action}"), "at least one call is allowed, and none is denied");
    let played: Result<(bool, String, u64)> = async {
        let run = Run::start(aws, stack, name, request).await?;
        let ended = run.end().await?;
        let transitions = run.course().await?.transitions;
        if ended.status == "FAILED" && NOT_FOR_A_RUN.contains(&ended.error.as_str()) {
            return Ok((true, format!("nothing was asked: {}", ended.cause), transitions));
        }
        let result = ended.succeeded()?;
        let verdicts = |verdict: &str| items(&result["wouldDo"]).iter().filter(|one| one["verdict"] == verdict).count();
        let (allowed, unknown) = (verdicts("allowed"), verdicts("unknown"));
        Ok((allowed > 0 && verdicts("denied") == 0, format!("{allowed} allowed, {unknown} unknown"), transitions))
    }
    .await;
    match played {
        Ok((holds, saw, transitions)) => Check { transitions, ..Check::holds(id, holds, expected, saw) },
        // A run that fails says so; what could not be asked is unknown.
        Err(error) if error.is::<NotSucceeded>() => Check::holds(id, false, expected, error.to_string()),
        Err(error) => Check::unknown(id, expected, &error),
    }
}

/// Errors that say that the image or the instance, as it is, is not for such a run.
const NOT_FOR_A_RUN: [&str; 5] =
    ["ImageInUse", "ImageProtected", "ImageChangedMeanwhile", "InvalidRequest", "SourceInstanceNotImageable"];

/// An instance that can be imaged, if the account has one.
async fn instance(aws: &Aws, stack: &Stack) -> Result<Option<String>> {
    let mut filter = vec![
        json!({"Name": "instance-state-name", "Value": ["running"]}),
        json!({"Name": "root-device-type", "Value": ["ebs"]}),
    ];
    if stack.is("OnlyTaggedInstances", "true") {
        filter.push(json!({"Name": "tag:ami-from-instance:source", "Value": ["allowed"]}));
    }
    let answer = aws.call(EC2, "DescribeInstances", json!({"Filter": filter})).await?;
    let mut instances = items(&answer["reservationSet"]).iter().flat_map(|one| items(&one["instancesSet"]));
    Ok(instances.next().map(|one| text(&one["instanceId"]).to_owned()))
}

/// The newest available image that a run of the stack has made, if there is one.
async fn image(aws: &Aws, stack: &Stack) -> Result<Option<String>> {
    let filter = json!([
        {"Name": "tag:ami-from-instance:run", "Value": [stack.run_arn("*")]},
        {"Name": "state", "Value": ["available"]},
    ]);
    let answer = aws.call(EC2, "DescribeImages", json!({"Owner": ["self"], "Filter": filter})).await?;
    let images = items(&answer["imagesSet"]).iter();
    let newest = images.max_by_key(|image| text(&image["creationDate"]).to_owned());
    match newest.map(|image| text(&image["imageId"])) {
        Some("") => bail!("EC2 shows an image without an id"),
        newest => Ok(newest.map(str::to_owned)),
    }
}
