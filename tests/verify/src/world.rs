//! What a proof makes: an instance of its own, and through the stack images of it. All of it has one tag, by which it
//! is found and removed.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, EC2, EVENTBRIDGE, Refusal, SCHEDULER, SNS, SQS, SSM, STEP_FUNCTIONS, items, text},
    net,
    report::{Check, Verdict},
    stack::Stack,
};

/// The key of the tag that everything has.
pub const TAG: &str = "verify-ami-from-instance";
/// What the names of its executions and images begin with.
pub const PREFIX: &str = "cargo-verify-";

/// How long what it makes may live.
const EXPIRES_AFTER: Duration = Duration::from_secs(90 * 60);
/// Removing takes as long as rollbacks that are under way.
const REMOVED_WITHIN: Duration = Duration::from_secs(20 * 60);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The images that AWS publishes, and the types that boot them: the first that the Region has is taken.
const MACHINES: [(&str, &str); 3] = [
    ("t4g.nano", "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-arm64"),
    ("t3.nano", "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64"),
    ("t2.nano", "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64"),
];

/// What is made in one proof.
#[derive(Clone, Debug)]
pub struct World {
    stack: String,
    id: String,
    subnet: Option<String>,
}

impl World {
    /// One that nothing is in yet.
    pub fn new(stack: &str, subnet: Option<String>) -> Self {
        let digit = || fastrand::alphanumeric().to_ascii_lowercase();
        Self { stack: stack.to_owned(), id: std::iter::repeat_with(digit).take(8).collect(), subnet }
    }

    /// The tag's value.
    pub fn value(&self) -> String {
        format!("{}/{}", self.stack, self.id)
    }

    /// The tag.
    pub fn tag(&self) -> String {
        format!("{TAG} = {}", self.value())
    }

    /// A name that nothing else has.
    pub fn name(&self, what: &str) -> String {
        format!("{PREFIX}{}-{what}", self.id)
    }

    /// How long what it makes may live.
    pub fn expires_after(&self) -> Duration {
        EXPIRES_AFTER
    }

