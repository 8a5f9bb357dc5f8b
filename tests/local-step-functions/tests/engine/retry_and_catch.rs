//! What a Task does when it fails.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use local_step_functions::{Evaluation, TaskError};
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn the_error_of_a_function_has_the_name_of_its_type_and_its_json_as_cause() {
    let outside = Outside::answering(|_| Err(TaskError::of_function("Throttled", "too \"many\" calls")));
    let engine = engine(&json!({"A": invoke(&json!({}))}), outside);
    let execution = run(&engine, &json!({})).await;
    let cause = r#"{"errorType":"Throttled","errorMessage":"too \"many\" calls"}"#;
    assert_eq!(failure(&execution), ("Throttled", cause));
    let types = event_types(&engine, &execution.arn);
    assert_eq!(
        types,
        ["ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskFailed", "ExecutionFailed"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_longer_each_time_and_gives_up_after_its_attempts() {
    let retry = json!([{"ErrorEquals": ["E"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 3, "MaxDelaySeconds": 10}]);
    let states = json!({"A": invoke(&json!({"Retry": retry, "Output": "{% $states.context.State.RetryCount %}"}))});
    let machine = engine(&states, Outside::failing_first(&["E"; 3]));
    let execution = run(&machine, &json!({})).await;
    assert_eq!(output(&execution), json!(3));
    assert!((seconds(&execution) - (2.0 + 6.0 + 10.0)).abs() < 0.01);
    let types = event_types(&machine, &execution.arn);
    assert_eq!(types.iter().filter(|name| *name == "TaskScheduled").count(), 4);
    assert_eq!(types.iter().filter(|name| *name == "TaskStateEntered").count(), 1);

    let machine = engine(&states, Outside::failing_first(&["E"; 4]));
    assert_eq!(failure(&run(&machine, &json!({})).await).0, "E");
}

#[tokio::test(start_paused = true)]
async fn each_item_of_retry_counts_its_own_attempts_and_the_first_that_names_the_error_decides() {
    let retry = json!([
        {"ErrorEquals": ["E"], "IntervalSeconds": 1, "MaxAttempts": 1},
        {"ErrorEquals": ["F"], "IntervalSeconds": 1, "MaxAttempts": 1},
        {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 5},
    ]);
    let states = json!({"A": invoke(&json!({"Retry": retry}))});
    let execution = run(&engine(&states, Outside::failing_first(&["E", "F", "G", "G"])), &json!({"a": 1})).await;
    assert_eq!(output(&execution), json!({"a": 1}));
    let execution = run(&engine(&states, Outside::failing_first(&["E", "F", "E"])), &json!({})).await;
    assert_eq!(failure(&execution).0, "E");
}

#[tokio::test(start_paused = true)]
async fn full_jitter_waits_any_time_up_to_the_delay_as_the_seed_decides() {
    let retry = json!([{"ErrorEquals": ["E"], "IntervalSeconds": 10, "JitterStrategy": "FULL"}]);
    let states = json!({"A": invoke(&json!({"Retry": retry}))});
    let mut times = Vec::new();
    for seed in [1, 2, 3, 1] {
        let engine = engine_with(settings(seed), &states, Outside::failing_first(&["E"]));
        times.push(seconds(&run(&engine, &json!({})).await));
    }
    assert!(times.iter().all(|time| (0.0..=10.0).contains(time)), "{times:?}");
    assert!((times[0] - times[3]).abs() < 0.0001 && (times[0] - times[1]).abs() > 0.001, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_catch_reads_the_error_and_leads_elsewhere_with_variables_as_they_were() {
    let catch = json!([
        {"ErrorEquals": ["Other"], "Next": "B"},
        {
            "ErrorEquals": ["States.ALL"],
            "Assign": {"x": "{% $x & ' then ' & $states.errorOutput.Error %}"},
            "Output": {"in": "{% $states.input %}", "cause": "{% $states.errorOutput.Cause %}", "x": "{% $x %}"},
            "Next": "B",
        },
    ]);
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"x": "before"}, "Next": "T"},
        "T": invoke(&json!({"Catch": catch})),
        "B": {"Type": "Succeed", "Output": {"caught": "{% $states.input %}", "x": "{% $x %}"}},
    });
    let outside = Outside::answering(|_| Err(TaskError::new("E", "why")));
    let execution = run(&engine(&states, outside), &json!({"a": 1})).await;
    assert_eq!(
        output(&execution),
        json!({"caught": {"in": {"a": 1}, "cause": "why", "x": "before"}, "x": "before then E"})
    );
}

#[tokio::test(start_paused = true)]
async fn a_catch_without_output_hands_on_the_error() {
    let catch = json!([{"ErrorEquals": ["States.TaskFailed"], "Next": "B"}]);
    let states = json!({"A": invoke(&json!({"Catch": catch})), "B": {"Type": "Succeed"}});
    let outside = Outside::answering(|_| Err(TaskError { error: "E".to_owned(), cause: None }));
    assert_eq!(output(&run(&engine(&states, outside), &json!({})).await), json!({"Error": "E"}));
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_that_fails_in_a_task_is_retried_and_caught() {
    let states = json!({
        "A": invoke(&json!({
            "Output": "{% $states.result.Payload.absent %}",
            "Retry": [{"ErrorEquals": ["States.QueryEvaluationError"], "MaxAttempts": 1}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}],
        })),
        "B": {"Type": "Succeed"},
    });
    let engine = engine(&states, Outside::echoing());
    let execution = run(&engine, &json!({})).await;
    assert_eq!(output(&execution)["Error"], "States.QueryEvaluationError");
    let types = event_types(&engine, &execution.arn);
    assert_eq!(types.iter().filter(|name| *name == "EvaluationFailed").count(), 2);
    assert_eq!(types.iter().filter(|name| *name == "TaskSucceeded").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_catch_that_fails_itself_ends_the_execution() {
    let states = json!({
        "A": invoke(&json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.input.absent %}", "Next": "B"}]})),
        "B": {"Type": "Succeed"},
    });
    let execution = run(&engine(&states, Outside::failing_first(&["E"])), &json!({})).await;
    assert_eq!(failure(&execution).0, "States.QueryEvaluationError");
    assert!(failure(&execution).1.contains("'Catch[0]/Output'"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_execution_catches_nothing_and_its_function_goes_on_to_its_end() {
    let done = Arc::new(Mutex::new(false));
    let outside = {
        let done = Arc::clone(&done);
        Outside::answering_after(Duration::from_secs(60), move |_| {
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(60)).await;
                *done.lock().unwrap() = true;
            });
            Ok(Value::Null)
        })
    };
    let states = json!({"A": invoke(&json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]})), "B": {"Type": "Succeed"}});
    let engine = engine(&states, outside);
    let arn = engine.start_execution(MACHINE, Some("run"), "{}").unwrap().arn;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let stopped = engine.stop_execution(&arn, Some("Stopped"), Some("by hand")).unwrap();
    assert_eq!(failure(&stopped), ("Stopped", "by hand"));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(*done.lock().unwrap());
    let events = history(&engine, &arn);
    let last = events.last().unwrap();
    assert_eq!((last.event_type.as_str(), last.previous_event_id), ("ExecutionAborted", 0));
    assert_eq!(events.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn every_evaluation_can_be_recorded() {
    let seen = Arc::new(Mutex::new(Vec::<Evaluation>::new()));
    let mut settings = settings(1);
    let recorder = Arc::clone(&seen);
    settings.on_evaluation = Some(Arc::new(move |evaluation| recorder.lock().unwrap().push(evaluation)));
    let engine = engine_with(settings, &json!({"A": invoke(&json!({}))}), Outside::echoing());
    run(&engine, &json!({"a": 1})).await;
    let seen: Vec<String> = seen.lock().unwrap().iter().map(|seen| seen.expression.clone()).collect();
    assert_eq!(seen, ["$states.input", "$states.result.Payload"]);
}
