//! What can be compared of two executions: what happens in them, without times and tokens.

use serde_json::{Value, json};

/// What happens in an execution, one thing after the other, without times and tokens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A state's name and input.
    Entered(String, Value),
    /// A state's output.
    Exited(Value),
    /// The arguments of a call.
    Called(Value),
}

/// The type of an event.
pub(crate) fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap_or_default()
}

/// The output, or the error and its cause, of an execution as DescribeExecution gives it.
pub(crate) fn end(described: &Value) -> Value {
    match described["status"].as_str() {
        Some("SUCCEEDED") => document(&described["output"]),
        _ => json!([described["error"], timeless(described["cause"].as_str().unwrap_or_default())]),
    }
}

/// The steps of a history.
pub(crate) fn steps(events: &[Value]) -> Vec<Step> {
    let step = |event: &Value| {
        let (entered, exited) = (&event["stateEnteredEventDetails"], &event["stateExitedEventDetails"]);
        let scheduled = &event["taskScheduledEventDetails"];
        if let Some(name) = entered["name"].as_str() {
            Some(Step::Entered(name.to_owned(), document(&entered["input"])))
        } else if exited.is_object() {
            Some(Step::Exited(document(&exited["output"])))
        } else if kind(event) == "TaskScheduled" {
            Some(Step::Called(document(&scheduled["parameters"])))
        } else {
            None
        }
    };
    events.iter().filter_map(step).collect()
}

/// A document that stands in a text, without times and tokens.
fn document(text: &Value) -> Value {
    let parsed = text.as_str().and_then(|text| serde_json::from_str(text).ok());
    parsed.map(without_chance).unwrap_or_default()
}

fn without_chance(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            // A timeout has no cause in one Step Functions, and a sentence in the other.
            let of_chance: &[&str] = if fields.get("name").is_some_and(|name| name == "States.Timeout") {
                &["message"]
            } else {
                &["startTime", "token"]
            };
            let kept = fields.into_iter().filter(|(name, _)| !of_chance.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name, without_chance(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_chance).collect(),
        Value::String(text) => timeless(&text).into(),
        other => other,
    }
}

/// A text without the times of the executions that it tells about.
fn timeless(text: &str) -> String {
    let mut parts = text.split("Date\":");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole.push_str("Date\":");
        whole.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    whole
}
