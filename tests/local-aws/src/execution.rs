//! An execution of the lifecycle machine: start it, follow it, and see how it ends.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use aws_sdk_sfn::primitives::DateTime;
use serde_json::Value;

use crate::{deployment::Deployment, journal::Journal};

const POLL: Duration = Duration::from_millis(25);

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// SUCCEEDED, with its output.
    Succeeded(Value),
    /// FAILED, TIMED_OUT or ABORTED, with its error's name and cause.
    Ended {
        /// The status, as Step Functions writes it.
        status: String,
        /// The error's name.
        error: String,
        /// The cause.
        cause: String,
    },
}

/// A state that an execution, or a child of it, has entered.
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    /// The execution's name.
    pub execution: String,
    /// What the execution does; `run` for a run itself.
    pub operation: String,
    /// The event's id in the execution's history.
    pub id: i64,
    /// The state's name.
    pub state: String,
    /// When.
    pub at: DateTime,
}

/// An execution that was started.
#[derive(Clone, Debug)]
pub struct Execution {
    journal: Arc<Journal>,
    /// Its ARN.
    pub arn: String,
}

impl Execution {
    /// Another execution, of this ARN.
    pub fn other(&self, arn: impl Into<String>) -> Self {
        Self { journal: Arc::clone(&self.journal), arn: arn.into() }
    }

    /// Starts the machine with an input; Step Functions makes up a name if there is none.
    pub async fn start(aws: &Deployment, machine_arn: &str, name: Option<&str>, input: &str) -> Result<Self> {
        let request = aws.step_functions().start_execution().state_machine_arn(machine_arn);
        let answer = request.set_name(name.map(str::to_owned)).input(input).send().await;
        let arn = answer.context("the execution could not be started")?.execution_arn;
        Ok(Self { journal: aws.journal(), arn })
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
