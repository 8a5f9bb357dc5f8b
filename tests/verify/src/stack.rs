//! The stack as CloudFormation tells of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::aws::{Aws, CLOUDFORMATION, STS, items, text};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// The user's or role's ARN.
    pub arn: String,
}

impl Caller {
    /// Whom the credentials belong to.
    pub async fn ask(aws: &Aws) -> Result<Self> {
        let answer = aws.call(STS, "GetCallerIdentity", json!({})).await?;
        Ok(Self { account: text(&answer["Account"]).to_owned(), arn: text(&answer["Arn"]).to_owned() })
    }

    /// `aws`, `aws-cn` or another one.
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }
}

/// A resource of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Such as `AWS::Lambda::Function`.
    pub kind: String,
    /// Its physical id.
    pub id: String,
}

/// A deployed stack.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Such as `CREATE_COMPLETE`.
    pub status: String,
    /// Its parameters' values.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs' values.
    pub outputs: BTreeMap<String, String>,
    /// Its resources, by their names in the template.
    pub resources: BTreeMap<String, Resource>,
    /// Who asks for it.
    pub caller: Caller,
    /// Its Region.
    pub region: String,
}

impl Stack {
    /// Asks CloudFormation.
    pub async fn ask(aws: &Aws, caller: Caller, name: &str) -> Result<Self> {
        let answer = aws.call(CLOUDFORMATION, "DescribeStacks", json!({"StackName": name})).await?;
        let stack = items(&answer["Stacks"]).first().context("CloudFormation tells nothing of the stack")?;
        let pairs = |list: &str, key: &str, value: &str| {
            let pair = |item: &Value| (text(&item[key]).to_owned(), text(&item[value]).to_owned());
            items(&stack[list]).iter().map(pair).collect()
        };
        Ok(Self {
            // Who asks may give its ARN.
            name: text(&stack["StackName"]).to_owned(),
            status: text(&stack["StackStatus"]).to_owned(),
            parameters: pairs("Parameters", "ParameterKey", "ParameterValue"),
            outputs: pairs("Outputs", "OutputKey", "OutputValue"),
            resources: resources(aws, name).await?,
            caller,
            region: aws.region.clone(),
        })
    }

    /// One that is not there any more.
    pub fn gone(aws: &Aws, caller: Caller, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: "DELETE_COMPLETE".to_owned(),
            parameters: BTreeMap::new(),
            outputs: BTreeMap::new(),
            resources: BTreeMap::new(),
            caller,
            region: aws.region.clone(),
        }
    }

    /// A parameter is set so.
    pub fn is(&self, parameter: &str, value: &str) -> bool {
        self.parameters.get(parameter).is_some_and(|is| is == value)
    }

    /// An output, or an empty text.
    pub fn output(&self, key: &str) -> &str {
        self.outputs.get(key).map_or("", String::as_str)
    }

    /// The physical id of a resource.
    pub fn id(&self, logical_id: &str) -> Result<&str> {
        let resource = self.resources.get(logical_id);
        Ok(&resource.with_context(|| format!("the stack has no {logical_id}"))?.id)
    }

    /// The topic that is told of failed runs: the stack's own, or the user's.
    pub fn topic(&self) -> Option<String> {
        let own = self.resources.get("NotificationTopic").map(|topic| topic.id.clone());
        own.or_else(|| self.parameters.get("NotificationTopicArn").cloned()).filter(|arn| !arn.is_empty())
    }

    /// The names and ids of the resources of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.resources.iter().filter(move |(_, resource)| resource.kind == kind);
        all.map(|(name, resource)| (name.as_str(), resource.id.as_str()))
    }

    /// ARN of something in the account and Region.
    pub fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{rest}", self.caller.partition(), self.region, self.caller.account)
    }

    /// ARN of an image or a snapshot, which has no account.
    pub fn ec2_arn(&self, rest: &str) -> String {
        format!("arn:{}:ec2:{}::{rest}", self.caller.partition(), self.region)
    }

    /// ARN of a role.
    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", self.caller.partition(), self.caller.account)
    }

    /// ARN of a run of this stack.
    pub fn run_arn(&self, name: &str) -> String {
        self.arn("states", &format!("execution:{}-lifecycle:{name}", self.name))
    }
}

async fn resources(aws: &Aws, name: &str) -> Result<BTreeMap<String, Resource>> {
    let (mut resources, mut token) = (BTreeMap::new(), Value::Null);
    loop {
        let arguments = json!({"StackName": name, "NextToken": token});
        let answer = aws.call(CLOUDFORMATION, "ListStackResources", arguments).await?;
        for resource in items(&answer["StackResourceSummaries"]) {
            let of = |field: &str| text(&resource[field]).to_owned();
            let (kind, id) = (of("ResourceType"), of("PhysicalResourceId"));
            resources.insert(of("LogicalResourceId"), Resource { kind, id });
        }
        token = answer["NextToken"].clone();
        if text(&token).is_empty() {
            return Ok(resources);
        }
    }
}
