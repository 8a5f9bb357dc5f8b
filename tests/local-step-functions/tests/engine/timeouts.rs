//! The timeouts of a Task and of a machine.

use std::{sync::Arc, time::Duration};

use local_step_functions::{Definition, Engine, Status};
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_task_that_takes_longer_than_its_timeout_fails_with_states_timeout_and_no_cause() {
    let states = json!({"A": invoke(&json!({"TimeoutSeconds": "{% $states.input.timeout %}"}))});
    let slow = || Outside::answering_after(Duration::from_secs(10), |_| Ok(Value::Null));
    let machine = engine(&states, slow());
    let execution = run(&machine, &json!({"timeout": 9})).await;
    assert_eq!((execution.error.as_deref(), execution.cause.as_deref()), (Some("States.Timeout"), None));
    assert!((seconds(&execution) - 9.0).abs() < 0.01);
    let events = history(&machine, &execution.arn);
    assert_eq!(events[2].details["timeoutInSeconds"], 9);
    let details = json!({"resourceType": "lambda", "resource": "invoke", "error": "States.Timeout"});
    assert_eq!((events[4].event_type.as_str(), &events[4].details), ("TaskTimedOut", &details));

    assert_eq!(run(&engine(&states, slow()), &json!({"timeout": 11})).await.status, Status::Succeeded);
    let execution = run(&engine(&states, slow()), &json!({"timeout": 0})).await;
    assert_eq!(failure(&execution).0, "States.QueryEvaluationError");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_caught_by_name_and_by_states_all_but_not_as_a_failed_task() {
    for (name, caught) in [("States.Timeout", true), ("States.ALL", true), ("States.TaskFailed", false)] {
        let states = json!({
            "A": invoke(&json!({"TimeoutSeconds": 1, "Catch": [{"ErrorEquals": [name], "Next": "B"}]})),
            "B": {"Type": "Succeed"},
        });
        let outside = Outside::answering_after(Duration::from_secs(10), |_| Ok(Value::Null));
        let execution = run(&engine(&states, outside), &json!({})).await;
        assert_eq!(execution.status == Status::Succeeded, caught, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_timeout_counts_anew_for_each_attempt() {
    let retry = json!([{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 2}]);
    let states = json!({"A": invoke(&json!({"TimeoutSeconds": 5, "Retry": retry}))});
    let outside = Outside::answering_after(Duration::from_secs(10), |_| Ok(Value::Null));
    let execution = run(&engine(&states, outside), &json!({})).await;
    assert!((seconds(&execution) - (3.0 * 5.0 + 2.0)).abs() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_reaches_its_own_timeout_has_timed_out_without_error_cause_or_catch() {
    let document = json!({
        "QueryLanguage": "JSONata", "StartAt": "A", "TimeoutSeconds": 100,
        "States": {"A": {"Type": "Wait", "Seconds": 60, "Next": "A2"}, "A2": {"Type": "Wait", "Seconds": 60, "End": true}},
    });
    let engine = Engine::new(settings(1), Arc::new(Outside::echoing()));
    engine.create_state_machine(MACHINE, Definition::parse(&document.to_string()).unwrap()).unwrap();
    let execution = run(&engine, &json!({})).await;
    assert_eq!(
        (execution.status, execution.error.as_deref(), execution.cause.as_deref()),
        (Status::TimedOut, None, None)
    );
    assert!((seconds(&execution) - 100.0).abs() < 0.01);
    let last = history(&engine, &execution.arn).pop().unwrap();
    assert_eq!((last.event_type.as_str(), last.previous_event_id), ("ExecutionTimedOut", 0));
    assert_eq!(last.details, json!({"error": "States.Timeout"}));
}
