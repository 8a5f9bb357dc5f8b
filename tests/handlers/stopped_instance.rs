//! Creates that stop their instance and start it again.

use std::time::Duration;

use ami_from_instance::{app::App, model::run::RUN_TAG, operations::instance_state::STOPPED_BY_TAG};
use aws_sdk_ec2::types::{InstanceStateName, Tag};
use local_ec2::{Ec2, Fault, FaultKind, InstanceSpec};
use serde_json::{Value, json};

use super::{RUN, app, call, create_request, ec2, is_going_on, merged, plan_of, step_functions, wait};

const CAPACITY: &str = "InsufficientInstanceCapacity";
const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/5e1f";

fn stopping(instance: &str) -> Value {
    let fields = json!({"sourceInstanceId": instance, "stopInstance": true, "timeouts": {"create": "30m"}});
    merged(create_request(), fields)
}

fn with_a_data_volume(ec2: &Ec2) -> String {
    ec2.add_instance(InstanceSpec::default().volume("/dev/sdf", 20, "gp3"))
}

fn state(ec2: &Ec2, instance: &str) -> InstanceStateName {
    ec2.instance(instance).unwrap().state
}

fn is_tagged(ec2: &Ec2, instance: &str) -> bool {
    ec2.instance(instance).unwrap().tags.contains_key(STOPPED_BY_TAG)
}

/// An operation of the plan, as the machine begins it.
async fn operation(app: &App, instance: &str, position: usize, results: &Value) -> Value {
    let plan = plan_of(app, RUN, stopping(instance)).await.unwrap();
    merged(plan["operations"][position].clone(), json!({"run": RUN, "results": results, "execution": "arn"}))
}

/// Goes through one operation of a plan.
async fn perform(ec2: &Ec2, app: &App, planned: &Value, position: usize, results: &Value) -> Value {
    let operation = format!("{RUN}-{position}").replace(":ami-lifecycle:", ":ami-operation:");
    let mut document = merged(planned.clone(), json!({"run": RUN, "results": results, "execution": operation}));
    document = call(app, "begin", document).await.unwrap();
    while is_going_on(&document) {
        wait(ec2, &document);
        let step = if document["status"] == "Pending" { "look" } else { "begin" };
        document = call(app, step, document).await.unwrap();
    }
    document
}

/// The whole plan, until an operation fails; gives what the operations gave together, and the error.
async fn run(ec2: &Ec2, app: &App, request: Value) -> (Value, Value) {
    let plan = plan_of(app, RUN, request).await.unwrap();
    let mut results = json!({});
    for (at, planned) in plan["operations"].as_array().unwrap().iter().enumerate() {
        let document = perform(ec2, app, planned, at + 1, &results).await;
        if document["status"] != "Succeeded" {
            return (results, merged(document["error"].clone(), json!({"operation": planned["operation"]})));
        }
        results = merged(results, document["result"].clone());
    }
    (results, Value::Null)
}

fn changes(ec2: &Ec2) -> Vec<String> {
    ec2.mutating_calls().into_iter().map(|call| call.action).collect()
}

#[tokio::test]
async fn the_instance_is_stopped_imaged_and_started_as_soon_as_every_snapshot_exists() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let (results, error) = run(&ec2, &app(&ec2), stopping(&instance)).await;
    assert_eq!(error, Value::Null);
    assert_eq!(results["state"], "available", "{results}");
    let source = &results["sourceInstance"];
    assert_eq!((&source["stateBefore"], &source["stateAfter"]), (&json!("running"), &json!("running")));
    assert_eq!(source["rebooted"], false);
    // Twenty seconds to stop, five until the snapshots are seen, forty until the checks have passed.
    let down = source["downSeconds"].as_u64().unwrap();
    assert!(source["stoppedAt"].is_string() && (65..100).contains(&down), "{source}");
    assert_eq!(changes(&ec2), ["CreateTags", "StopInstances", "CreateImage", "StartInstances", "DeleteTags"]);
    assert_eq!(state(&ec2, &instance), InstanceStateName::Running);
    assert!(!is_tagged(&ec2, &instance));
    // It was up before the image was.
    let calls = ec2.calls();
    let created = calls.iter().position(|call| call.action == "CreateImage").unwrap();
    let started = calls.iter().position(|call| call.action == "StartInstances").unwrap();
    let took = calls[started].at.duration_since(calls[created].at).unwrap();
    assert!(took <= Duration::from_secs(10), "{took:?}");
    assert!(ec2.instance(&instance).unwrap().reboots.is_empty());
}

