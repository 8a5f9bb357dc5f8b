//! The structure of the machines, and that they and the functions use the same names.

use std::{collections::BTreeSet, fs};

use ami_from_instance::{
    error::Error,
    limits,
    run::{Operation, RUN_TAG},
};
use local_aws::prepare::root;
use serde_json::{Map, Value};

const MACHINES: [&str; 2] = ["lifecycle", "operation"];

/// Errors that the Lambda service reports and that go away by themselves.
const LAMBDA_ERRORS: [&str; 5] = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
];

/// Names that only the machines give, for what no function can say.
const MACHINE_ERRORS: [&str; 4] = ["TimedOut", "FunctionFailed", "OperationFailed", "OperationStopped"];

fn text(machine: &str) -> String {
    fs::read_to_string(root().join(format!("state-machine/{machine}.asl.json"))).expect(machine)
}

fn machine(name: &str) -> Value {
    serde_json::from_str(&text(name)).expect(name)
}

fn states(machine: &Value) -> &Map<String, Value> {
    machine["States"].as_object().expect("States")
}

fn all_states() -> Vec<(String, Value)> {
    MACHINES.iter().flat_map(|name| states(&machine(name)).clone()).collect()
}

fn list<'a>(state: &'a Value, field: &str) -> &'a [Value] {
    state[field].as_array().map_or(&[], Vec::as_slice)
}

fn targets(state: &Value) -> Vec<String> {
    let branches = list(state, "Choices").iter().chain(list(state, "Catch"));
    let named = branches.map(|branch| &branch["Next"]).chain([&state["Next"], &state["Default"]]);
    named.filter_map(|target| target.as_str().map(str::to_owned)).collect()
}

fn names(rules: &[Value]) -> BTreeSet<&str> {
    rules.iter().flat_map(|rule| list(rule, "ErrorEquals")).filter_map(Value::as_str).collect()
}

#[test]
fn every_target_exists_and_every_state_is_reached() {
    for name in MACHINES {
        let machine = machine(name);
        let states = states(&machine);
        let mut reached = BTreeSet::new();
        let mut next = vec![machine["StartAt"].as_str().unwrap().to_owned()];
        while let Some(state) = next.pop() {
            let definition = states.get(&state).unwrap_or_else(|| panic!("{name} has no state {state:?}"));
            if reached.insert(state) {
                next.extend(targets(definition));
            }
        }
        assert_eq!(reached, states.keys().cloned().collect(), "{name}");
    }
}

#[test]
fn every_machine_and_state_says_why_it_is_there() {
    for name in MACHINES {
        let machine = machine(name);
        assert_eq!(machine["QueryLanguage"], "JSONata", "{name}");
        assert!(machine["Comment"].is_string(), "{name}");
    }
    for (name, state) in all_states() {
        assert!(state["Comment"].as_str().is_some_and(|comment| comment.len() > 10), "{name}");
        assert_eq!(state["Type"] == "Choice", name.ends_with('?'), "{name}");
    }
}

#[test]
fn every_task_has_a_time_limit_and_retries_what_goes_away_by_itself() {
    for (name, state) in all_states().into_iter().filter(|(_, state)| state["Type"] == "Task") {
        assert!(!state["TimeoutSeconds"].is_null(), "{name}");
        assert!(!list(&state, "Catch").is_empty(), "{name}");
        for rule in list(&state, "Retry") {
            assert_eq!((&rule["BackoffRate"], &rule["JitterStrategy"]), (&2.0.into(), &"FULL".into()), "{name}");
            assert!(rule["MaxDelaySeconds"].is_u64() && rule["MaxAttempts"].is_u64(), "{name}");
        }
        let retried = names(list(&state, "Retry"));
        if state["Resource"] == "arn:${Partition}:states:::lambda:invoke" {
            for error in LAMBDA_ERRORS.into_iter().chain(["Throttled", "ServiceUnavailable"]) {
                assert!(retried.contains(error), "{name} does not retry {error}");
            }
        }
    }
}

