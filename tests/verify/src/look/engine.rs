//! AWS's own engine does with a state what the interpreter of the tests does: `TestState` evaluates each state of the
//! deployed machines, with the inputs and answers that the tests have seen.
//!
//! `states.jsonl` has one for each way out of each state; `cargo replay --cases` writes it.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    aws::{Aws, STEP_FUNCTIONS, STEP_FUNCTIONS_SYNC, text},
    report::{Check, Report},
    stack::Stack,
};

const STATES: &str = include_str!("../../states.jsonl");
/// Characters of a document that are told.
const LONGEST: usize = 120;
const MACHINES: [(&str, &str); 3] =
    [("lifecycle", "LifecycleMachine"), ("operation", "OperationMachine"), ("create", "CreateMachine")];

/// Has all states evaluated, and compares.
pub async fn look(aws: &Aws, stack: &Stack, report: &Report<'_>) {
    for (machine, logical_id) in MACHINES {
        let id = format!("look/engine/{logical_id}");
        let expected = "each state gives what the tests' interpreter gives";
        match compare(aws, stack, machine, logical_id).await {
            Ok((_, wrong)) if !wrong.is_empty() => report.add(Check::holds(id, false, expected, wrong.join("; "))),
            Ok((count, _)) => report.add(Check::holds(id, count > 0, expected, format!("{count} cases agree"))),
            Err(error) => report.add(Check::unknown(id, expected, &error)),
        }
    }
}

/// How many cases of a machine were tried, and in what they differ.
async fn compare(aws: &Aws, stack: &Stack, machine: &str, logical_id: &str) -> Result<(usize, Vec<String>)> {
    let arguments = json!({"stateMachineArn": stack.id(logical_id)?});
    let deployed = aws.call(STEP_FUNCTIONS, "DescribeStateMachine", arguments).await?;
    let (mut count, mut wrong) = (0, vec![]);
    for line in STATES.lines() {
        let case: Value = serde_json::from_str(line)?;
        if text(&case["machine"]) == machine {
            let answer = aws.call(STEP_FUNCTIONS_SYNC, "TestState", question(&case, &deployed)).await?;
            count += 1;
            wrong.extend(difference(&case, &answer));
        }
    }
    Ok((count, wrong))
}

fn question(case: &Value, deployed: &Value) -> Value {
    let mut question = json!({
        "definition": deployed["definition"], "stateName": case["state"], "roleArn": deployed["roleArn"],
        "input": case["input"].to_string(), "variables": case["variables"].to_string(),
        "context": case["context"].to_string(), "inspectionLevel": "DEBUG",
    });
    if let Some(result) = case["mock"].get("result") {
        question["mock"] = json!({"result": result.to_string(), "fieldValidationMode": "NONE"});
    } else if case["mock"]["errorOutput"].is_object() {
        question["mock"] = case["mock"].clone();
        // It was tried again as often as the state says.
        question["stateConfiguration"] = json!({"retrierRetryCount": case["retries"].as_u64().map(|tries| tries - 1)});
    }
    question
}

/// In what AWS's answer differs from the tests' one.
fn difference(case: &Value, answer: &Value) -> Option<String> {
    let parsed = |value: &Value| value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut compared: BTreeMap<&str, (Value, Value)> = BTreeMap::new();
    for (name, ours) in [("status", "status"), ("nextState", "next"), ("error", "error")] {
        // The error that was caught is the mock's.
        if name != "error" || case["status"] == "FAILED" {
            compared.insert(name, (case[ours].clone(), answer[name].clone()));
        }
    }
    if case["status"] != "FAILED" {
        compared.insert("output", (case["output"].clone(), parsed(&answer["output"]).unwrap_or_default()));
        let variables = parsed(&answer["inspectionData"]["variables"]);
        if let Some(variables) = variables {
            compared.insert("variables", (case["assigned"].clone(), variables));
        }
    }
    let different = compared.iter().filter(|(_, (ours, theirs))| ours != theirs);
    let cut = |value: &Value| value.to_string().chars().take(LONGEST).collect::<String>();
    let places = different.map(|(name, (ours, theirs))| format!("{name}: {} and not {}", cut(theirs), cut(ours)));
    let places: Vec<_> = places.collect();
    (!places.is_empty()).then(|| format!("{}: {}", text(&case["state"]), places.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<Value> {
        STATES.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
    }

    /// What an engine answers that does the same.
    fn right(case: &Value) -> Value {
        json!({
            "status": case["status"], "nextState": case["next"], "error": case["error"],
            "output": case["output"].to_string(), "inspectionData": {"variables": case["assigned"].to_string()},
        })
    }

    #[test]
    fn every_machine_has_cases_and_an_engine_that_does_the_same_is_right() {
        for (machine, _) in MACHINES {
            assert!(cases().iter().filter(|case| case["machine"] == machine).count() > 4, "{machine}");
        }
        for case in cases() {
            assert_eq!(difference(&case, &right(&case)), None);
            assert!(question(&case, &json!({"definition": "{}"}))["input"].is_string());
        }
    }

    #[test]
    fn an_engine_that_does_anything_else_is_found() {
        for case in cases() {
            for (field, other) in [
                ("status", json!("RETRIABLE")),
                ("nextState", json!("Elsewhere")),
                ("output", json!("\"another\"")),
                ("error", json!("Another")),
            ] {
                let mut wrong = right(&case);
                wrong[field] = other;
                let is_compared = match field {
                    "output" => case["status"] != "FAILED",
                    "error" => case["status"] == "FAILED",
                    _ => true,
                };
                assert_eq!(difference(&case, &wrong).is_some(), is_compared, "{field} of {case}");
            }
        }
    }
}