    /// Runs an instance with a root volume and another one, without a key, a profile or a public address. It ends
    /// itself when its time is over.
    pub async fn run_instance(&self, aws: &Aws, stack: &Stack) -> Result<String> {
        let subnet = match &self.subnet {
            Some(subnet) => subnet.clone(),
            None => default_subnet(aws).await?,
        };
        let mut last = None;
        for (instance_type, parameter) in MACHINES {
            let image = aws.call(SSM, "GetParameter", json!({"Name": parameter})).await?;
            let image = text(&image["Parameter"]["Value"]).to_owned();
            let arguments = self.instance(stack, instance_type, &image, &subnet);
            match aws.call(EC2, "RunInstances", arguments).await {
                Ok(answer) => {
                    let id = items(&answer["instancesSet"]).first().map(|instance| text(&instance["instanceId"]));
                    return Ok(id.context("EC2 has run no instance")?.to_owned());
                }
                // Not every Zone has every type.
                Err(error) => match Refusal::of(&error) {
                    Some(refusal) if refusal.status == 400 => last = Some(error),
                    _ => return Err(error),
                },
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no type of instance is known")))
    }

    fn instance(&self, stack: &Stack, instance_type: &str, image: &str, subnet: &str) -> Value {
        let mut tags =
            vec![json!({"Key": TAG, "Value": self.value()}), json!({"Key": "Name", "Value": self.name("source")})];
        if stack.is("OnlyTaggedInstances", "true") {
            tags.push(json!({"Key": "ami-from-instance:source", "Value": "allowed"}));
        }
        let minutes = EXPIRES_AFTER.as_secs() / 60;
        json!({
            "ImageId": image, "InstanceType": instance_type, "MinCount": 1, "MaxCount": 1,
            // The same call again, should its answer be lost, runs no second one.
            "ClientToken": format!("{}-{instance_type}", self.name("source")),
            "InstanceInitiatedShutdownBehavior": "terminate",
            "UserData": base64(format!("#!/bin/sh\nshutdown -h +{minutes}\n").as_bytes()),
            "MetadataOptions": {"HttpTokens": "required"},
            "NetworkInterface": [{"DeviceIndex": 0, "AssociatePublicIpAddress": false, "SubnetId": subnet}],
            "BlockDeviceMapping": [{
                "DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "VolumeType": "gp3", "DeleteOnTermination": true},
            }],
            "TagSpecification": [
                {"ResourceType": "instance", "Tag": tags},
                {"ResourceType": "volume", "Tag": tags},
            ],
        })
    }

    /// Removes everything with a tag of a proof of this stack, and looks until nothing is left.
    pub async fn remove(&self, aws: &Aws, stack: &Stack, say: &(dyn Fn(&str) + Sync)) -> Check {
        let expected = "no execution, image, snapshot, instance, volume or stack of a proof is left";
        let start = std::time::Instant::now();
        let check = |verdict, saw: String| {
            let seconds = aws.elapsed(start.elapsed()).as_secs_f64();
            Check { seconds, ..Check::new("nothing-left", verdict, expected, saw) }
        };
        loop {
            let left = match self.remove_once(aws, stack).await {
                Ok(left) if left.is_empty() => match net::fold(aws, stack).await {
                    Ok(None) => return check(Verdict::Passed, "nothing is left".to_owned()),
                    Ok(Some(left)) => left,
                    Err(error) => format!("{error:#}"),
                },
                Ok(left) => left.join(", "),
                Err(error) => format!("{error:#}"),
            };
            if aws.elapsed(start.elapsed()) > REMOVED_WITHIN {
                let how = format!("cargo verify --stack {} --account {} --clean", stack.name, stack.caller.account);
                return check(Verdict::Failed, format!("left: {left}; try {how}"));
            }
            say(&format!("removing {left}"));
            aws.sleep(LOOK_EVERY).await;
        }
    }

    /// Removes what can be removed now, and names all that is there.
    async fn remove_once(&self, aws: &Aws, stack: &Stack) -> Result<Vec<String>> {
        let mut left = remove_outside(aws, &self.stack, stack.topic().as_deref()).await?;
        for machine in ["LifecycleMachine", "CreateMachine"] {
            for arn in running(aws, stack.id(machine)?).await? {
                let cause = "the proof that started it is over";
                done(aws.call(STEP_FUNCTIONS, "StopExecution", json!({"executionArn": arn, "cause": cause})).await)?;
                left.push(arn);
            }
        }
        for instance in instances(aws, &self.stack).await? {
            done(aws.call(EC2, "TerminateInstances", json!({"InstanceId": [instance]})).await)?;
            left.push(instance);
        }
        for image in found(aws, &self.stack, "DescribeImages", "imagesSet", "imageId").await? {
            let protection = json!({"ImageId": image});
            // Where there is none, EC2 says so.
            let _ = aws.call(EC2, "DisableImageDeregistrationProtection", protection).await;
            let arguments = json!({"ImageId": image, "DeleteAssociatedSnapshots": true});
            done(aws.call(EC2, "DeregisterImage", arguments).await)?;
            left.push(image);
        }
        for snapshot in found(aws, &self.stack, "DescribeSnapshots", "snapshotSet", "snapshotId").await? {
            done(aws.call(EC2, "DeleteSnapshot", json!({"SnapshotId": snapshot})).await)?;
            left.push(snapshot);
        }
        for volume in found(aws, &self.stack, "DescribeVolumes", "volumeSet", "volumeId").await? {
            done(aws.call(EC2, "DeleteVolume", json!({"VolumeId": volume})).await)?;
            left.push(volume);
        }
        Ok(left)
    }
}

/// Removes the schedules, rules and queues of the stack's proofs, and names them.
async fn remove_outside(aws: &Aws, stack: &str, topic: Option<&str>) -> Result<Vec<String>> {
    let is_ours = |value: &Value| text(value).starts_with(&format!("{stack}/"));
    let mut left = vec![];
    let listed = aws.rest(SCHEDULER, "GET", &format!("/schedules?NamePrefix={}", PREFIX), Value::Null).await?;
    for schedule in items(&listed["Schedules"]) {
        let path = format!("/schedules/{}", text(&schedule["Name"]));
        if is_ours(&aws.rest(SCHEDULER, "GET", &path, Value::Null).await?["Description"]) {
            aws.rest(SCHEDULER, "DELETE", &path, Value::Null).await?;
            left.push(text(&schedule["Name"]).to_owned());
        }
    }
    let listed = aws.call(EVENTBRIDGE, "ListRules", json!({"NamePrefix": PREFIX})).await?;
    for rule in items(&listed["Rules"]).iter().filter(|rule| is_ours(&rule["Description"])) {
        let targets = json!({"Rule": rule["Name"], "Ids": ["Queue"]});
        aws.call(EVENTBRIDGE, "RemoveTargets", targets).await?;
        aws.call(EVENTBRIDGE, "DeleteRule", json!({"Name": rule["Name"]})).await?;
        left.push(text(&rule["Name"]).to_owned());
    }
    let listed = aws.call(SQS, "ListQueues", json!({"QueueNamePrefix": PREFIX})).await?;
    for queue in items(&listed["QueueUrls"]) {
        let tags = aws.call(SQS, "ListQueueTags", json!({"QueueUrl": queue})).await?;
        if !is_ours(&tags["Tags"][TAG]) {
            continue;
        }
        let name = text(queue).rsplit('/').next().unwrap_or_default().to_owned();
        if let Some(topic) = topic {
            let listed = aws.call(SNS, "ListSubscriptionsByTopic", json!({"TopicArn": topic})).await?;
            let subscriptions = items(&listed["Subscriptions"]).iter();
            for one in subscriptions.filter(|one| text(&one["Endpoint"]).ends_with(&format!(":{name}"))) {
                aws.call(SNS, "Unsubscribe", json!({"SubscriptionArn": one["SubscriptionArn"]})).await?;
            }
        }
        aws.call(SQS, "DeleteQueue", json!({"QueueUrl": queue})).await?;
        left.push(name);
    }
    Ok(left)
}

/// What is gone already, or still in use, is no failure: the next look tells.
fn done(answer: Result<Value>) -> Result<()> {
    match answer {
        Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.status == 400) => Ok(()),
        answer => answer.map(drop),
    }
}

/// The executions of proofs that are running.
async fn running(aws: &Aws, machine: &str) -> Result<Vec<String>> {
    let arguments = json!({"stateMachineArn": machine, "statusFilter": "RUNNING"});
    let answer = aws.call(STEP_FUNCTIONS, "ListExecutions", arguments).await?;
    let is_ours = |one: &&Value| text(&one["name"]).starts_with(PREFIX);
    Ok(items(&answer["executions"]).iter().filter(is_ours).map(|one| text(&one["executionArn"]).to_owned()).collect())
}

fn filter(stack: &str) -> Value {
    json!([{"Name": format!("tag:{TAG}"), "Value": [format!("{stack}/*")]}])
}

/// The ids of what has the tag of a proof of the stack.
async fn found(aws: &Aws, stack: &str, action: &str, set: &str, id: &str) -> Result<Vec<String>> {
    let mut arguments = json!({"Filter": filter(stack)});
    match action {
        "DescribeImages" => {
            arguments["Owner"] = json!(["self"]);
            arguments["IncludeDisabled"] = json!(true);
        }
        "DescribeSnapshots" => arguments["Owner"] = json!(["self"]),
        _ => {}
    }
    let answer = aws.call(EC2, action, arguments).await?;
    Ok(items(&answer[set]).iter().map(|one| text(&one[id]).to_owned()).collect())
}

async fn instances(aws: &Aws, stack: &str) -> Result<Vec<String>> {
    let answer = aws.call(EC2, "DescribeInstances", json!({"Filter": filter(stack)})).await?;
    let all = items(&answer["reservationSet"]).iter().flat_map(|one| items(&one["instancesSet"]));
    let there = all.filter(|one| text(&one["instanceState"]["name"]) != "terminated");
    Ok(there.map(|one| text(&one["instanceId"]).to_owned()).collect())
}

async fn default_subnet(aws: &Aws) -> Result<String> {
    let filter = json!([{"Name": "default-for-az", "Value": ["true"]}]);
    let answer = aws.call(EC2, "DescribeSubnets", json!({"Filter": filter})).await?;
    match items(&answer["subnetSet"]).first() {
        Some(subnet) => Ok(text(&subnet["subnetId"]).to_owned()),
        None => bail!("the Region has no default subnet: give one with --subnet"),
    }
}

/// Bytes as base64 has them.
fn base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}
