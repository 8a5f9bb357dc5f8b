//! Why a run fails, told by how its operation's execution ended.

use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::Value;

use super::{FailedOperation, Planned, children::STOPPED_BY_ROLLBACK};
use crate::{
    error::{Error, Failure},
    operations::{ended_run::Child, timed_out, timeout_of},
};

/// What a state catches when its timeout ends it.
const TIMEOUT: &str = "States.Timeout";
/// What it catches when the execution has ended badly.
const TASK_FAILED: &str = "States.TaskFailed";
/// Why an operation has not done anything.
const NOT_BEGUN: &str = "it had not begun";
/// Why an operation counts as late that has done all it was to do.
const DONE_LATER: &str = "it was done only after that";
/// What begins the errors of Step Functions itself, which no execution may fail with.
const RESERVED: &str = "States.";

/// Whether Step Functions shows how the operation's execution has ended, as far as the machine knows that it has.
pub(super) fn shows(failed: &FailedOperation, children: &[Child]) -> bool {
    let child = children.get(failed.position.wrapping_sub(1));
    child.is_some_and(|child| failed.caught.name != TASK_FAILED || child.status != ExecutionStatus::Running)
}

/// The error that a run fails with after its operation, as its execution shows it before anybody stops it.
pub(super) fn of(failed: &FailedOperation, children: &[Child]) -> Failure {
    let child = children.get(failed.position.wrapping_sub(1));
    let failure = match child {
        Some(child) => of_child(failed, child),
        None if failed.caught.name == TIMEOUT => late(failed, &failed.planned.arguments, NOT_BEGUN.to_owned()),
        None => caught(failed),
    };
    with_note(failure, &failed.planned.note)
}

/// The error where nobody tells how the operation's execution ended.
pub(super) fn untold(failed: &FailedOperation) -> Failure {
    with_note(caught(failed), &failed.planned.note)
}

/// The error that the machine's state caught, where the execution tells nothing.
fn caught(failed: &FailedOperation) -> Failure {
    let execution = format!("of the {} (operation {} of the run)", failed.planned.operation, failed.position);
    let reason = format!("{}: {}", failed.caught.name, failed.caught.message);
    Error::OperationFailed { execution, reason }.into()
}

/// The error of an operation that its timeout ended.
fn late(failed: &FailedOperation, arguments: &Value, reason: String) -> Failure {
    let Planned { operation, timeout_seconds, .. } = &failed.planned;
    let late = || Error::TimedOut {
        operation: operation.clone(),
        field: format!("timeouts.{}", timeout_of(operation)),
        seconds: *timeout_seconds,
        reason: reason.clone(),
    };
    timed_out(operation, arguments, &reason).unwrap_or_else(late).into()
}

fn of_child(failed: &FailedOperation, child: &Child) -> Failure {
    let reason = match child.status {
        ExecutionStatus::Succeeded => DONE_LATER.to_owned(),
        _ => child.reason.clone().unwrap_or_else(|| NOT_BEGUN.to_owned()),
    };
    let stopped_by_us = child.error.as_deref() == Some(STOPPED_BY_ROLLBACK);
    let has_timed_out = failed.caught.name == TIMEOUT || child.status == ExecutionStatus::TimedOut;
    match child.status {
        ExecutionStatus::Aborted if !has_timed_out && !stopped_by_us => {
            Error::OperationStopped { execution: child.arn.clone(), reason }.into()
        }
        ExecutionStatus::Failed => {
            let (error, cause) = (child.error.clone().unwrap_or_default(), child.cause.clone().unwrap_or_default());
            if error.is_empty() || error.starts_with(RESERVED) {
                let reason = format!("{error}: {cause}");
                Error::OperationFailed { execution: child.arn.clone(), reason }.into()
            } else {
                Failure { name: error, message: cause }
            }
        }
        // It ran on after its timeout, until somebody stopped it, or to its end.
        ExecutionStatus::Aborted
        | ExecutionStatus::Running
        | ExecutionStatus::Succeeded
        | ExecutionStatus::TimedOut
            if has_timed_out =>
        {
            late(failed, &child.arguments, reason)
        }
        _ => caught(failed),
    }
}

