//! The net under a proof: a small stack whose one-time schedule removes what the proof made, should nobody be there to
//! do it. It has a state machine without functions, and a role that may touch only what has the proof's tag.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, CLOUDFORMATION, Refusal, items, text},
    stack::Stack,
};

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A stack of three resources takes less than a minute.
const LOOKS: u32 = 120;

/// The name of the net's stack.
fn name(stack: &Stack) -> String {
    format!("{}-verify", stack.name)
}

/// Begins to spread the net, which removes in so much time what has the tag of a proof of this stack.
///
/// # Errors
///
/// It is there already: another proof of the stack goes on, or has been killed.
pub async fn spread(aws: &Aws, stack: &Stack, tag: &str, after: Duration) -> Result<()> {
    let name = name(stack);
    let after = TimeDelta::from_std(aws.wall(after)).context("the time is too long")?;
    let at = (Utc::now() + after).format("%Y-%m-%dT%H:%M:%S").to_string();
    let arguments = json!({
        "StackName": name, "TemplateBody": template(stack, tag, &at).to_string(),
        "Capabilities": ["CAPABILITY_IAM"], "OnFailure": "DELETE",
        "Tags": [{"Key": tag, "Value": stack.name}],
    });
    if let Err(error) = aws.call(CLOUDFORMATION, "CreateStack", arguments).await {
        if Refusal::of(&error).is_some_and(|refusal| refusal.code == "AlreadyExistsException") {
            bail!("the stack {name} is there: another proof goes on, or was killed and --clean removes what it left");
        }
        return Err(error);
    }
    Ok(())
}

/// Waits until the net stands, and says so.
pub async fn stands(aws: &Aws, stack: &Stack) -> Result<String> {
    let name = name(stack);
    match ended(aws, &name).await? {
        Some(status) if status == "CREATE_COMPLETE" => Ok(format!("the stack {name} stands")),
        status => bail!("the stack {name} could not be made: {}", status.unwrap_or_else(|| "it is gone".to_owned())),
    }
}

/// Takes the net away; says what is left of it.
pub async fn fold(aws: &Aws, stack: &Stack) -> Result<Option<String>> {
    let name = name(stack);
    if status(aws, &name).await?.is_none() {
        return Ok(None);
    }
    aws.call(CLOUDFORMATION, "DeleteStack", json!({"StackName": name})).await?;
    Ok(ended(aws, &name).await?.map(|status| format!("the stack {name} ({status})")))
}

/// The status at the end of what is done to a stack; none if it is gone.
async fn ended(aws: &Aws, name: &str) -> Result<Option<String>> {
    for _ in 0..LOOKS {
        let status = status(aws, name).await?;
        if !status.as_ref().is_some_and(|status| status.ends_with("_IN_PROGRESS")) {
            return Ok(status);
        }
        aws.sleep(LOOK_EVERY).await;
    }
    bail!("the stack {name} is not done after {} s", LOOK_EVERY.as_secs() * u64::from(LOOKS))
}

async fn status(aws: &Aws, name: &str) -> Result<Option<String>> {
    let answer = match aws.call(CLOUDFORMATION, "DescribeStacks", json!({"StackName": name})).await {
        Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.message.contains("does not exist")) => {
            return Ok(None);
        }
        answer => answer?,
    };
    let status = items(&answer["Stacks"]).first().map(|stack| text(&stack["StackStatus"]).to_owned());
    Ok(status.filter(|status| status != "DELETE_COMPLETE"))
}

