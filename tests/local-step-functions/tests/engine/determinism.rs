//! The same seed gives the same history, byte for byte.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use local_step_functions::{Engine, TaskError};
use serde_json::{Value, json};

use crate::support::*;

/// A loop with retries and jitter, variables, children that may be stopped, and waits with tokens that
/// nobody answers.
fn machine() -> Value {
    let retry =
        json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 3, "MaxAttempts": 4, "JitterStrategy": "FULL"}]);
    json!({
        "A": {"Type": "Pass", "Assign": {"turn": 0, "table": {"b": 1, "a": 2, "c": {"z": 1, "y": 2}}}, "Next": "T"},
        "T": invoke(&json!({
            "Retry": retry,
            "Assign": {"turn": "{% $turn + 1 %}"},
            "Output": "{% $merge([$table, $states.result.Payload, {'text': $string($table)}]) %}",
            "Next": "R",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.input %}", "Next": "R"}],
        })),
        "R": run_child(&json!({
            "Arguments": {"StateMachineArn": CHILD, "Name": "{% $states.context.Execution.Name & '-' & $string($turn) %}", "Input": {"seconds": "{% $turn * 7 %}"}},
            "TimeoutSeconds": 15,
            "Output": "{% $states.input %}",
            "Next": "Q",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.input %}", "Next": "Q"}],
        })),
        "Q": {"Type": "Choice", "Choices": [{"Condition": "{% $turn < 5 %}", "Next": "T"}], "Default": "D"},
        "D": {"Type": "Succeed"},
    })
}

/// Everything that a run of three executions at once leaves.
async fn trace(seed: u64) -> String {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let mut settings = settings(seed);
    settings.step_millis = 1..=300;
    let told = Arc::clone(&changes);
    settings.on_status_change = Some(Arc::new(move |change| told.lock().unwrap().push(change.event.to_string())));
    let random = Mutex::new(fastrand::Rng::with_seed(seed));
    let outside = Outside::answering_after(Duration::from_millis(130), move |call| {
        if random.lock().unwrap().u8(0..100) < 40 { Err(TaskError::new("E", "no")) } else { echo(call) }
    });
    let engine = Engine::new(settings, Arc::new(outside));
    engine.create_state_machine(MACHINE, definition(&machine())).unwrap();
    let child = json!({"A": {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "End": true}});
    engine.create_state_machine(CHILD, definition(&child)).unwrap();
    let arns: Vec<String> = ["x", "y", "z"]
        .iter()
        .map(|name| engine.start_execution(MACHINE, Some(name), r#"{"n": 1}"#).unwrap().arn)
        .collect();
    for arn in &arns {
        engine.wait_for_end(arn).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(100)).await;
    let mut trace = changes.lock().unwrap().join("\n");
    for machine in [MACHINE, CHILD] {
        for execution in engine.list_executions(machine, None, Some(1000), None).unwrap().items {
            trace += &format!("\n{}", execution.to_json());
            for event in history(&engine, &execution.arn) {
                trace += &format!("\n{}", event.to_json());
            }
        }
    }
    trace
}

fn in_a_runtime_of_its_own(seed: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(trace(seed))
}

#[test]
fn a_hundred_seeds_give_the_same_trace_twice() {
    for seed in 0..100 {
        assert_eq!(in_a_runtime_of_its_own(seed), in_a_runtime_of_its_own(seed), "seed {seed}");
    }
}

#[test]
fn seeds_differ() {
    assert_ne!(in_a_runtime_of_its_own(1), in_a_runtime_of_its_own(2));
}