#[tokio::test]
async fn an_instance_that_was_stopped_before_stays_stopped() {
    let ec2 = ec2().await;
    let instance = ec2.add_instance(InstanceSpec::default().state(InstanceStateName::Stopped));
    let (results, error) = run(&ec2, &app(&ec2), stopping(&instance)).await;
    assert_eq!(error, Value::Null);
    assert_eq!(results["sourceInstance"]["stateAfter"], "stopped", "{results}");
    assert_eq!(changes(&ec2), ["CreateImage"]);
    assert_eq!(state(&ec2, &instance), InstanceStateName::Stopped);
}

#[tokio::test]
async fn a_replace_by_the_same_name_stops_the_instance_before_the_old_image_goes() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let old = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let request = merged(stopping(&instance), json!({"action": "replace", "imageId": old}));
    let plan = plan_of(&app(&ec2), RUN, request.clone()).await.unwrap();
    let operations = plan["operations"].as_array().unwrap();
    let names: Vec<_> = operations.iter().map(|one| one["operation"].as_str().unwrap()).collect();
    assert_eq!(names, ["stop", "delete", "create", "start", "complete", "delete"]);
    let (results, error) = run(&ec2, &app(&ec2), request).await;
    assert_eq!(error, Value::Null);
    assert_eq!((ec2.images().len(), &results["deletedImageId"]), (1, &json!(old)));
}

/// EC2 has no place for the instance for so many tries.
fn without_capacity(ec2: &Ec2, tries: usize) {
    let kind = FaultKind::Refused { code: CAPACITY.to_owned(), message: "no place".to_owned() };
    ec2.inject(Fault::on("StartInstances", kind).times(tries));
}

#[tokio::test]
async fn a_start_that_ec2_has_no_capacity_for_is_tried_again_within_the_timeout() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    without_capacity(&ec2, 8);
    let (results, error) = run(&ec2, &app(&ec2), stopping(&instance)).await;
    assert_eq!(error, Value::Null);
    assert_eq!(results["state"], "available");
    assert_eq!((ec2.calls_of("StartInstances").len(), state(&ec2, &instance)), (9, InstanceStateName::Running));
}

#[tokio::test]
async fn a_key_that_may_not_be_granted_is_named_with_what_allows_it() {
    let ec2 = ec2().await;
    let instance = ec2.add_instance(InstanceSpec::default().ungranted_key(KEY));
    let (_, error) = run(&ec2, &app(&ec2), stopping(&instance)).await;
    assert_eq!(error["name"], "InstanceNotRestarted");
    let message = error["message"].as_str().unwrap();
    for part in ["Client.InternalError", KEY, "kms:CreateGrant", "VolumeKmsKeyArns"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[tokio::test]
async fn an_instance_that_another_run_has_stopped_is_waited_for() {
    let ec2 = ec2().await;
    let other = format!("{RUN}-other");
    let instance = ec2.add_instance(InstanceSpec::default().tag(STOPPED_BY_TAG, &other));
    let app = app(&ec2);
    let document = operation(&app, &instance, 0, &json!({})).await;
    let held = call(&app, "begin", document).await.unwrap();
    assert_eq!((&held["status"], changes(&ec2).len()), (&json!("NotStarted"), 0));
    assert!(held["reason"].as_str().unwrap().ends_with(&other), "{held}");
    let tag = Tag::builder().key(STOPPED_BY_TAG).build();
    ec2.client().delete_tags().resources(&instance).tags(tag).send().await.unwrap();
    wait(&ec2, &held);
    assert_eq!(call(&app, "begin", held).await.unwrap()["status"], "Pending");
    assert_eq!(ec2.instance(&instance).unwrap().tags[STOPPED_BY_TAG], RUN);
}

/// Both have read that nobody has it, and both tag it: the later tag stays.
#[tokio::test]
async fn of_two_runs_that_take_an_instance_at_once_one_stops_it() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let document = operation(&app, &instance, 0, &json!({})).await;
    let tagged = call(&app, "begin", document).await.unwrap();
    let later = Tag::builder().key(STOPPED_BY_TAG).value(format!("{RUN}-later")).build();
    ec2.client().create_tags().resources(&instance).tags(later).send().await.unwrap();
    wait(&ec2, &tagged);
    assert_eq!(call(&app, "look", tagged).await.unwrap()["status"], "NotStarted");
    assert!(ec2.calls_of("StopInstances").is_empty());
}

#[tokio::test]
async fn an_instance_that_somebody_starts_meanwhile_is_not_imaged() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let plan = plan_of(&app, RUN, stopping(&instance)).await.unwrap();
    let stopped = perform(&ec2, &app, &plan["operations"][0], 1, &json!({})).await;
    ec2.client().start_instances().instance_ids(&instance).send().await.unwrap();
    ec2.advance(Duration::from_secs(60));
    let document = perform(&ec2, &app, &plan["operations"][1], 2, &stopped["result"]).await;
    assert_eq!(document["error"]["name"], "SourceInstanceNotImageable", "{document}");
    assert!(ec2.images().is_empty());
}

