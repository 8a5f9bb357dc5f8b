//! What is refused when a definition is loaded.

use local_step_functions::Definition;
use serde_json::{Value, json};

use crate::support::*;

fn refusal(states: &Value) -> String {
    try_definition(states).unwrap_err().to_string()
}

#[test]
fn a_state_or_a_field_that_is_not_known_is_refused() {
    for (states, reason) in [
        (json!({"A": {"Type": "Map", "End": true}}), "A/Type: Map is not supported"),
        (json!({"A": {"Type": "Parallel", "End": true}}), "A/Type: Parallel is not supported"),
        (
            json!({"A": {"Type": "Pass", "Result": 1, "End": true}}),
            "A/Result: is no field of a state that is supported",
        ),
        (
            json!({"A": {"Type": "Pass", "TimeoutSeconds": 1, "End": true}}),
            "A/TimeoutSeconds: is no field of a state that is supported",
        ),
        (
            json!({"A": {"Type": "Pass", "QueryLanguage": "JSONata", "End": true}}),
            "A/QueryLanguage: is no field of a state that is supported",
        ),
        (json!({"A": {"Type": "Wait", "Timestamp": "2026-01-01T00:00:00Z", "End": true}}), "A/Seconds: is missing"),
        (
            json!({"A": {"Type": "Fail", "Error": "E", "Output": 1}}),
            "A/Output: is no field of a state that is supported",
        ),
        (
            json!({"A": {"Type": "Fail", "Error": "States.Timeout"}}),
            "A/Error: names that begin with States. are reserved",
        ),
        (json!({"A": {"Type": "Succeed", "Next": "A"}}), "A/Next: is no field of a state that is supported"),
        (
            json!({"A": {"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": "A"}]}}),
            "A/Default: is missing",
        ),
        (
            json!({"A": invoke(&json!({"HeartbeatSeconds": 1}))}),
            "A/HeartbeatSeconds: is no field of a state that is supported",
        ),
        (
            json!({"A": invoke(&json!({"Resource": "arn:aws:states:::sqs:sendMessage"}))}),
            "A/Resource: arn:aws:states:::sqs:sendMessage is not supported",
        ),
        (
            json!({"A": invoke(&json!({"Arguments": {"FunctionName": "f", "Qualifier": "1"}}))}),
            "A/Arguments/Qualifier: is no argument that is supported",
        ),
        (json!({"A": invoke(&json!({"Arguments": {"Payload": 1}}))}), "A/Arguments/FunctionName: is missing"),
        (
            json!({"A": invoke(&json!({"TimeoutSeconds": 0}))}),
            "A/TimeoutSeconds: must be a whole number from 1 to 99999999",
        ),
        (
            json!({"A": invoke(&json!({"Retry": [{"ErrorEquals": ["E"], "Delay": 1}]}))}),
            "A/Retry[0]/Delay: is no field of an item of Retry that is supported",
        ),
        (json!({"A": invoke(&json!({"Catch": [{"ErrorEquals": ["E"]}]}))}), "A/Catch[0]/Next: is missing"),
    ] {
        assert_eq!(refusal(&states), reason);
    }
}

#[test]
fn states_all_must_be_alone_and_last() {
    let item = |names: &[&str]| json!({"ErrorEquals": names});
    for retry in [json!([item(&["States.ALL", "E"])]), json!([item(&["States.ALL"]), item(&["E"])])] {
        assert!(refusal(&json!({"A": invoke(&json!({"Retry": retry}))})).contains("States.ALL must be alone"));
    }
    let unknown = json!({"A": invoke(&json!({"Retry": [item(&["States.Nonsense"])]}))});
    assert_eq!(refusal(&unknown), "A/Retry[0]/ErrorEquals: States.Nonsense is not supported");
}

#[test]
fn each_state_that_is_named_exists_and_each_that_exists_is_reached() {
    assert_eq!(refusal(&json!({"B": {"Type": "Succeed"}})), "StartAt: there is no state \"A\"");
    assert_eq!(refusal(&json!({"A": {"Type": "Pass", "Next": "B"}})), "A: there is no state \"B\"");
    let unreached = json!({"A": {"Type": "Succeed"}, "B": {"Type": "Succeed"}});
    assert_eq!(refusal(&unreached), "B: no transition leads to this state");
    assert!(
        refusal(&json!({"A": {"Type": "Pass", "Next": "A", "End": true}})).contains("either Next or \"End\": true")
    );
}

#[test]
fn an_expression_reads_only_what_there_is_where_it_stands() {
    let pass = |output: &str| json!({"A": {"Type": "Pass", "Output": output, "End": true}});
    for (expression, reason) in [
        ("{% $states.result.a %}", "there is no $states.result here"),
        ("{% $states.errorOutput.Cause %}", "there is no $states.errorOutput here"),
        ("{% $states.nonsense %}", "there is no $states.nonsense here"),
        ("{% $states.context.Task.Token %}", "there is no $states.context.Task.Token here"),
        ("{% $states.context.State.RetryCount %}", "there is no $states.context.State.RetryCount here"),
        ("{% $states.context %}", "$states.context must be read field by field"),
        ("{% $absent %}", "no state assigns $absent"),
        ("{% $now() %}", "the function $now is not supported"),
        ("{% 1 + %}", "S0207"),
        ("a {% 1 %}", "an expression must be the whole of a text"),
        ("{% 1", "an expression must be the whole of a text"),
    ] {
        let refusal = refusal(&pass(expression));
        assert!(refusal.starts_with("A/Output: ") && (refusal.contains(reason) || reason == "S0207"), "{refusal}");
    }
    let hidden = json!({
        "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"},
        "B": {"Type": "Succeed", "Output": "{% ($x := 2; $x) %}"},
    });
    assert!(refusal(&hidden).contains("$x hides a variable that is assigned"));
}

#[test]
fn a_machine_must_be_in_jsonata() {
    for (document, reason) in [
        (json!({"StartAt": "A", "States": {}}), "QueryLanguage: is missing"),
        (json!({"QueryLanguage": "JSONPath"}), "QueryLanguage: must be JSONata"),
        (
            json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {}, "Version": "1.0"}),
            "Version: is no field of a state machine that is supported",
        ),
    ] {
        assert_eq!(Definition::parse(&document.to_string()).unwrap_err().to_string(), reason);
    }
}