fn with_note(failure: Failure, note: &str) -> Failure {
    if note.is_empty() {
        return failure;
    }
    Failure { message: format!("{}; {note}", failure.message), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: &str) -> FailedOperation {
        FailedOperation {
            position: 1,
            planned: Planned {
                operation: "create".into(),
                arguments: Value::Null,
                timeout_seconds: 180,
                keeps_image: false,
                note: "ami-1 still exists".into(),
            },
            caught: Failure { name: error.into(), message: String::new() },
        }
    }

    fn child(status: ExecutionStatus, error: &str) -> Child {
        Child {
            arn: "arn:child".into(),
            operation: "create".into(),
            arguments: Value::Null,
            status,
            ended: None,
            error: Some(error.into()),
            cause: Some("the name is taken".into()),
            keeps_image: false,
            reason: Some("EC2 has made 43 % of the slowest snapshot".into()),
            memory: Value::Null,
        }
    }

    #[test]
    fn the_error_says_how_the_execution_ended_what_it_waited_for_and_the_plans_note() {
        let timed_out = "TimedOut: the create took longer than its timeout of 180 seconds (timeouts.create): EC2 has made 43 % of the slowest snapshot; ami-1 still exists";
        let done_later = "TimedOut: the create took longer than its timeout of 180 seconds (timeouts.create): it was done only after that; ami-1";
        let not_started =
            "OperationFailed: the execution of the create (operation 1 of the run) failed: StepFunctions.AccessDenied";
        for (caught, status, error, expected) in [
            ("States.TaskFailed", ExecutionStatus::Failed, "NameTaken", "NameTaken: the name is taken; ami-1"),
            ("States.Timeout", ExecutionStatus::Running, "", timed_out),
            ("States.Timeout", ExecutionStatus::Aborted, "States.TaskAborted", timed_out),
            ("States.Timeout", ExecutionStatus::Succeeded, "", done_later),
            // A first attempt of the rollback stopped it, and its answer was lost.
            ("States.Timeout", ExecutionStatus::Aborted, "RolledBack", timed_out),
            // The machine was told that it had not started, and it had.
            ("StepFunctions.AccessDenied", ExecutionStatus::Aborted, "RolledBack", not_started),
            ("StepFunctions.AccessDenied", ExecutionStatus::Running, "", not_started),
            ("States.TaskFailed", ExecutionStatus::TimedOut, "States.Timeout", timed_out),
            (
                "States.TaskFailed",
                ExecutionStatus::Aborted,
                "",
                "OperationStopped: the execution arn:child was stopped",
            ),
            (
                "States.TaskFailed",
                ExecutionStatus::Failed,
                "States.Runtime",
                "OperationFailed: the execution arn:child",
            ),
        ] {
            let failure = of(&failed(caught), &[child(status, error)]);
            let text = format!("{}: {}", failure.name, failure.message);
            assert!(text.starts_with(expected), "{text}");
        }
    }

    #[test]
    fn a_start_that_its_timeout_ends_says_that_the_instance_does_not_run() {
        let start = Child {
            operation: "start".into(),
            arguments: serde_json::json!({"sourceInstanceId": "i-1"}),
            reason: Some("no place".into()),
            ..child(ExecutionStatus::Aborted, "States.TaskAborted")
        };
        let mut failed = failed("States.Timeout");
        failed.planned.operation.clone_from(&start.operation);
        let failure = of(&failed, &[start]);
        assert_eq!(failure.name, "InstanceNotRestarted");
        assert!(failure.message.starts_with("i-1, which the run stopped, does not run again: no place, until"));
    }

    #[test]
    fn an_operation_that_never_started_fails_with_what_the_machine_caught() {
        let failure = of(&failed("StepFunctions.ExecutionLimitExceededException"), &[]);
        assert_eq!(failure.name, "OperationFailed");
        assert!(failure.message.contains("StepFunctions.ExecutionLimitExceededException"), "{}", failure.message);
        let failure = of(&failed("States.Timeout"), &[]);
        assert_eq!(failure.name, "TimedOut");
        assert!(failure.message.contains("(timeouts.create): it had not begun"), "{}", failure.message);
    }
}