#[tokio::test]
async fn no_instance_is_stopped_for_a_name_that_is_taken() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let holder = ec2.add_foreign_image("web", &[]);
    let error = plan_of(&app(&ec2), RUN, stopping(&instance)).await.unwrap_err();
    assert!(error.name() == "NameTaken" && error.to_string().contains(&holder), "{error}");
}

#[tokio::test]
async fn an_instance_that_somebody_stops_before_the_run_does_stays_stopped() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let document = operation(&app, &instance, 0, &json!({})).await;
    let tagged = call(&app, "begin", document).await.unwrap();
    ec2.client().stop_instances().instance_ids(&instance).send().await.unwrap();
    ec2.advance(Duration::from_secs(60));
    let stopped = call(&app, "look", tagged).await.unwrap();
    assert_eq!((&stopped["status"], &stopped["result"]), (&json!("Succeeded"), &json!({})), "{stopped}");
    // The start takes the tag off: a call of the stop may come late, when the run has stopped it.
    assert!(is_tagged(&ec2, &instance));
    let started = operation(&app, &instance, 2, &stopped["result"]).await;
    let started = call(&app, "begin", started).await.unwrap();
    assert_eq!(started["status"], "Succeeded", "{started}");
    assert!(!is_tagged(&ec2, &instance) && ec2.calls_of("StartInstances").is_empty());
}

#[tokio::test]
async fn a_call_of_the_stop_that_comes_late_leaves_the_tag_of_what_the_run_has_stopped() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let document = operation(&app, &instance, 0, &json!({})).await;
    let late = call(&app, "begin", document).await.unwrap();
    let stopped =
        perform(&ec2, &app, &plan_of(&app, RUN, stopping(&instance)).await.unwrap()["operations"][0], 1, &json!({}))
            .await;
    assert!(stopped["result"]["sourceInstance"]["stoppedAt"].is_string(), "{stopped}");
    call(&app, "look", late).await.unwrap();
    assert!(is_tagged(&ec2, &instance));
}

#[tokio::test]
async fn a_rollback_does_not_start_what_somebody_else_has_stopped() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let tagged = call(&app, "begin", operation(&app, &instance, 0, &json!({})).await).await.unwrap();
    ec2.client().stop_instances().instance_ids(&instance).send().await.unwrap();
    ec2.advance(Duration::from_secs(60));
    let stopped = call(&app, "look", tagged).await.unwrap();
    let status = crate::rollbacks::roll_back_ended(&ec2, &stopped, "SUCCEEDED").await["status"].clone();
    assert_eq!(status, "Succeeded");
    assert!(!is_tagged(&ec2, &instance) && ec2.calls_of("StartInstances").is_empty());
}

