//! An execution of the lifecycle machine: start it, follow it, and see how it ends.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sfn::{
    Client,
    primitives::DateTime,
    types::{ExecutionStatus, HistoryEvent},
};
use serde_json::Value;

const POLL: Duration = Duration::from_millis(100);

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
    client: Client,
    /// Its ARN.
    pub arn: String,
}

impl Execution {
    /// Another execution, of this ARN.
    pub fn other(&self, arn: impl Into<String>) -> Self {
        Self { client: self.client.clone(), arn: arn.into() }
    }

    /// Starts the machine with an input; Step Functions makes up a name if there is none.
    pub async fn start(client: &Client, machine_arn: &str, name: Option<&str>, input: &str) -> Result<Self> {
        let request = client.start_execution().state_machine_arn(machine_arn).set_name(name.map(str::to_owned));
        let answer = request.input(input).send().await.context("the execution could not be started")?;
        Ok(Self { client: client.clone(), arn: answer.execution_arn })
    }

    /// The execution's name.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    /// How it has ended; none while it runs.
    pub async fn outcome(&self) -> Result<Option<Outcome>> {
        let execution = self.client.describe_execution().execution_arn(&self.arn).send().await?;
        Ok(match execution.status {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => None,
            ExecutionStatus::Succeeded => {
                Some(Outcome::Succeeded(serde_json::from_str(execution.output().unwrap_or("null"))?))
            }
            status => Some(Outcome::Ended {
                status: status.as_str().to_owned(),
                error: execution.error.unwrap_or_default(),
                cause: execution.cause.unwrap_or_default(),
            }),
        })
    }

    /// Waits for its end.
    pub async fn wait(&self) -> Result<Outcome> {
        loop {
            if let Some(outcome) = self.outcome().await? {
                return Ok(outcome);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Its ARN and those of its operations.
    pub async fn with_children(&self, operation_machine_arn: &str) -> Result<Vec<String>> {
        let children = self.client.list_executions().state_machine_arn(operation_machine_arn).send().await?;
        let ours = format!("{}-", self.name());
        let children = children.executions.into_iter().filter(|child| child.name.starts_with(&ours));
        Ok(children.map(|child| child.execution_arn).chain([self.arn.clone()]).collect())
    }

    /// Waits for its end, and tells of each state that it or a child of it enters.
    pub async fn follow(&self, operation_machine_arn: &str, tell: &dyn Fn(&Entered)) -> Result<Outcome> {
        let mut told: Vec<Entered> = vec![];
        loop {
            let outcome = self.outcome().await?;
            let mut news = vec![];
            for arn in self.with_children(operation_machine_arn).await? {
                let entered = states(&self.client, &arn).await?;
                news.extend(entered.into_iter().filter(|entered| !told.contains(entered)));
            }
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

/// The states an execution has entered, in order.
pub async fn states(client: &Client, arn: &str) -> Result<Vec<Entered>> {
    let pages = client.get_execution_history().execution_arn(arn).into_paginator();
    let events: Result<Vec<_>, _> = pages.items().send().collect().await;
    let events = events?;
    let started = events.iter().find_map(|event| event.execution_started_event_details()?.input());
    let input: Value = serde_json::from_str(started.unwrap_or("null")).unwrap_or_default();
    let operation = input["operation"].as_str().unwrap_or("run").to_owned();
    let execution = arn.rsplit(':').next().unwrap_or_default().to_owned();
    let entered = |event: HistoryEvent| {
        let state = event.state_entered_event_details?.name;
        let (execution, operation) = (execution.clone(), operation.clone());
        Some(Entered { execution, operation, id: event.id, state, at: event.timestamp })
    };
    Ok(events.into_iter().filter_map(entered).collect())
}
