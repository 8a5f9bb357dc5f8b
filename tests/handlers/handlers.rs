//! The handlers on the local EC2, one call at a time, in a time that stands still.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::time::Duration;

use ami_from_instance::{
    aws::http_client,
    check_status, cleanup,
    error::Error,
    limits::Limits,
    read_request,
    run::RUN_TAG,
    settings::Settings,
    start_create, start_update,
    step::{Document, Status, Step},
    tags::Tags,
};
use aws_config::BehaviorVersion;
use aws_sdk_ec2::types::ImageState;
use local_ec2::{Ec2, Fate, Progress, SEED_INSTANCE};
use serde_json::{Value, json};

const RUN: &str = "arn:aws:states:us-east-1:000000000000:execution:ami-lifecycle:nightly";

async fn ec2() -> Ec2 {
    Ec2::start(local_ec2::Settings { speed: 0.0, ..local_ec2::Settings::default() }).await.unwrap()
}

fn settings() -> Settings {
    Settings {
        default_tags: Tags::from([("Team".into(), "platform".into()), ("Stage".into(), "test".into())]),
        lifecycle_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:ami-lifecycle".into(),
        operation_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:ami-operation".into(),
        allow_unmanaged_images: false,
        limits: Limits::default(),
    }
}

/// Nothing listens where this client calls: what uses it does not ask Step Functions, or does without.
fn no_step_functions() -> aws_sdk_sfn::Client {
    let config = aws_sdk_sfn::Config::builder().behavior_version(BehaviorVersion::v2026_01_12());
    let config = config.http_client(http_client());
    aws_sdk_sfn::Client::from_conf(config.endpoint_url("http://127.0.0.1:9").build())
}

fn create_request() -> Value {
    json!({"name": "web", "sourceInstanceId": SEED_INSTANCE, "tags": {"Team": "web"}})
}

fn document(operation: &str, request: Value) -> Value {
    json!({"operation": operation, "run": RUN, "request": request})
}

/// The document with an answer merged over it, as the operation machine does.
fn merged(mut document: Value, answer: &impl serde::Serialize) -> Value {
    if let (Value::Object(document), Value::Object(answer)) = (&mut document, serde_json::to_value(answer).unwrap()) {
        document.extend(answer);
    }
    document
}

async fn start_create(ec2: &Ec2, document: Value) -> Result<Step, Error> {
    start_create::handle(&ec2.client(), &settings(), Document::parse(document)?).await
}

async fn look(ec2: &Ec2, document: Value) -> Result<Value, Error> {
    let answer =
        check_status::handle(&ec2.client(), &no_step_functions(), &settings(), check_status::Input::parse(document)?)
            .await?;
    Ok(serde_json::to_value(answer).unwrap())
}

async fn delete(ec2: &Ec2, settings: &Settings, document: Value) -> Result<Step, Error> {
    cleanup::handle(&ec2.client(), &no_step_functions(), settings, Document::parse(document)?).await
}

/// Goes round as the operation machine does, until nothing is pending.
async fn delete_whole(ec2: &Ec2, settings: &Settings, request: Value) -> Result<Step, Error> {
    let mut document = document("delete", request);
    loop {
        let step = delete(ec2, settings, document.clone()).await?;
        if step.status != Status::Pending {
            return Ok(step);
        }
        ec2.advance(Duration::from_secs(step.wait_seconds));
        document = merged(document, &step);
    }
}

fn actions(ec2: &Ec2) -> Vec<String> {
    ec2.calls().into_iter().map(|call| call.action).collect()
}

#[tokio::test]
async fn beginning_an_image_takes_two_calls() {
    let ec2 = ec2().await;
    let step = start_create(&ec2, document("create", create_request())).await.unwrap();
    assert_eq!(step.status, Status::Pending);
    assert_eq!(actions(&ec2), ["DescribeInstances", "CreateImage"]);
}

#[tokio::test]
async fn a_users_tags_lie_over_the_default_ones_and_the_run_tag_is_on_everything() {
    let ec2 = ec2().await;
    start_create(&ec2, document("create", create_request())).await.unwrap();
    let expected =
        Tags::from([("Team".into(), "web".into()), ("Stage".into(), "test".into()), (RUN_TAG.into(), RUN.into())]);
    let snapshots = ec2.snapshots_tagged(RUN_TAG, RUN);
    assert_eq!(snapshots.len(), 2);
    assert!(snapshots.iter().all(|snapshot| snapshot.tags == expected));
    assert_eq!(ec2.images_tagged(RUN_TAG, RUN)[0].tags, expected);
}

