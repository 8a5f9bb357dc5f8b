//! A run: one execution of the lifecycle machine, and the child executions it starts.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The tag that CreateImage puts on the image and every snapshot; its value is the run.
pub const RUN_TAG: &str = "ami-from-instance:run";
/// The tag of what a rollback is about to remove.
pub const ROLLED_BACK_TAG: &str = "ami-from-instance:rolled-back";

/// The longest name an execution of the lifecycle machine may have: a child's name is its parent's
/// and up to seven characters, and Step Functions allows 80.
const MAX_NAME: usize = 73;

/// A run, known by its execution ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Run(String);

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

    /// Whether the run is an execution of the machine `machine_arn`.
    pub fn is_of(&self, machine_arn: &str) -> bool {
        let prefix = format!("{}:", machine_arn.replacen(":stateMachine:", ":execution:", 1));
        self.0.strip_prefix(&prefix).is_some_and(|name| !name.is_empty() && !name.contains(':'))
    }

    /// The ARN of the execution of the operation machine that does the plan's operation at a position,
    /// from 1 on. The lifecycle machine names it the same way.
    pub fn operation(&self, operation_machine_arn: &str, position: usize) -> String {
        self.child(operation_machine_arn, &position.to_string())
    }

    /// The ARN of the execution of the operation machine that rolls the run back.
    pub fn rollback(&self, operation_machine_arn: &str) -> String {
        self.child(operation_machine_arn, "undo")
    }

    fn child(&self, operation_machine_arn: &str, suffix: &str) -> String {
        let machine = operation_machine_arn.replacen(":stateMachine:", ":execution:", 1);
        format!("{machine}:{}-{suffix}", self.name())
    }

    /// Refuses a name that leaves no room for the children's.
    ///
    /// # Errors
    ///
    /// `InvalidRequest`.
    pub fn check_name(&self) -> Result<(), Error> {
        let length = self.name().chars().count();
        if length <= MAX_NAME {
            return Ok(());
        }
        let problem =
            format!("must have at most {MAX_NAME} characters, so that its child executions can be named after it");
        Err(Error::invalid("the execution's name", format!("{problem}; this one has {length}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFECYCLE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:ami-lifecycle";
    const OPERATION: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:ami-operation";

    #[test]
    fn a_child_is_named_after_its_run_and_its_position() {
        let run = Run::new("arn:aws:states:eu-west-1:123456789012:execution:ami-lifecycle:nightly");
        let of_operation = "arn:aws:states:eu-west-1:123456789012:execution:ami-operation:nightly";
        assert_eq!(run.operation(OPERATION, 2), format!("{of_operation}-2"));
        assert_eq!(run.rollback(OPERATION), format!("{of_operation}-undo"));
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
