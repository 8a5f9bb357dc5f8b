//! A run that is rolled back, as Step Functions shows it, and what its operations' documents hold.

use aws_sdk_ec2::types::Image;
use aws_sdk_sfn::{primitives::DateTime, types::ExecutionStatus};
use serde_json::Value;

use super::Operation;
use crate::{
    aws::ec2,
    model::{run::Run, tags},
};

/// A run whose operations do not go on any more.
#[derive(Debug)]
pub struct EndedRun {
    /// The run.
    pub run: Run,
    /// When it started.
    pub started: DateTime,
    /// For how long its rollback has waited, in seconds.
    pub waited: u64,
    /// Whether the run itself asks for its rollback, and so knows which operations it started.
    pub rolls_itself_back: bool,
    /// Whether it ends because it could not start its instance again: the rule for ended runs and the sweep go on.
    pub has_given_up: bool,
    /// Whether its image stays: only what is not the image is undone.
    pub keeps_image: bool,
    /// Its operations, in the order in which they began.
    pub children: Vec<Child>,
}

/// One operation's execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its ARN.
    pub arn: String,
    /// The operation's name.
    pub operation: String,
    /// What the plan said about it.
    pub arguments: Value,
    /// How it ended, or that it was stopped now.
    pub status: ExecutionStatus,
    /// When it ended.
    pub ended: Option<DateTime>,
    /// Its error's name.
    pub error: Option<String>,
    /// Its error's cause.
    pub cause: Option<String>,
    /// Whether the run keeps its image from the operation's beginning on.
    pub keeps_image: bool,
    /// What it was waiting for.
    pub reason: Option<String>,
    /// The operation's memory.
    pub memory: Value,
}

/// What an execution of one operation has left for its rollback.
pub(crate) struct Document<'a, O: Operation> {
    /// What the plan said about it; none where another version said it otherwise.
    pub(crate) arguments: Option<O::Arguments>,
    /// The operation's memory, as far as its history shows it.
    pub(crate) memory: O::Memory,
    /// How the execution ended.
    pub(crate) status: &'a ExecutionStatus,
    /// When the execution ended.
    pub(crate) ended: Option<DateTime>,
    /// Its error's name.
    pub(crate) error: Option<&'a str>,
}

impl EndedRun {
    /// Whether the run made the image: it carries its tag, and is not older. An execution's name, and so its ARN, can
    /// be used again after 90 days.
    pub(crate) fn made(&self, image: &Image) -> bool {
        tags::run_of(image.tags()) == Some(self.run.arn())
            && ec2::is_since(ec2::time(image.creation_date()), Some(self.started))
    }

    /// The documents of one operation, of which a plan may have more than one.
    pub(crate) fn documents<O: Operation>(&self) -> Vec<Document<'_, O>> {
        let children = self.children.iter().filter(|child| child.operation == O::NAME);
        children
            .map(|child| Document {
                arguments: serde_json::from_value(child.arguments.clone()).ok(),
                // What another version's memory does not tell is found by its tag.
                memory: serde_json::from_value(child.memory.clone()).unwrap_or_default(),
                status: &child.status,
                ended: child.ended,
                error: child.error.as_deref(),
            })
            .collect()
    }
}