#[tokio::test]
async fn beginning_twice_makes_one_image() {
    let ec2 = ec2().await;
    let first = start_create(&ec2, document("create", create_request())).await.unwrap();
    ec2.advance(Duration::from_secs(5));
    let second = start_create(&ec2, document("create", create_request())).await.unwrap();
    assert_eq!(first.image_id, second.image_id);
    assert_eq!(first.source_instance, second.source_instance);
    assert_eq!(ec2.images().len(), 1);
}

#[tokio::test]
async fn an_image_that_does_not_show_yet_is_neither_adopted_nor_taken_for_somebody_elses() {
    let ec2 = ec2().await;
    start_create(&ec2, document("create", create_request())).await.unwrap();
    let again = start_create(&ec2, document("create", create_request())).await.unwrap();
    assert_eq!(again.status, Status::NotStarted);
}

#[tokio::test]
async fn the_image_of_another_run_is_not_adopted() {
    let ec2 = ec2().await;
    let neighbour = format!("{RUN}-2");
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, &neighbour)]);
    let error = start_create(&ec2, document("create", create_request())).await.unwrap_err();
    assert_eq!(error, Error::NameTaken { name: "web".into(), holder: image });
    assert!(ec2.instance(SEED_INSTANCE).unwrap().reboots.is_empty());
}

#[tokio::test]
async fn a_new_image_may_take_a_while_to_show() {
    let ec2 = ec2().await;
    let document = document("create", create_request());
    let document = merged(document.clone(), &start_create(&ec2, document).await.unwrap());
    assert_eq!(look(&ec2, document.clone()).await.unwrap()["status"], "Pending");
    let mut gone = document;
    gone["imageId"] = json!("ami-0aaaaaaaaaaaaaaaa");
    gone["elapsedSeconds"] = json!(600);
    assert_eq!(look(&ec2, gone).await.unwrap_err().name(), "ImageNotFound");
}

#[tokio::test]
async fn looking_ends_with_the_image_and_the_instance_back() {
    let ec2 = ec2().await;
    let mut document = document("create", create_request());
    document = merged(document.clone(), &start_create(&ec2, document).await.unwrap());
    let mut percents = vec![];
    while document["status"] == "Pending" {
        ec2.advance(Duration::from_secs(document["waitSeconds"].as_u64().unwrap()));
        document = merged(document.clone(), &look(&ec2, document).await.unwrap());
        percents.extend(document["progressPercent"].as_u64());
    }
    assert_eq!(document["status"], "Available");
    assert!(percents.is_sorted() && percents.len() > 2, "{percents:?}");
    assert_eq!(document["image"]["tags"], json!({"Team": "web"}));
    assert_eq!(document["image"]["tagsAll"]["Stage"], "test");
    assert!(document["image"]["uefiData"].is_string());
    assert_eq!(document["sourceInstance"]["stateAfter"], "running");
    // The status checks pass again half a minute after the reboot; the next look sees it.
    let down = document["sourceInstance"]["downSeconds"].as_u64().unwrap();
    assert!((30..90).contains(&down), "{down}");
}

#[tokio::test]
async fn an_image_that_no_run_made_goes_where_input_and_deployment_allow_it() {
    for with_snapshots in [true, false] {
        let ec2 = ec2().await;
        let image = ec2.add_foreign_image("golden", &[]);
        let request = json!({"action": "delete", "imageId": image, "manageEbsSnapshots": with_snapshots});
        let allowed = Settings { allow_unmanaged_images: true, ..settings() };

        let refused = delete(&ec2, &settings(), document("delete", request.clone())).await.unwrap_err();
        assert_eq!(refused.name(), "ImageNotManaged");
        assert_eq!(ec2.mutating_calls().len(), 0);

        let step = delete_whole(&ec2, &allowed, request).await.unwrap();
        assert_eq!(step.status, Status::Gone);
        assert_eq!(ec2.image(&image), None);
        assert_eq!(ec2.snapshots().is_empty(), with_snapshots);
    }
}

#[tokio::test]
async fn an_image_that_no_run_made_is_not_deleted_unless_the_input_says_what_becomes_of_its_snapshots() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("golden", &[]);
    let allowed = Settings { allow_unmanaged_images: true, ..settings() };
    let request = json!({"action": "delete", "imageId": image});
    let error = delete(&ec2, &allowed, document("delete", request)).await.unwrap_err();
    assert!(error.to_string().contains("manageEbsSnapshots"), "{error}");
}

