//! The net under a proof: a small stack whose one-time schedule removes what the proof made, should nobody be there to
//! do it. It has a state machine without functions, and a role that may touch only what has the proof's tag.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, CLOUDFORMATION, Refusal, items, text},
    stack::Stack,
    world::{TAG, World},
};

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A stack of three resources takes less than a minute.
const LOOKS: u32 = 120;

/// The name of the net's stack.
fn name(stack: &str) -> String {
    format!("{stack}-verify")
}

/// Begins to spread the net, which removes in so much time what has the tag of a proof of this stack. Gives its id.
///
/// # Errors
///
/// It is there already: another proof of the stack goes on, or has been killed.
pub async fn spread(aws: &Aws, stack: &Stack, world: &World) -> Result<String> {
    let name = name(&stack.name);
    let after = TimeDelta::from_std(aws.wall(world.expires_after())).context("the time is too long")?;
    let at = (Utc::now() + after).format("%Y-%m-%dT%H:%M:%S").to_string();
    let arguments = json!({
        "StackName": name, "TemplateBody": template(stack, &at).to_string(),
        "Capabilities": ["CAPABILITY_IAM"], "OnFailure": "DELETE", "ClientRequestToken": world.name("net"),
        "Tags": [{"Key": TAG, "Value": world.value()}],
    });
    match aws.call(CLOUDFORMATION, "CreateStack", arguments).await {
        Ok(answer) => Ok(text(&answer["StackId"]).to_owned()),
        Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.code == "AlreadyExistsException") => {
            bail!("the stack {name} is there: another proof goes on, or was killed and --clean removes what it left");
        }
        Err(error) => Err(error),
    }
}

/// Waits until the net stands, and says so.
pub async fn stands(aws: &Aws, id: &str) -> Result<String> {
    match ended(aws, id).await? {
        Some(status) if status == "CREATE_COMPLETE" => Ok(format!("{id} stands")),
        status => {
            let why = reason(aws, id).await.unwrap_or_default();
            bail!("{id} could not be made ({}): {why}", status.unwrap_or_else(|| "it is gone".to_owned()))
        }
    }
}

/// Why a stack could not be made: what CloudFormation said first.
async fn reason(aws: &Aws, id: &str) -> Result<String> {
    let answer = aws.call(CLOUDFORMATION, "DescribeStackEvents", json!({"StackName": id})).await?;
    let failed = |event: &&Value| text(&event["ResourceStatus"]).ends_with("_FAILED");
    let first = items(&answer["StackEvents"]).iter().rfind(failed);
    Ok(first.map(|event| text(&event["ResourceStatusReason"]).to_owned()).unwrap_or_default())
}

/// Takes a net away, which is found by its id or its name, and is known by the value of its tag. Says what is left of it.
pub async fn fold(
    aws: &Aws,
    stack: &str,
    id: Option<&str>,
    is_ours: impl Fn(&Value) -> bool,
) -> Result<Option<String>> {
    let name = name(stack);
    let Some(found) = described(aws, id.unwrap_or(&name)).await? else { return Ok(None) };
    if !items(&found["Tags"]).iter().any(|tag| text(&tag["Key"]) == TAG && is_ours(&tag["Value"])) {
        // It only has the name, or is another proof's.
        return Ok(None);
    }
    let id = text(&found["StackId"]).to_owned();
    aws.call(CLOUDFORMATION, "DeleteStack", json!({"StackName": id})).await?;
    Ok(ended(aws, &id).await?.map(|status| format!("the stack {name} ({status})")))
}

/// The status at the end of what is done to a stack; none if it is gone.
async fn ended(aws: &Aws, id: &str) -> Result<Option<String>> {
    for _ in 0..LOOKS {
        let status = status(aws, id).await?;
        if !status.as_ref().is_some_and(|status| status.ends_with("_IN_PROGRESS")) {
            return Ok(status);
        }
        aws.sleep(LOOK_EVERY).await;
    }
    bail!("{id} is not done after {} s", LOOK_EVERY.as_secs() * u64::from(LOOKS))
}

