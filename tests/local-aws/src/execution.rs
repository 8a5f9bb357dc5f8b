//! An execution that was started: follow it, and see how it ends.

use std::{sync::Arc, time::Duration};

use anyhow::Result;

use crate::journal::Journal;
pub use crate::journal::{Entered, Outcome};

const POLL: Duration = Duration::from_millis(25);

/// An execution that was started.
#[derive(Clone, Debug)]
pub struct Execution {
    journal: Arc<Journal>,
    /// Its ARN.
    pub arn: String,
}

impl Execution {
    pub(crate) fn new(journal: Arc<Journal>, arn: String) -> Self {
        Self { journal, arn }
    }

    /// Another execution, of this ARN.
    pub fn other(&self, arn: impl Into<String>) -> Self {
        Self { journal: Arc::clone(&self.journal), arn: arn.into() }
    }

    /// The execution's name.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    /// How it has ended; none while it runs.
    pub fn outcome(&self) -> Result<Option<Outcome>> {
        self.journal.outcome(&self.arn)
    }

    /// Waits for its end.
    pub async fn wait(&self) -> Result<Outcome> {
        loop {
            if let Some(outcome) = self.outcome()? {
                return Ok(outcome);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The states that it and its operations have entered so far, one execution's after the other's.
    pub fn entered(&self, operation_machine_arn: &str) -> Result<Vec<Entered>> {
        self.journal.entered(&self.arn, operation_machine_arn)
    }

    /// Waits for its end, and tells of each state that it or an operation of it enters.
    pub async fn follow(&self, operation_machine_arn: &str, tell: &dyn Fn(&Entered)) -> Result<Outcome> {
        let mut told: Vec<Entered> = vec![];
        loop {
            let outcome = self.outcome()?;
            let mut news = self.entered(operation_machine_arn)?;
            news.retain(|entered| !told.contains(entered));
            news.sort_by_key(|entered| entered.at.as_nanos());
            for entered in news {
                tell(&entered);
                told.push(entered);
            }
            match outcome {
                Some(outcome) => return Ok(outcome),
                None => tokio::time::sleep(POLL).await,
            }
        }
    }
}