#[tokio::test]
async fn snapshots_of_another_image_with_a_longer_id_are_not_taken_along() {
    let ec2 = ec2().await;
    let document_of = |name: &str| {
        let mut request = create_request();
        request["name"] = json!(name);
        document("create", request)
    };
    let first = start_create(&ec2, document_of("first")).await.unwrap().image_id.unwrap();
    start_create(&ec2, document_of("second")).await.unwrap();
    ec2.advance(Duration::from_secs(600));
    delete_whole(&ec2, &settings(), json!({"action": "delete", "imageId": first.as_str()})).await.unwrap();
    assert_eq!(ec2.images().len(), 1);
    assert_eq!(ec2.snapshots().len(), 2);
}

#[tokio::test]
async fn an_update_that_changes_nothing_calls_nothing_that_changes() {
    let ec2 = ec2().await;
    let tags = [(RUN_TAG, RUN), ("Team", "web"), ("Stage", "test")];
    let image = ec2.add_foreign_image("web", &tags);
    let request = json!({"action": "update", "imageId": image, "tags": {"Team": "web"}, "description": ""});
    let update = Document::parse(document("update", request)).unwrap();
    let step = start_update::handle(&ec2.client(), &settings(), update).await.unwrap();
    assert_eq!(step.status, Status::Available);
    assert_eq!(ec2.mutating_calls().len(), 0);
}

/// Goes round as the operation machine does, with every call made twice: the second answer counts.
async fn twice(ec2: &Ec2, operation: &str, request: Value) -> Value {
    let mut document = document(operation, request);
    loop {
        let mut answers = vec![];
        for _ in 0..2 {
            let call = document.clone();
            let begins = document["status"].is_null() || document["status"] == "NotStarted";
            answers.push(match operation {
                "create" if begins => serde_json::to_value(start_create(ec2, call).await.unwrap()).unwrap(),
                "create" => look(ec2, call).await.unwrap(),
                "update" => {
                    let update = Document::parse(call).unwrap();
                    let step = start_update::handle(&ec2.client(), &settings(), update).await.unwrap();
                    serde_json::to_value(step).unwrap()
                }
                _ => serde_json::to_value(delete(ec2, &settings(), call).await.unwrap()).unwrap(),
            });
        }
        document = merged(document, &answers.remove(1));
        match document["status"].as_str().unwrap() {
            "Pending" | "NotStarted" => ec2.advance(Duration::from_secs(document["waitSeconds"].as_u64().unwrap())),
            _ => return document,
        }
    }
}

#[tokio::test]
async fn every_call_of_every_operation_may_come_twice() {
    let ec2 = ec2().await;
    let created = twice(&ec2, "create", create_request()).await;
    assert_eq!(created["status"], "Available", "{created}");
    assert_eq!((ec2.images().len(), ec2.snapshots().len()), (1, 2));

    let image = &created["imageId"];
    let request = json!({"action": "update", "imageId": image, "tags": {"Team": "audit"}, "description": "changed"});
    let updated = twice(&ec2, "update", request).await;
    assert_eq!((&updated["status"], &updated["image"]["description"]), (&json!("Available"), &json!("changed")));

    let deleted = twice(&ec2, "delete", json!({"action": "delete", "imageId": image})).await;
    assert_eq!(deleted["status"], "Gone", "{deleted}");
    assert_eq!((ec2.images().len(), ec2.snapshots().len()), (0, 0));
}

/// The calls of each look of a create after the first wait, in order.
async fn calls_of_a_create(mut request: Value, no_reboot: bool) -> Vec<Vec<String>> {
    let ec2 = ec2().await;
    request["snapshotWithoutReboot"] = json!(no_reboot);
    let mut document = document("create", request);
    document = merged(document.clone(), &start_create(&ec2, document).await.unwrap());
    let mut looks = vec![actions(&ec2)];
    while document["status"] == "Pending" {
        ec2.advance(Duration::from_secs(document["waitSeconds"].as_u64().unwrap()));
        ec2.forget_calls();
        document = merged(document.clone(), &look(&ec2, document).await.unwrap());
        looks.push(actions(&ec2));
    }
    looks
}