async fn status(aws: &Aws, id: &str) -> Result<Option<String>> {
    Ok(described(aws, id).await?.map(|stack| text(&stack["StackStatus"]).to_owned()))
}

/// A stack, unless it is gone.
async fn described(aws: &Aws, id: &str) -> Result<Option<Value>> {
    let answer = match aws.call(CLOUDFORMATION, "DescribeStacks", json!({"StackName": id})).await {
        Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.message.contains("does not exist")) => {
            return Ok(None);
        }
        answer => answer?,
    };
    let stack = items(&answer["Stacks"]).first().cloned();
    Ok(stack.filter(|stack| text(&stack["StackStatus"]) != "DELETE_COMPLETE"))
}

fn template(stack: &Stack, at: &str) -> Value {
    let value = format!("{}/*", stack.name);
    let condition = json!({"StringLike": {format!("aws:ResourceTag/{TAG}"): value}});
    let trust = |service: &str| {
        json!({
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": format!("{service}.amazonaws.com")},
            "Condition": {"StringEquals": {"aws:SourceAccount": stack.caller.account}},
        })
    };
    let allow = |actions: Value, resource: Value| json!({"Effect": "Allow", "Action": actions, "Resource": resource});
    let mut removes = allow(
        json!([
            "ec2:TerminateInstances",
            "ec2:DisableImageDeregistrationProtection",
            "ec2:DeregisterImage",
            "ec2:UnlockSnapshot",
            "ec2:DeleteSnapshot",
        ]),
        json!([stack.arn("ec2", "instance/*"), stack.ec2_arn("image/*"), stack.ec2_arn("snapshot/*"),]),
    );
    removes["Condition"] = condition;
    let policy = |name: &str, statements: Value| json!({"PolicyName": name, "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}});
    let finds = allow(json!(["ec2:DescribeInstances", "ec2:DescribeImages", "ec2:DescribeSnapshots"]), json!("*"));
    let role = |service: &str, policy: Value| {
        let trusts = json!({"Version": "2012-10-17", "Statement": [trust(service)]});
        let mut properties = json!({"AssumeRolePolicyDocument": trusts, "Policies": [policy]});
        if let Some(boundary) = stack.parameters.get("PermissionsBoundaryArn").filter(|arn| !arn.is_empty()) {
            properties["PermissionsBoundary"] = json!(boundary);
        }
        json!({"Type": "AWS::IAM::Role", "Properties": properties})
    };
    json!({
        "Description": "Removes what a proof of ami-from-instance has made, should nobody else do it.",
        "Resources": {
            "MachineRole": role("states", policy("Remove", json!([finds, removes]))),
            "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {
                "RoleArn": {"Fn::GetAtt": ["MachineRole", "Arn"]},
                "DefinitionString": machine(stack.caller.partition(), &value).to_string(),
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
fn machine(partition: &str, value: &str) -> Value {
    let action = |action: &str| format!("arn:{partition}:states:::aws-sdk:ec2:{action}");
    let filters = json!([{"Name": format!("tag:{TAG}"), "Values": [value]}]);
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
                "$states.result.Images.ImageId", "Take off protections",
            ),
            // Of an image that has none, EC2 says so.
            "Take off protections": each(
                "images", "disableImageDeregistrationProtection", json!({"ImageId": one}), "Deregister them",
            ),
            "Deregister them": each(
                "images", "deregisterImage", json!({"ImageId": one}),
                "Find the snapshots",
            ),
            "Find the snapshots": find(
                "describeSnapshots", json!({"OwnerIds": ["self"], "Filters": filters}), "snapshots",
                "$states.result.Snapshots.SnapshotId", "Take off locks",
            ),
            "Take off locks": each("snapshots", "unlockSnapshot", json!({"SnapshotId": one}), "Delete them"),
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
