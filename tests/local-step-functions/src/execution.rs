//! What is known of an execution, and the event that tells EventBridge about it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::{Value, json};
use tokio::{sync::watch, task::AbortHandle};

use crate::{clock::iso8601, history::Event, limits, machine::Machine};

/// How an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It has not ended.
    Running,
    /// It ended with an output.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// It reached its machine's own timeout.
    TimedOut,
    /// It was stopped.
    Aborted,
}

impl Status {
    /// As the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }

    /// From what the API writes.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Succeeded, Self::Failed, Self::TimedOut, Self::Aborted]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An execution, as DescribeExecution gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The ARN of its machine.
    pub machine: String,
    /// How it stands.
    pub status: Status,
    /// In milliseconds since 1970.
    pub start_millis: i64,
    /// In milliseconds since 1970.
    pub stop_millis: Option<i64>,
    /// A JSON text.
    pub input: String,
    /// A JSON text, once it has succeeded.
    pub output: Option<String>,
    /// Of one that failed or was stopped with an error. One that reached its machine's timeout has none.
    pub error: Option<String>,
    /// Why, of the same.
    pub cause: Option<String>,
    /// How often it was redriven.
    pub redrive_count: u64,
    /// When it was redriven last, in milliseconds since 1970.
    pub redrive_millis: Option<i64>,
}

impl Execution {
    /// The answer of DescribeExecution: names in camelCase, times in seconds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds fits a float")]
        let time = |millis: i64| Value::from(millis as f64 / 1000.0);
        self.document(str::to_owned, time)
    }

    /// The document that a parent gets of its child, also as the cause of its failure: names in PascalCase,
    /// times in milliseconds.
    #[must_use]
    pub fn to_child_document(&self) -> Value {
        self.document(pascal_case, Value::from)
    }

    /// The answer of DescribeExecution to a Task: names in PascalCase, times in ISO 8601.
    #[must_use]
    pub fn to_sdk_document(&self) -> Value {
        self.document(pascal_case, |millis| iso8601(millis).into())
    }

    /// What has no value is left out, as the API does.
    fn document(&self, case: impl Fn(&str) -> String, time: impl Fn(i64) -> Value) -> Value {
        let included = || Some(json!({case("included"): true}));
        let fields = [
            ("executionArn", Some(self.arn.as_str().into())),
            ("stateMachineArn", Some(self.machine.as_str().into())),
            ("name", Some(self.name.as_str().into())),
            ("status", Some(self.status.as_str().into())),
            ("startDate", Some(time(self.start_millis))),
            ("stopDate", self.stop_millis.map(&time)),
            ("input", Some(self.input.as_str().into())),
            ("inputDetails", included()),
            ("output", self.output.as_deref().map(Value::from)),
            ("outputDetails", self.output.as_ref().and_then(|_| included())),
            ("error", self.error.as_deref().map(Value::from)),
            ("cause", self.cause.as_deref().map(Value::from)),
            ("redriveCount", Some(self.redrive_count.into())),
            ("redriveDate", self.redrive_millis.map(&time)),
        ];
        Value::Object(fields.into_iter().filter_map(|(name, value)| Some((case(name), value?))).collect())
    }
}

fn pascal_case(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}

/// The event `Step Functions Execution Status Change`, as EventBridge delivers it.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusChange {
    /// How the execution stands now.
    pub status: Status,
    /// Its ARN.
    pub execution: String,
    /// The ARN of its machine.
    pub machine: String,
    /// The whole event.
    pub event: Value,
}

impl StatusChange {
    /// `number` counts the events, for their ids.
    pub(crate) fn of(execution: &Execution, number: u64, now_millis: i64) -> Self {
        let mut arn = execution.machine.split(':').skip(3);
        let (region, account) = (arn.next().unwrap_or_default(), arn.next().unwrap_or_default());
        // What is larger is left out of the event.
        let length = execution.input.len() + execution.output.as_ref().map_or(0, String::len);
        let included = length <= 248 * 1024;
        let detail = json!({
            "executionArn": execution.arn,
            "stateMachineArn": execution.machine,
            "name": execution.name,
            "status": execution.status.as_str(),
            "startDate": execution.start_millis,
            "stopDate": execution.stop_millis,
            "input": included.then_some(&execution.input),
            "inputDetails": {"included": included},
            "output": execution.output.as_ref().filter(|_| included),
            "outputDetails": execution.output.as_ref().map(|_| json!({"included": included})),
            "error": execution.error,
            "cause": execution.cause,
            "stateMachineVersionArn": null,
            "stateMachineAliasArn": null,
            "redriveCount": execution.redrive_count,
            "redriveDate": null,
            "redriveStatus": null,
            "redriveStatusReason": null,
        });
        let event = json!({
            "version": "0",
            "id": numbered_uuid(1, number),
            "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states",
            "account": account,
            // EventBridge tells whole seconds.
            "time": iso8601(now_millis).split('.').next().map(|time| format!("{time}Z")),
            "region": region,
            "resources": [execution.arn],
            "detail": detail,
        });
        let Execution { status, arn, machine, .. } = execution;
        Self { status: *status, execution: arn.clone(), machine: machine.clone(), event }
    }
}

/// An id that looks like Step Functions' own and counts.
pub(crate) fn numbered_uuid(kind: u16, number: u64) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

/// Where an execution goes on that is redriven: at the state that it has not left yet. One that was left is not entered
/// again.
#[derive(Clone)]
pub(crate) struct Resume {
    pub(crate) state: String,
    pub(crate) input: Arc<Value>,
    pub(crate) variables: Arc<BTreeMap<String, Value>>,
}

/// An execution and what the engine keeps with it.
pub(crate) struct Record {
    pub(crate) described: Execution,
    /// As it was when the execution started: a redrive goes on with the same definition.
    pub(crate) machine: Arc<Machine>,
    /// Each event with its time, in milliseconds since 1970.
    pub(crate) history: Vec<(i64, Event)>,
    /// None before its first state.
    pub(crate) resume: Option<Resume>,
    /// Counts starts and ends: what happens within one millisecond has an order too.
    pub(crate) started: u64,
    pub(crate) ended: u64,
    /// The execution that a Task of this one has started and waits for.
    pub(crate) child: Option<String>,
    pub(crate) interpreter: Option<AbortHandle>,
    /// Tells when it has ended.
    pub(crate) end: watch::Sender<bool>,
}

impl Record {
    /// Whether an event would be one too many: the last of a full history can only be an execution's end.
    pub(crate) fn is_full_for(&self, event: &Event) -> bool {
        self.history.len() + 1 >= limits::HISTORY_EVENTS && !event.is_the_last()
    }

    /// Whether it has ended badly, and not too long ago, with room in its history.
    pub(crate) fn is_redrivable(&self, now_millis: i64) -> bool {
        let ended_badly = matches!(self.described.status, Status::Failed | Status::TimedOut | Status::Aborted);
        let is_late = |stop: i64| now_millis - stop > limits::REDRIVABLE_MILLIS;
        ended_badly
            && !self.described.stop_millis.is_some_and(is_late)
            && self.history.len() < limits::HISTORY_EVENTS - 1
    }

    /// Whether the name is free again and nothing is known any more.
    pub(crate) fn is_forgotten(&self, now_millis: i64) -> bool {
        self.described.stop_millis.is_some_and(|stop| now_millis - stop > limits::NAME_KEPT_MILLIS)
    }
}
