//! Executions that run executions, and Tasks that ask about them.

use std::time::Duration;

use local_step_functions::{Engine, Fault, Resource, Settings, Status, TaskError};
use serde_json::{Value, json};

use crate::support::*;

/// An engine whose machine runs a child with these states.
fn family(settings: Settings, parent: &Value, child: &Value, outside: Outside) -> Engine {
    let engine = engine_with(settings, parent, outside);
    engine.create_state_machine(CHILD, definition(child)).unwrap();
    engine
}

fn child_arn() -> String {
    "arn:aws:states:eu-central-1:123456789012:execution:child:run-1".to_owned()
}

/// One that waits for a minute.
fn slow() -> Value {
    json!({"A": {"Type": "Wait", "Seconds": 60, "End": true}})
}

#[tokio::test(start_paused = true)]
async fn a_child_gives_its_parent_its_description_with_the_output_as_json() {
    let child = json!({"A": {"Type": "Wait", "Seconds": 5, "Output": {"got": "{% $states.input.a %}"}, "End": true}});
    let engine = family(
        settings(1),
        &json!({"A": run_child(&json!({"Output": "{% $states.result %}"}))}),
        &child,
        Outside::echoing(),
    );
    let execution = run(&engine, &json!({"a": 1})).await;
    let expected = json!({
        "ExecutionArn": child_arn(), "StateMachineArn": CHILD, "Name": "run-1", "Status": "SUCCEEDED",
        "StartDate": EPOCH_MILLIS, "StopDate": EPOCH_MILLIS + 5000, "Input": r#"{"a":1}"#, "InputDetails": {"Included": true},
        "Output": {"got": 1}, "OutputDetails": {"Included": true}, "RedriveCount": 0,
    });
    assert_eq!(output(&execution), expected);
    let types = event_types(&engine, &execution.arn);
    assert_eq!(&types[2..6], ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_fails_gives_its_parent_states_task_failed_with_its_description_as_cause() {
    let child = json!({"A": {"Type": "Fail", "Error": "Broken", "Cause": "it broke"}});
    let engine = family(settings(1), &json!({"A": run_child(&json!({}))}), &child, Outside::echoing());
    let execution = run(&engine, &json!({})).await;
    let (error, cause) = failure(&execution);
    assert_eq!(error, "States.TaskFailed");
    let cause: Value = serde_json::from_str(cause).unwrap();
    assert_eq!(
        (&cause["Status"], &cause["Error"], &cause["Cause"]),
        (&json!("FAILED"), &json!("Broken"), &json!("it broke"))
    );
    assert_eq!(cause["ExecutionArn"], child_arn());
}

#[tokio::test(start_paused = true)]
async fn a_child_that_reaches_its_machines_timeout_or_is_stopped_gives_its_parent_states_task_failed() {
    let child = json!({"QueryLanguage": "JSONata", "StartAt": "A", "TimeoutSeconds": 10, "States": slow()});
    let engine = engine(&json!({"A": run_child(&json!({}))}), Outside::echoing());
    engine.create_state_machine(CHILD, local_step_functions::Definition::parse(&child.to_string()).unwrap()).unwrap();
    let execution = run(&engine, &json!({})).await;
    let (error, cause) = failure(&execution);
    assert_eq!((error, cause.contains(r#""Status":"TIMED_OUT""#)), ("States.TaskFailed", true));

    let second = engine.start_execution(MACHINE, Some("second"), "{}").unwrap().arn;
    tokio::time::sleep(Duration::from_secs(1)).await;
    engine.stop_execution(&child_arn().replace("run-1", "second-1"), Some("Stopped"), None).unwrap();
    let second = engine.wait_for_end(&second).await.unwrap();
    let (error, cause) = failure(&second);
    assert_eq!((error, cause.contains(r#""Status":"ABORTED""#)), ("States.TaskFailed", true));
}

#[tokio::test(start_paused = true)]
async fn a_child_goes_on_after_its_parents_timeout_unless_the_best_effort_stops_it() {
    for (percent, status) in [(0, Status::Succeeded), (100, Status::Aborted)] {
        let mut settings = settings(1);
        settings.stop_children_percent = percent;
        let engine =
            family(settings, &json!({"A": run_child(&json!({"TimeoutSeconds": 10}))}), &slow(), Outside::echoing());
        let execution = run(&engine, &json!({})).await;
        assert_eq!((execution.error.as_deref(), execution.cause.as_deref()), (Some("States.Timeout"), None));
        let child = engine.wait_for_end(&child_arn()).await.unwrap();
        assert_eq!((child.status, child.error), (status, None));
    }
}

#[tokio::test(start_paused = true)]
async fn whether_the_child_of_a_stopped_parent_is_stopped_depends_on_the_seed() {
    let mut statuses = Vec::new();
    for seed in 0..20 {
        let engine = family(settings(seed), &json!({"A": run_child(&json!({}))}), &slow(), Outside::echoing());
        let arn = engine.start_execution(MACHINE, Some("run"), "{}").unwrap().arn;
        tokio::time::sleep(Duration::from_secs(10)).await;
        engine.stop_execution(&arn, None, None).unwrap();
        statuses.push(engine.wait_for_end(&child_arn()).await.unwrap().status);
    }
    assert!(statuses.contains(&Status::Aborted) && statuses.contains(&Status::Succeeded), "{statuses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_runs_already_is_joined_and_one_that_has_ended_is_refused() {
    let engine = family(settings(1), &json!({"A": run_child(&json!({}))}), &slow(), Outside::echoing());
    engine.start_execution(CHILD, Some("run-1"), "{}").unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let execution = run(&engine, &json!({})).await;
    assert!((seconds(&execution) - 30.0).abs() < 0.01);

    engine.start_execution(CHILD, Some("second-1"), "{}").unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let second = engine.start_execution(MACHINE, Some("second"), "{}").unwrap().arn;
    let second = engine.wait_for_end(&second).await.unwrap();
    assert_eq!(failure(&second).0, "StepFunctions.ExecutionAlreadyExistsException");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_does_not_exist_cannot_be_run() {
    let execution = run(&engine(&json!({"A": run_child(&json!({}))}), Outside::echoing()), &json!({})).await;
    assert_eq!(failure(&execution).0, "StepFunctions.StateMachineDoesNotExistException");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_does_nothing_and_one_whose_answer_is_lost_has_started_the_child() {
    let throttled = TaskError::new("StepFunctions.ThrottlingException", "Rate exceeded");
    let retry = json!([{"ErrorEquals": ["StepFunctions.ThrottlingException"], "IntervalSeconds": 5}]);
    for (fault, started) in [(Fault::Refused(throttled.clone()), 5), (Fault::AnswerLost(throttled), 0)] {
        let outside =
            Outside::echoing().with_fault(move |call| if call.retries == 0 { fault.clone() } else { Fault::None });
        let engine = family(settings(1), &json!({"A": run_child(&json!({"Retry": retry}))}), &slow(), outside);
        let execution = run(&engine, &json!({})).await;
        assert_eq!(execution.status, Status::Succeeded);
        assert_eq!(engine.describe_execution(&child_arn()).unwrap().start_millis, EPOCH_MILLIS + started * 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_describes_an_execution_by_its_status_error_and_cause() {
    let describe = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sfn:describeExecution",
        "Arguments": {"ExecutionArn": format!("{{% $replace('{CHILD}', ':stateMachine:', ':execution:') & ':run-1' %}}")},
        "Output": "{% $states.result %}",
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}],
        "End": true,
    });
    let states = json!({
        "A": run_child(&json!({"Next": "B", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]})),
        "B": describe,
        "C": {"Type": "Succeed"},
    });
    let child = json!({"A": {"Type": "Fail", "Error": "Broken", "Cause": "it broke"}});
    let machine = family(settings(1), &states, &child, Outside::echoing());
    let execution = run(&machine, &json!({})).await;
    let expected = json!({
        "ExecutionArn": child_arn(), "StateMachineArn": CHILD, "Name": "run-1", "Status": "FAILED",
        "StartDate": "2026-01-01T00:00:00.000Z", "StopDate": "2026-01-01T00:00:00.000Z", "Input": "{}",
        "InputDetails": {"Included": true}, "Error": "Broken", "Cause": "it broke", "RedriveCount": 0,
    });
    assert_eq!(output(&execution), expected);

    let machine = engine(&states, Outside::echoing());
    let execution = run(&machine, &json!({})).await;
    assert_eq!(output(&execution)["Error"], "Sfn.ExecutionDoesNotExistException");

    let refused = TaskError::new("Sfn.ThrottlingException", "Rate exceeded");
    let outside = Outside::echoing().with_fault(move |call| match call.resource {
        Resource::DescribeExecution => Fault::AnswerLost(refused.clone()),
        _ => Fault::None,
    });
    let execution = run(&family(settings(1), &states, &child, outside), &json!({})).await;
    assert_eq!(output(&execution)["Error"], "Sfn.ThrottlingException");
}
