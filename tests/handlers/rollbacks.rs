//! Rollbacks, and what EC2 and others make hard to find: the snapshots of an instance that EC2 reboots begin up to
//! minutes after the image, and tags can be taken off.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ami_from_instance::{app::App, error::Error, model::run::RUN_TAG, operations::instance_state::STOPPED_BY_TAG};
use aws_sdk_ec2::types::{InstanceStateName, Tag};
use local_ec2::{Ec2, Fault, FaultKind, InstanceSpec, Lags};
use serde_json::{Value, json};

use crate::{
    RUN, app, begin, call, create_request, ec2, ec2_with, image_id, is_going_on, look, merged, step_functions, wait,
    whole,
};

/// How late they begin.
const LATE: Duration = Duration::from_secs(240);

async fn ec2_that_is_late() -> Ec2 {
    ec2_with(Lags { rebooted_snapshots_begin: LATE, ..Lags::default() }).await
}

/// Rolls back the run, which was aborted just now while its create knew what the document says; gives the rollback's
/// document.
pub(crate) async fn roll_back(ec2: &Ec2, create: &Value) -> Value {
    roll_back_all(ec2, std::slice::from_ref(create)).await
}

/// The same for a run of several operations.
async fn roll_back_all(ec2: &Ec2, documents: &[Value]) -> Value {
    roll_back_as(ec2, documents, "ABORTED", &json!({})).await
}

/// The same where the operation itself has ended otherwise.
pub(crate) async fn roll_back_ended(ec2: &Ec2, document: &Value, status: &str) -> Value {
    roll_back_as(ec2, std::slice::from_ref(document), status, &json!({})).await
}

/// `end` is what Step Functions says of the run besides.
async fn roll_back_as(ec2: &Ec2, documents: &[Value], status: &str, end: &Value) -> Value {
    roll_back_told(ec2, documents, status, end, &json!({})).await
}

/// `told` is what the rollback is told besides.
async fn roll_back_told(ec2: &Ec2, documents: &[Value], status: &str, end: &Value, told: &Value) -> Value {
    roll_back_shown(ec2, documents, status, end, told, [json!({}), json!({})]).await
}

/// `first` is what Step Functions shows otherwise in the first 45 seconds, of the run and of its last operation.
async fn roll_back_shown(
    ec2: &Ec2,
    documents: &[Value],
    status: &str,
    end: &Value,
    told: &Value,
    first: [Value; 2],
) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let aborted = |input: &Value| {
        json!({"executionArn": "arn", "stateMachineArn": "arn", "startDate": now - 600, "stopDate": now,
            "status": "ABORTED", "input": input.to_string()})
    };
    let operation = |end: &str| format!("{RUN}-{end}").replace(":ami-lifecycle:", ":ami-operation:");
    let mut executions = BTreeMap::from([(RUN.to_owned(), merged(aborted(&json!({})), end.clone()))]);
    for (at, document) in documents.iter().enumerate() {
        let arn = operation(&(at + 1).to_string());
        let execution = merged(aborted(document), json!({"executionArn": arn, "status": status}));
        executions.insert(arn, merged(execution, document["shown"].clone()));
    }
    if let Value::Object(undo) = &end["undo"] {
        executions.insert(operation("undo"), aborted(&json!({"arguments": undo})));
    }
    let first = [RUN.to_owned(), operation(&documents.len().to_string())].into_iter().zip(first);
    let (first, waited) = (BTreeMap::from_iter(first), Arc::new(AtomicU64::new(0)));
    let passed = Arc::clone(&waited);
    let client = step_functions::that_answers(move |action, input| {
        let arn = input["executionArn"].as_str().unwrap();
        let shown = executions.get(arn).map(|execution| match first.get(arn) {
            Some(first) if passed.load(Relaxed) < 45 => merged(execution.clone(), first.clone()),
            _ => execution.clone(),
        });
        match (action, shown.filter(|shown| shown["status"] != "NOT_SHOWN")) {
            ("GetExecutionHistory", Some(execution)) => {
                let entered = json!({"name": "Wait", "input": execution["input"]});
                let entered =
                    json!({"id": 1, "timestamp": now, "type": "WaitStateEntered", "stateEnteredEventDetails": entered});
                (200, json!({"events": [entered]}))
            }
            (_, Some(execution)) => (200, execution),
            (_, None) => (400, json!({"__type": "ExecutionDoesNotExist", "message": "none"})),
        }
    });
    let app = App { step_functions: client.await, ..app(ec2) };
    let document = json!({"operation": "rollback", "run": RUN, "execution": operation("by-hand"),
        "timeoutSeconds": 5_400, "arguments": {}});
    let mut document = call(&app, "begin", merged(document, told.clone())).await.unwrap();
    while is_going_on(&document) {
        wait(ec2, &document);
        waited.fetch_add(document["waitSeconds"].as_u64().unwrap(), Relaxed);
        document = call(&app, "look", document).await.unwrap();
    }
    document
}

