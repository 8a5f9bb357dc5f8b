//! The quotas that a run can meet.

use local_step_functions::{HISTORY_EVENTS, PAYLOAD_BYTES, Status};
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn the_25_000th_event_of_a_history_ends_the_execution() {
    let states = json!({
        "A": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input.spin %}", "Next": "A"}], "Default": "B"},
        "B": {"Type": "Succeed"},
    });
    let engine = engine(&states, Outside::echoing());
    let execution = run(&engine, &json!({"spin": true})).await;
    let cause = "The execution reached the maximum number of history events (25000).";
    assert_eq!((execution.status, failure(&execution)), (Status::Failed, ("States.Runtime", cause)));
    let last = engine.get_execution_history(&execution.arn, true, Some(2), None).unwrap().items;
    assert_eq!((last[0].id, last[0].event_type.as_str()), (HISTORY_EVENTS as u64, "ExecutionFailed"));
    assert_eq!((last[1].id, last[1].event_type.as_str()), (HISTORY_EVENTS as u64 - 1, "ChoiceStateExited"));
}

#[tokio::test(start_paused = true)]
async fn a_cause_of_more_than_32_768_characters_is_cut_off() {
    let states = json!({"A": {"Type": "Fail", "Error": "E", "Cause": "{% $states.input.cause %}"}});
    let engine = engine(&states, Outside::echoing());
    let execution = run(&engine, &json!({"cause": "é".repeat(40_000)})).await;
    assert_eq!(execution.cause.unwrap(), "é".repeat(32_768));
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_too_large_fails_the_state_and_is_caught_only_by_name() {
    let large = |_: &_| Ok(Value::String("x".repeat(PAYLOAD_BYTES)));
    for (caught, status) in [("States.ALL", Status::Failed), ("States.DataLimitExceeded", Status::Succeeded)] {
        let catch = json!([{"ErrorEquals": [caught], "Output": "caught", "Next": "B"}]);
        let states = json!({"A": invoke(&json!({"Catch": catch})), "B": {"Type": "Succeed"}});
        let execution = run(&engine(&states, Outside::answering(large)), &json!({})).await;
        assert_eq!(execution.status, status, "{caught}");
    }
    let twice = json!({"A": {"Type": "Pass", "Output": ["{% $states.input %}", "{% $states.input %}"], "End": true}});
    let execution = run(&engine(&twice, Outside::echoing()), &json!("x".repeat(PAYLOAD_BYTES / 2))).await;
    assert_eq!(failure(&execution).0, "States.DataLimitExceeded");
    let execution = run(&engine(&twice, Outside::echoing()), &json!("x".repeat(PAYLOAD_BYTES / 2 - 10))).await;
    assert_eq!(execution.status, Status::Succeeded);
}