/// It may not ask Step Functions, whoever started it; and EC2 may not let it look either.
#[tokio::test]
async fn a_rollback_that_is_denied_names_the_instance_that_the_run_has_left_stopped() {
    let refused = |code: &str| FaultKind::Refused { code: code.to_owned(), message: "no".to_owned() };
    let ec2 = ec2().await;
    let [own, anothers] = [RUN, "another"].map(|run| {
        ec2.add_instance(InstanceSpec::default().tag(STOPPED_BY_TAG, run).state(InstanceStateName::Stopped))
    });
    let denied =
        step_functions::that_answers(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
    let app = App { step_functions: denied.await, ..app(&ec2) };
    let planned = json!({"operation": "create", "timeoutSeconds": 2_400, "keepsImage": false, "note": ""});
    let failed = json!({"position": 2, "planned": planned, "caught": {"name": "States.TaskFailed", "message": ""}});
    let said = async |arguments: Value| {
        let document = json!({"operation": "rollback", "run": RUN, "execution": format!("{RUN}-undo"),
            "timeoutSeconds": 5_400, "arguments": arguments});
        let document = call(&app, "begin", document).await.unwrap();
        assert_eq!(document["error"]["name"], "LeftoversRemain", "{document}");
        document["error"]["message"].as_str().unwrap().to_owned()
    };
    for arguments in [json!({}), json!({"failed": failed})] {
        let message = said(arguments).await;
        assert!(message.contains(&format!("{own} is stopped; ")) && !message.contains(&anothers), "{message}");
    }
    ec2.inject(Fault::on_any(refused("UnauthorizedOperation")).for_ever());
    let message = said(json!({})).await;
    assert!(message.ends_with(&format!("may have stopped the tag {STOPPED_BY_TAG}, each = {RUN}")), "{message}");
}

#[tokio::test]
async fn an_instance_that_somebody_stops_again_while_it_starts_is_left_alone() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let plan = plan_of(&app, RUN, stopping(&instance)).await.unwrap();
    let stopped = perform(&ec2, &app, &plan["operations"][0], 1, &json!({})).await;
    let start =
        merged(plan["operations"][2].clone(), json!({"run": RUN, "results": stopped["result"], "execution": "arn"}));
    let starting = call(&app, "begin", start).await.unwrap();
    ec2.advance(Duration::from_secs(15));
    ec2.client().stop_instances().instance_ids(&instance).send().await.unwrap();
    ec2.advance(Duration::from_secs(60));
    let given_up = call(&app, "look", starting).await.unwrap();
    assert_eq!(given_up["error"]["name"], "InstanceNotRestarted", "{given_up}");
    assert!(!is_tagged(&ec2, &instance));
    assert_eq!(ec2.calls_of("StartInstances").len(), 1);
}

#[tokio::test]
async fn a_stop_that_comes_late_does_not_stop_what_has_been_started_again() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let document = operation(&app, &instance, 0, &json!({})).await;
    let tagged = call(&app, "begin", document).await.unwrap();
    wait(&ec2, &tagged);
    let late = call(&app, "look", tagged).await.unwrap();
    wait(&ec2, &late);
    call(&app, "look", late.clone()).await.unwrap();
    ec2.advance(Duration::from_secs(60));
    ec2.client().start_instances().instance_ids(&instance).send().await.unwrap();
    ec2.advance(Duration::from_secs(60));
    assert_eq!(call(&app, "look", late).await.unwrap()["status"], "Failed");
    assert_eq!((ec2.calls_of("StopInstances").len(), state(&ec2, &instance)), (1, InstanceStateName::Running));
}

#[tokio::test]
async fn an_instance_that_ran_when_a_lost_image_was_found_is_not_forgotten() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let plan = plan_of(&app, RUN, stopping(&instance)).await.unwrap();
    let stopped = perform(&ec2, &app, &plan["operations"][0], 1, &json!({})).await;
    let create =
        merged(plan["operations"][1].clone(), json!({"run": RUN, "results": stopped["result"], "execution": "arn"}));
    ec2.inject(Fault::on("CreateImage", FaultKind::LostResponseAs(500)).for_ever());
    assert!(call(&app, "begin", create.clone()).await.is_err());
    ec2.clear_faults();
    ec2.client().start_instances().instance_ids(&instance).send().await.unwrap();
    ec2.advance(Duration::from_secs(60));
    let adopted = call(&app, "begin", create).await.unwrap();
    assert_eq!(adopted["memory"]["sourceInstance"]["stateBefore"], "running", "{adopted}");
}

