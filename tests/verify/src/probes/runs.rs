//! Questions to Step Functions, by dry runs of the stack.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Probe, looks::refused};
use crate::{
    aws::{Aws, STEP_FUNCTIONS, items, text},
    run::Run,
    scene::Stage,
};

pub(super) async fn ask(stage: &Stage<'_>, instance: &str, folder: &Path, origin: &str) {
    let probe = Probe { stage: *stage, folder, origin };
    let (aws, stack) = (stage.aws, stage.stack);
    let name = stage.world.name("probe-run");
    let request = json!({"name": name, "sourceInstanceId": instance, "snapshotWithoutReboot": true, "dryRun": true});
    let mut first = None;
    probe
        .ask("runs/same-name-running", async || {
            let one = Run::start(aws, stack, &name, request.clone()).await?;
            let other = Run::start(aws, stack, &name, request.clone()).await?;
            first = Some(one.clone());
            Ok((one.arn == other.arn, "both calls give the same execution".to_owned()))
        })
        .await;
    let Some(run) = first else { return };
    let ended = run.end().await;
    probe
        .ask("runs/same-name-closed", async || {
            ended?;
            let machine = stack.id("LifecycleMachine")?;
            let arguments = json!({"stateMachineArn": machine, "name": name, "input": request.to_string()});
            let answer = aws.call(STEP_FUNCTIONS, "StartExecution", arguments).await;
            refused(answer, &["ExecutionAlreadyExists"])
        })
        .await;
    // Others' executions are nobody's: before the question, one of the proof's own is looked for that has waited.
    let waited = an_own_wait(stage).await;
    probe
        .ask("runs/token", async || {
            let history = history(aws, &waited?.context("no execution has waited yet")?).await?;
            let waited = items(&history["events"]).iter().find(|event| waits(event));
            let waited = waited.map(|one| text(&one["taskScheduledEventDetails"]["parameters"]).to_owned());
            let parameters = waited.context("its history has no wait")?;
            let parameters: serde_json::Value = serde_json::from_str(&parameters)?;
            let detail = &parameters["Entries"][0]["Detail"];
            // EventBridge itself takes the detail as a text.
            let parsed = detail.as_str().and_then(|text| serde_json::from_str(text).ok());
            let token = parsed.as_ref().unwrap_or(detail)["token"].clone();
            Ok((!text(&token).is_empty(), format!("a token of {} characters", text(&token).len())))
        })
        .await;
}

async fn history(aws: &Aws, execution: &str) -> Result<Value> {
    aws.call(STEP_FUNCTIONS, "GetExecutionHistory", json!({"executionArn": execution, "maxResults": 1000})).await
}

fn waits(event: &Value) -> bool {
    text(&event["type"]) == "TaskScheduled"
        && text(&event["taskScheduledEventDetails"]["resource"]).ends_with("waitForTaskToken")
}

/// An operation of one of the proof's runs that has waited with a token.
async fn an_own_wait(stage: &Stage<'_>) -> Result<Option<String>> {
    let machine = stage.stack.id("OperationMachine")?;
    let arguments = json!({"stateMachineArn": machine, "maxResults": 1000});
    let listed = stage.aws.call(STEP_FUNCTIONS, "ListExecutions", arguments).await?;
    let is_own = |one: &&Value| text(&one["name"]).starts_with(&stage.world.prefix());
    for one in items(&listed["executions"]).iter().filter(is_own) {
        let arn = text(&one["executionArn"]);
        if items(&history(stage.aws, arn).await?["events"]).iter().any(waits) {
            return Ok(Some(arn.to_owned()));
        }
    }
    Ok(None)
}
