//! What each type of state does.

use local_step_functions::Status;
use serde_json::json;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_state_without_output_hands_on_its_input() {
    let engine = engine(&json!({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}), Outside::echoing());
    let execution = run(&engine, &json!({"a": 1})).await;
    assert_eq!(output(&execution), json!({"a": 1}));
    assert_eq!(
        event_types(&engine, &execution.arn),
        [
            "ExecutionStarted",
            "PassStateEntered",
            "PassStateExited",
            "SucceedStateEntered",
            "SucceedStateExited",
            "ExecutionSucceeded"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_sees_variables_as_they_were_before_its_own_assign() {
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"x": 1, "table": {"k": {"v": "found"}}}, "Next": "B"},
        "B": {"Type": "Pass", "Assign": {"x": "{% $x + 1 %}", "y": "{% $x %}"}, "Output": {"x": "{% $x %}"}, "Next": "C"},
        "C": {"Type": "Succeed", "Output": {"before": "{% $states.input.x %}", "x": "{% $x %}", "y": "{% $y %}", "v": "{% $lookup($table, 'k').v %}"}},
    });
    let engine = engine(&states, Outside::echoing());
    let execution = run(&engine, &json!({})).await;
    assert_eq!(output(&execution), json!({"before": 1, "x": 2, "y": 1, "v": "found"}));
    let exited = history(&engine, &execution.arn)
        .into_iter()
        .find(|event| event.details["name"] == "B" && event.event_type == "PassStateExited");
    assert_eq!(exited.unwrap().details["assignedVariables"], json!({"x": "2", "y": "1"}));
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_of_a_choice_that_is_true_counts_and_brings_its_own_assign_and_output() {
    let states = json!({
        "A": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $states.input.n = 1 %}", "Next": "B"},
                {"Condition": "{% $states.input.n < 3 %}", "Assign": {"x": "two"}, "Output": {"n": 2}, "Next": "B"},
                {"Condition": "{% $states.input.n < 4 %}", "Next": "B"},
            ],
            "Default": "B",
            "Assign": {"x": "default"},
            "Output": "default",
        },
        "B": {"Type": "Succeed", "Output": {"in": "{% $states.input %}", "x": "{% $exists($x) ? $x : null %}"}},
    });
    for (n, expected) in [
        (1, json!({"in": {"n": 1}, "x": null})),
        (2, json!({"in": {"n": 2}, "x": "two"})),
        (3, json!({"in": {"n": 3}, "x": null})),
        (4, json!({"in": "default", "x": "default"})),
    ] {
        let execution = run(&engine(&states, Outside::echoing()), &json!({"n": n})).await;
        assert_eq!(output(&execution), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_takes_as_many_seconds_of_virtual_time_as_its_expression_gives() {
    let states = json!({"A": {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "Assign": {"x": 1}, "Next": "B"}, "B": {"Type": "Succeed"}});
    let execution = run(&engine(&states, Outside::echoing()), &json!({"seconds": 86_400})).await;
    assert!((seconds(&execution) - 86_400.0).abs() < 0.01);
    let execution = run(&engine(&states, Outside::echoing()), &json!({"seconds": "no"})).await;
    assert_eq!(failure(&execution).0, "States.QueryEvaluationError");
    assert!(failure(&execution).1.contains("Expected 'number'"), "{execution:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fail_ends_the_execution_with_what_its_expressions_give() {
    let states = json!({"A": {"Type": "Fail", "Error": "{% $states.input.error.name %}", "Cause": "{% $states.input.error.message %}"}});
    let machine = engine(&states, Outside::echoing());
    let execution = run(&machine, &json!({"error": {"name": "Broken", "message": "it broke"}})).await;
    assert_eq!((execution.status, failure(&execution)), (Status::Failed, ("Broken", "it broke")));
    assert_eq!(event_types(&machine, &execution.arn), ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"]);

    let machine = engine(&states, Outside::echoing());
    let execution = run(&machine, &json!({})).await;
    let cause = "An error occurred while executing the state 'A' (entered at the event id #2). The JSONata expression \
                 '$states.input.error.name' specified for the field 'Error' returned nothing (undefined).";
    assert_eq!(failure(&execution), ("States.QueryEvaluationError", cause));
    let types = event_types(&machine, &execution.arn);
    assert_eq!(types, ["ExecutionStarted", "FailStateEntered", "EvaluationFailed", "ExecutionFailed"]);
}

#[tokio::test(start_paused = true)]
async fn an_expression_that_returns_nothing_fails_the_state_and_null_does_not() {
    let states = json!({"A": {"Type": "Pass", "Output": {"list": [1, {"v": "{% $states.input.v %}"}]}, "End": true}});
    let execution = run(&engine(&states, Outside::echoing()), &json!({"v": null})).await;
    assert_eq!(output(&execution), json!({"list": [1, {"v": null}]}));
    let execution = run(&engine(&states, Outside::echoing()), &json!({})).await;
    assert_eq!(execution.error.as_deref(), Some("States.QueryEvaluationError"));
    assert!(failure(&execution).1.contains("for the field 'Output/list[1]/v' returned nothing"), "{execution:?}");
}

#[tokio::test(start_paused = true)]
async fn a_function_is_called_with_its_arguments_and_its_answer_is_the_payload() {
    let states = json!({"A": {
        "Type": "Task",
        "Resource": "arn:aws-us-gov:states:::lambda:invoke",
        "Arguments": {"FunctionName": "{% $states.input.f %}", "Payload": {"n": "{% $states.input.n + 1 %}"}},
        "TimeoutSeconds": 70,
        "End": true,
    }});
    let outside = Outside::answering(|call| {
        assert_eq!((call.state.as_str(), call.retries), ("A", 0));
        Ok(call.arguments.clone())
    });
    let engine = engine(&states, outside);
    let execution = run(&engine, &json!({"f": "arn:f", "n": 1})).await;
    let payload = json!({"FunctionName": "arn:f", "Payload": {"n": 2}});
    assert_eq!(output(&execution), json!({"ExecutedVersion": "$LATEST", "Payload": payload, "StatusCode": 200}));
    let events = history(&engine, &execution.arn);
    let details = json!({
        "resourceType": "lambda", "resource": "invoke", "region": "eu-central-1", "timeoutInSeconds": 70,
        "parameters": payload.to_string(),
    });
    assert_eq!((events[2].event_type.as_str(), &events[2].details), ("TaskScheduled", &details));
    let ids: Vec<(u64, u64)> = events.iter().map(|event| (event.id, event.previous_event_id)).collect();
    assert_eq!(ids, [(1, 0), (2, 0), (3, 2), (4, 3), (5, 4), (6, 5), (7, 6)]);
}

#[tokio::test(start_paused = true)]
async fn a_state_reads_what_its_context_tells() {
    let states = json!({"A": {"Type": "Wait", "Seconds": 1, "Next": "B"}, "B": {"Type": "Succeed", "Output": {
        "id": "{% $states.context.Execution.Id %}", "name": "{% $states.context.Execution.Name %}",
        "start": "{% $states.context.Execution.StartTime %}", "input": "{% $states.context.Execution.Input.a %}",
        "state": "{% $states.context.State.Name %}", "entered": "{% $states.context.State.EnteredTime %}",
        "machine": "{% $states.context.StateMachine.Id %}", "of": "{% $states.context.StateMachine.Name %}",
    }}});
    let execution = run(&engine(&states, Outside::echoing()), &json!({"a": 1})).await;
    let expected = json!({
        "id": "arn:aws:states:eu-central-1:123456789012:execution:machine:run", "name": "run",
        "start": "2026-01-01T00:00:00.000Z", "input": 1, "state": "B", "entered": "2026-01-01T00:00:01.000Z",
        "machine": MACHINE, "of": "machine",
    });
    assert_eq!(output(&execution), expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_bus_does_not_take_fails_the_task() {
    let states = json!({"A": {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents", "Arguments": {"Entries": [{"Source": "s"}]}, "End": true}});
    let execution = run(&engine(&states, Outside::echoing()), &json!({})).await;
    assert_eq!(output(&execution)["FailedEntryCount"], 0);
    let outside =
        Outside::answering(|_| Ok(json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]})));
    let execution = run(&engine(&states, outside), &json!({})).await;
    assert_eq!(failure(&execution).0, "EventBridge.FailedEntry");
    assert!(failure(&execution).1.contains("InternalFailure"));
}
