//! The events of an execution's history.

use std::sync::Arc;

use serde_json::{Value, json};

/// One event, as GetExecutionHistory gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEvent {
    /// Counted from 1.
    pub id: u64,
    /// The event before it on the same path; 0 for the first state's first event and for what comes from outside.
    pub previous_event_id: u64,
    /// In milliseconds since 1970.
    pub timestamp_millis: i64,
    /// Such as `TaskStateEntered`.
    pub event_type: String,
    /// Such as `{"name": …, "input": …}`; null where the type has none.
    pub details: Value,
}

impl HistoryEvent {
    /// An event as it stands in a history.
    pub(crate) fn of(id: u64, timestamp_millis: i64, event: &Event) -> Self {
        let previous_event_id = if event.comes_from_outside() || id <= 2 { 0 } else { id - 1 };
        Self { id, previous_event_id, timestamp_millis, event_type: event.name(), details: event.details() }
    }

    /// The event as the API writes it: the time in seconds, the details under the name of their kind.
    #[must_use]
    pub fn to_json(&self) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds fits a float")]
        let seconds = self.timestamp_millis as f64 / 1000.0;
        let mut event = json!({
            "id": self.id,
            "previousEventId": self.previous_event_id,
            "timestamp": seconds,
            "type": self.event_type,
        });
        if !self.details.is_null() {
            event[self.details_name()] = self.details.clone();
        }
        event
    }

    /// The field of the event that holds the details, such as `stateEnteredEventDetails`.
    fn details_name(&self) -> String {
        // The details of all states are alike.
        let name = match self.event_type.split_once("State") {
            Some((_, rest @ ("Entered" | "Exited"))) => format!("state{rest}"),
            _ => {
                let (first, rest) = self.event_type.split_at(1);
                first.to_lowercase() + rest
            }
        };
        name + "EventDetails"
    }
}

/// What happens in an execution. Its documents are shared: an event is written as text only when somebody reads it.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    ExecutionStarted { input: String },
    ExecutionSucceeded { output: Arc<Value> },
    ExecutionFailed { error: String, cause: Option<String> },
    ExecutionAborted { error: Option<String>, cause: Option<String> },
    ExecutionTimedOut,
    ExecutionRedriven { count: u64 },
    StateEntered { kind: &'static str, name: String, input: Arc<Value> },
    StateExited { kind: &'static str, name: String, output: Arc<Value>, assigned: Arc<[(String, Value)]> },
    TaskScheduled { resource: Names, region: String, parameters: Arc<Value>, timeout_seconds: Option<u64> },
    TaskStarted { resource: Names },
    TaskSubmitted { resource: Names, output: Arc<Value> },
    TaskSucceeded { resource: Names, output: Arc<Value> },
    TaskFailed { resource: Names, error: String, cause: Option<String> },
    TaskTimedOut { resource: Names },
    EvaluationFailed { state: String, error: &'static str, cause: String, location: String },
}

/// The type of a resource and the resource, such as `lambda` and `invoke`.
pub(crate) type Names = (&'static str, &'static str);

impl Event {
    /// Whether the event comes from outside of the execution's path.
    fn comes_from_outside(&self) -> bool {
        matches!(self, Self::ExecutionAborted { .. } | Self::ExecutionTimedOut | Self::ExecutionRedriven { .. })
    }

    /// Whether it ends the execution.
    pub(crate) fn is_the_last(&self) -> bool {
        matches!(
            self,
            Self::ExecutionSucceeded { .. }
                | Self::ExecutionFailed { .. }
                | Self::ExecutionAborted { .. }
                | Self::ExecutionTimedOut
        )
    }

    /// Its type's name.
    fn name(&self) -> String {
        match self {
            Self::ExecutionStarted { .. } => "ExecutionStarted",
            Self::ExecutionSucceeded { .. } => "ExecutionSucceeded",
            Self::ExecutionFailed { .. } => "ExecutionFailed",
            Self::ExecutionAborted { .. } => "ExecutionAborted",
            Self::ExecutionTimedOut => "ExecutionTimedOut",
            Self::ExecutionRedriven { .. } => "ExecutionRedriven",
            Self::StateEntered { kind, .. } => return format!("{kind}StateEntered"),
            Self::StateExited { kind, .. } => return format!("{kind}StateExited"),
            Self::TaskScheduled { .. } => "TaskScheduled",
            Self::TaskStarted { .. } => "TaskStarted",
            Self::TaskSubmitted { .. } => "TaskSubmitted",
            Self::TaskSucceeded { .. } => "TaskSucceeded",
            Self::TaskFailed { .. } => "TaskFailed",
            Self::TaskTimedOut { .. } => "TaskTimedOut",
            Self::EvaluationFailed { .. } => "EvaluationFailed",
        }
        .to_owned()
    }

    /// Its details. Documents stand in them as texts.
    fn details(&self) -> Value {
        let whole = json!({"truncated": false});
        match self {
            Self::ExecutionStarted { input } => {
                json!({"input": input, "inputDetails": whole, "roleArn": "arn:aws:iam::123456789012:role/machine"})
            }
            Self::ExecutionSucceeded { output } => json!({"output": output.to_string(), "outputDetails": whole}),
            Self::ExecutionFailed { error, cause } => failure(Some(error), cause.as_deref()),
            Self::ExecutionAborted { error, cause } => failure(error.as_deref(), cause.as_deref()),
            Self::ExecutionTimedOut => failure(Some("States.Timeout"), None),
            Self::ExecutionRedriven { count } => json!({"redriveCount": count}),
            Self::StateEntered { name, input, .. } => {
                json!({"name": name, "input": input.to_string(), "inputDetails": whole})
            }
            Self::StateExited { name, output, assigned, .. } => {
                let mut details = json!({"name": name, "output": output.to_string(), "outputDetails": whole});
                if !assigned.is_empty() {
                    let texts = assigned.iter().map(|(name, value)| (name.clone(), value.to_string().into()));
                    details["assignedVariables"] = Value::Object(texts.collect());
                    details["assignedVariablesDetails"] = whole;
                }
                details
            }
            Self::TaskScheduled { resource, region, parameters, timeout_seconds } => {
                let mut details = of_resource(resource);
                details["region"] = region.as_str().into();
                details["parameters"] = parameters.to_string().into();
                if let Some(seconds) = timeout_seconds {
                    details["timeoutInSeconds"] = (*seconds).into();
                }
                details
            }
            Self::TaskStarted { resource } => of_resource(resource),
            Self::TaskSubmitted { resource, output } | Self::TaskSucceeded { resource, output } => {
                let mut details = of_resource(resource);
                details["output"] = output.to_string().into();
                details["outputDetails"] = whole;
                details
            }
            Self::TaskFailed { resource, error, cause } => {
                let mut details = of_resource(resource);
                details["error"] = error.as_str().into();
                if let Some(cause) = cause {
                    details["cause"] = cause.as_str().into();
                }
                details
            }
            Self::TaskTimedOut { resource } => {
                let mut details = of_resource(resource);
                details["error"] = "States.Timeout".into();
                details
            }
            Self::EvaluationFailed { state, error, cause, location } => {
                json!({"state": state, "error": error, "cause": cause, "location": location})
            }
        }
    }
}

fn of_resource((kind, name): &Names) -> Value {
    json!({"resourceType": kind, "resource": name})
}

fn failure(error: Option<&str>, cause: Option<&str>) -> Value {
    let fields = [("error", error), ("cause", cause)].into_iter().filter_map(|(name, value)| Some((name, value?)));
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value.into())).collect())
}
