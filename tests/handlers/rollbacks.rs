//! Rollbacks, and what EC2 and others make hard to find: the snapshots of an instance that EC2 reboots begin up to
//! minutes after the image, and tags can be taken off.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ami_from_instance::{app::App, model::run::RUN_TAG};
use aws_sdk_ec2::types::Tag;
use local_ec2::{Ec2, Lags};
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
async fn roll_back(ec2: &Ec2, create: &Value) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let aborted = |input: &Value| {
        json!({"executionArn": "arn", "stateMachineArn": "arn", "startDate": now - 600, "stopDate": now,
            "status": "ABORTED", "input": input.to_string()})
    };
    let operation = |end: &str| format!("{RUN}-{end}").replace(":ami-lifecycle:", ":ami-operation:");
    let executions = BTreeMap::from([(RUN.to_owned(), aborted(&json!({}))), (operation("1"), aborted(create))]);
    let entered = json!({"name": "Wait", "input": create.to_string()});
    let entered = json!({"id": 1, "timestamp": now, "type": "WaitStateEntered", "stateEnteredEventDetails": entered});
    let client = step_functions::that_answers(move |action, input| match action {
        "GetExecutionHistory" => (200, json!({"events": [entered]})),
        _ => match executions.get(input["executionArn"].as_str().unwrap()) {
            Some(execution) => (200, execution.clone()),
            None => (400, json!({"__type": "ExecutionDoesNotExist", "message": "none"})),
        },
    });
    let app = App { step_functions: client.await, ..app(ec2) };
    let document = json!({"operation": "rollback", "run": RUN, "execution": operation("by-hand"),
        "timeoutSeconds": 5_400, "arguments": {}});
    let mut document = call(&app, "begin", document).await.unwrap();
    while is_going_on(&document) {
        wait(ec2, &document);
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
    assert!(message.contains(image_id(&known)) && message.contains(&snapshot), "{message}");
    assert!(ec2.image(image_id(&known)).is_some() && ec2.snapshot(&snapshot).is_some());
}
