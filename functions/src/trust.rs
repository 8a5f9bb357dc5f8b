//! How far EC2's events are trusted to come: for how many creates in a row EventBridge has told of the
//! image's end.
//!
//! Each create hands it on in the output of its execution of the operation machine, and the next one
//! finds it there: Step Functions keeps what is known, for 90 days after an execution's end. Enough of it
//! lets waits be long, because an event will most likely end them. Only a create that was told hands on
//! enough of it, and one whose event is overdue hands on nothing. So where events stop to come, only the
//! images that are under way are late, and whatever part of the events is lost, the mean lag stays below
//! what it may be without any (`tests/pace.rs`).

use std::time::Duration;

use aws_sdk_sfn::{Client, error::BoxError, types::ExecutionStatus};
use serde::{Deserialize, Serialize};

use crate::run::Operation;

/// How many creates in a row are enough.
const ENOUGH: u8 = 3;
/// How many seconds after an image's end its event is overdue, and of no use.
const OVERDUE: u64 = 10;
/// How many executions a create is looked for among: updates, deletes and rollbacks are there too.
const LATEST: i32 = 100;
/// How long it may take to find out.
const LONGEST: Duration = Duration::from_secs(5);

/// For how many creates in a row the event has come; beyond what is enough it does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trust(u8);

/// What a create hands on.
#[derive(Deserialize)]
struct Output {
    trust: Trust,
}

impl Trust {
    /// What the latest create of this operation machine that succeeded has handed on.
    pub async fn handed_on(step_functions: &Client, operation_machine_arn: &str) -> Self {
        let output = tokio::time::timeout(LONGEST, output(step_functions, operation_machine_arn)).await;
        match output.map_err(BoxError::from).flatten() {
            Ok(output) => output.map_or_else(Self::default, |output| output.trust),
            Err(error) => {
                tracing::warn!(error, "whether events come is not known: the waits do without them");
                Self::default()
            }
        }
    }

    /// What is handed on to the next create: `told` says whether EventBridge told of the image's end, `late`
    /// how many seconds after it the look came that saw it.
    #[must_use]
    pub fn after(self, told: bool, late: u64) -> Self {
        match late {
            OVERDUE.. => Self::default(),
            _ if told => Self(self.0.saturating_add(1).min(ENOUGH)),
            // The look came before the event could.
            _ => Self(self.0.min(ENOUGH - 1)),
        }
    }

    /// Whether a wait may count on an event.
    pub fn is_enough(self) -> bool {
        self.0 >= ENOUGH
    }
}

async fn output(step_functions: &Client, operation_machine_arn: &str) -> Result<Option<Output>, BoxError> {
    let request = step_functions.list_executions().state_machine_arn(operation_machine_arn);
    // The latest comes first.
    let executions = request.status_filter(ExecutionStatus::Succeeded).max_results(LATEST).send().await?.executions;
    let Some(create) = executions.iter().find(|execution| execution.name.ends_with(Operation::Create.suffix())) else {
        return Ok(None);
    };
    let create = step_functions.describe_execution().execution_arn(&create.execution_arn).send().await?;
    Ok(create.output().map(serde_json::from_str).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_events_in_a_row_are_enough_and_one_that_is_overdue_ends_it() {
        let mut trust = Trust::default();
        for (told, late, enough) in [
            (true, 0, false),
            (true, 2, false),
            (false, 9, false),
            (true, 0, true),
            (true, 9, true),
            // Nothing tells whether the event would have come.
            (false, 0, false),
            (true, 0, true),
            (false, 10, false),
            (true, 0, false),
            (true, 0, false),
            (true, 0, true),
            // It came, but too late to be of use.
            (true, 60, false),
            (true, 0, false),
        ] {
            trust = trust.after(told, late);
            assert_eq!(trust.is_enough(), enough, "{told} {late}");
        }
    }
}
