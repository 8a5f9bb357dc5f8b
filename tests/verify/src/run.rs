//! A run of the stack: it is started, waited for, and counted.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    aws::{Aws, Refusal, STEP_FUNCTIONS, items, text},
    stack::Stack,
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
const SHOWS_WITHIN: Duration = Duration::from_secs(60);
/// EventBridge delivers within seconds, and the function starts the rollback at once.
const ROLLED_BACK_WITHIN: Duration = Duration::from_secs(180);
/// How the resource of a task ends that waits for a token.
const WAITS_FOR_TOKEN: &str = ".waitForTaskToken";

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

/// How a run has ended that must succeed.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct NotSucceeded(String);

impl Ended {
    /// The result of a run that must succeed.
    pub fn succeeded(self) -> Result<Value> {
        if self.status != "SUCCEEDED" {
            bail!(NotSucceeded(self.told()));
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

    /// What the histories of the run and of its operations tell.
    pub async fn course(&self) -> Result<Course> {
        let name = self.arn.rsplit(':').next().unwrap_or_default();
        let children = self.operations().await?;
        let is_ours = |one: &&Value| is_operation_of(name, text(&one["name"]));
        let children = children.iter().filter(is_ours).map(|one| text(&one["executionArn"]));
        let mut course = Course::default();
        for arn in children.chain([self.arn.as_str()]) {
            self.follow(arn, &mut course).await?;
        }
        Ok(course)
    }

    /// The latest executions of the operation machine, the last one first.
    async fn operations(&self) -> Result<Vec<Value>> {
        let machine = self.stack.id("OperationMachine")?;
        let arguments = json!({"stateMachineArn": machine, "maxResults": 1000});
        Ok(items(&self.aws.call(STEP_FUNCTIONS, "ListExecutions", arguments).await?["executions"]).to_vec())
    }

    async fn follow(&self, arn: &str, course: &mut Course) -> Result<()> {
        let (mut token, mut waits_since) = (Value::Null, None);
        loop {
            let mut arguments = json!({"executionArn": arn, "maxResults": 1000, "includeExecutionData": false});
            if !token.is_null() {
                arguments["nextToken"] = token;
            }
            let answer = self.aws.call(STEP_FUNCTIONS, "GetExecutionHistory", arguments).await?;
            for event in items(&answer["events"]) {
                course.add(event, &mut waits_since, |seconds| self.elapsed(seconds));
            }
            token = answer["nextToken"].clone();
            if token.is_null() {
                return Ok(());
            }
        }
    }

    /// The time that passes for AWS while so many seconds pass here.
    fn elapsed(&self, seconds: f64) -> f64 {
        self.aws.elapsed(Duration::try_from_secs_f64(seconds).unwrap_or_default()).as_secs_f64()
    }

    /// The rollback that the rule for ended runs has started, or the sweep, and how many seconds after the end of this
    /// run it began. It is waited for.
    pub async fn rollback(&self) -> Result<(Self, f64)> {
        let start = Instant::now();
        loop {
            if let Some(found) = self.find_rollback().await? {
                return Ok(found);
            }
            if self.aws.elapsed(start.elapsed()) > ROLLED_BACK_WITHIN {
                bail!("no rollback of {} was started within {} s", self.arn, ROLLED_BACK_WITHIN.as_secs());
            }
            self.aws.sleep(LOOK_EVERY).await;
        }
    }

    async fn find_rollback(&self) -> Result<Option<(Self, f64)>> {
        let described = self.aws.call(STEP_FUNCTIONS, "DescribeExecution", json!({"executionArn": self.arn})).await?;
        // It may not be shown yet.
        let Some(stopped) = described["stopDate"].as_f64() else { return Ok(None) };
        let began = |one: &Value| one["startDate"].as_f64().unwrap_or_default();
        let mut later = self.operations().await?;
        later.retain(|one| began(one) >= stopped);
        // The earliest is the last of the list.
        for one in later.iter().rev() {
            let about = json!({"executionArn": one["executionArn"]});
            let rollback = self.aws.call(STEP_FUNCTIONS, "DescribeExecution", about).await?;
            let input: Value = serde_json::from_str(text(&rollback["input"])).unwrap_or_default();
            if text(&input["operation"]) == "rollback" && text(&input["run"]) == self.arn {
                let found = Self::of(self.aws, self.stack, text(&one["executionArn"]));
                return Ok(Some((found, self.elapsed(began(one) - stopped))));
            }
        }
        Ok(None)
    }
}

/// Whether an execution is an operation of a run: its name ends in a position in the plan, or says that it undoes.
fn is_operation_of(run: &str, name: &str) -> bool {
    let rest = name.strip_prefix(run).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest == "undo" || !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What the histories of a run and its operations tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// How many states were entered.
    pub transitions: u64,
    /// How the waits ended that an event may end.
    pub waits: Waits,
}

/// How waits ended that an event may end early.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waits {
    /// Those that an event ended: after how many seconds.
    pub ended_by_event: Vec<f64>,
    /// Those that lasted as long as the function had said, in seconds.
    pub ended_by_time: Vec<f64>,
}

impl Waits {
    /// Adds others.
    pub fn extend(&mut self, others: &Self) {
        self.ended_by_event.extend(&others.ended_by_event);
        self.ended_by_time.extend(&others.ended_by_time);
    }
}

impl Course {
    /// Adds an event of a history. `waits_since` is when the execution began to wait, if it does.
    fn add(&mut self, event: &Value, waits_since: &mut Option<f64>, elapsed: impl Fn(f64) -> f64) {
        let now = event["timestamp"].as_f64().unwrap_or_default();
        let waited = |since: Option<f64>| since.map(|since| elapsed(now - since));
        match text(&event["type"]) {
            "TaskScheduled" if text(&event["taskScheduledEventDetails"]["resource"]).ends_with(WAITS_FOR_TOKEN) => {
                *waits_since = Some(now);
            }
            "TaskSucceeded" => self.waits.ended_by_event.extend(waited(waits_since.take())),
            "TaskTimedOut" => self.waits.ended_by_time.extend(waited(waits_since.take())),
            "TaskFailed" => *waits_since = None,
            entered if entered.ends_with("StateEntered") => self.transitions += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_known_by_the_names_of_their_runs() {
        for name in ["a-restore-1", "a-restore-12", "a-restore-undo"] {
            assert!(is_operation_of("a-restore", name), "{name}");
        }
        for name in ["a-restore", "a-restore-", "a-restore-delete-1", "a-restore-delete-undo", "a-restored-1"] {
            assert!(!is_operation_of("a-restore", name), "{name}");
        }
    }

    #[test]
    fn a_history_tells_how_each_wait_has_ended() {
        let scheduled = |resource: &str, time: f64| json!({"type": "TaskScheduled", "timestamp": time, "taskScheduledEventDetails": {"resource": resource}});
        let event = |kind: &str, time: f64| json!({"type": kind, "timestamp": time});
        let history = [
            event("PassStateEntered", 0.0),
            event("TaskStateEntered", 0.0),
            // A call of a function is no wait.
            scheduled("invoke", 0.0),
            event("TaskSucceeded", 9.0),
            scheduled("putEvents.waitForTaskToken", 10.0),
            event("TaskSubmitted", 10.5),
            event("TaskTimedOut", 40.0),
            scheduled("putEvents.waitForTaskToken", 50.0),
            event("TaskSucceeded", 57.0),
            // Nothing was waited for that could not be put.
            scheduled("putEvents.waitForTaskToken", 60.0),
            event("TaskFailed", 61.0),
            event("TaskSucceeded", 62.0),
        ];
        let (mut course, mut waits_since) = (Course::default(), None);
        history.iter().for_each(|event| course.add(event, &mut waits_since, |seconds| seconds * 2.0));
        let waits = Waits { ended_by_event: vec![14.0], ended_by_time: vec![60.0] };
        assert_eq!(course, Course { transitions: 2, waits });
    }
}
