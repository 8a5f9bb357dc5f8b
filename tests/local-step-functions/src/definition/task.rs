//! What distinguishes a Task: its resource, its arguments, its timeout, and what happens when it fails.

use serde_json::Value;

use super::{
    Catcher, DefinitionError, Retrier,
    fields::Fields,
    retry::{catchers, retriers},
};
use crate::template::Template;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    pub(crate) resource: Resource,
    /// An object.
    pub(crate) arguments: Template,
    pub(crate) timeout_seconds: Option<Template>,
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
}

/// What a Task calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// `lambda:invoke`
    InvokeFunction,
    /// `events:putEvents`
    PutEvents,
    /// `events:putEvents.waitForTaskToken`
    PutEventsAndWait,
    /// `states:startExecution.sync:2`
    RunExecution,
    /// `aws-sdk:sfn:describeExecution`
    DescribeExecution,
}

impl Resource {
    /// All that are supported.
    pub const ALL: [Self; 5] =
        [Self::InvokeFunction, Self::PutEvents, Self::PutEventsAndWait, Self::RunExecution, Self::DescribeExecution];

    /// As events of a history write it: the type of the resource, and the resource.
    #[must_use]
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::InvokeFunction => ("lambda", "invoke"),
            Self::PutEvents => ("events", "putEvents"),
            Self::PutEventsAndWait => ("events", "putEvents.waitForTaskToken"),
            Self::RunExecution => ("states", "startExecution.sync:2"),
            Self::DescribeExecution => ("aws-sdk:sfn", "describeExecution"),
        }
    }

    /// Whether its answer comes with a token.
    pub(crate) fn waits_for_token(self) -> bool {
        self == Self::PutEventsAndWait
    }

    /// The arguments that it takes, and whether each must be given.
    fn arguments(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::InvokeFunction => &[("FunctionName", true), ("Payload", false)],
            Self::PutEvents | Self::PutEventsAndWait => &[("Entries", true)],
            Self::RunExecution => &[("StateMachineArn", true), ("Name", false), ("Input", false)],
            Self::DescribeExecution => &[("ExecutionArn", true)],
        }
    }

    /// From an ARN such as `arn:aws:states:::lambda:invoke`.
    fn from_arn(arn: &str) -> Option<Self> {
        let (partition, resource) = arn.strip_prefix("arn:")?.split_once(":states:::")?;
        let known = matches!(partition, "aws" | "aws-cn" | "aws-us-gov") || partition.starts_with("aws-iso");
        Self::ALL.into_iter().find(|candidate| {
            let (kind, name) = candidate.names();
            known && resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':')) == Some(name)
        })
    }
}

pub(super) fn task(fields: &mut Fields<'_>) -> Result<Task, DefinitionError> {
    let arn = fields.required_text("Resource")?;
    let resource =
        Resource::from_arn(&arn).ok_or_else(|| fields.error("Resource", format!("{arn} is not supported")))?;
    let arguments = fields.template("Arguments")?.unwrap_or_else(|| Template::Object(Vec::new()));
    let Template::Object(given) = &arguments else {
        return Err(fields.error("Arguments", "must be an object"));
    };
    for (name, template) in given {
        if !resource.arguments().iter().any(|(known, _)| known == name) {
            return Err(fields.error(&format!("Arguments/{name}"), "is no argument that is supported"));
        }
        let text = matches!(template, Template::Expression(_) | Template::Literal(Value::String(_)));
        if name != "Payload" && name != "Input" && name != "Entries" && !text {
            return Err(fields.error(&format!("Arguments/{name}"), "must be a string"));
        }
    }
    for (name, _) in resource.arguments().iter().filter(|(_, required)| *required) {
        if !given.iter().any(|(argument, _)| argument == name) {
            return Err(fields.error(&format!("Arguments/{name}"), "is missing"));
        }
    }
    let timeout_seconds = fields.seconds("TimeoutSeconds", 1)?;
    let (retry, catch) = (retriers(fields)?, catchers(fields)?);
    Ok(Task { resource, arguments, timeout_seconds, retry, catch })
}
