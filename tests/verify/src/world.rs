//! What a proof makes: an instance of its own, and through the stack images of it. All of it has one tag, by which it
//! is found and removed.

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    aws::{Aws, EC2, Refusal, SSM, items, text},
    stack::Stack,
};

/// The key of the tag that everything has.
pub const TAG: &str = "verify-ami-from-instance";
/// What the names of its executions and images begin with.
pub const PREFIX: &str = "cargo-verify-";

/// How long what it makes may live.
const EXPIRES_AFTER: Duration = Duration::from_secs(3 * 3600);

/// EC2 begins a snapshot of a volume only some 15 seconds after the one before (error code
/// SnapshotCreationPerVolumeRateExceeded, Amazon EC2 API Reference).
const BETWEEN_IMAGES: Duration = Duration::from_secs(20);

/// The images that AWS publishes, and the types that boot them: the first that the Region has is taken.
const MACHINES: [(&str, &str); 3] = [
    ("t4g.nano", "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-arm64"),
    ("t3.nano", "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64"),
    ("t2.nano", "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64"),
];

/// What is made in one proof.
#[derive(Debug)]
pub struct World {
    stack: String,
    id: String,
    subnet: Option<String>,
    net: OnceLock<String>,
    /// Held by who is about to have an image made of the instance.
    turn: Mutex<()>,
}

impl World {
    /// One that nothing is in yet.
    pub fn new(stack: &str, subnet: Option<String>) -> Self {
        let digit = || fastrand::alphanumeric().to_ascii_lowercase();
        Self {
            stack: stack.to_owned(),
            id: std::iter::repeat_with(digit).take(8).collect(),
            subnet,
            net: OnceLock::new(),
            turn: Mutex::default(),
        }
    }

    /// Waits until the next image of the instance may be made.
    pub async fn turn(&self, aws: &Aws) {
        let _turn = self.turn.lock().await;
        aws.sleep(BETWEEN_IMAGES).await;
    }

    /// The tag's value.
    pub fn value(&self) -> String {
        format!("{}/{}", self.stack, self.id)
    }

    /// The tag.
    pub fn tag(&self) -> String {
        format!("{TAG} = {}", self.value())
    }

    /// The tag, as EC2's Query API takes it.
    pub fn tags(&self) -> Value {
        json!([{"Key": TAG, "Value": self.value()}])
    }

    /// A name that nothing else has.
    pub fn name(&self, what: &str) -> String {
        format!("{PREFIX}{}-{what}", self.id)
    }

    /// The id of the net's stack, if its making was answered.
    pub fn net(&self) -> Option<&str> {
        self.net.get().map(String::as_str)
    }

    /// Whose what it makes is named as.
    pub fn prefix(&self) -> String {
        format!("{PREFIX}{}-", self.id)
    }

    /// Notes the id of the net's stack.
    pub fn has_net(&self, id: &str) {
        let _ = self.net.set(id.to_owned());
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
            let Some(image) = newest_image(aws, parameter).await? else { continue };
            let arguments = self.instance(stack, instance_type, &image, &subnet);
            match aws.call(EC2, "RunInstances", arguments).await {
                Ok(answer) => {
                    let id = items(&answer["instancesSet"]).first().map(|instance| text(&instance["instanceId"]));
                    return Ok(id.context("EC2 has run no instance")?.to_owned());
                }
                // Not every Zone has every type.
                Err(error) => match Refusal::of(&error) {
                    Some(refusal) if refusal.status == 400 || refusal.code == "InsufficientInstanceCapacity" => {
                        last = Some(error);
                    }
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
            "UserData": base64(ends_itself(minutes).as_bytes()),
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
}

/// The image that AWS publishes as a parameter, if the Region has it.
async fn newest_image(aws: &Aws, parameter: &str) -> Result<Option<String>> {
    match aws.call(SSM, "GetParameter", json!({"Name": parameter})).await {
        Ok(answer) => Ok(Some(text(&answer["Parameter"]["Value"]).to_owned())),
        Err(error) if Refusal::of(&error).is_some_and(Refusal::is_not_there) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn default_subnet(aws: &Aws) -> Result<String> {
    let filter = json!([{"Name": "default-for-az", "Value": ["true"]}]);
    let answer = aws.call(EC2, "DescribeSubnets", json!({"Filter": filter})).await?;
    match items(&answer["subnetSet"]).first() {
        Some(subnet) => Ok(text(&subnet["subnetId"]).to_owned()),
        None => bail!("the Region has no default subnet: give one with --subnet"),
    }
}

/// At each boot, a timer of systemd; or a shutdown, where there is none.
fn ends_itself(minutes: u64) -> String {
    let timer = format!("systemd-run --on-active={minutes}m systemctl poweroff");
    format!("#cloud-boothook\n#!/bin/sh\n{timer} || shutdown -h +{minutes}\n")
}

/// Bytes as base64 has them.
fn base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}
