//! The project's own machines: they are loaded as they stand, and a run of theirs is driven to each of its ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use local_step_functions::{Call, Definition, Engine, Execution, Fault, Settings, Status, TaskError, substitute};
use serde_json::{Value, json};

use crate::support::*;

/// The text of a machine, with an ARN for each placeholder.
pub(crate) fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../state-machine").join(file);
    let text = fs::read_to_string(path).unwrap();
    let names = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    let values: BTreeMap<String, String> = names.map(|name| (name.to_owned(), value(name))).collect();
    substitute(&text, &values).unwrap()
}

pub(crate) fn load(file: &str) -> Definition {
    Definition::parse(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn value(placeholder: &str) -> String {
    match placeholder {
        "Partition" => "aws".to_owned(),
        "OperationMachineArn" => OPERATION.to_owned(),
        "LifecycleMachineArn" => LIFECYCLE.to_owned(),
        "MayPrune" => "false".to_owned(),
        function => format!("arn:aws:lambda:us-east-1:000000000000:function:{function}"),
    }
}

#[test]
fn the_machines_are_loaded_with_every_state_field_and_expression() {
    for file in ["lifecycle.asl.json", "operation.asl.json", "create.asl.json"] {
        assert!(load(file).state_names().count() >= 5, "{file}");
    }
}

/// How an execution of a machine ends whose functions fail with an error.
async fn end_with(file: &str, input: &Value, error: &TaskError) -> (String, String) {
    let error = error.clone();
    let engine = Engine::new(settings(1), Arc::new(Outside::answering(move |_| Err(error.clone()))));
    engine.create_state_machine(MACHINE, load(file)).unwrap();
    let execution = run(&engine, input).await;
    let (error, cause) = failure(&execution);
    (error.to_owned(), cause.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_function_that_fails_fails_the_execution_with_a_sentence_that_names_it() {
    let killed =
        TaskError::of_function("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: signal: killed");
    let throttled =
        TaskError::new("Lambda.TooManyRequestsException", "Rate Exceeded. (Service: Lambda, Status Code: 429)");
    let timed_out = TaskError { error: "States.Timeout".to_owned(), cause: None };
    for (error, words) in [
        (killed, "Runtime.ExitError: RequestId: 1 Error: Runtime exited with error: signal: killed"),
        (throttled, "Lambda.TooManyRequestsException: Rate Exceeded. (Service: Lambda, Status Code: 429)"),
        (timed_out, "States.Timeout"),
    ] {
        for (file, function, input) in [
            ("lifecycle.asl.json", "ReadRequestFunctionArn", json!({})),
            ("operation.asl.json", "StartCreateFunctionArn", json!({"operation": "create"})),
        ] {
            let cause = format!(
                "the function {function} failed with {words}; its log in CloudWatch Logs says more; start a new execution to try again"
            );
            assert_eq!(end_with(file, &input, &error).await, ("FunctionFailed".to_owned(), cause));
        }
    }
}

const LIFECYCLE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:ami-lifecycle";
const OPERATION: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:ami-operation";

/// The error and the cause of a machine whose functions all fail.
async fn fails(machine: &str, error: &'static str) -> (String, String) {
    let failing = Outside::answering(move |_| Err(TaskError::of_function(error, "why")));
    let engine = Engine::new(settings(1), Arc::new(failing));
    engine.create_state_machine(LIFECYCLE, load("lifecycle.asl.json")).unwrap();
    engine.create_state_machine(OPERATION, load("operation.asl.json")).unwrap();
    let run = engine.start_execution(machine, Some("run"), r#"{"operation": "create"}"#).unwrap();
    let ended = engine.wait_for_end(&run.arn).await.unwrap();
    (ended.error.unwrap(), ended.cause.unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_function_is_told_by_its_name_and_message() {
    for machine in [LIFECYCLE, OPERATION] {
        assert_eq!(fails(machine, "Throttled").await, ("Throttled".to_owned(), "why".to_owned()));
        let (error, cause) = fails(machine, "Broken").await;
        assert_eq!(error, "FunctionFailed");
        assert!(cause.contains("failed with Broken: why"), "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_whose_function_fails_is_told_by_its_error_too() {
    for (error, told, cause) in
        [("Throttled", "Throttled", "why"), ("Broken", "FunctionFailed", "failed with Broken: why")]
    {
        let outside = Outside::answering(move |call| match call.state.as_str() {
            "Begin" => Ok(json!({"status": "Pending", "wake": false, "waitSeconds": 5})),
            _ => Err(TaskError::of_function(error, "why")),
        });
        let engine = Engine::new(settings(1), Arc::new(outside));
        engine.create_state_machine(OPERATION, load("operation.asl.json")).unwrap();
        let run = engine.start_execution(OPERATION, Some("run"), r#"{"operation": "create"}"#).unwrap();
        let ended = engine.wait_for_end(&run.arn).await.unwrap();
        assert_eq!(failure(&ended).0, told);
        assert!(failure(&ended).1.contains(cause), "{ended:?}");
    }
}

/// Whether the look after a wait is told that an event came.
async fn is_told(event_comes: bool) -> Value {
    let own: Arc<OnceLock<Engine>> = Arc::default();
    let engine = Arc::clone(&own);
    let outside = Outside::answering(move |call| match call.state.as_str() {
        "Begin" => Ok(json!({"status": "Pending", "reason": "it goes on", "wake": true, "waitSeconds": 5})),
        "Look" => Ok(json!({"status": "Succeeded", "result": {"woken": call.arguments["Payload"]["woken"]}})),
        _ => {
            if event_comes {
                let detail = &call.arguments["Entries"][0]["Detail"];
                let token = detail["token"].as_str().unwrap();
                engine.get().unwrap().send_task_success(token, "{}").unwrap();
            }
            echo(call)
        }
    });
    let engine = Engine::new(settings(1), Arc::new(outside));
    own.set(engine.clone()).unwrap_or_else(|_| panic!("it is set once"));
    engine.create_state_machine(OPERATION, load("operation.asl.json")).unwrap();
    let run = engine.start_execution(OPERATION, Some("run"), r#"{"operation": "create", "run": "the-run"}"#).unwrap();
    output(&engine.wait_for_end(&run.arn).await.unwrap())["result"]["woken"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_look_is_told_whether_an_event_came() {
    assert_eq!((is_told(true).await, is_told(false).await), (json!(true), json!(false)));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_cannot_be_started_leaves_the_runs_tags_to_search_for() {
    let plan = json!({"run": "the-run", "done": 0, "results": {}, "rollbackTimeoutSeconds": 900,
        "operations": [{"operation": "create", "timeoutSeconds": 60}]});
    let outside = Outside::answering(move |_| Ok(plan.clone()));
    let refused = |_: &Call| Fault::Refused(TaskError::new("StepFunctions.AccessDeniedException", "no"));
    let engine = Engine::new(settings(1), Arc::new(outside.with_fault(refused)));
    engine.create_state_machine(LIFECYCLE, load("lifecycle.asl.json")).unwrap();
    let run = engine.start_execution(LIFECYCLE, Some("run"), "{}").unwrap();
    let ended = engine.wait_for_end(&run.arn).await.unwrap();
    let (error, cause) = failure(&ended);
    assert_eq!(error, "LeftoversRemain");
    assert!(cause.starts_with("the rollback did not start: "), "{cause}");
    let tags = "what the run made has the tag ami-from-instance:run, and an instance that it may have stopped the tag \
        ami-from-instance:stopped-by, each = the-run";
    assert!(cause.ends_with(tags), "{cause}");
}

/// Stops a run so many seconds after its start, each of whose steps takes one, and redrives it. None if it has ended.
async fn redriven_after(seconds: u64, plan: &Value) -> Option<(String, Execution)> {
    let plan = plan.clone();
    let outside = Outside::answering(move |call| match call.state.as_str() {
        "Read the request" => Ok(plan.clone()),
        _ => Ok(json!({"status": "Succeeded", "result": {"id": "ami-1"}})),
    });
    let engine = Engine::new(Settings { step_millis: 1000..=1000, ..settings(1) }, Arc::new(outside));
    engine.create_state_machine(LIFECYCLE, load("lifecycle.asl.json")).unwrap();
    engine.create_state_machine(OPERATION, load("operation.asl.json")).unwrap();
    let run = engine.start_execution(LIFECYCLE, Some("run"), "{}").unwrap();
    tokio::time::sleep(Duration::from_millis(1000 * seconds + 500)).await;
    engine.stop_execution(&run.arn, None, None).ok()?;
    let stopped = engine.describe_execution(&run.arn).unwrap();
    if stopped.status == Status::Succeeded {
        return None;
    }
    let history = history(&engine, &run.arn);
    let entered = history.iter().rev().find(|event| event.event_type.ends_with("StateEntered"));
    let state = entered.map(|event| event.details["name"].as_str().unwrap().to_owned()).unwrap_or_default();
    engine.redrive_execution(&run.arn).unwrap();
    Some((state, engine.wait_for_end(&run.arn).await.unwrap()))
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_at_any_time_and_redriven_does_not_succeed() {
    let create = json!({"operation": "create", "timeoutSeconds": 60});
    for operations in [json!([create]), json!([])] {
        let mut plan = nothing_to_do();
        plan["operations"] = operations;
        let mut states = BTreeSet::new();
        for seconds in 0.. {
            let Some((state, ended)) = redriven_after(seconds, &plan).await else { break };
            assert_ne!(ended.status, Status::Succeeded, "{state}");
            states.insert(state);
        }
        assert!(states.contains("Read the request") && states.contains("What is next?"), "{states:?}");
    }
}

const CREATE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:ami-create";

/// An engine with the machine that only creates, and the one that it starts.
fn with_create(outside: Outside) -> Engine {
    let engine = Engine::new(settings(1), Arc::new(outside));
    engine.create_state_machine(CREATE, load("create.asl.json")).unwrap();
    engine.create_state_machine(LIFECYCLE, load("lifecycle.asl.json")).unwrap();
    engine
}

/// A plan without an operation.
fn nothing_to_do() -> Value {
    json!({"run": "the-run", "done": 0, "results": {"id": "ami-1"}, "rollbackTimeoutSeconds": 900, "operations": []})
}

#[tokio::test(start_paused = true)]
async fn the_machine_that_only_creates_sends_a_create_whatever_it_is_sent() {
    for (input, sends) in [
        (json!({"name": "web"}), true),
        (json!({"name": "web", "action": "create"}), true),
        (json!({"name": "web", "action": null}), true),
        (json!({"name": "web", "action": ""}), true),
        (json!({"name": "web", "action": "delete"}), false),
        (json!({"name": "web", "action": ["delete"]}), false),
        (json!({"name": "web", "retain": null}), true),
        (json!({"name": "web", "retain": {"count": 1}}), false),
    ] {
        let engine = with_create(Outside::answering(|_| Ok(nothing_to_do())));
        let run = engine.start_execution(CREATE, Some("run"), &input.to_string()).unwrap();
        let ended = engine.wait_for_end(&run.arn).await.unwrap();
        let started = engine.describe_execution(&run.arn.replace("ami-create", "ami-lifecycle"));
        assert_eq!(started.is_ok(), sends, "{input}");
        let Ok(started) = started else {
            assert_eq!(failure(&ended).0, "InvalidRequest");
            continue;
        };
        let sent: Value = serde_json::from_str(&started.input).unwrap();
        assert_eq!((&sent["action"], &sent["name"]), (&json!("create"), &json!("web")));
        assert_eq!(ended.output.as_deref(), Some(r#"{"id":"ami-1"}"#));
    }
}

#[tokio::test(start_paused = true)]
async fn the_machine_that_only_creates_fails_as_its_run_fails() {
    let engine = with_create(Outside::answering(|_| Err(TaskError::of_function("Throttled", "why"))));
    let run = engine.start_execution(CREATE, Some("run"), "{}").unwrap();
    let ended = engine.wait_for_end(&run.arn).await.unwrap();
    assert_eq!(failure(&ended), ("Throttled", "why"));
}

#[tokio::test(start_paused = true)]
async fn the_machine_that_only_creates_says_that_no_run_has_started() {
    let refused = |call: &Call| match call.state.as_str() {
        "Create the image" => Fault::Refused(TaskError::new("StepFunctions.AccessDeniedException", "no")),
        _ => Fault::None,
    };
    let engine = with_create(Outside::answering(|_| Ok(nothing_to_do())).with_fault(refused));
    let run = engine.start_execution(CREATE, Some("run"), "{}").unwrap();
    let ended = engine.wait_for_end(&run.arn).await.unwrap();
    let (error, cause) = failure(&ended);
    assert!(error == "RunNotStarted" && cause.contains("StepFunctions.AccessDeniedException: no"), "{cause}");

    let engine = with_create(Outside::answering(|_| Ok(nothing_to_do())));
    let taken = engine.start_execution(LIFECYCLE, Some("run"), "{}").unwrap();
    engine.wait_for_end(&taken.arn).await.unwrap();
    let run = engine.start_execution(CREATE, Some("run"), "{}").unwrap();
    let ended = engine.wait_for_end(&run.arn).await.unwrap();
    let (error, cause) = failure(&ended);
    assert!(error == "RunNotStarted" && cause.starts_with("there is a run of the name run already"), "{cause}");
}
