//! The structure of the machines, and that they and the functions use the same names.

use std::{collections::BTreeSet, fs};

use ami_from_instance::{
    error::Error,
    model::{
        run::{RUN_TAG, Run},
        timeouts,
    },
    operations,
};
use local_aws::prepare::root;
use serde_json::{Map, Value};

const MACHINES: [&str; 3] = ["create", "lifecycle", "operation"];

/// Errors that the Lambda service reports and that go away by themselves.
const LAMBDA_ERRORS: [&str; 5] = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
];

/// Errors that the Step Functions service reports and that go away by themselves.
const SERVICE_ERRORS: [&str; 4] = [
    "StepFunctions.ExecutionLimitExceededException",
    "StepFunctions.ThrottlingException",
    "StepFunctions.SdkClientException",
    "StepFunctions.AWSStepFunctionsException",
];

/// Names that only the machines give, for what no function can say.
const MACHINE_ERRORS: [&str; 3] = ["FunctionFailed", "RunEnded", "RunNotStarted"];

fn text(machine: &str) -> String {
    fs::read_to_string(root().join(format!("state-machine/{machine}.asl.json"))).expect(machine)
}

fn template() -> String {
    fs::read_to_string(root().join("template.yaml")).expect("template.yaml")
}

/// The number that follows a key, after a heading.
fn after(text: &str, heading: &str, key: &str) -> u64 {
    let found = text.split_once(heading).and_then(|(_, rest)| rest.split_once(key));
    let digits = found.map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("there is no {key}after {heading}"))
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
fn every_task_has_a_timeout_and_retries_what_goes_away_by_itself() {
    for (name, state) in all_states().into_iter().filter(|(_, state)| state["Type"] == "Task") {
        assert!(!state["TimeoutSeconds"].is_null(), "{name}");
        assert!(!list(&state, "Catch").is_empty(), "{name}");
        for rule in list(&state, "Retry") {
            assert_eq!((&rule["BackoffRate"], &rule["JitterStrategy"]), (&2.0.into(), &"FULL".into()), "{name}");
            // Long enough for what lasts a minute, and not for ever.
            let attempts = rule["MaxAttempts"].as_u64().unwrap_or_default();
            assert!(rule["MaxDelaySeconds"].is_u64() && (7..=8).contains(&attempts), "{name}: {attempts} attempts");
        }
        let retried = names(list(&state, "Retry"));
        let resource = state["Resource"].as_str().expect(&name);
        if resource.ends_with(":states:startExecution.sync:2") {
            assert!(retried.is_superset(&SERVICE_ERRORS.into()), "{name} retries {retried:?} only");
        }
        if resource.ends_with(":lambda:invoke") {
            let function = after(&template(), "Globals:", "Timeout: ");
            let longer = state["TimeoutSeconds"].as_u64().and_then(|seconds| seconds.checked_sub(function));
            assert!((5..=15).contains(&longer.unwrap_or_default()), "{name} ends {longer:?} s after its function");
            for error in LAMBDA_ERRORS.into_iter().chain(["Throttled", "ServiceUnavailable"]) {
                assert!(retried.contains(error), "{name} does not retry {error}");
            }
        }
    }
}

/// The words of a list in the template, after a heading.
fn listed(heading: &str, key: &str) -> BTreeSet<String> {
    let template = template();
    let found = template.split_once(heading).and_then(|(_, rest)| rest.split_once(key)?.1.split_once(']'));
    let (words, _) = found.unwrap_or_else(|| panic!("there is no {key} after {heading}"));
    words.split(',').map(|word| word.trim().to_owned()).collect()
}

