//! Deregistration protection: put on last, undone by a rollback, and taken off for a delete.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ami_from_instance::{app::App, model::run::RUN_TAG};
use local_ec2::{Ec2, Fault, FaultKind};
use serde_json::{Value, json};

use super::{
    RUN, app, call, create_request, ec2, first_operation, is_going_on, plan_of, step_functions::that_answers, wait,
    whole,
};

const COOLDOWN: &str = "enabled-with-cooldown";

fn update_request(image: &str, protection: &str) -> Value {
    json!({"action": "update", "imageId": image, "deregistrationProtection": protection})
}

fn delete_request(image: &str) -> Value {
    json!({"action": "delete", "imageId": image, "disableProtection": true})
}

/// An image of this run, protected by an update.
async fn protected(ec2: &Ec2, protection: &str) -> String {
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let updated = whole(ec2, &app(ec2), update_request(&image, protection)).await;
    assert_eq!(updated["result"]["deregistrationProtection"], protection, "{updated}");
    image
}

#[tokio::test]
async fn a_create_that_protects_its_image_does_so_last_of_all() {
    let ec2 = ec2().await;
    let mut request = create_request();
    request["deprecateAfter"] = json!("90d");
    request["deregistrationProtection"] = json!(COOLDOWN);
    let plan = plan_of(&app(&ec2), RUN, request).await.unwrap();
    let operations: Vec<_> =
        plan["operations"].as_array().unwrap().iter().map(|one| one["operation"].clone()).collect();
    assert_eq!(operations, ["create", "update"]);
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    ec2.forget_calls();
    let mut document = plan["operations"][1].clone();
    document["run"] = json!(RUN);
    document["execution"] = json!("arn");
    document["results"] = json!({"id": image});
    let app = app(&ec2);
    let mut document = call(&app, "begin", document).await.unwrap();
    while is_going_on(&document) {
        wait(&ec2, &document);
        document = call(&app, "look", document).await.unwrap();
    }
    assert_eq!(document["result"]["deregistrationProtection"], COOLDOWN);
    let sent: Vec<_> = ec2.mutating_calls().into_iter().map(|call| call.action).collect();
    assert_eq!(sent, ["EnableImageDeprecation", "EnableImageDeregistrationProtection"]);
}

#[tokio::test]
async fn an_update_goes_between_the_protections_and_asks_for_what_is_there_only_once() {
    let ec2 = ec2().await;
    let image = protected(&ec2, "enabled-without-cooldown").await;
    for protection in [COOLDOWN, "disabled", "enabled-without-cooldown"] {
        let updated = whole(&ec2, &app(&ec2), update_request(&image, protection)).await;
        assert_eq!(updated["result"]["deregistrationProtection"], protection);
        ec2.forget_calls();
        whole(&ec2, &app(&ec2), update_request(&image, protection)).await;
        assert!(ec2.mutating_calls().is_empty(), "{protection}");
    }
}

#[tokio::test]
async fn a_protected_image_is_deleted_only_if_the_request_disables_its_protection() {
    let ec2 = ec2().await;
    let image = protected(&ec2, "enabled-without-cooldown").await;
    let refused = whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image})).await;
    assert_eq!(refused["error"]["name"], "ImageProtected");
    assert!(refused["error"]["message"].as_str().unwrap().contains("disableProtection"), "{refused}");
    assert!(ec2.image(&image).is_some());
    let deleted = whole(&ec2, &app(&ec2), delete_request(&image)).await;
    assert_eq!(deleted["status"], "Succeeded", "{deleted}");
    assert!(ec2.image(&image).is_none() && ec2.snapshots().is_empty());
}

#[tokio::test]
async fn a_delete_that_begins_a_cooldown_says_when_it_ends_and_succeeds_after_that() {
    let ec2 = ec2().await;
    let image = protected(&ec2, COOLDOWN).await;
    let before = ec2.sim_now();
    for _ in 0..2 {
        let refused = whole(&ec2, &app(&ec2), delete_request(&image)).await;
        assert_eq!(refused["error"]["name"], "ImageProtected");
        let from = ec2.image(&image).unwrap().tags["ami-from-instance:deletable-from"].clone();
        assert!(refused["error"]["message"].as_str().unwrap().ends_with(&format!("from {from} on")), "{refused}");
        let after = humantime::parse_rfc3339(&from).unwrap().duration_since(before).unwrap();
        assert!((86_300..86_500).contains(&after.as_secs()), "{after:?}");
    }
    ec2.advance(Duration::from_secs(25 * 3600));
    let app = App { now: || SystemTime::now() + Duration::from_secs(25 * 3600), ..app(&ec2) };
    let deleted = whole(&ec2, &app, delete_request(&image)).await;
    assert_eq!(deleted["status"], "Succeeded", "{deleted}");
}

