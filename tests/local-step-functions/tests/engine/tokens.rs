//! Tasks that wait for an answer with a token.

use std::time::Duration;

use local_step_functions::{Engine, ServiceError, Status, TaskError};
use serde_json::{Value, json};

use crate::support::*;

fn waiting() -> Value {
    json!({
        "A": {
            "Type": "Task",
            "Resource": "arn:aws:states:::events:putEvents.waitForTaskToken",
            "Arguments": {"Entries": [{"Source": "s", "DetailType": "t", "Detail": {"token": "{% $states.context.Task.Token %}"}}]},
            "TimeoutSeconds": 60,
            "Output": {"answer": "{% $states.result %}"},
            "Assign": {"woken": true},
            "Catch": [
                {"ErrorEquals": ["States.Timeout"], "Assign": {"woken": false}, "Output": "timeout", "Next": "B"},
                {"ErrorEquals": ["States.ALL"], "Assign": {"woken": false}, "Next": "B"},
            ],
            "Next": "B",
        },
        "B": {"Type": "Succeed", "Output": {"in": "{% $states.input %}", "woken": "{% $woken %}"}},
    })
}

/// Starts an execution, lets it wait, and reads its token where the product does.
async fn token_of(engine: &Engine) -> (String, String) {
    let arn = engine.start_execution(MACHINE, Some("run"), "{}").unwrap().arn;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events = engine.get_execution_history(&arn, true, Some(5), None).unwrap().items;
    assert_eq!(events[0].event_type, "TaskSubmitted");
    let scheduled = events.iter().find(|event| event.event_type == "TaskScheduled").unwrap();
    let parameters: Value = serde_json::from_str(scheduled.details["parameters"].as_str().unwrap()).unwrap();
    (arn, parameters.pointer("/Entries/0/Detail/token").unwrap().as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_the_wait_with_an_answer() {
    let engine = engine(&waiting(), Outside::echoing());
    let (arn, token) = token_of(&engine).await;
    engine.send_task_success(&token, r#"{"state": "available"}"#).unwrap();
    let execution = engine.wait_for_end(&arn).await.unwrap();
    assert_eq!(output(&execution), json!({"in": {"answer": {"state": "available"}}, "woken": true}));
    assert!(seconds(&execution) < 2.0);
    assert_eq!(engine.send_task_success(&token, "{}"), Err(ServiceError::TaskTimedOut));
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_the_wait_with_an_error() {
    let engine = engine(&waiting(), Outside::echoing());
    let (arn, token) = token_of(&engine).await;
    engine.send_task_failure(&token, "E", "why").unwrap();
    let execution = engine.wait_for_end(&arn).await.unwrap();
    assert_eq!(output(&execution), json!({"in": {"Error": "E", "Cause": "why"}, "woken": false}));
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_an_answer_times_out_and_its_token_is_worth_nothing_then() {
    let engine = engine(&waiting(), Outside::echoing());
    let (arn, token) = token_of(&engine).await;
    let execution = engine.wait_for_end(&arn).await.unwrap();
    assert_eq!(output(&execution), json!({"in": "timeout", "woken": false}));
    assert!((seconds(&execution) - 60.0).abs() < 0.01);
    assert_eq!(engine.send_task_success(&token, "{}"), Err(ServiceError::TaskTimedOut));
    for unknown in ["nonsense", "task-token-00000099"] {
        assert_eq!(engine.send_task_success(unknown, "{}"), Err(ServiceError::InvalidToken(unknown.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_of_a_stopped_execution_is_worth_nothing() {
    let engine = engine(&waiting(), Outside::echoing());
    let (arn, token) = token_of(&engine).await;
    engine.stop_execution(&arn, None, None).unwrap();
    tokio::task::yield_now().await;
    assert_eq!(engine.send_task_success(&token, "{}"), Err(ServiceError::TaskTimedOut));
    assert_eq!(engine.describe_execution(&arn).unwrap().status, Status::Aborted);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_json_is_refused_and_the_wait_goes_on() {
    let engine = engine(&waiting(), Outside::echoing());
    let (arn, token) = token_of(&engine).await;
    assert_eq!(engine.send_task_success(&token, "{"), Err(ServiceError::InvalidOutput));
    assert_eq!(engine.describe_execution(&arn).unwrap().status, Status::Running);
    engine.send_task_success(&token, "1").unwrap();
    assert_eq!(output(&engine.wait_for_end(&arn).await.unwrap())["in"], json!({"answer": 1}));
}

#[tokio::test(start_paused = true)]
async fn a_wait_whose_event_is_refused_fails_at_once() {
    let outside = Outside::answering(|_| Err(TaskError::new("EventBridge.ThrottlingException", "slow down")));
    let execution = run(&engine(&waiting(), outside), &json!({})).await;
    assert_eq!(output(&execution)["in"]["Error"], "EventBridge.ThrottlingException");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_before_the_event_bus_has_answered_counts() {
    let engine = engine(&waiting(), Outside::answering_after(Duration::from_secs(10), echo));
    let arn = engine.start_execution(MACHINE, Some("run"), "{}").unwrap().arn;
    tokio::time::sleep(Duration::from_secs(1)).await;
    engine.send_task_success("task-token-00000001", "2").unwrap();
    let execution = engine.wait_for_end(&arn).await.unwrap();
    assert_eq!(output(&execution)["in"], json!({"answer": 2}));
    let types = event_types(&engine, &arn);
    assert_eq!(&types[2..6], ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]);
}