/// For how long a rollback waits that leaves nothing, in seconds.
async fn rolled_back_after(ec2: &Ec2, create: &Value) -> u64 {
    let document = roll_back(ec2, create).await;
    assert_eq!(document["status"], "Succeeded", "{document}");
    document["waitedSeconds"].as_u64().unwrap()
}

#[tokio::test]
async fn a_rollback_removes_the_snapshots_that_begin_after_the_image_is_gone() {
    let ec2 = ec2_that_is_late().await;
    let created = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(10));
    assert!(rolled_back_after(&ec2, &created).await >= LATE.as_secs());
    ec2.advance(LATE);
    assert_eq!((ec2.images().len(), ec2.snapshots_tagged(RUN_TAG, RUN).len()), (0, 0));
}

#[tokio::test]
async fn a_rollback_waits_for_no_late_snapshots_where_the_instance_is_not_rebooted_or_they_have_been_seen() {
    let ec2 = ec2_that_is_late().await;
    let request = merged(create_request(), json!({"snapshotWithoutReboot": true}));
    let without_reboot = begin(&ec2, request).await;
    ec2.advance(Duration::from_secs(10));
    assert!(rolled_back_after(&ec2, &without_reboot).await < LATE.as_secs());
    let created = begin(&ec2, create_request()).await;
    ec2.advance(LATE * 2);
    let seen = look(&ec2, created).await;
    assert_eq!(seen["memory"]["snapshotIds"].as_array().unwrap().len(), 2, "{seen}");
    assert!(rolled_back_after(&ec2, &seen).await < LATE.as_secs());
}

#[tokio::test]
async fn a_delete_of_an_image_whose_snapshots_have_not_begun_waits_for_them() {
    let ec2 = ec2_that_is_late().await;
    let created = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(10));
    let deleted = whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image_id(&created)})).await;
    assert_eq!(deleted["status"], "Succeeded", "{deleted}");
    ec2.advance(LATE);
    assert_eq!((ec2.images().len(), ec2.snapshots().len()), (0, 0));
}

#[tokio::test]
async fn what_carries_the_run_tag_no_longer_is_named_by_its_id_and_not_touched() {
    let ec2 = ec2().await;
    let created = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(30));
    let known = look(&ec2, created).await;
    let snapshot = ec2.snapshots()[0].id.clone();
    let tag = Tag::builder().key(RUN_TAG).build();
    ec2.client().delete_tags().resources(image_id(&known)).resources(&snapshot).tags(tag).send().await.unwrap();
    ec2.advance(Duration::from_secs(600));
    let left = roll_back(&ec2, &known).await;
    assert_eq!(left["error"]["name"], "LeftoversRemain", "{left}");
    let message = left["error"]["message"].as_str().unwrap();
    for id in [image_id(&known), &snapshot] {
        assert!(message.contains(&format!("{id} stays: it does not carry the tag")), "{message}");
    }
    assert_eq!(message.matches("it does not carry the tag").count(), 2, "{message}");
    assert!(ec2.image(image_id(&known)).is_some() && ec2.snapshot(&snapshot).is_some());
}