fn template(stack: &Stack, tag: &str, at: &str) -> Value {
    let value = format!("{}/*", stack.name);
    let condition = json!({"StringLike": {format!("aws:ResourceTag/{tag}"): value}});
    let trust = |service: &str| {
        json!({
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": format!("{service}.amazonaws.com")},
            "Condition": {"StringEquals": {"aws:SourceAccount": stack.caller.account}},
        })
    };
    let allow = |actions: Value, resource: Value| json!({"Effect": "Allow", "Action": actions, "Resource": resource});
    let mut removes = allow(
        json!(["ec2:TerminateInstances", "ec2:DeregisterImage", "ec2:DeleteSnapshot"]),
        json!([stack.arn("ec2", "instance/*"), stack.ec2_arn("image/*"), stack.ec2_arn("snapshot/*"),]),
    );
    removes["Condition"] = condition;
    let policy = |name: &str, statements: Value| json!({"PolicyName": name, "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}});
    let finds = allow(json!(["ec2:DescribeInstances", "ec2:DescribeImages", "ec2:DescribeSnapshots"]), json!("*"));
    let role = |service: &str, policy: Value| {
        let trusts = json!({"Version": "2012-10-17", "Statement": [trust(service)]});
        json!({"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trusts, "Policies": [policy]}})
    };
    json!({
        "Description": "Removes what a proof of ami-from-instance has made, should nobody else do it.",
        "Resources": {
            "MachineRole": role("states", policy("Remove", json!([finds, removes]))),
            "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {
                "RoleArn": {"Fn::GetAtt": ["MachineRole", "Arn"]},
                "DefinitionString": machine(stack.caller.partition(), tag, &value).to_string(),
            }},
            "ScheduleRole": role("scheduler", policy("Start", json!([allow(
                json!("states:StartExecution"), json!({"Ref": "Machine"}),
            )]))),
            "Schedule": {"Type": "AWS::Scheduler::Schedule", "Properties": {
                "ScheduleExpression": format!("at({at})"), "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {"Arn": {"Ref": "Machine"}, "RoleArn": {"Fn::GetAtt": ["ScheduleRole", "Arn"]}, "Input": "{}"},
            }},
        },
    })
}

/// The machine: it finds and removes three kinds of things, and looks again as long as there are any.
fn machine(partition: &str, tag: &str, value: &str) -> Value {
    let action = |action: &str| format!("arn:{partition}:states:::aws-sdk:ec2:{action}");
    let filters = json!([{"Name": format!("tag:{tag}"), "Values": [value]}]);
    let find = |name: &str, arguments: Value, variable: &str, ids: &str, next: &str| {
        json!({
            "Type": "Task", "Resource": action(name), "Arguments": arguments,
            "Assign": {variable: format!("{{% [{ids}] %}}")}, "Next": next,
        })
    };
    let each = |variable: &str, name: &str, arguments: Value, next: &str| {
        let is_gone = json!([{"ErrorEquals": ["States.ALL"], "Next": "Not now"}]);
        json!({
            "Type": "Map", "Items": format!("{{% ${variable} %}}"), "MaxConcurrency": 5, "Next": next,
            "ItemProcessor": {"StartAt": "Remove", "States": {
                "Remove": {"Type": "Task", "Resource": action(name), "Arguments": arguments, "Catch": is_gone, "End": true},
                "Not now": {"Type": "Succeed"},
            }},
        })
    };
    let one = "{% $states.input %}";
    json!({
        "QueryLanguage": "JSONata", "StartAt": "Find the instances", "TimeoutSeconds": 7200,
        "States": {
            "Find the instances": find(
                "describeInstances", json!({"Filters": filters}), "instances",
                "$states.result.Reservations.Instances[State.Name != 'terminated'].InstanceId", "Terminate them",
            ),
            "Terminate them": each(
                "instances", "terminateInstances", json!({"InstanceIds": [one]}), "Find the images",
            ),
            "Find the images": find(
                "describeImages", json!({"Owners": ["self"], "IncludeDisabled": true, "Filters": filters}), "images",
                "$states.result.Images.ImageId", "Deregister them",
            ),
            "Deregister them": each(
                "images", "deregisterImage", json!({"ImageId": one, "DeleteAssociatedSnapshots": true}),
                "Find the snapshots",
            ),
            "Find the snapshots": find(
                "describeSnapshots", json!({"OwnerIds": ["self"], "Filters": filters}), "snapshots",
                "$states.result.Snapshots.SnapshotId", "Delete them",
            ),
            "Delete them": each("snapshots", "deleteSnapshot", json!({"SnapshotId": one}), "Is anything left?"),
            "Is anything left?": {
                "Type": "Choice", "Default": "Nothing is left",
                "Choices": [{"Condition": "{% $count($instances) + $count($images) + $count($snapshots) > 0 %}", "Next": "Wait"}],
            },
            "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Find the instances"},
            "Nothing is left": {"Type": "Succeed"},
        },
    })
}
