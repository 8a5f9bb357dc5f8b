//! What was recorded of an execution.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use crate::steps::{Step, end, kind, steps};

/// By their ARNs.
pub(crate) type Executions = BTreeMap<String, Arc<Recorded>>;

/// How a call was answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Succeeded(Value),
    Failed {
        error: String,
        cause: String,
    },
    /// Too late.
    TimedOut,
    /// The execution was stopped before.
    None,
}

/// An execution that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) machine: String,
    /// Of the machine, in JSON.
    pub(crate) definition: String,
    pub(crate) status: String,
    pub(crate) input: String,
    /// See [`end`].
    pub(crate) end: Value,
    /// As it stands in the recording.
    pub(crate) described: Value,
    pub(crate) steps: Vec<Step>,
    /// Of each call, in order.
    pub(crate) answers: Vec<Answer>,
}

impl Recorded {
    /// Reads a line of a file.
    pub(crate) fn read(line: &str) -> Result<Self, serde_json::Error> {
        let described: Value = serde_json::from_str(line)?;
        let text = |name: &str| described[name].as_str().unwrap_or_default().to_owned();
        let events = described["events"].as_array().cloned().unwrap_or_default();
        // A thread may not have noticed yet that its execution has been stopped.
        let last = events.iter().position(|event| ["ExecutionAborted", "ExecutionTimedOut"].contains(&kind(event)));
        let events = &events[..last.unwrap_or(events.len())];
        Ok(Self {
            arn: text("executionArn"),
            name: text("name"),
            machine: text("stateMachineArn"),
            definition: text("definition"),
            status: text("status"),
            input: text("input"),
            end: end(&described),
            steps: steps(events),
            answers: answers(events),
            described,
        })
    }

    /// The states that it has entered.
    pub(crate) fn states(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Entered(state, _) => Some(state.as_str()),
            _ => None,
        })
    }
}

fn answers(events: &[Value]) -> Vec<Answer> {
    let mut answers = vec![];
    for event in events {
        let failed = &event["taskFailedEventDetails"];
        let answer = match kind(event) {
            "TaskScheduled" => {
                answers.push(Answer::None);
                continue;
            }
            "TaskSucceeded" => {
                let output = event["taskSucceededEventDetails"]["output"].as_str().unwrap_or_default();
                Answer::Succeeded(serde_json::from_str(output).unwrap_or_default())
            }
            "TaskFailed" if failed["error"] == "States.Timeout" => Answer::TimedOut,
            "TaskFailed" => {
                let text = |name: &str| failed[name].as_str().unwrap_or_default().to_owned();
                Answer::Failed { error: text("error"), cause: text("cause") }
            }
            _ => continue,
        };
        if let Some(last) = answers.last_mut() {
            *last = answer;
        }
    }
    answers
}