#[tokio::test]
async fn a_rollback_takes_the_protection_off_an_image_that_goes_and_not_off_one_that_stays() {
    for stays in [true, false] {
        let ec2 = ec2().await;
        let created = begin(&ec2, create_request()).await;
        ec2.advance(Duration::from_secs(3_600));
        let id = image_id(&created);
        ec2.client().enable_image_deregistration_protection().image_id(id).send().await.unwrap();
        let update = json!({"operation": "update", "arguments": {}, "memory": {"protects": id}});
        let delete = json!({"operation": "delete", "arguments": {}, "memory": {}, "keepsImage": stays});
        ec2.forget_calls();
        let document = roll_back_all(&ec2, &[created.clone(), update, delete]).await;
        assert_eq!(document["status"], "Succeeded", "{document}");
        assert_eq!(ec2.calls_of("DisableImageDeregistrationProtection").is_empty(), stays);
        ec2.advance(Duration::from_secs(600));
        assert_eq!(ec2.image(id).is_some(), stays);
    }
}

#[tokio::test]
async fn a_rollback_starts_the_instance_before_it_removes_the_image() {
    let ec2 = ec2().await;
    let instance = ec2.add_instance(InstanceSpec::default().tag(STOPPED_BY_TAG, RUN).state(InstanceStateName::Stopped));
    let created = begin(&ec2, merged(create_request(), json!({"sourceInstanceId": instance}))).await;
    ec2.advance(Duration::from_secs(3_600));
    let stop = json!({"operation": "stop", "arguments": {"sourceInstanceId": instance}, "memory": {}});
    let refused =
        FaultKind::Refused { code: "InsufficientInstanceCapacity".to_owned(), message: "no place".to_owned() };
    ec2.inject(Fault::on("StartInstances", refused).times(12));
    ec2.forget_calls();
    let document = roll_back_all(&ec2, &[stop, created]).await;
    assert_eq!(document["status"], "Succeeded", "{document}");
    let changes: Vec<_> = ec2.mutating_calls().into_iter().map(|call| call.action).collect();
    let first = |action: &str| changes.iter().position(|one| one == action).unwrap();
    assert!(first("DeregisterImage") > 12, "{changes:?}");
    let after = ec2.instance(&instance).unwrap();
    assert_eq!((after.state, after.tags.contains_key(STOPPED_BY_TAG)), (InstanceStateName::Running, false));
    assert!(ec2.images_tagged(RUN_TAG, RUN).is_empty());
}

/// A run of which a rollback says otherwise than another one would lose a part of its image.
#[tokio::test]
async fn whether_the_image_stays_by_which_an_instance_may_come_back_is_what_the_run_has_said() {
    for (error, stays) in [("InstanceNotRestarted", true), ("LeftoversRemain", false)] {
        let (ec2, documents, _) = not_restarted("States.Timeout").await;
        let failed = json!({"status": "FAILED", "error": error});
        let document = roll_back_as(&ec2, &documents, "FAILED", &failed).await;
        assert_eq!(document["status"], "Succeeded", "{document}");
        ec2.advance(Duration::from_secs(600));
        assert_eq!(ec2.image(image_id(&documents[1])).is_some(), stays, "{error}");
        let instance = documents[0]["arguments"]["sourceInstanceId"].as_str().unwrap();
        assert_eq!(ec2.instance(instance).unwrap().state, InstanceStateName::Running);
    }
}

/// A run that has stopped its instance and could not start it again, as far as its own rollback knows: EC2, what its
/// operations knew, and what the rollback is told.
async fn not_restarted(caught: &str) -> (Ec2, [Value; 3], Value) {
    let ec2 = ec2().await;
    let stopped = InstanceSpec::default().tag(STOPPED_BY_TAG, RUN).state(InstanceStateName::Stopped);
    let instance = ec2.add_instance(stopped);
    let created = begin(&ec2, merged(create_request(), json!({"sourceInstanceId": instance}))).await;
    ec2.advance(Duration::from_secs(3_600));
    let [stop, start] = ["stop", "start"]
        .map(|name| json!({"operation": name, "arguments": {"sourceInstanceId": instance}, "memory": {}}));
    let planned = json!({"operation": "start", "timeoutSeconds": 2_400, "keepsImage": false, "note": ""});
    let failed = json!({"position": 3, "planned": planned, "caught": {"name": caught, "message": ""}});
    let own = json!({"execution": format!("{RUN}-undo").replace(":ami-lifecycle:", ":ami-operation:"),
        "arguments": {"failed": failed}});
    (ec2, [stop, created, start], own)
}

