//! What the functions ask Step Functions.

use aws_sdk_sfn::{
    Client,
    operation::describe_execution::DescribeExecutionOutput,
    types::{HistoryEvent, HistoryEventType},
};

use super::error_codes::{self, EXECUTION_NOT_FOUND, NOT_STOPPABLE};
use crate::error::Error;

/// How many events of a history are asked for at once: more than a state has that is not retried.
const PAGE: i32 = 10;

/// An execution; none if Step Functions does not know it.
pub(crate) async fn execution(client: &Client, arn: &str) -> Result<Option<DescribeExecutionOutput>, Error> {
    match client.describe_execution().execution_arn(arn).send().await {
        Ok(execution) => Ok(Some(execution)),
        Err(error) if error_codes::code(&error) == Some(EXECUTION_NOT_FOUND) => Ok(None),
        Err(error) => Err(error_codes::unexpected("states:DescribeExecution", &error)),
    }
}

/// Stops an execution; one that has ended or never was is left as it is.
pub(crate) async fn stop(client: &Client, arn: &str, error: &str, cause: &str) -> Result<(), Error> {
    match client.stop_execution().execution_arn(arn).error(error).cause(cause).send().await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error_codes::code(&error), Some(EXECUTION_NOT_FOUND | NOT_STOPPABLE)) => Ok(()),
        Err(error) => Err(error_codes::unexpected("states:StopExecution", &error)),
    }
}

/// The latest events of an execution's history, the latest first; none if Step Functions does not know it.
pub(crate) async fn latest_events(client: &Client, arn: &str, count: i32) -> Result<Option<Vec<HistoryEvent>>, Error> {
    let request = client.get_execution_history().execution_arn(arn).reverse_order(true).max_results(count);
    match request.send().await {
        Ok(history) => Ok(Some(history.events)),
        Err(error) if error_codes::code(&error) == Some(EXECUTION_NOT_FOUND) => Ok(None),
        Err(error) => Err(error_codes::unexpected("states:GetExecutionHistory", &error)),
    }
}

/// The input of the state that an execution entered last; none if Step Functions shows none.
pub(crate) async fn latest_input(client: &Client, arn: &str) -> Result<Option<String>, Error> {
    let request = client.get_execution_history().execution_arn(arn).reverse_order(true).max_results(PAGE);
    let mut events = request.into_paginator().items().send();
    while let Some(event) = events.next().await {
        match event {
            Ok(HistoryEvent { state_entered_event_details: Some(entered), .. }) => return Ok(entered.input),
            Ok(_) => {}
            Err(error) if error_codes::code(&error) == Some(EXECUTION_NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error_codes::unexpected("states:GetExecutionHistory", &error)),
        }
    }
    Ok(None)
}

/// Whether an event is the end of its execution.
pub(crate) fn is_the_end(kind: &HistoryEventType) -> bool {
    matches!(
        kind,
        HistoryEventType::ExecutionSucceeded
            | HistoryEventType::ExecutionFailed
            | HistoryEventType::ExecutionAborted
            | HistoryEventType::ExecutionTimedOut
    )
}
