//! AWS's own engine does with a state what the interpreter of the tests does: `TestState` evaluates each state of the
//! deployed machines, with the inputs and answers that the tests have seen.
//!
//! `states.jsonl` has one for each way out of a state that the end-to-end tests have seen taken; `cargo replay --cases` writes it.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    aws::{Aws, Refusal, STEP_FUNCTIONS, STEP_FUNCTIONS_SYNC, text},
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
    let definition: Value = serde_json::from_str(text(&deployed["definition"]))?;
    let (mut count, mut wrong) = (0, vec![]);
    for line in STATES.lines() {
        let case: Value = serde_json::from_str(line)?;
        if text(&case["machine"]) != machine {
            continue;
        }
        count += 1;
        match aws.call(STEP_FUNCTIONS_SYNC, "TestState", question(&case, &definition)).await {
            Ok(answer) => wrong.extend(difference(&case, &answer)),
            Err(error) if Refusal::of(&error).is_some() => wrong.push(format!("{}: {error:#}", text(&case["state"]))),
            Err(error) => return Err(error),
        }
    }
    Ok((count, wrong))
}

/// What is asked about a case. A context, and an answer of what the state calls, go together; a context has a `Task` only
/// where the state waits for what it has started (API reference, TestState).
fn question(case: &Value, definition: &Value) -> Value {
    let state = &definition["States"][text(&case["state"])];
    let mut question = json!({
        "definition": definition.to_string(), "stateName": case["state"],
        "input": case["input"].to_string(), "variables": case["variables"].to_string(), "inspectionLevel": "DEBUG",
    });
    let mock = &case["mock"];
    if let Some(result) = mock.get("result") {
        question["mock"] = json!({"result": result.to_string(), "fieldValidationMode": "NONE"});
    } else if mock["errorOutput"].is_object() {
        question["mock"] = mock.clone();
        // It was tried again as often as the state says.
        if let Some(tries @ 1..) = case["retries"].as_u64().map(|failures| failures.saturating_sub(1)) {
            question["stateConfiguration"] = json!({"retrierRetryCount": tries});
        }
    } else {
        return question;
    }
    let mut context = case["context"].clone();
    let resource = text(&state["Resource"]);
    if resource.contains(".sync") || resource.ends_with(".waitForTaskToken") {
        context["Task"] = json!({"Token": "token"});
    }
    question["context"] = json!(context.to_string());
    question
}

/// Without the names of the deployment's functions.
fn nameless(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains(":function:") => json!("a function"),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), nameless(value))).collect(),
        Value::Array(items) => items.iter().map(nameless).collect(),
        other => other.clone(),
    }
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
    let different = compared.iter().filter(|(_, (ours, theirs))| nameless(ours) != nameless(theirs));
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
            // Its functions have names of their own.
            let elsewhere = right(&case).to_string().replace(":function:ami-from-instance-", ":function:web-");
            let elsewhere = serde_json::from_str(&elsewhere).unwrap_or_default();
            let is_named = case["assigned"].to_string().contains(":function:");
            assert!(!is_named || difference(&case, &elsewhere).is_none(), "{case}");
        }
    }

    #[test]
    fn a_question_has_a_context_only_with_a_mock_and_a_task_only_where_it_is_waited_for() {
        let definition = json!({"States": {
            "Begin": {"Resource": "arn:aws:states:::lambda:invoke"},
            "Roll back": {"Resource": "arn:aws:states:::states:startExecution.sync:2"},
            "Wait for the event": {"Resource": "arn:aws:states:::events:putEvents.waitForTaskToken"},
        }});
        for case in cases() {
            let question = question(&case, &definition);
            assert_eq!(question["context"].is_string(), question["mock"].is_object(), "{case}");
            let context: Value = serde_json::from_str(text(&question["context"])).unwrap_or_default();
            let waits = ["Roll back", "Wait for the event"].contains(&text(&case["state"]));
            assert_eq!(context["Task"].is_object(), waits, "{case}");
            if question["mock"].is_object() {
                assert!(context["Execution"]["StartTime"].is_string() && context["State"]["EnteredTime"].is_string());
            }
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
