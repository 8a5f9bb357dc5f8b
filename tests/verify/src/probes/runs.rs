//! Questions to Step Functions, by dry runs of the stack.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::{Probe, looks::refused};
use crate::{
    aws::{STEP_FUNCTIONS, items, text},
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
    probe
        .ask("runs/token", async || {
            let machine = stack.id("OperationMachine")?;
            let listed = aws.call(STEP_FUNCTIONS, "ListExecutions", json!({"stateMachineArn": machine})).await?;
            let mut waited = None;
            for one in items(&listed["executions"]) {
                let arguments = json!({"executionArn": one["executionArn"], "maxResults": 1000});
                let history = aws.call(STEP_FUNCTIONS, "GetExecutionHistory", arguments).await?;
                let mut events = items(&history["events"]).iter();
                let waits = |one: &&serde_json::Value| {
                    text(&one["type"]) == "TaskScheduled"
                        && text(&one["taskScheduledEventDetails"]["resource"]).ends_with("waitForTaskToken")
                };
                waited = events.find(waits).map(|one| text(&one["taskScheduledEventDetails"]["parameters"]).to_owned());
                if waited.is_some() {
                    break;
                }
            }
            let parameters = waited.context("no execution has waited yet")?;
            let parameters: serde_json::Value = serde_json::from_str(&parameters)?;
            let detail = &parameters["Entries"][0]["Detail"];
            // EventBridge itself takes the detail as a text.
            let parsed = detail.as_str().and_then(|text| serde_json::from_str(text).ok());
            let token = parsed.as_ref().unwrap_or(detail)["token"].clone();
            Ok((!text(&token).is_empty(), format!("a token of {} characters", text(&token).len())))
        })
        .await;
}