#[tokio::test]
async fn a_create_calls_nothing_that_its_promises_do_not_need() {
    // The snapshots of the seed instance grow evenly and take 220 seconds.
    let looks = calls_of_a_create(create_request(), true).await;
    assert_eq!(looks[0], ["DescribeInstances", "CreateImage"]);
    let pending = &looks[1..looks.len() - 1];
    assert!(pending.len() <= 6 && pending.iter().all(|calls| is_a_look(calls)), "{pending:?}");
    let images = pending.iter().filter(|calls| calls.len() > 1).count();
    assert!(images <= 3, "the image is asked for when the time has doubled: {pending:?}");
    // Whether the instance is as it was; and the variable store, of an image that boots by UEFI.
    let last = ["DescribeSnapshots", "DescribeImages", "DescribeInstances", "DescribeImageAttribute"];
    assert_eq!(looks[looks.len() - 1], last);
}

#[tokio::test]
async fn an_image_whose_end_is_told_is_asked_for_alone_and_at_once_again_if_it_does_not_show() {
    let ec2 = ec2().await;
    let mut document = document("create", create_request());
    document = merged(document.clone(), &start_create(&ec2, document).await.unwrap());
    ec2.advance(Duration::from_secs(100));
    document["told"] = json!("2030-01-01T00:00:00Z");
    ec2.forget_calls();
    let early = merged(document.clone(), &look(&ec2, document.clone()).await.unwrap());
    assert_eq!((&early["status"], &early["waitSeconds"], &early["told"]), (&json!("Pending"), &json!(5), &json!(null)));
    assert_eq!(actions(&ec2), ["DescribeImages", "DescribeInstanceStatus"]);

    ec2.advance(Duration::from_secs(200));
    ec2.forget_calls();
    assert_eq!(look(&ec2, document).await.unwrap()["status"], "Available");
    assert!(!actions(&ec2).contains(&"DescribeSnapshots".to_owned()));
}

#[tokio::test]
async fn a_wait_is_long_where_three_events_in_a_row_have_come_and_time_is_left() {
    let ec2 = ec2().await;
    ec2.set_progress(Progress::AtOnce);
    let mut document = document("create", create_request());
    document = merged(document.clone(), &start_create(&ec2, document).await.unwrap());
    ec2.advance(Duration::from_secs(200));
    document["elapsedSeconds"] = json!(180);
    for (trust, limit, wait) in [(3, "40m", 100), (3, "5m", 50), (3, "4m", 21), (2, "40m", 21), (0, "40m", 21)] {
        document["trust"] = json!(trust);
        document["request"]["timeouts"] = json!({"create": limit});
        let step = look(&ec2, document.clone()).await.unwrap();
        assert_eq!((&step["waitSeconds"], &step["trust"]), (&json!(wait), &json!(trust)), "{limit}");
    }
}

#[tokio::test]
async fn an_image_that_fails_before_its_snapshots_are_made_is_found_when_the_time_has_doubled() {
    let ec2 = ec2().await;
    let (code, message, after) = ("Client.InternalError".into(), "broken".into(), Duration::from_secs(40));
    ec2.next_image(SEED_INSTANCE, Fate::Fail { state: ImageState::Error, code, message, after });
    let mut document = document("create", create_request());
    document = merged(document.clone(), &start_create(&ec2, document).await.unwrap());
    while document["status"] == "Pending" {
        ec2.advance(Duration::from_secs(document["waitSeconds"].as_u64().unwrap()));
        document = merged(document.clone(), &look(&ec2, document).await.unwrap());
    }
    assert_eq!((&document["status"], &document["error"]["name"]), (&json!("Failed"), &json!("ImageFailed")));
    let elapsed = document["elapsedSeconds"].as_u64().unwrap();
    assert!((40..100).contains(&elapsed), "{elapsed}");
    assert!(ec2.snapshots_tagged(RUN_TAG, RUN).iter().any(|snapshot| snapshot.percent < 100));
}