#[test]
fn the_rules_take_every_end_of_a_run_but_success_and_every_end_of_an_image() {
    assert_eq!(listed("RunEndedBadly:", "status: ["), ["ABORTED", "FAILED", "TIMED_OUT"].map(str::to_owned).into());
    assert_eq!(listed("ImageEnded:", "State: ["), ["available", "failed"].map(str::to_owned).into());
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
    // AWS's names have a dot.
    let aws = |error: &str| error.contains('.');
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
    const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:m";
    let run = Run::new("arn:aws:states:eu-west-1:123456789012:execution:m:run");
    let suffix = |arn: String| arn.rsplit(':').next().unwrap().replace("run", "");
    assert_eq!(
        (suffix(run.operation(MACHINE, 3)), suffix(run.rollback(MACHINE))),
        ("-3".to_owned(), "-undo".to_owned())
    );
    let lifecycle = machine("lifecycle");
    for (state, name, timeout) in [
        (
            "Run the next operation",
            "'-' & $string($states.input.done + 1)",
            "operations[$states.input.done].timeoutSeconds",
        ),
        ("Roll back", "'-undo'", "rollbackTimeoutSeconds"),
    ] {
        let state = &states(&lifecycle)[state];
        assert_eq!(state["Arguments"]["Name"], format!("{{% $states.context.Execution.Name & {name} %}}"));
        assert_eq!(state["TimeoutSeconds"], format!("{{% $states.input.{timeout} %}}"));
        let input = state["Arguments"]["Input"].to_string();
        assert!(input.contains("AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"), "{input}");
    }
}

#[test]
fn the_table_of_functions_has_every_operation() {
    let operation = machine("operation");
    let table = states(&operation)["Choose the functions"]["Assign"]["functions"].as_object().unwrap();
    let names: BTreeSet<_> = table.keys().map(String::as_str).collect();
    assert_eq!(names, operations::names().collect());
}

#[test]
fn the_lifecycle_machine_knows_no_operation_but_the_rollback_and_no_machine_takes_a_cause_apart() {
    let lifecycle = text("lifecycle");
    for name in operations::names().filter(|name| *name != "rollback") {
        assert!(!lifecycle.contains(&format!("\"{name}\"")) && !lifecycle.contains(&format!("'{name}'")), "{name}");
    }
    for machine in MACHINES.map(text) {
        // An output is a whole document.
        let machine = machine.replace("$parse($states.result.Output)", "");
        for function in ["$parse", "$match", "$contains", "$eval", "$max"] {
            assert!(!machine.contains(function), "{function}");
        }
    }
}

#[test]
fn no_catch_needs_a_cause_that_may_be_missing_or_cut_off() {
    // A timeout has no cause: what is joined to a text is left out, everything else is an error.
    for (name, state) in all_states() {
        for rule in list(&state, "Catch").iter().filter(|rule| names(&[(*rule).clone()]).contains("States.ALL")) {
            for place in rule.to_string().split("$states.errorOutput.Cause").collect::<Vec<_>>().windows(2) {
                assert!(place[0].trim_end().ends_with('&'), "{name}: {rule}");
            }
        }
    }
}

#[test]
fn a_wait_for_an_event_ends_in_a_look_whether_or_not_one_comes() {
    let operation = machine("operation");
    let wait = &states(&operation)["Wait for the event"];
    assert_eq!(wait["TimeoutSeconds"], states(&operation)["Wait"]["Seconds"]);
    assert_eq!(wait["Next"], "Look");
    let catches: Vec<_> = list(wait, "Catch").iter().map(|rule| (&rule["ErrorEquals"][0], &rule["Next"])).collect();
    let (timeout, all) = (Value::from("States.Timeout"), Value::from("States.ALL"));
    let (look, wait) = (Value::from("Look"), Value::from("Wait"));
    assert_eq!(catches, [(&timeout, &look), (&all, &wait)]);
}

#[test]
fn the_operation_machine_outlives_every_timeout_a_user_may_set() {
    assert!(machine("operation")["TimeoutSeconds"].as_u64().unwrap() > timeouts::LONGEST);
}

#[test]
fn only_arns_their_partition_and_one_parameter_are_substituted_and_the_template_gives_them_all() {
    let template = template();
    for name in MACHINES {
        for rest in text(name).split("${").skip(1) {
            let variable = rest.split('}').next().unwrap();
            assert!(variable.ends_with("Arn") || ["Partition", "MayPrune"].contains(&variable), "{name}: {variable}");
            assert!(template.contains(&format!("        {variable}: !")), "{name}: {variable}");
        }
    }
}

#[test]
fn the_run_tag_is_spelled_the_same_everywhere() {
    assert!(text("lifecycle").contains(RUN_TAG));
    let template = template();
    assert!(template.contains(&format!("aws:ResourceTag/{RUN_TAG}")));
}