/// Another rollback may have removed a part of the image before a redrive.
#[tokio::test]
async fn a_run_gives_its_instance_up_and_keeps_its_image_unless_it_was_redriven() {
    for (times, caught, error) in [
        (0, "States.Timeout", "InstanceNotRestarted"),
        (1, "States.Timeout", "RunRedriven"),
        (0, "RunRedriven", "RunRedriven"),
    ] {
        let (ec2, documents, own) = not_restarted(caught).await;
        let runs = json!({"status": "RUNNING", "redriveCount": times});
        let document = roll_back_told(&ec2, &documents, "ABORTED", &runs, &own).await;
        assert_eq!(document["status"], "Succeeded", "{document}");
        assert_eq!(document["result"]["error"]["name"], error, "{document}");
        ec2.advance(Duration::from_secs(600));
        let stays = error == "InstanceNotRestarted";
        assert_eq!(ec2.image(image_id(&documents[1])).is_some(), stays, "{document}");
    }
}

/// A plan keeps the image from an operation's beginning on. Before a redrive, that operation may not have begun.
#[tokio::test]
async fn an_operation_that_a_redriven_run_begins_or_would_begin_does_not_keep_the_image() {
    for (document, times, stays) in [
        (json!({"operation": "delete", "arguments": {}, "memory": {}, "keepsImage": true}), 1, true),
        (json!({"operation": "delete", "arguments": {}, "memory": {}, "keepsImage": true, "redriven": true}), 1, false),
        (Value::Null, 0, true),
        (Value::Null, 1, false),
    ] {
        let ec2 = ec2().await;
        let created = begin(&ec2, create_request()).await;
        ec2.advance(Duration::from_secs(3_600));
        let planned = json!({"operation": "delete", "timeoutSeconds": 5_400, "keepsImage": true, "note": ""});
        let caught = json!({"name": if times == 0 { "States.TaskFailed" } else { "RunRedriven" }, "message": ""});
        let own = json!({"execution": format!("{RUN}-undo").replace(":ami-lifecycle:", ":ami-operation:"),
            "arguments": {"failed": {"position": 2, "planned": planned, "caught": caught}}});
        let runs = json!({"status": "RUNNING", "redriveCount": times});
        let documents: Vec<_> = [created.clone(), document.clone()].into_iter().filter(Value::is_object).collect();
        let rolled_back = roll_back_told(&ec2, &documents, "ABORTED", &runs, &own).await;
        assert_eq!(rolled_back["status"], "Succeeded", "{rolled_back}");
        ec2.advance(Duration::from_secs(600));
        assert_eq!(ec2.image(image_id(&created)).is_some(), stays, "{times} {document}");
    }
}

