//! A run of the stack: it is started, waited for, and counted.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, Refusal, STEP_FUNCTIONS, items, text},
    stack::Stack,
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
const SHOWS_WITHIN: Duration = Duration::from_secs(60);

/// An execution of the lifecycle machine.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    aws: &'a Aws,
    stack: &'a Stack,
    /// Its ARN.
    pub arn: String,
    start: Instant,
}

/// How it has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Such as `SUCCEEDED`.
    pub status: String,
    /// The error's name, if it has failed.
    pub error: String,
    /// What the error says.
    pub cause: String,
    /// The result, if it has succeeded.
    pub output: Value,
    /// How long it took.
    pub took: Duration,
}

impl Ended {
    /// The result of a run that must succeed.
    pub fn succeeded(self) -> Result<Value> {
        if self.status != "SUCCEEDED" {
            bail!("{}", self.told());
        }
        Ok(self.output)
    }

    /// What a run says that must fail with an error of a name.
    pub fn failed_with(self, error: &str) -> Result<String> {
        if self.status != "FAILED" || self.error != error {
            bail!("{}", self.told());
        }
        Ok(self.cause)
    }

    /// In a line.
    pub fn told(&self) -> String {
        match self.status.as_str() {
            "SUCCEEDED" => format!("it succeeded: {}", self.output),
            status => format!("{status} {}: {}", self.error, self.cause),
        }
    }
}

impl<'a> Run<'a> {
    /// Starts one.
    pub async fn start(aws: &'a Aws, stack: &'a Stack, name: &str, request: Value) -> Result<Self> {
        let machine = stack.id("LifecycleMachine")?;
        let arguments = json!({"stateMachineArn": machine, "name": name, "input": request.to_string()});
        let answer = aws.call(STEP_FUNCTIONS, "StartExecution", arguments).await?;
        Ok(Self::of(aws, stack, text(&answer["executionArn"])))
    }

    /// One that somebody else has started.
    pub fn of(aws: &'a Aws, stack: &'a Stack, arn: &str) -> Self {
        Self { aws, stack, arn: arn.to_owned(), start: Instant::now() }
    }

    /// How it has ended, if it has.
    pub async fn ended(&self) -> Result<Option<Ended>> {
        let described = self.aws.call(STEP_FUNCTIONS, "DescribeExecution", json!({"executionArn": self.arn})).await;
        let answer = match described {
            // Step Functions may not show it yet.
            Err(error)
                if Refusal::of(&error).is_some_and(Refusal::is_not_there)
                    && self.aws.elapsed(self.start.elapsed()) < SHOWS_WITHIN =>
            {
                return Ok(None);
            }
            described => described?,
        };
        let of = |field: &str| text(&answer[field]).to_owned();
        if ["RUNNING", "PENDING_REDRIVE"].contains(&text(&answer["status"])) {
            return Ok(None);
        }
        Ok(Some(Ended {
            status: of("status"),
            error: of("error"),
            cause: of("cause"),
            output: serde_json::from_str(text(&answer["output"])).unwrap_or_default(),
            took: self.aws.elapsed(self.start.elapsed()),
        }))
    }

    /// Waits for its end.
    pub async fn end(&self) -> Result<Ended> {
        loop {
            if let Some(ended) = self.ended().await? {
                return Ok(ended);
            }
            self.aws.sleep(LOOK_EVERY).await;
        }
    }

    /// Aborts it.
    pub async fn stop(&self) -> Result<()> {
        let arguments = json!({"executionArn": self.arn, "cause": "a proof aborts it"});
        self.aws.call(STEP_FUNCTIONS, "StopExecution", arguments).await.map(drop)
    }

    /// How many states it and its operations have entered.
    pub async fn transitions(&self) -> Result<u64> {
        let name = self.arn.rsplit(':').next().unwrap_or_default();
        let machine = self.stack.id("OperationMachine")?;
        let children = self.aws.call(STEP_FUNCTIONS, "ListExecutions", json!({"stateMachineArn": machine})).await?;
        let is_ours = |one: &&Value| text(&one["name"]).starts_with(&format!("{name}-"));
        let children = items(&children["executions"]).iter().filter(is_ours).map(|one| text(&one["executionArn"]));
        let mut count = 0;
        for arn in children.chain([self.arn.as_str()]) {
            count += self.entered(arn).await?;
        }
        Ok(count)
    }

    async fn entered(&self, arn: &str) -> Result<u64> {
        let (mut count, mut token) = (0, Value::Null);
        loop {
            let mut arguments = json!({"executionArn": arn, "maxResults": 1000, "includeExecutionData": false});
            if !token.is_null() {
                arguments["nextToken"] = token;
            }
            let answer = self.aws.call(STEP_FUNCTIONS, "GetExecutionHistory", arguments).await?;
            let events = items(&answer["events"]).iter();
            count += events.filter(|event| text(&event["type"]).ends_with("StateEntered")).count();
            token = answer["nextToken"].clone();
            if token.is_null() {
                return Ok(u64::try_from(count).unwrap_or(u64::MAX));
            }
        }
    }
}
