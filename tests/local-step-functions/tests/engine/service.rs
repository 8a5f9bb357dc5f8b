//! The actions of the service.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use local_step_functions::{NAME_KEPT_MILLIS, ServiceError, Status, StatusChange};
use serde_json::{Value, json};

use crate::support::*;

/// A machine that waits for as many seconds as its input says, and fails where it is negative.
fn waiting() -> Value {
    json!({
        "A": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input < 0 %}", "Next": "F"}], "Default": "W"},
        "W": {"Type": "Wait", "Seconds": "{% $states.input %}", "End": true},
        "F": {"Type": "Fail", "Error": "E"},
    })
}

#[tokio::test(start_paused = true)]
async fn a_start_with_the_name_and_input_of_a_running_execution_is_that_execution() {
    let engine = engine(&waiting(), Outside::echoing());
    let first = engine.start_execution(MACHINE, Some("a"), "60").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(engine.start_execution(MACHINE, Some("a"), "60").unwrap(), first);
    let taken = Err(ServiceError::ExecutionAlreadyExists(first.arn.clone()));
    assert_eq!(engine.start_execution(MACHINE, Some("a"), "61"), taken);
    engine.wait_for_end(&first.arn).await.unwrap();
    assert_eq!(engine.start_execution(MACHINE, Some("a"), "60"), taken);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_free_again_90_days_after_its_execution_has_ended() {
    let engine = engine(&waiting(), Outside::echoing());
    let arn = engine.start_execution(MACHINE, Some("a"), "60").unwrap().arn;
    engine.wait_for_end(&arn).await.unwrap();
    tokio::time::sleep(Duration::from_millis(NAME_KEPT_MILLIS.unsigned_abs())).await;
    assert!(engine.start_execution(MACHINE, Some("a"), "60").is_err());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(engine.describe_execution(&arn), Err(ServiceError::ExecutionDoesNotExist(arn.clone())));
    assert_eq!(engine.start_execution(MACHINE, Some("a"), "60").unwrap().status, Status::Running);
}

#[tokio::test(start_paused = true)]
async fn a_start_is_refused_for_its_machine_its_name_or_its_input() {
    let engine = engine(&waiting(), Outside::echoing());
    assert_eq!(engine.start_execution(CHILD, None, "1").unwrap_err().code(), "StateMachineDoesNotExist");
    assert_eq!(engine.start_execution(MACHINE, Some("a b"), "1").unwrap_err().code(), "InvalidName");
    for input in ["{".to_owned(), format!("\"{}\"", "x".repeat(262_143))] {
        assert_eq!(engine.start_execution(MACHINE, None, &input), Err(ServiceError::InvalidExecutionInput));
    }
    let names: Vec<String> = (0..2).map(|_| engine.start_execution(MACHINE, None, "1").unwrap().name).collect();
    assert_ne!(names[0], names[1]);
}

#[tokio::test(start_paused = true)]
async fn executions_are_listed_by_start_while_they_run_and_by_stop_once_they_have_ended() {
    let engine = engine(&waiting(), Outside::echoing());
    for (name, wait) in [("a", "50"), ("b", "10"), ("c", "-1"), ("d", "1000"), ("e", "900")] {
        engine.start_execution(MACHINE, Some(name), wait).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let names = |status| {
        let page = engine.list_executions(MACHINE, status, None, None).unwrap();
        page.items.into_iter().map(|execution| execution.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Some(Status::Running)), ["e", "d"]);
    assert_eq!(names(Some(Status::Succeeded)), ["a", "b"]);
    assert_eq!(names(Some(Status::Failed)), ["c"]);
    assert_eq!(engine.list_executions(CHILD, None, None, None).unwrap_err().code(), "StateMachineDoesNotExist");
}

#[tokio::test(start_paused = true)]
async fn a_list_comes_in_pages_that_what_starts_meanwhile_does_not_shift() {
    let engine = engine(&waiting(), Outside::echoing());
    for name in ["a", "b", "c"] {
        engine.start_execution(MACHINE, Some(name), "10").unwrap();
    }
    let first = engine.list_executions(MACHINE, None, Some(2), None).unwrap();
    engine.start_execution(MACHINE, Some("d"), "10").unwrap();
    let second = engine.list_executions(MACHINE, None, Some(2), first.next_token.as_deref()).unwrap();
    let names: Vec<&str> = first.items.iter().chain(&second.items).map(|execution| execution.name.as_str()).collect();
    assert_eq!((names.as_slice(), second.next_token), (["c", "b", "a"].as_slice(), None));
    let refused = engine.list_executions(MACHINE, None, None, Some("x"));
    assert_eq!(refused, Err(ServiceError::InvalidToken("x".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_history_comes_in_pages_and_in_either_order() {
    let engine = engine(&waiting(), Outside::echoing());
    let arn = run(&engine, &json!(1)).await.arn;
    let ids = |reverse, token: Option<&str>| {
        let page = engine.get_execution_history(&arn, reverse, Some(3), token).unwrap();
        (page.items.iter().map(|event| event.id).collect::<Vec<_>>(), page.next_token)
    };
    let (first, token) = ids(false, None);
    assert_eq!((first, ids(false, token.as_deref())), (vec![1, 2, 3], (vec![4, 5, 6], None)));
    let (first, token) = ids(true, None);
    assert_eq!((first, ids(true, token.as_deref())), (vec![6, 5, 4], (vec![3, 2, 1], None)));
    let unknown = arn.replace(":run", ":other");
    let refused = engine.get_execution_history(&unknown, false, None, None);
    assert_eq!(refused, Err(ServiceError::ExecutionDoesNotExist(unknown)));
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_has_ended_cannot_be_stopped_any_more() {
    let engine = engine(&waiting(), Outside::echoing());
    let ended = run(&engine, &json!(1)).await;
    assert_eq!(engine.stop_execution(&ended.arn, Some("E"), None).unwrap(), ended);
    assert_eq!(engine.stop_execution("nonsense", None, None).unwrap_err().code(), "InvalidArn");
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_runs_keeps_the_definition_with_which_it_started() {
    let engine = engine(&waiting(), Outside::echoing());
    let old = engine.start_execution(MACHINE, Some("old"), "10").unwrap().arn;
    let new = json!({"A": {"Type": "Succeed", "Output": "new"}});
    assert!(engine.create_state_machine(MACHINE, definition(&new)).is_err());
    engine.update_state_machine(MACHINE, definition(&new)).unwrap();
    assert_eq!(output(&engine.wait_for_end(&old).await.unwrap()), json!(10));
    assert_eq!(output(&run(&engine, &json!(10)).await), json!("new"));
}

#[tokio::test(start_paused = true)]
async fn each_change_of_status_is_told_as_eventbridge_tells_it() {
    let seen = Arc::new(Mutex::new(Vec::<StatusChange>::new()));
    let mut settings = settings(1);
    let told = Arc::clone(&seen);
    settings.on_status_change = Some(Arc::new(move |change| told.lock().unwrap().push(change)));
    let engine = engine_with(settings, &waiting(), Outside::echoing());
    run(&engine, &json!(-1)).await;
    let stopped = engine.start_execution(MACHINE, Some("stopped"), "10").unwrap().arn;
    engine.stop_execution(&stopped, Some("E"), Some("why")).unwrap();
    let seen = seen.lock().unwrap();
    let statuses: Vec<Status> = seen.iter().map(|change| change.status).collect();
    assert_eq!(statuses, [Status::Running, Status::Failed, Status::Running, Status::Aborted]);
    let event = &seen[1].event;
    assert_eq!(event["detail-type"], "Step Functions Execution Status Change");
    assert_eq!(
        (&event["source"], &event["region"], &event["account"]),
        (&json!("aws.states"), &json!("eu-central-1"), &json!("123456789012"))
    );
    assert_eq!(event["time"], "2026-01-01T00:00:00Z");
    let detail = &event["detail"];
    assert_eq!((&detail["status"], &detail["input"], &detail["error"]), (&json!("FAILED"), &json!("-1"), &json!("E")));
    assert_eq!((&detail["startDate"], &detail["stopDate"]), (&json!(EPOCH_MILLIS), &json!(EPOCH_MILLIS)));
    assert_eq!((&detail["output"], &detail["outputDetails"]), (&Value::Null, &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn answers_are_written_as_the_api_writes_them() {
    let engine = engine(&waiting(), Outside::echoing());
    let execution = run(&engine, &json!(1)).await;
    let described = execution.to_json();
    assert_eq!((&described["status"], &described["startDate"]), (&json!("SUCCEEDED"), &json!(1_767_225_600.0)));
    assert_eq!((&described["stateMachineArn"], &described["output"]), (&json!(MACHINE), &json!("1")));
    assert_eq!(described.get("error"), None);
    let event = history(&engine, &execution.arn)[1].to_json();
    let expected = json!({
        "id": 2, "previousEventId": 0, "timestamp": 1_767_225_600.0, "type": "ChoiceStateEntered",
        "stateEnteredEventDetails": {"name": "A", "input": "1", "inputDetails": {"truncated": false}},
    });
    assert_eq!(event, expected);
}

#[tokio::test(start_paused = true)]
async fn a_redriven_execution_goes_on_from_its_state_with_its_variables_and_its_definition() {
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"kept": "{% $states.input + 1 %}"}, "Next": "B"},
        "B": {"Type": "Wait", "Seconds": 60, "Output": "{% [$states.input, $kept] %}", "End": true},
    });
    let engine = engine(&states, Outside::echoing());
    let arn = engine.start_execution(MACHINE, Some("once"), "1").unwrap().arn;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(engine.redrive_execution(&arn).unwrap_err().code(), "ExecutionNotRedrivable");
    engine.stop_execution(&arn, Some("E"), Some("why")).unwrap();
    engine.update_state_machine(MACHINE, definition(&json!({"A": {"Type": "Succeed", "Output": "new"}}))).unwrap();
    let redriven = engine.redrive_execution(&arn).unwrap();
    assert_eq!((redriven.status, redriven.redrive_count, redriven.error), (Status::Running, 1, None));
    let ended = engine.wait_for_end(&arn).await.unwrap();
    assert_eq!((ended.status, output(&ended)), (Status::Succeeded, json!([1, 2])));
    let types: Vec<_> = history(&engine, &arn).into_iter().map(|event| event.event_type).collect();
    let after = types.iter().position(|one| one == "ExecutionRedriven").unwrap();
    assert_eq!(types[after + 1..], ["WaitStateEntered", "WaitStateExited", "ExecutionSucceeded"]);
    assert_eq!(engine.redrive_execution(&arn).unwrap_err().code(), "ExecutionNotRedrivable");
}

#[tokio::test(start_paused = true)]
async fn an_execution_can_be_redriven_for_14_days_and_fails_again_in_its_fail_state() {
    let engine = engine(&json!({"A": {"Type": "Fail", "Error": "E", "Cause": "why"}}), Outside::echoing());
    let failed = run(&engine, &json!(1)).await;
    engine.redrive_execution(&failed.arn).unwrap();
    let again = engine.wait_for_end(&failed.arn).await.unwrap();
    assert_eq!((again.status, again.error, again.redrive_count), (Status::Failed, Some("E".to_owned()), 1));
    tokio::time::sleep(Duration::from_secs(15 * 24 * 3600)).await;
    assert_eq!(engine.redrive_execution(&failed.arn).unwrap_err().code(), "ExecutionNotRedrivable");
}
