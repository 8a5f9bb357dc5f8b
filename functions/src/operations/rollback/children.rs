//! The executions of a run's operations: how each ended, and what it last knew.

use aws_sdk_sfn::{Client, operation::describe_execution::DescribeExecutionOutput, types::ExecutionStatus};
use serde::Deserialize;
use serde_json::Value;

use super::{Arguments, FailedOperation};
use crate::{aws::step_functions, error::Error, model::run::Run, operations::ended_run::Child};

/// What a rollback stops an execution with, so that a later look knows who did it.
pub(super) const STOPPED_BY_ROLLBACK: &str = "RolledBack";

/// The run's operations, in the order in which they began.
pub(super) async fn of(client: &Client, operation_machine_arn: &str, run: &Run) -> Result<Vec<Child>, Error> {
    let mut children = vec![];
    for execution in executions(client, operation_machine_arn, run).await? {
        let latest = step_functions::latest_input(client, execution.execution_arn()).await?;
        children.push(child(execution, latest.as_deref()));
    }
    Ok(children)
}

/// Their executions, in the order in which they began.
pub(super) async fn executions(
    client: &Client,
    operation_machine_arn: &str,
    run: &Run,
) -> Result<Vec<DescribeExecutionOutput>, Error> {
    let mut executions = vec![];
    loop {
        let arn = run.operation(operation_machine_arn, executions.len() + 1);
        let Some(execution) = step_functions::execution(client, &arn).await? else { return Ok(executions) };
        executions.push(execution);
    }
}

/// Whether the run keeps its image from the operation's beginning on.
pub(super) fn keeps_image(execution: &DescribeExecutionOutput) -> bool {
    parsed(execution.input()).is_some_and(|document| document.keeps_image())
}

/// What the plan said about it: the operation's name and arguments.
pub(super) fn planned(execution: &DescribeExecutionOutput) -> Option<(String, Value)> {
    parsed(execution.input()).map(|document| (document.operation, document.arguments))
}

/// The operation that failed, as the run's own rollback was told: it may have no execution.
pub(super) async fn failed(
    client: &Client,
    operation_machine_arn: &str,
    run: &Run,
) -> Result<Option<FailedOperation>, Error> {
    let rollback = step_functions::execution(client, &run.rollback(operation_machine_arn)).await?;
    let document = rollback.and_then(|rollback| parsed(rollback.input()));
    Ok(document.and_then(|document| serde_json::from_value::<Arguments>(document.arguments).ok()?.failed))
}

/// Stops those that still run.
pub(super) async fn stop(client: &Client, children: &[Child]) -> Result<(), Error> {
    for child in children.iter().filter(|child| child.status == ExecutionStatus::Running) {
        step_functions::stop(client, &child.arn, STOPPED_BY_ROLLBACK, "the run is rolled back").await?;
    }
    Ok(())
}

/// What a rollback reads of the document that goes round in the operation machine.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    operation: String,
    arguments: Value,
    keeps_image: bool,
    redriven: bool,
    reason: Option<String>,
    memory: Value,
}

impl Document {
    /// Whether the run keeps its image from here on. An operation of a run that was redriven does not begin.
    fn keeps_image(&self) -> bool {
        self.keeps_image && !self.redriven
    }
}

/// `latest` is the input of the state that the execution entered last.
fn child(execution: DescribeExecutionOutput, latest: Option<&str>) -> Child {
    let input = parsed(execution.input()).unwrap_or_default();
    let latest = parsed(latest).unwrap_or_default();
    Child {
        arn: execution.execution_arn,
        keeps_image: input.keeps_image(),
        operation: input.operation,
        arguments: input.arguments,
        reason: latest.reason,
        memory: latest.memory,
        status: execution.status,
        ended: execution.stop_date,
        error: execution.error,
        cause: execution.cause,
    }
}

/// A document that was cut off is none.
fn parsed(json: Option<&str>) -> Option<Document> {
    serde_json::from_str(json?).ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;

    use super::*;

    fn child_of(latest: Option<&str>) -> Child {
        let execution = DescribeExecutionOutput::builder()
            .execution_arn("arn")
            .state_machine_arn("arn")
            .start_date(DateTime::from_secs(0))
            .status(ExecutionStatus::Aborted)
            .input(r#"{"operation": "create", "keepsImage": true}"#)
            .build()
            .unwrap();
        child(execution, latest)
    }

    #[test]
    fn what_an_operation_last_knew_is_the_input_of_the_state_it_entered_last() {
        let child = child_of(Some(r#"{"reason": "because", "memory": {"imageId": "ami-1"}}"#));
        assert_eq!((child.operation.as_str(), child.keeps_image), ("create", true));
        assert_eq!((child.reason.as_deref(), &child.memory["imageId"]), (Some("because"), &"ami-1".into()));
    }

    #[test]
    fn a_document_that_was_cut_off_or_is_not_there_tells_nothing() {
        for latest in [Some(r#"{"memory": {"ima"#), None] {
            let child = child_of(latest);
            assert_eq!((child.reason, child.memory), (None, Value::Null));
        }
    }
}
