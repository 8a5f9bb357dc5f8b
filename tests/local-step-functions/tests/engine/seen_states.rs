//! `tests/verify/states.jsonl` has what `cargo verify` has AWS's own engine evaluate. It is what the machines do today.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use local_step_functions::{Call, Definition, Engine, Execution, TaskError};
use serde_json::{Value, json};

use crate::{
    machines::{load, text},
    support::*,
};

const MACHINES: [&str; 3] = ["lifecycle", "operation", "create"];

fn cases() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../verify/states.jsonl");
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The machine of a case, with no other state than its own: it begins there, with the case's variables and input, and
/// where it would go on it tells what it is left with. A call waits for a token, and so gets any answer.
fn definition_of(case: &Value) -> Definition {
    let file = format!("{}.asl.json", case["machine"].as_str().unwrap());
    let mut machine: Value = serde_json::from_str(&text(&file)).unwrap();
    let name = case["state"].as_str().unwrap();
    let states = machine["States"].as_object_mut().unwrap();
    let next = goes_to(&states[name]);
    states.retain(|other, _| other == name || next.contains(other));
    for (other, state) in states {
        if other != name {
            let assigned = case["assigned"].as_object().unwrap().keys();
            let variables: BTreeMap<_, _> = assigned.map(|name| (name, format!("{{% ${name} %}}"))).collect();
            let told = json!({"next": other, "output": "{% $states.input %}", "assigned": variables});
            *state = json!({"Type": "Succeed", "Output": told});
        }
    }
    let state = &mut machine["States"][name];
    if state["Type"] == "Task" {
        state["Resource"] = json!("arn:aws:states:::events:putEvents.waitForTaskToken");
        state["Arguments"] = json!({"Entries": [{"Detail": {"token": "{% $states.context.Task.Token %}"}}]});
    }
    let mut before = json!({"Type": "Pass", "Output": case["input"], "Next": name});
    if !case["variables"].as_object().unwrap().is_empty() {
        before["Assign"] = case["variables"].clone();
    }
    machine["States"]["Before"] = before;
    machine["StartAt"] = json!("Before");
    Definition::parse(&machine.to_string()).unwrap_or_else(|error| panic!("{case}: {error}"))
}

/// The states that a state can go to.
fn goes_to(state: &Value) -> BTreeSet<String> {
    match state {
        Value::Object(fields) => {
            let direct = ["Next", "Default"].into_iter().filter_map(|field| fields.get(field)?.as_str());
            direct.map(str::to_owned).chain(fields.values().flat_map(goes_to)).collect()
        }
        Value::Array(items) => items.iter().flat_map(goes_to).collect(),
        _ => BTreeSet::new(),
    }
}

/// How an execution ends that only visits the state of a case.
async fn visit(case: &Value) -> Execution {
    let own: Arc<OnceLock<Engine>> = Arc::default();
    let (engine, mock) = (Arc::clone(&own), case["mock"].clone());
    let answering = Outside::answering(move |call: &Call| {
        let engine = engine.get().unwrap();
        let token = call.arguments["Entries"][0]["Detail"]["token"].as_str().unwrap();
        let said = |field: &str| mock["errorOutput"][field].as_str().unwrap_or_default();
        let answered = match mock.get("result") {
            Some(result) => engine.send_task_success(token, &result.to_string()),
            None => engine.send_task_failure(token, said("error"), said("cause")),
        };
        answered.map_err(|error| TaskError::new("Test", error.to_string()))?;
        echo(call)
    });
    let engine = Engine::new(settings(1), Arc::new(answering));
    let machine = case["context"]["StateMachine"]["Id"].as_str().unwrap();
    engine.create_state_machine(machine, definition_of(case)).unwrap();
    let execution = &case["context"]["Execution"];
    let started = engine.start_execution(machine, execution["Name"].as_str(), &execution["Input"].to_string()).unwrap();
    own.set(engine.clone()).unwrap_or_else(|_| panic!("it is set once"));
    engine.wait_for_end(&started.arn).await.unwrap()
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

#[tokio::test(start_paused = true)]
async fn the_machines_do_what_aws_is_asked_whether_it_does() {
    for case in cases() {
        let ended = visit(&case).await;
        if case["status"] == "FAILED" {
            assert_eq!(ended.error.as_deref(), case["error"].as_str(), "{case}");
            continue;
        }
        let output = output(&ended);
        if case["next"].is_null() {
            assert_eq!(nameless(&output), nameless(&case["output"]), "{case}");
        } else {
            let expected = json!({"next": case["next"], "output": case["output"], "assigned": case["assigned"]});
            assert_eq!(nameless(&output), nameless(&expected), "{case}");
        }
    }
}

#[test]
fn aws_is_asked_about_each_state_that_does_not_only_wait() {
    let cases = cases();
    for machine in MACHINES {
        let asked = cases.iter().filter(|case| case["machine"] == machine);
        let asked: BTreeSet<_> = asked.map(|case| case["state"].as_str().unwrap().to_owned()).collect();
        let definition = load(&format!("{machine}.asl.json"));
        let waits = ["Wait", "Wait to begin again"];
        let states = definition.state_names().filter(|name| !waits.contains(name)).map(str::to_owned);
        assert_eq!(asked, states.collect(), "{machine}");
    }
}