#[test]
fn catching_everything_stands_alone_and_last() {
    for (name, state) in all_states() {
        for field in ["Retry", "Catch"] {
            let rules = list(&state, field);
            for (position, rule) in rules.iter().enumerate() {
                if names(std::slice::from_ref(rule)).contains("States.ALL") {
                    assert_eq!((list(rule, "ErrorEquals").len(), position + 1), (1, rules.len()), "{name}");
                }
            }
        }
    }
}

#[test]
fn the_machines_name_no_error_that_nothing_gives() {
    // AWS's names have a dot; the Lambda runtime gives the type of an error it raises itself.
    let aws = |error: &str| error.contains('.') || error.contains("::");
    for (name, state) in all_states() {
        for error in names(list(&state, "Retry")).union(&names(list(&state, "Catch"))) {
            assert!(aws(error) || Error::NAMES.contains(error), "{name} names {error}");
        }
        if let Some(error) = state["Error"].as_str().filter(|_| state["Type"] == "Fail") {
            assert!(error.starts_with("{%") || MACHINE_ERRORS.contains(&error), "{name} fails with {error}");
        }
    }
    let all = MACHINES.map(text).concat();
    for error in MACHINE_ERRORS {
        assert!(all.contains(error), "no machine gives {error}");
        assert!(!Error::NAMES.contains(&error), "{error} is a function's");
    }
}

#[test]
fn a_child_is_named_as_the_functions_look_it_up_and_linked_to_its_run() {
    let lifecycle = machine("lifecycle");
    let mut suffixes = BTreeSet::new();
    for (name, state) in states(&lifecycle) {
        if state["Resource"] != "arn:${Partition}:states:::states:startExecution.sync:2" {
            continue;
        }
        let arguments = &state["Arguments"];
        let operation: Operation = serde_json::from_value(arguments["Input"]["operation"].clone()).unwrap();
        let expected = format!("{{% $states.context.Execution.Name & '{}' %}}", operation.suffix());
        assert_eq!(arguments["Name"], expected, "{name}");
        let parent = "{% $states.context.Execution.Id %}";
        assert_eq!(arguments["Input"]["AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"], parent, "{name}");
        assert!(state["TimeoutSeconds"].as_str().is_some_and(|limit| limit.contains("limits.")), "{name}");
        suffixes.insert(operation.suffix());
    }
    assert_eq!(suffixes, BTreeSet::from(["-create", "-delete", "-undo", "-update"]));
}

#[test]
fn a_wait_to_be_told_ends_in_a_look_whether_or_not_anybody_tells() {
    let operation = machine("operation");
    let wait = &states(&operation)["Wait to be told"];
    assert_eq!(wait["TimeoutSeconds"], states(&operation)["Wait to look again"]["Seconds"]);
    assert_eq!(wait["Next"], "Look again");
    let catches: Vec<_> = list(wait, "Catch").iter().map(|rule| (&rule["ErrorEquals"][0], &rule["Next"])).collect();
    let (timeout, all) = (Value::from("States.Timeout"), Value::from("States.ALL"));
    let (look, wait) = (Value::from("Look again"), Value::from("Wait to look again"));
    assert_eq!(catches, [(&timeout, &look), (&all, &wait)]);
}

#[test]
fn the_operation_machine_outlives_every_limit_a_user_may_set() {
    assert!(machine("operation")["TimeoutSeconds"].as_u64().unwrap() > limits::LONGEST);
}

#[test]
fn only_arns_and_their_partition_are_substituted_and_the_template_gives_them_all() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    for name in MACHINES {
        for rest in text(name).split("${").skip(1) {
            let variable = rest.split('}').next().unwrap();
            assert!(variable.ends_with("Arn") || variable == "Partition", "{name}: {variable}");
            assert!(template.contains(&format!("        {variable}: !")), "{name}: {variable}");
        }
    }
}

#[test]
fn the_run_tag_is_spelled_the_same_everywhere() {
    assert!(text("lifecycle").contains(RUN_TAG));
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    assert!(template.contains(&format!("aws:ResourceTag/{RUN_TAG}")));
}