#[tokio::test]
async fn a_look_counts_the_images_under_way_when_the_time_has_doubled() {
    let ec2 = ec2().await;
    let mut document = document("create", create_request());
    document = merged(document.clone(), &start_create(&ec2, document).await.unwrap());
    for number in 0..3 {
        let mut request = create_request();
        (request["name"], request["snapshotWithoutReboot"]) = (json!(format!("other-{number}")), json!(true));
        let other = json!({"operation": "create", "run": format!("{RUN}-{number}"), "request": request});
        start_create(&ec2, other).await.unwrap();
    }
    ec2.advance(Duration::from_secs(20));
    document = merged(document.clone(), &look(&ec2, document).await.unwrap());
    assert_eq!(document["underWay"], 0);
    ec2.advance(Duration::from_secs(document["waitSeconds"].as_u64().unwrap()));
    document = merged(document.clone(), &look(&ec2, document).await.unwrap());
    assert_eq!((&document["underWay"], &document["status"]), (&json!(4), &json!("Pending")));
}

/// Whether these are the calls of a look that finds the image pending.
fn is_a_look(calls: &[String]) -> bool {
    calls == ["DescribeSnapshots"] || calls == ["DescribeSnapshots", "DescribeImages"]
}

#[tokio::test]
async fn a_create_that_reboots_asks_for_the_instances_checks_until_they_pass_again() {
    let looks = calls_of_a_create(create_request(), false).await;
    let asks = |calls: &Vec<String>| calls.iter().any(|call| call == "DescribeInstanceStatus");
    let asked = looks.iter().filter(|calls| asks(calls)).count();
    assert!((2..=3).contains(&asked), "{looks:?}");
    let rest: Vec<_> = looks[1..looks.len() - 1]
        .iter()
        .map(|calls| calls.iter().filter(|call| *call != "DescribeInstanceStatus").cloned().collect::<Vec<_>>())
        .collect();
    assert!(rest.iter().all(|calls| is_a_look(calls)), "{looks:?}");
}

#[tokio::test]
async fn an_update_calls_what_it_changes_and_looks_before_and_after() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN), ("Old", "tag")]);
    let request = json!({"action": "update", "imageId": image, "tags": {"Team": "web"}, "description": "new",
        "deprecationTime": "2031-01-01T00:00:00Z"});
    let mut document = document("update", request);
    let mut calls = vec![];
    while document["status"] != "Available" {
        ec2.advance(Duration::from_secs(document["waitSeconds"].as_u64().unwrap_or(0)));
        ec2.forget_calls();
        let update = Document::parse(document.clone()).unwrap();
        let step = start_update::handle(&ec2.client(), &settings(), update).await.unwrap();
        document = merged(document, &step);
        calls.push(actions(&ec2));
    }
    let look = ["DescribeImages", "DescribeSnapshots"];
    let changes = ["DeleteTags", "CreateTags", "ModifyImageAttribute", "EnableImageDeprecation"];
    assert_eq!(calls[0], [look.as_slice(), &changes].concat());
    let last = &calls[calls.len() - 1];
    assert!(last.starts_with(&look.map(str::to_owned)) && !last.iter().any(|call| changes.contains(&call.as_str())));
}

#[tokio::test]
async fn a_delete_calls_each_removal_once_unless_ec2_still_uses_the_snapshot() {
    let ec2 = ec2().await;
    let created = start_create(&ec2, document("create", create_request())).await.unwrap();
    ec2.advance(Duration::from_secs(600));
    ec2.forget_calls();
    let image = created.image_id.unwrap();
    delete_whole(&ec2, &settings(), json!({"action": "delete", "imageId": image.as_str()})).await.unwrap();
    assert_eq!(
        actions(&ec2)[..5],
        ["DescribeImages", "DescribeSnapshots", "DeregisterImage", "DeleteSnapshot", "DeleteSnapshot"]
    );
    let removed = |call: &local_ec2::Call| call.mutating && call.outcome.is_ok();
    assert_eq!(ec2.calls().iter().filter(|call| removed(call)).count(), 3);
}

#[tokio::test]
async fn reading_a_request_calls_nothing_but_for_a_replace_that_could_be_in_vain() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("old", &[(RUN_TAG, RUN)]);
    let read = async |request: Value| {
        let input = json!({"run": RUN, "request": request, "startTime": "2030-01-01T00:00:00Z"});
        ec2.forget_calls();
        read_request::handle(&ec2.client(), &settings(), serde_json::from_value(input).unwrap()).await.unwrap();
        actions(&ec2)
    };
    assert!(read(create_request()).await.is_empty());
    assert!(read(json!({"action": "delete", "imageId": image})).await.is_empty());
    let mut replace = create_request();
    replace["action"] = json!("replace");
    replace["imageId"] = json!(image);
    assert_eq!(read(replace).await, ["DescribeImages", "DescribeInstances"]);
}