#[tokio::test]
async fn what_would_not_come_back_as_it_was_is_not_stopped() {
    for (spec, why) in [
        (InstanceSpec::default().tag("aws:autoscaling:groupName", "web"), "is in the Auto Scaling group web"),
        (InstanceSpec::default().stop_protection(), "has stop protection"),
        (InstanceSpec::default().instance_type("m6id.large"), "is a m6id.large, whose instance store volumes"),
    ] {
        let ec2 = ec2().await;
        let instance = ec2.add_instance(spec);
        let error = plan_of(&app(&ec2), RUN, stopping(&instance)).await.unwrap_err().to_string();
        assert!(error.starts_with("stopInstance: must not be true: i-") && error.contains(why), "{error}");
        assert!(ec2.mutating_calls().is_empty());
        if why.contains("instance store") {
            let accepted = merged(stopping(&instance), json!({"acceptInstanceStoreLoss": true}));
            assert!(plan_of(&app(&ec2), RUN, accepted).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_lost_tag_that_ec2_does_not_show_yet_is_waited_for_and_a_lasting_denial_is_not() {
    let denied = || FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "no".to_owned() };
    for is_tagged_by_then in [true, false] {
        let ec2 = ec2().await;
        let instance = with_a_data_volume(&ec2);
        let app = app(&ec2);
        // It has waited for long before.
        let waited = json!({"waitedSeconds": 1_000});
        let mut document = merged(operation(&app, &instance, 0, &json!({})).await, waited);
        ec2.inject(Fault::on("CreateTags", denied()).for_ever());
        document = call(&app, "begin", document).await.unwrap();
        assert_eq!(document["status"], "NotStarted", "{document}");
        if is_tagged_by_then {
            ec2.clear_faults();
            let tag = aws_sdk_ec2::types::Tag::builder().key(STOPPED_BY_TAG).value(RUN).build();
            ec2.client().create_tags().resources(&instance).tags(tag).send().await.unwrap();
            wait(&ec2, &document);
            assert_eq!(call(&app, "begin", document).await.unwrap()["status"], "Pending");
            continue;
        }
        while document["status"] == "NotStarted" {
            wait(&ec2, &document);
            document = call(&app, "begin", document).await.unwrap();
        }
        assert_eq!(document["error"]["name"], "NotAuthorized", "{document}");
        let waited = document["waitedSeconds"].as_u64().unwrap();
        assert!((1_120..1_140).contains(&waited), "{document}");
    }
}

#[tokio::test]
async fn no_operation_of_a_run_that_was_redriven_begins_or_goes_on() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let redriven = merged(operation(&app, &instance, 0, &json!({})).await, json!({"redriven": true}));
    for step in ["begin", "look"] {
        let document = call(&app, step, redriven.clone()).await.unwrap();
        assert_eq!(document["error"]["name"], "RunRedriven", "{document}");
    }
    assert!(ec2.mutating_calls().is_empty());
}

#[tokio::test]
async fn an_instance_that_is_still_stopping_is_waited_for_before_it_is_started() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let plan = plan_of(&app, RUN, stopping(&instance)).await.unwrap();
    let stopped = perform(&ec2, &app, &plan["operations"][0], 1, &json!({})).await;
    // Somebody has started it, and stops it again.
    ec2.client().start_instances().instance_ids(&instance).send().await.unwrap();
    ec2.advance(Duration::from_secs(60));
    ec2.client().stop_instances().instance_ids(&instance).send().await.unwrap();
    let start =
        merged(plan["operations"][2].clone(), json!({"run": RUN, "results": stopped["result"], "execution": "arn"}));
    let waits = call(&app, "begin", start).await.unwrap();
    assert!(is_going_on(&waits), "{waits}");
    assert!(waits["reason"].as_str().unwrap().contains("still stopping"), "{waits}");
}

#[tokio::test]
async fn a_tag_of_the_stop_that_somebody_has_removed_ends_the_stop_once_it_must_show() {
    let ec2 = ec2().await;
    let instance = with_a_data_volume(&ec2);
    let app = app(&ec2);
    let document = operation(&app, &instance, 0, &json!({})).await;
    let tagged = call(&app, "begin", document).await.unwrap();
    let tag = aws_sdk_ec2::types::Tag::builder().key(STOPPED_BY_TAG).build();
    ec2.client().delete_tags().resources(&instance).tags(tag).send().await.unwrap();
    let waits = call(&app, "look", tagged.clone()).await.unwrap();
    assert!(waits["reason"].as_str().unwrap().contains("does not show the tag"), "{waits}");
    let late = call(&app, "look", merged(tagged, json!({"waitedSeconds": 1_000}))).await.unwrap();
    let message = late["error"]["message"].as_str().unwrap_or_else(|| panic!("{late}"));
    assert!(message.contains("another client has removed its tag"), "{late}");
}
