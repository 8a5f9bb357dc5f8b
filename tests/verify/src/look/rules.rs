//! What starts the functions by itself: rules, and schedules.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::check;
use crate::{
    aws::{Aws, EVENTBRIDGE, LAMBDA, Refusal, SCHEDULER, items, text},
    report::{Check, Report},
    stack::Stack,
};

pub(super) async fn look(aws: &Aws, stack: &Stack, report: &Report<'_>) {
    let lifecycle = stack.arn("states", &format!("stateMachine:{}-lifecycle", stack.name));
    let ended = |status: &str| json!({"status": status, "stateMachineArn": lifecycle, "name": "a"});
    let image = |state: &str| json!({"ImageId": "ami-0123456789abcdef0", "State": state});
    let of_ec2 = ("aws.ec2", "EC2 AMI State Change");
    let of_states = ("aws.states", "Step Functions Execution Status Change");
    let all_ends = ["ABORTED", "TIMED_OUT", "FAILED"].map(ended).to_vec();
    let to_function = |name: &str| stack.id(name).map(|id| stack.arn("lambda", &format!("function:{id}")));
    let rules = [
        ("WakeFunctionImageEnded", to_function("WakeFunction"), of_ec2, ["available", "failed"].map(image).to_vec()),
        ("StartRollbackFunctionRunEndedBadly", to_function("StartRollbackFunction"), of_states, all_ends.clone()),
    ];
    for (name, target, kind, details) in rules {
        report.add(rule(aws, stack, name, target, kind, details).await);
    }
    if stack.resources.contains_key("FailedRunsRule") {
        let topic = stack.topic().context("the stack notifies no topic");
        report.add(rule(aws, stack, "FailedRunsRule", topic, of_states, all_ends).await);
    }
    let sweep = if stack.is("Sweep", "off") { "DISABLED" } else { "ENABLED" };
    let target = to_function("StartRollbackFunction");
    report.add(schedule(aws, stack, "StartRollbackFunctionSweep", target, sweep).await);
    if stack.resources.contains_key("Schedule") {
        let target = Ok(format!("arn:{}:scheduler:::aws-sdk:sfn:startExecution", stack.caller.partition()));
        report.add(schedule(aws, stack, "Schedule", target, "ENABLED").await);
    }
}

async fn rule(
    aws: &Aws,
    stack: &Stack,
    name: &str,
    target: Result<String>,
    (source, kind): (&str, &str),
    details: Vec<Value>,
) -> Check {
    let expected = format!("enabled, takes \"{kind}\" of {source}, and may call its target");
    check(format!("look/rule/{name}"), &expected, async {
        let (id, target) = (stack.id(name)?, target?);
        let rule = aws.call(EVENTBRIDGE, "DescribeRule", json!({"Name": id})).await?;
        let mut problems = vec![];
        if text(&rule["State"]) != "ENABLED" {
            problems.push(format!("its state is {}", text(&rule["State"])));
        }
        for detail in details {
            let event = json!({
                "id": "1", "version": "0", "account": stack.caller.account, "region": stack.region, "source": source,
                "detail-type": kind, "detail": detail, "time": "2026-01-01T00:00:00Z", "resources": [],
            });
            let arguments = json!({"EventPattern": rule["EventPattern"], "Event": event.to_string()});
            let answer = aws.call(EVENTBRIDGE, "TestEventPattern", arguments).await?;
            if answer["Result"] != json!(true) {
                problems.push(format!("it does not take {detail}"));
            }
        }
        let targets = aws.call(EVENTBRIDGE, "ListTargetsByRule", json!({"Rule": id})).await?;
        let arns: Vec<_> = items(&targets["Targets"]).iter().map(|target| text(&target["Arn"])).collect();
        if arns != [target.as_str()] {
            problems.push(format!("its targets are [{}], not {target}", arns.join(", ")));
        }
        if target.contains(":function:") && !may_invoke(aws, &target, text(&rule["Arn"])).await? {
            problems.push(format!("the policy of {target} does not let the rule invoke it"));
        }
        Ok((problems.is_empty(), problems.join("; ")))
    })
    .await
}

/// Whether a function's own policy lets a rule invoke it.
async fn may_invoke(aws: &Aws, function: &str, rule: &str) -> Result<bool> {
    let path = format!("/2015-03-31/functions/{function}/policy");
    let answer = match aws.rest(LAMBDA, "GET", &path, Value::Null).await {
        Err(error) if Refusal::of(&error).is_some_and(Refusal::is_not_there) => return Ok(false),
        answer => answer?,
    };
    let policy: Value = serde_json::from_str(text(&answer["Policy"]))?;
    Ok(items(&policy["Statement"]).iter().any(|statement| {
        let conditions = statement["Condition"].to_string();
        statement["Effect"] == "Allow"
            && statement["Principal"]["Service"] == "events.amazonaws.com"
            && statement["Action"] == "lambda:InvokeFunction"
            && (statement["Condition"].is_null() || conditions.contains(&format!("\"{rule}\"")))
    }))
}

async fn schedule(aws: &Aws, stack: &Stack, name: &str, target: Result<String>, state: &str) -> Check {
    let expected = format!("{state}, with its own target and role");
    check(format!("look/schedule/{name}"), &expected, async {
        let (id, target) = (stack.id(name)?, target?);
        let id = id.rsplit('/').next().unwrap_or_default();
        let schedule = aws.rest(SCHEDULER, "GET", &format!("/schedules/{id}"), Value::Null).await?;
        let mut problems = vec![];
        if text(&schedule["State"]) != state {
            problems.push(format!("its state is {}", text(&schedule["State"])));
        }
        if text(&schedule["Target"]["Arn"]) != target {
            problems.push(format!("its target is {}", text(&schedule["Target"]["Arn"])));
        }
        let role = if name == "Schedule" { "ScheduleRole" } else { "StartRollbackFunctionSweepRole" };
        let role = stack.role_arn(stack.id(role)?);
        if text(&schedule["Target"]["RoleArn"]) != role {
            problems.push(format!("its role is {}", text(&schedule["Target"]["RoleArn"])));
        }
        Ok((problems.is_empty(), if problems.is_empty() { state.to_owned() } else { problems.join("; ") }))
    })
    .await
}
