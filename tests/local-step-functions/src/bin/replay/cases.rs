//! What each state does with an input and an answer, for another engine to be compared with: a line of JSON for each
//! state and each way out of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::steps::kind;

/// When all of it happened: no state says it.
const TIME: &str = "2027-01-15T08:00:00.000Z";

/// Of each state and each way out of it, the one that is told in the fewest words.
#[derive(Debug, Default)]
pub(crate) struct Cases(BTreeMap<String, String>);

impl Cases {
    /// Adds what an execution of a machine has done, by its history.
    pub(crate) fn add(&mut self, described: &Value, events: &[Value]) {
        let arn = described["stateMachineArn"].as_str().unwrap_or_default();
        let machine = arn.rsplit('-').next().unwrap_or_default();
        let mut variables = Map::new();
        let starts = (0..events.len()).filter(|at| kind(&events[*at]).ends_with("StateEntered"));
        let starts: Vec<_> = starts.collect();
        for (number, start) in starts.iter().enumerate() {
            let end = starts.get(number + 1).copied().unwrap_or(events.len());
            let next = starts.get(number + 1).map(|next| events[*next]["stateEnteredEventDetails"]["name"].clone());
            if let Some(case) = case(described, &events[*start..end], next, &mut variables) {
                let key = ["state", "status", "next"].map(|field| case[field].to_string()).concat();
                let error = &case["mock"]["errorOutput"]["error"];
                let case = merged(json!({"machine": machine}), case.clone());
                let line = case.to_string();
                let known = self.0.entry(format!("{machine}{key}{error}")).or_insert_with(|| line.clone());
                if line.len() < known.len() {
                    *known = line;
                }
            }
        }
    }

    /// All of them.
    pub(crate) fn lines(&self) -> String {
        self.0.values().flat_map(|line| [line, "\n"]).collect()
    }
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

/// One visit of a state: the events from its entry to the next one's.
fn case(described: &Value, events: &[Value], next: Option<Value>, variables: &mut Map<String, Value>) -> Option<Value> {
    let entered = &events[0]["stateEnteredEventDetails"];
    let before = variables.clone();
    let mut case = json!({
        "state": entered["name"], "input": parsed(&entered["input"])?, "variables": before, "next": next,
        "context": {
            "Execution": {
                "Id": described["executionArn"], "Name": described["name"], "StartTime": TIME,
                "Input": parsed(&described["input"])?, "RedriveCount": 0,
            },
            "State": {"Name": entered["name"], "EnteredTime": TIME, "RetryCount": 0},
            "StateMachine": {"Id": described["stateMachineArn"], "Name": "machine"},
        },
    });
    let mut failures = 0;
    for event in events {
        match kind(event) {
            // It would really wait.
            "WaitStateEntered" => return None,
            "TaskSucceeded" => case["mock"] = json!({"result": parsed(&event["taskSucceededEventDetails"]["output"])?}),
            "TaskFailed" | "TaskTimedOut" => {
                let failed = [&event["taskFailedEventDetails"], &event["taskTimedOutEventDetails"]];
                let failed = failed.into_iter().find(|details| details.is_object())?;
                let cause = failed["cause"].as_str().unwrap_or_default();
                case["mock"] = json!({"errorOutput": {"error": failed["error"], "cause": cause}});
                failures += 1;
            }
            name if name.ends_with("StateExited") => {
                let exited = &event["stateExitedEventDetails"];
                case["output"] = parsed(&exited["output"])?;
                let assigned = exited["assignedVariables"].as_object().into_iter().flatten();
                variables.extend(assigned.filter_map(|(name, value)| Some((name.clone(), parsed(value)?))));
                let is_caught = case["mock"]["errorOutput"].is_object();
                case["status"] = json!(if is_caught { "CAUGHT_ERROR" } else { "SUCCEEDED" });
            }
            "ExecutionFailed" if case["status"].is_null() => {
                let failed = &event["executionFailedEventDetails"];
                case["status"] = json!("FAILED");
                case["error"] = failed["error"].clone();
            }
            _ => {}
        }
    }
    case["retries"] = json!(failures);
    case["assigned"] = json!(*variables);
    (!case["status"].is_null()).then_some(case)
}

fn parsed(text: &Value) -> Option<Value> {
    serde_json::from_str(text.as_str()?).ok()
}