#[tokio::test]
async fn a_replace_refuses_an_old_image_with_a_cooldown_before_the_new_one_is_begun() {
    let ec2 = ec2().await;
    let image = protected(&ec2, COOLDOWN).await;
    ec2.forget_calls();
    let mut request = create_request();
    request["action"] = json!("replace");
    request["imageId"] = json!(image);
    request["name"] = json!("fresh");
    request["disableProtection"] = json!(true);
    let error = plan_of(&app(&ec2), RUN, request).await.unwrap_err();
    assert_eq!(error.name(), "ImageProtected");
    assert!(ec2.mutating_calls().is_empty());
}

/// A Step Functions that knows an aborted run whose only operation is an update with this memory.
async fn that_knows_an_aborted_update(memory: Value) -> aws_sdk_sfn::Client {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let child = format!("{RUN}-1").replace(":ami-lifecycle:", ":ami-operation:");
    let document = json!({"operation": "update", "memory": memory}).to_string();
    that_answers(move |action, input| {
        let arn = input["executionArn"].as_str().unwrap();
        if arn != RUN && arn != child {
            return (400, json!({"__type": "ExecutionDoesNotExist", "message": arn}));
        }
        let entered = json!({"timestamp": now, "type": "WaitStateEntered", "id": 1,
            "stateEnteredEventDetails": {"name": "Wait", "input": document}});
        match action {
            "GetExecutionHistory" => (200, json!({"events": [entered]})),
            _ => (
                200,
                json!({"executionArn": arn, "stateMachineArn": "arn", "startDate": 0,
                "stopDate": now - 600, "status": "ABORTED", "input": document}),
            ),
        }
    })
    .await
}

/// What the update's execution shows to the rollback of a run that was aborted.
#[tokio::test]
async fn a_rollback_disables_the_protection_that_its_run_has_put_on() {
    for (protects, is_removed) in [(true, true), (false, false)] {
        let ec2 = ec2().await;
        let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
        let enable = ec2.client().enable_image_deregistration_protection().image_id(&image).with_cooldown(false);
        enable.send().await.unwrap();
        let memory = if protects { json!({"protects": image}) } else { json!({}) };
        let app = App { step_functions: that_knows_an_aborted_update(memory).await, ..app(&ec2) };
        let mut document = json!({"operation": "rollback", "run": RUN, "execution": "arn", "results": {},
            "timeoutSeconds": 5400, "arguments": {}});
        document = call(&app, "begin", document).await.unwrap();
        while is_going_on(&document) {
            wait(&ec2, &document);
            document = call(&app, "look", document).await.unwrap();
        }
        assert_eq!(ec2.image(&image).is_none(), is_removed, "{document}");
        if !is_removed {
            assert_eq!(document["error"]["name"], "LeftoversRemain");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_protects_once_and_the_update_succeeds() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let app = app(&ec2);
    ec2.inject(Fault::on("EnableImageDeregistrationProtection", FaultKind::LostResponse));
    let document = first_operation(&app, RUN, update_request(&image, COOLDOWN)).await;
    let mut document = call(&app, "begin", document).await.unwrap();
    assert_eq!(document["memory"]["protects"], image);
    while is_going_on(&document) {
        wait(&ec2, &document);
        if let Ok(answer) = call(&app, "look", document.clone()).await {
            document = answer;
        }
    }
    assert_eq!(document["status"], "Succeeded");
}

/// An image whose cooldown ends in so many seconds, as its tag says.
fn cooling_down(ec2: &Ec2, seconds: u64) -> String {
    let until = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(seconds)).to_string();
    ec2.add_foreign_image("cooling-down", &[(RUN_TAG, RUN), ("ami-from-instance:deletable-from", &until)])
}

#[tokio::test]
async fn a_delete_waits_for_a_cooldown_that_ends_within_its_timeout_and_refuses_a_longer_one() {
    let ec2 = ec2().await;
    let app = app(&ec2);
    let document = first_operation(&app, RUN, delete_request(&cooling_down(&ec2, 600))).await;
    let noted = call(&app, "begin", document).await.unwrap();
    let waiting = call(&app, "look", noted).await.unwrap();
    assert_eq!(waiting["status"], "Pending", "{waiting}");
    assert!(waiting["waitSeconds"].as_u64().is_some_and(|seconds| (590..=600).contains(&seconds)), "{waiting}");
    ec2.client().deregister_image().image_id(ec2.images_named("cooling-down")[0].id.clone()).send().await.unwrap();
    ec2.advance(Duration::from_secs(60));
    let long = cooling_down(&ec2, 2 * 24 * 3600);
    for dry in [false, true] {
        let mut request = delete_request(&long);
        request["dryRun"] = json!(dry);
        let refused = whole(&ec2, &app, request).await;
        assert_eq!(refused["error"]["name"], "ImageProtected", "dry: {dry}: {refused}");
    }
}
