//! How Step Functions shows executions: DescribeExecution is eventually consistent
//! (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html>).

use std::collections::BTreeMap;

use local_step_functions::Execution;

/// What changes of executions there were, and how late they show.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    after_millis: i64,
    /// For each execution, what it was from which time on.
    changes: BTreeMap<String, Vec<(i64, Execution)>>,
}

impl Shown {
    pub(crate) fn after(millis: i64) -> Self {
        Self { after_millis: millis, changes: BTreeMap::new() }
    }

    /// An execution is something else from now on.
    pub(crate) fn changes(&mut self, now_millis: i64, execution: Execution) {
        self.changes.entry(execution.arn.clone()).or_default().push((now_millis, execution));
    }

    /// An execution as it is shown now; none before anything of it shows.
    pub(crate) fn execution(&self, now_millis: i64, arn: &str) -> Option<Execution> {
        let changes = self.changes.get(arn)?;
        let shows = |(at, _): &&(i64, Execution)| at + self.after_millis <= now_millis;
        changes.iter().rev().find(shows).map(|(_, execution)| execution.clone())
    }
}
