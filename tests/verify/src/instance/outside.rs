//! What goes on outside of Step Functions: a schedule starts a run, and people are told of what went wrong.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::{SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, CLOUDWATCH, SCHEDULER, SNS, SQS, STEP_FUNCTIONS, items, text},
    ec2,
    run::Run,
    scene::{Scene, Stage, ensure},
    world::TAG,
};

const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How far ahead the time of the schedule is.
const STARTS_IN: Duration = Duration::from_secs(60);
/// Scheduler delivers within a minute, and Step Functions, EventBridge and SNS within seconds.
const COMES_WITHIN: u32 = 100;

/// A one-time schedule with the stack's role makes one image.
pub(super) async fn schedule(stage: &Stage<'_>, instance: &str) {
    let expected = "a schedule with the stack's role starts a create, which makes one image";
    let play = async |scene: &Scene<'_>| {
        let (aws, stack) = (scene.stage.aws, scene.stage.stack);
        let machine = stack.output("ScheduledMachineArn");
        let name = scene.name("");
        let start = json!({
            "StateMachineArn": machine, "Name": format!("{name}-<aws.scheduler.execution-id>"),
            "Input": scene.create(instance, "").to_string(),
        });
        let delay = TimeDelta::from_std(aws.wall(STARTS_IN))?;
        let time = (Utc::now() + delay).trunc_subsecs(0);
        let at = time.format("%Y-%m-%dT%H:%M:%S");
        let body = json!({
            "Description": scene.stage.world.value(), "ScheduleExpression": format!("at({at})"),
            "FlexibleTimeWindow": {"Mode": "OFF"}, "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": format!("arn:{}:scheduler:::aws-sdk:sfn:startExecution", stack.caller.partition()),
                "RoleArn": stack.output("ScheduleRoleArn"), "Input": start.to_string(),
            },
        });
        aws.rest(SCHEDULER, "POST", &format!("/schedules/{name}"), body).await?;
        let arn = started(aws, machine, &name).await?;
        let late = aws.elapsed((Utc::now() - time).to_std().unwrap_or_default()).as_secs();
        let run = Run::of(aws, stack, &arn);
        scene.counts(&run);
        run.end().await?.succeeded()?;
        let count = ec2::images_named(aws, &name).await?.len();
        ensure(count == 1, || format!("there are {count} images called {name}"))?;
        Ok(((), format!("{arn} made it; it was seen {late} s after the schedule's time")))
    };
    stage.play("schedule", expected, play).await;
}

/// The execution whose name begins so, once it is there.
async fn started(aws: &Aws, machine: &str, name: &str) -> Result<String> {
    for _ in 0..COMES_WITHIN {
        let answer = aws.call(STEP_FUNCTIONS, "ListExecutions", json!({"stateMachineArn": machine})).await?;
        let mut executions = items(&answer["executions"]).iter();
        if let Some(one) = executions.find(|one| text(&one["name"]).starts_with(name)) {
            return Ok(text(&one["executionArn"]).to_owned());
        }
        aws.sleep(LOOK_EVERY).await;
    }
    bail!("the schedule has started nothing after {} s", LOOK_EVERY.as_secs() * u64::from(COMES_WITHIN))
}

/// The topic tells of an alarm and of a failed run; a queue of the proof's listens for the moment.
pub(super) async fn notifications(stage: &Stage<'_>, topic: &str) {
    let expected = "the topic tells of an alarm, and of a run that failed";
    let play = async |scene: &Scene<'_>| {
        let (aws, stack) = (scene.stage.aws, scene.stage.stack);
        let queue = listen(scene, topic).await?;
        let alarm = stack.id("LeftoversAlarm")?;
        let described = aws.call(CLOUDWATCH, "DescribeAlarms", json!({"AlarmNames": [alarm]})).await?;
        let state = text(&items(&described["MetricAlarms"]).first().unwrap_or(&Value::Null)["StateValue"]).to_owned();
        ensure(state != "ALARM", || format!("{alarm} is in ALARM already: nobody is told of it again"))?;
        let set = |state: &str| {
            let arguments =
                json!({"AlarmName": alarm, "StateValue": state, "StateReason": "a proof tries who is told"});
            aws.call(CLOUDWATCH, "SetAlarmState", arguments)
        };
        set("ALARM").await?;
        let alarm_after = heard(aws, &queue, alarm).await.context("of the alarm");
        set("OK").await?;
        let alarm_after = alarm_after?;
        let ended = scene.run("", json!({"name": "of nothing"})).await?;
        ensure(ended.status == "FAILED", || ended.told())?;
        let run_after = heard(aws, &queue, &scene.name("")).await.context("of the failed run")?;
        Ok(((), format!("of the alarm after {alarm_after} s, of the failed run {run_after} s after its end")))
    };
    stage.play("notifications", expected, play).await;
}

/// Makes a queue and subscribes it; gives its URL.
async fn listen(scene: &Scene<'_>, topic: &str) -> Result<String> {
    let (aws, stack) = (scene.stage.aws, scene.stage.stack);
    let arn = stack.arn("sqs", &scene.name(""));
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn, "Principal": {"Service": "sns.amazonaws.com"},
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }]});
    let arguments = json!({
        "QueueName": scene.name(""), "Attributes": {"Policy": policy.to_string()},
        "tags": {TAG: scene.stage.world.value()},
    });
    let made = aws.call(SQS, "CreateQueue", arguments).await?;
    let subscribe = json!({"TopicArn": topic, "Protocol": "sqs", "Endpoint": arn});
    aws.call(SNS, "Subscribe", subscribe).await?;
    // A new subscription and a new queue get messages only after a while.
    aws.sleep(Duration::from_secs(30)).await;
    Ok(text(&made["QueueUrl"]).to_owned())
}

/// Waits for a message that names something; gives the seconds.
async fn heard(aws: &Aws, queue: &str, name: &str) -> Result<u64> {
    let start = Instant::now();
    for _ in 0..COMES_WITHIN {
        let arguments = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10});
        let answer = aws.call(SQS, "ReceiveMessage", arguments).await?;
        for message in items(&answer["Messages"]) {
            let arguments = json!({"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]});
            aws.call(SQS, "DeleteMessage", arguments).await?;
            if text(&message["Body"]).contains(name) {
                return Ok(aws.elapsed(start.elapsed()).as_secs());
            }
        }
        aws.sleep(LOOK_EVERY).await;
    }
    bail!("nobody was told after {} s", LOOK_EVERY.as_secs() * u64::from(COMES_WITHIN))
}