#[tokio::test]
async fn what_step_functions_does_not_show_yet_is_asked_for_again() {
    let runs = json!({"status": "RUNNING"});
    let failed = json!({"status": "FAILED", "error": "InstanceNotRestarted", "cause": "it does not run"});
    // Its own rollback: the failed operation shows as running, or not at all, or the run does not.
    for first in [
        [json!({}), json!({"status": "RUNNING"})],
        [json!({}), json!({"status": "NOT_SHOWN"})],
        [json!({"status": "NOT_SHOWN"}), json!({})],
    ] {
        let (ec2, mut documents, own) = not_restarted("States.TaskFailed").await;
        documents[2] = merged(documents[2].clone(), json!({"shown": failed}));
        let document = roll_back_shown(&ec2, &documents, "FAILED", &runs, &own, first.clone()).await;
        let error = &document["result"]["error"];
        assert_eq!(error["name"], "InstanceNotRestarted", "{first:?} {document}");
    }
    // Another one's: the operation from which on the image stays does not show yet.
    let ec2 = ec2().await;
    let created = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(3_600));
    let keeps = json!({"operation": "delete", "arguments": {}, "memory": {}, "keepsImage": true});
    let first = [json!({}), json!({"status": "NOT_SHOWN"})];
    let documents = [created.clone(), keeps];
    let document = roll_back_shown(&ec2, &documents, "ABORTED", &json!({}), &json!({}), first).await;
    assert_eq!(document["status"], "Succeeded", "{document}");
    ec2.advance(Duration::from_secs(600));
    assert!(ec2.image(image_id(&created)).is_some(), "{document}");
}

/// All that is not known of a run which has ended is when Step Functions shows all of it: that is waited for once, and for
/// no longer where the function's clock is wrong.
#[tokio::test]
async fn a_rollback_looks_again_as_soon_as_step_functions_shows_all_of_the_run() {
    let ec2 = ec2().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // Of the last one it shows all, and nothing is found.
    for (stopped, expected) in [(now, 50..=60), (now - 45, 5..=15), (now + 3_600, 60..=60), (now - 600, 30..=30)] {
        let run = json!({"executionArn": "arn", "stateMachineArn": "arn", "startDate": now - 7_200,
            "stopDate": stopped, "status": "ABORTED"});
        let client = step_functions::that_answers(move |_, input| match input["executionArn"] == RUN {
            true => (200, run.clone()),
            false => (400, json!({"__type": "ExecutionDoesNotExist", "message": "none"})),
        });
        let app = App { step_functions: client.await, ..app(&ec2) };
        let document = json!({"operation": "rollback", "run": RUN, "execution": "arn", "timeoutSeconds": 5_400,
            "arguments": {}});
        let document = call(&app, "begin", document).await.unwrap();
        assert!(expected.contains(&document["waitSeconds"].as_u64().unwrap()), "{stopped}: {document}");
    }
}

