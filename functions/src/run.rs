//! A run: one execution of the lifecycle machine, and the child executions it starts.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The tag that CreateImage puts on the image and every snapshot; its value is the run.
pub const RUN_TAG: &str = "ami-from-instance:run";

/// The longest name an execution of the lifecycle machine may have: a child's name is its parent's
/// plus up to seven characters, and Step Functions allows 80.
const MAX_NAME: usize = 73;

/// A run, known by its execution ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Run(String);

/// What one child execution of a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// Make an image.
    Create,
    /// Change an image's tags, description or deprecation time.
    Update,
    /// Remove an image and its snapshots.
    Delete,
    /// Remove what a create of the run made.
    Rollback,
}

impl Operation {
    /// What a run adds to its own name for the child's; the lifecycle machine says the same.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Create => "-create",
            Self::Update => "-update",
            Self::Delete => "-delete",
            Self::Rollback => "-undo",
        }
    }
}

impl Run {
    /// The run of an execution ARN
    /// (`arn:<partition>:states:<region>:<account>:execution:<machine>:<name>`).
    pub fn new(execution_arn: impl Into<String>) -> Self {
        Self(execution_arn.into())
    }

    /// The execution ARN.
    pub fn arn(&self) -> &str {
        &self.0
    }

    /// The execution's name.
    pub fn name(&self) -> &str {
        self.0.rsplit(':').next().unwrap_or_default()
    }

    /// What fits every run of this one's machine, in a filter of EC2.
    pub(crate) fn pattern_of_all(&self) -> String {
        let machine = self.0.rsplit_once(':').map_or("", |(machine, _)| machine);
        format!("{machine}:*")
    }

    /// Whether the run is an execution of the machine `machine_arn`.
    pub fn is_of(&self, machine_arn: &str) -> bool {
        let prefix = format!("{}:", machine_arn.replacen(":stateMachine:", ":execution:", 1));
        self.0.strip_prefix(&prefix).is_some_and(|name| !name.is_empty() && !name.contains(':'))
    }

    /// The ARN of the run's child execution of the operation machine.
    pub fn child(&self, operation_machine_arn: &str, operation: Operation) -> String {
        let machine = operation_machine_arn.replacen(":stateMachine:", ":execution:", 1);
        format!("{machine}:{}{}", self.name(), operation.suffix())
    }

    /// Refuses a name that leaves no room for the children's.
    pub fn check_name(&self) -> Result<(), Error> {
        let length = self.name().chars().count();
        if length <= MAX_NAME {
            return Ok(());
        }
        let problem =
            format!("at most {MAX_NAME} characters are allowed, so that its child executions can be named after it");
        Err(Error::invalid("the execution's name", format!("{problem}; this one has {length}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFECYCLE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:ami-lifecycle";
    const OPERATION: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:ami-operation";

    #[test]
    fn a_child_is_named_after_its_run() {
        let run = Run::new("arn:aws:states:eu-west-1:123456789012:execution:ami-lifecycle:nightly");
        assert_eq!(
            run.child(OPERATION, Operation::Create),
            "arn:aws:states:eu-west-1:123456789012:execution:ami-operation:nightly-create"
        );
    }

    #[test]
    fn a_run_is_of_one_machine_only() {
        let run = Run::new("arn:aws:states:eu-west-1:123456789012:execution:ami-lifecycle:nightly");
        assert!(run.is_of(LIFECYCLE));
        assert!(!run.is_of(OPERATION));
        let neighbour = Run::new("arn:aws:states:eu-west-1:123456789012:execution:ami-lifecycle-2:nightly");
        assert!(!neighbour.is_of(LIFECYCLE));
    }

    #[test]
    fn a_name_without_room_for_its_children_is_refused() {
        let arn = |length| format!("arn:aws:states:eu-west-1:123456789012:execution:m:{}", "n".repeat(length));
        assert!(Run::new(arn(73)).check_name().is_ok());
        assert_eq!(Run::new(arn(74)).check_name().unwrap_err().name(), "InvalidRequest");
    }
}