/// Retries fill a page of the history; what the operation was waiting for stands on the next one.
#[tokio::test]
async fn a_rollback_reads_a_history_until_it_finds_what_the_operation_last_knew() {
    let ec2 = ec2().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let [own, planned] = [
        json!(format!("{RUN}-undo").replace(":ami-lifecycle:", ":ami-operation:")),
        json!({"operation": "create", "timeoutSeconds": 2_400, "keepsImage": false, "note": ""}),
    ];
    let failed = json!({"position": 1, "planned": planned, "caught": {"name": "States.Timeout", "message": ""}});
    for is_throttled in [false, true] {
        let client = step_functions::that_answers(move |action, input| {
            let arn = input["executionArn"].as_str().unwrap();
            let status = if arn == RUN { "RUNNING" } else { "ABORTED" };
            let event = |id: usize, kind: &str| json!({"id": id, "timestamp": now, "type": kind});
            match (action, input["nextToken"].as_str()) {
                ("GetExecutionHistory", None) => {
                    assert_eq!(input["reverseOrder"], true);
                    let events: Vec<_> = (0..10).map(|before| event(20 - before, "TaskFailed")).collect();
                    (200, json!({"events": events, "nextToken": "more"}))
                }
                ("GetExecutionHistory", _) if is_throttled => {
                    (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"}))
                }
                ("GetExecutionHistory", _) => {
                    let entered = json!({"name": "Look", "input": json!({"reason": "half of it is made"}).to_string()});
                    let entered = merged(event(10, "TaskStateEntered"), json!({"stateEnteredEventDetails": entered}));
                    (200, json!({"events": [entered]}))
                }
                _ if arn == RUN || arn.ends_with("-1") => {
                    let input = json!({"operation": "create", "arguments": {}}).to_string();
                    let described = json!({"executionArn": arn, "stateMachineArn": "arn", "startDate": now - 600,
                        "status": status, "input": input});
                    (200, described)
                }
                _ => (400, json!({"__type": "ExecutionDoesNotExist", "message": "none"})),
            }
        });
        let app = App { step_functions: client.await, ..app(&ec2) };
        let document = json!({"operation": "rollback", "run": RUN, "execution": own, "timeoutSeconds": 5_400,
            "arguments": {"failed": failed}});
        let answered = call(&app, "begin", document).await;
        if is_throttled {
            assert!(matches!(answered, Err(Error::Throttled { .. })), "{answered:?}");
            continue;
        }
        let failure = answered.unwrap()["memory"]["failure"]["message"].to_string();
        assert!(failure.contains("half of it is made"), "{failure}");
    }
}

/// Step Functions shows the run as it was before its redrive, long ago.
#[tokio::test]
async fn a_redriven_run_that_step_functions_shows_as_it_was_before_is_asked_for_again() {
    let (ec2, documents, own) = not_restarted("StepFunctions.ExecutionAlreadyExistsException").await;
    let runs = json!({"status": "RUNNING", "redriveCount": 1});
    let before = json!({"status": "ABORTED", "stopDate": 1_000, "redriveCount": 0});
    let document = roll_back_shown(&ec2, &documents, "FAILED", &runs, &own, [before, json!({})]).await;
    assert_eq!(document["result"]["error"]["name"], "RunRedriven", "{document}");
}

/// The answer to CreateImage was lost, and the look for its image is denied: EC2 may show the image a moment later.
#[tokio::test]
async fn what_a_refused_create_has_made_before_is_removed_before_the_run_ends() {
    let planned = json!({"operation": "create", "timeoutSeconds": 2_400, "keepsImage": false, "note": ""});
    let failed = json!({"position": 1, "planned": planned, "caught": {"name": "States.TaskFailed", "message": ""}});
    let own = json!({"execution": format!("{RUN}-undo").replace(":ami-lifecycle:", ":ami-operation:"),
        "arguments": {"failed": failed}});
    for (error, waits) in [("NotAuthorized", true), ("SourceInstanceNotFound", true), ("NameTaken", false)] {
        let ec2 = ec2_with(Lags {
            image_appears: Duration::from_secs(5),
            snapshot_appears: Duration::from_secs(5),
            ..Lags::default()
        })
        .await;
        begin(&ec2, create_request()).await;
        let shown = json!({"operation": "create", "arguments": {}, "memory": {}, "shown": {"error": error}});
        let runs = json!({"status": "RUNNING"});
        let document = roll_back_told(&ec2, &[shown], "FAILED", &runs, &own).await;
        assert_eq!(document["status"], "Succeeded", "{document}");
        ec2.advance(Duration::from_secs(60));
        assert_eq!(ec2.images_tagged(RUN_TAG, RUN).is_empty(), waits, "{error} {document}");
    }
}

/// What the run said before somebody redrove it counts: the last delete of a replace could not be started.
#[tokio::test]
async fn a_redrive_does_not_take_back_that_the_image_stays() {
    for (times, caught, stays) in
        [(0, "States.TaskFailed", true), (1, "States.TaskFailed", true), (2, "RunRedriven", false)]
    {
        let ec2 = ec2().await;
        let created = begin(&ec2, create_request()).await;
        ec2.advance(Duration::from_secs(3_600));
        let planned = json!({"operation": "delete", "timeoutSeconds": 5_400, "keepsImage": true, "note": ""});
        let caught = json!({"name": caught, "message": ""});
        let failed = json!({"failed": {"position": 2, "planned": planned, "caught": caught}});
        let end = json!({"status": "FAILED", "error": "OperationFailed", "undo": failed, "redriveCount": times});
        let document = roll_back_as(&ec2, std::slice::from_ref(&created), "SUCCEEDED", &end).await;
        assert_eq!(document["status"], "Succeeded", "{document}");
        ec2.advance(Duration::from_secs(600));
        assert_eq!(ec2.image(image_id(&created)).is_some(), stays, "{times} {document}");
    }
}
