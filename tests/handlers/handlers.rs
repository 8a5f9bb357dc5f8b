//! The handlers on the local EC2, one call at a time, in a time that stands still.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

mod adopt;
mod availability;
mod bad_input;
mod dry_run;
mod in_use;
mod incidents;
mod inputs;
mod large_account;
mod protection;
mod prune;
mod recycle_bin;
mod releases;
mod rollbacks;
mod schema;
mod source_instance;
mod step_functions;
mod stopped_instance;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ami_from_instance::{
    app::App,
    aws::clients::http_client,
    error::Error,
    events,
    model::{
        run::RUN_TAG,
        tags::{SERIES_TAG, Tags},
        timeouts::Timeouts,
    },
    operations, plan,
    settings::{Machines, Settings},
};
use aws_config::BehaviorVersion;
use aws_sdk_ec2::types::{ImageState, Tag};
use local_ec2::{self as ec2, BASE_IMAGE, Ec2, Fate, Fault, FaultKind, Lags, SEED_INSTANCE};
use serde_json::{Value, json};

use self::step_functions::{Executions, that_knows};

const RUN: &str = "arn:aws:states:us-east-1:000000000000:execution:ami-lifecycle:nightly";

async fn ec2() -> Ec2 {
    ec2_with(Lags::default()).await
}

async fn ec2_with(lags: Lags) -> Ec2 {
    Ec2::start(ec2::Settings { speed: 0.0, lags, ..ec2::Settings::default() }).await.unwrap()
}

fn settings() -> Settings {
    Settings {
        machines: Ok(Machines {
            lifecycle: "arn:aws:states:us-east-1:000000000000:stateMachine:ami-lifecycle".into(),
            operation: "arn:aws:states:us-east-1:000000000000:stateMachine:ami-operation".into(),
        }),
        default_tags: Ok(Tags::from([("Team".into(), "platform".into()), ("Stage".into(), "test".into())])),
        allow_unmanaged_images: false,
        only_tagged_instances: false,
        sweep_only_reports: false,
        timeouts: Ok(Timeouts::default()),
    }
}

/// Nothing listens where its client of Step Functions calls: what these tests try asks it nothing.
fn app_with(ec2: &Ec2, settings: Settings) -> App {
    let config = aws_sdk_sfn::Config::builder().behavior_version(BehaviorVersion::v2026_01_12());
    let config = config.http_client(http_client()).endpoint_url("http://127.0.0.1:9").build();
    App {
        ec2: ec2.client(),
        auto_scaling: ec2.auto_scaling(),
        step_functions: aws_sdk_sfn::Client::from_conf(config),
        settings,
        now: SystemTime::now,
        print: |_| {},
    }
}

fn app(ec2: &Ec2) -> App {
    app_with(ec2, settings())
}

/// With a Step Functions that knows these executions.
async fn app_that_knows(ec2: &Ec2, executions: impl IntoIterator<Item = (String, &'static str, Option<u64>)>) -> App {
    let executions: Executions = executions.into_iter().map(|(arn, status, ended)| (arn, (status, ended))).collect();
    App { step_functions: that_knows(executions).await, ..app(ec2) }
}

fn tags(all: &[(&str, &str)]) -> Tags {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn create_request() -> Value {
    json!({"name": "web", "sourceInstanceId": SEED_INSTANCE, "tags": {"Team": "web"}})
}

/// The plan of a request, for a run of this name.
async fn plan_of(app: &App, run: &str, request: Value) -> Result<Value, Error> {
    let start = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let input = json!({"run": run, "startTime": start, "request": request});
    Ok(serde_json::to_value(plan::handle(app, input).await?).unwrap())
}

/// The first operation of a request's plan, as the operation machine begins it.
async fn first_operation(app: &App, run: &str, request: Value) -> Value {
    let plan = plan_of(app, run, request).await.unwrap();
    let mut document = plan["operations"][0].clone();
    document["run"] = json!(run);
    document["results"] = json!({});
    document["execution"] = json!(format!("{run}-1").replace(":ami-lifecycle:", ":ami-operation:"));
    document
}

/// The document with an answer merged over it, as the operation machine does.
fn merged(mut document: Value, answer: Value) -> Value {
    if let (Value::Object(document), Value::Object(answer)) = (&mut document, answer) {
        document.extend(answer);
    }
    document
}

/// Calls the function of the document's operation; gives the document with the answer.
async fn call(app: &App, step: &str, document: Value) -> Result<Value, Error> {
    let mut call = document.clone();
    call["step"] = json!(step);
    Ok(merged(document, operations::answer(app, call).await?))
}

/// Begins a create; gives the document.
async fn begin(ec2: &Ec2, request: Value) -> Value {
    let app = app(ec2);
    let document = first_operation(&app, RUN, request).await;
    call(&app, "begin", document).await.unwrap()
}

async fn look(ec2: &Ec2, document: Value) -> Value {
    call(&app(ec2), "look", document).await.unwrap()
}

fn is_going_on(document: &Value) -> bool {
    document["status"] == "Pending" || document["status"] == "NotStarted"
}

/// Lets the time pass that the last answer asks to wait.
fn wait(ec2: &Ec2, document: &Value) {
    ec2.advance(Duration::from_secs(document["waitSeconds"].as_u64().unwrap()));
}

/// Goes round as the operation machine does, until nothing is pending.
async fn whole(ec2: &Ec2, app: &App, request: Value) -> Value {
    let document = first_operation(app, RUN, request).await;
    let mut document = call(app, "begin", document).await.unwrap();
    while is_going_on(&document) {
        wait(ec2, &document);
        document = call(app, if document["status"] == "Pending" { "look" } else { "begin" }, document).await.unwrap();
    }
    document
}

fn actions(ec2: &Ec2) -> Vec<String> {
    ec2.calls().into_iter().map(|call| call.action).collect()
}

fn image_id(document: &Value) -> &str {
    document["memory"]["imageId"].as_str().unwrap()
}

#[tokio::test]
async fn beginning_an_image_takes_two_calls() {
    let ec2 = ec2().await;
    let begun = begin(&ec2, create_request()).await;
    assert_eq!((&begun["status"], &begun["wake"]), (&json!("Pending"), &json!(true)));
    assert_eq!(actions(&ec2), ["DescribeInstances", "CreateImage"]);
}

#[tokio::test]
async fn a_users_tags_lie_over_the_default_ones_and_the_run_tag_is_on_everything() {
    let ec2 = ec2().await;
    begin(&ec2, create_request()).await;
    let expected = tags(&[("Team", "web"), ("Stage", "test"), (RUN_TAG, RUN), (SERIES_TAG, SEED_INSTANCE)]);
    let snapshots = ec2.snapshots_tagged(RUN_TAG, RUN);
    assert_eq!(snapshots.len(), 2);
    assert!(snapshots.iter().all(|snapshot| snapshot.tags == expected));
    assert_eq!(ec2.images_tagged(RUN_TAG, RUN)[0].tags, expected);
}

#[tokio::test]
async fn the_values_of_tags_have_their_placeholders_replaced() {
    let ec2 = ec2().await;
    let instance = ec2.add_instance(ec2::InstanceSpec::default().tag("Name", "shop #1"));
    let tags = json!({"Backup": "{{instanceName}} by {{runId}}", "{{date}}": "as it is"});
    let request = json!({"name": "web", "sourceInstanceId": instance, "tags": tags});
    let plan = plan_of(&app(&ec2), RUN, request).await.unwrap();
    let planned = &plan["operations"][0]["arguments"]["tags"];
    assert_eq!((&planned["Backup"], &planned["{{date}}"]), (&json!("shop #1 by nightly"), &json!("as it is")));
    let update = |value: &str| json!({"action": "update", "imageId": "ami-0123456789abcdef0", "tags": {"a": value}});
    for (value, refusal) in [
        ("{{instanceId}}", "tags.a: must have no {{instanceId}} and no {{instanceName}} without a sourceInstanceId"),
        ("{{day}}", "tags.a: has an unknown placeholder"),
    ] {
        let error = plan_of(&app(&ec2), RUN, update(value)).await.unwrap_err();
        assert!(error.to_string().starts_with(refusal), "{error}");
    }
}

#[tokio::test]
async fn beginning_twice_makes_one_image() {
    let ec2 = ec2().await;
    let first = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(5));
    let second = begin(&ec2, create_request()).await;
    assert_eq!(first["memory"], second["memory"]);
    assert_eq!(ec2.images().len(), 1);
}

#[tokio::test]
async fn an_image_that_does_not_show_yet_is_neither_adopted_nor_taken_for_somebody_elses() {
    let ec2 = ec2().await;
    begin(&ec2, create_request()).await;
    assert_eq!(begin(&ec2, create_request()).await["status"], "NotStarted");
}

#[tokio::test]
async fn the_image_of_another_run_is_not_adopted() {
    let ec2 = ec2().await;
    let neighbour = format!("{RUN}-2");
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, &neighbour)]);
    let app = app_that_knows(&ec2, [(neighbour, "SUCCEEDED", Some(1))]).await;
    let refused = call(&app, "begin", first_operation(&app, RUN, create_request()).await).await.unwrap();
    assert_eq!((&refused["status"], &refused["error"]["name"]), (&json!("Failed"), &json!("NameTaken")));
    assert!(refused["error"]["message"].as_str().unwrap().contains(&image), "{refused}");
    assert!(ec2.instance(SEED_INSTANCE).unwrap().reboots.is_empty());
}

#[tokio::test]
async fn a_new_image_may_take_a_while_to_show() {
    let ec2 = ec2().await;
    let document = begin(&ec2, create_request()).await;
    assert_eq!(look(&ec2, document.clone()).await["status"], "Pending");
    let mut gone = document;
    gone["memory"]["imageId"] = json!("ami-0aaaaaaaaaaaaaaaa");
    (gone["waitedSeconds"], gone["woken"]) = (json!(600), json!(true));
    assert_eq!(look(&ec2, gone).await["error"]["name"], "ImageNotFound");
}

#[tokio::test]
async fn looking_ends_with_the_image_and_the_instance_back() {
    let ec2 = ec2().await;
    let mut document = begin(&ec2, create_request()).await;
    let mut percents = vec![];
    while document["status"] == "Pending" {
        wait(&ec2, &document);
        document = look(&ec2, document).await;
        percents.extend(document["memory"]["progressPercent"].as_u64());
    }
    assert_eq!(document["status"], "Succeeded");
    assert!(percents.is_sorted() && percents.len() > 2, "{percents:?}");
    let result = &document["result"];
    assert_eq!(result["tags"], json!({"Team": "web"}));
    assert_eq!(result["tagsAll"]["Stage"], "test");
    assert!(result["uefiData"].is_string());
    assert_eq!(result["sourceInstance"]["stateAfter"], "running");
    // The status checks pass again half a minute after the reboot; the next look sees it.
    let down = result["sourceInstance"]["downSeconds"].as_u64().unwrap();
    assert!((30..90).contains(&down), "{down}");
}

#[tokio::test]
async fn a_look_that_is_throttled_is_pending_and_doubles_the_wait_up_to_half_of_what_is_left() {
    let ec2 = ec2().await;
    let mut document = begin(&ec2, create_request()).await;
    (document["waitedSeconds"], document["waitSeconds"]) = (json!(1_000), json!(100));
    ec2.inject(Fault::on_any(FaultKind::Throttle).for_ever());
    let throttled = look(&ec2, document.clone()).await;
    assert_eq!((&throttled["status"], &throttled["waitSeconds"]), (&json!("Pending"), &json!(200)));
    assert_eq!(throttled["memory"], document["memory"]);
    document["waitedSeconds"] = json!(2_250);
    assert_eq!(look(&ec2, document).await["waitSeconds"], 25);
}

#[tokio::test]
async fn a_begin_that_is_throttled_is_raised() {
    let ec2 = ec2().await;
    let app = app(&ec2);
    let document = first_operation(&app, RUN, create_request()).await;
    ec2.inject(Fault::on_any(FaultKind::Throttle).for_ever());
    assert_eq!(call(&app, "begin", document).await.unwrap_err().name(), "Throttled");
}

#[tokio::test]
async fn an_image_that_no_run_made_goes_where_input_and_deployment_allow_it() {
    for with_snapshots in [true, false] {
        let ec2 = ec2().await;
        let image = ec2.add_foreign_image("golden", &[]);
        let request = json!({"action": "delete", "imageId": image, "manageEbsSnapshots": with_snapshots});
        let allowed = app_with(&ec2, Settings { allow_unmanaged_images: true, ..settings() });

        let refused = whole(&ec2, &app(&ec2), request.clone()).await;
        assert_eq!(refused["error"]["name"], "ImageNotManaged");
        assert_eq!(ec2.mutating_calls().len(), 0);

        let deleted = whole(&ec2, &allowed, request).await;
        assert_eq!(deleted["result"], json!({"deletedImageId": image, "wasThere": true}));
        assert_eq!(ec2.image(&image), None);
        assert_eq!(ec2.snapshots().is_empty(), with_snapshots);
    }
}

#[tokio::test]
async fn an_image_that_no_run_made_is_not_deleted_unless_the_input_says_what_becomes_of_its_snapshots() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("golden", &[]);
    let allowed = app_with(&ec2, Settings { allow_unmanaged_images: true, ..settings() });
    let refused = whole(&ec2, &allowed, json!({"action": "delete", "imageId": image})).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("manageEbsSnapshots"), "{refused}");
}

#[tokio::test]
async fn the_snapshots_of_a_runs_own_image_stay_where_the_request_says_so() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let request = json!({"action": "delete", "imageId": image, "manageEbsSnapshots": false});
    assert_eq!(whole(&ec2, &app(&ec2), request).await["status"], "Succeeded");
    assert_eq!((ec2.image(&image), ec2.snapshots().len()), (None, 1));
}

#[tokio::test]
async fn an_image_of_another_account_is_refused_before_anything_is_changed() {
    let ec2 = ec2().await;
    let allowed = app_with(&ec2, Settings { allow_unmanaged_images: true, ..settings() });
    let replace =
        merged(create_request(), json!({"action": "replace", "imageId": BASE_IMAGE, "manageEbsSnapshots": true}));
    let error = plan_of(&allowed, RUN, replace).await.unwrap_err();
    assert!(error.name() == "ImageNotManaged" && error.to_string().contains("belongs to the account"), "{error}");
    for request in [
        json!({"action": "update", "imageId": BASE_IMAGE, "description": "mine"}),
        json!({"action": "delete", "imageId": BASE_IMAGE, "manageEbsSnapshots": true}),
    ] {
        let refused = whole(&ec2, &allowed, request).await;
        assert_eq!(refused["error"]["name"], "ImageNotManaged", "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("belongs to the account"), "{refused}");
    }
    assert!(ec2.mutating_calls().is_empty());
}

#[tokio::test]
async fn an_id_that_ec2_does_not_know_is_deleted_and_was_not_there() {
    let ec2 = ec2().await;
    let request = json!({"action": "delete", "imageId": "ami-0aaaaaaaaaaaaaaaa"});
    let deleted = whole(&ec2, &app(&ec2), request).await;
    assert_eq!(deleted["result"], json!({"deletedImageId": "ami-0aaaaaaaaaaaaaaaa", "wasThere": false}));
}

#[tokio::test]
async fn snapshots_of_another_image_with_a_longer_id_are_not_taken_along() {
    let ec2 = ec2().await;
    let named = |name: &str| {
        let mut request = create_request();
        request["name"] = json!(name);
        request
    };
    let first = begin(&ec2, named("first")).await;
    begin(&ec2, named("second")).await;
    ec2.advance(Duration::from_secs(600));
    whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image_id(&first)})).await;
    assert_eq!(ec2.images().len(), 1);
    assert_eq!(ec2.snapshots().len(), 2);
}

#[tokio::test]
async fn an_update_that_changes_nothing_calls_nothing_that_changes() {
    let ec2 = ec2().await;
    let tags = [(RUN_TAG, RUN), ("Team", "web"), ("Stage", "test")];
    let image = ec2.add_foreign_image("web", &tags);
    let request = json!({"action": "update", "imageId": image, "tags": {"Team": "web"}, "description": ""});
    assert_eq!(whole(&ec2, &app(&ec2), request).await["status"], "Succeeded");
    assert_eq!(ec2.mutating_calls().len(), 0);
}

/// Goes round as the operation machine does, with every call made twice: the second answer counts.
async fn twice(ec2: &Ec2, request: Value) -> Value {
    let app = app(ec2);
    let mut document = first_operation(&app, RUN, request).await;
    loop {
        let step = if document["status"] == "Pending" { "look" } else { "begin" };
        call(&app, step, document.clone()).await.unwrap();
        document = call(&app, step, document).await.unwrap();
        if !is_going_on(&document) {
            return document;
        }
        wait(ec2, &document);
    }
}

#[tokio::test]
async fn every_call_of_every_operation_may_come_twice() {
    let ec2 = ec2().await;
    let created = twice(&ec2, create_request()).await;
    assert_eq!(created["status"], "Succeeded", "{created}");
    assert_eq!((ec2.images().len(), ec2.snapshots().len()), (1, 2));

    let image = &created["result"]["id"];
    let request = json!({"action": "update", "imageId": image, "tags": {"Team": "audit"}, "description": "changed"});
    let updated = twice(&ec2, request).await;
    assert_eq!((&updated["status"], &updated["result"]["description"]), (&json!("Succeeded"), &json!("changed")));

    let deleted = twice(&ec2, json!({"action": "delete", "imageId": image})).await;
    assert_eq!(deleted["status"], "Succeeded", "{deleted}");
    assert_eq!((ec2.images().len(), ec2.snapshots().len()), (0, 0));
}

/// The calls of each look of a create after the first wait, in order.
async fn calls_of_a_create(ec2: &Ec2, mut request: Value, no_reboot: bool) -> Vec<Vec<String>> {
    request["snapshotWithoutReboot"] = json!(no_reboot);
    let mut document = begin(ec2, request).await;
    let mut looks = vec![actions(ec2)];
    while document["status"] == "Pending" {
        wait(ec2, &document);
        ec2.forget_calls();
        document = look(ec2, document).await;
        looks.push(actions(ec2));
    }
    looks
}

#[tokio::test]
async fn a_create_calls_nothing_that_it_does_not_need() {
    // The snapshots of the seed instance grow evenly and take 220 seconds.
    let looks = calls_of_a_create(&ec2().await, create_request(), true).await;
    assert_eq!(looks[0], ["DescribeInstances", "CreateImage"]);
    let pending = &looks[1..looks.len() - 1];
    assert!(pending.len() <= 6 && pending.iter().all(|calls| is_a_look(calls)), "{pending:?}");
    // Whether the instance is as it was; and the variable store, of an image that boots by UEFI.
    let last: Vec<_> = looks[looks.len() - 1].iter().filter(|call| *call != "DescribeSnapshots").collect();
    assert_eq!(last, ["DescribeImages", "DescribeInstances", "DescribeImageAttribute"]);
}

#[tokio::test]
async fn an_image_whose_end_an_event_tells_is_asked_for_alone_and_shortly_again_if_it_does_not_show() {
    let ec2 = ec2().await;
    let mut document = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(100));
    document["woken"] = json!(true);
    ec2.forget_calls();
    let early = look(&ec2, document.clone()).await;
    assert_eq!(
        (&early["status"], &early["waitSeconds"], &early["wake"]),
        (&json!("Pending"), &json!(5), &json!(false))
    );
    assert_eq!(actions(&ec2), ["DescribeImages", "DescribeInstanceStatus"]);

    ec2.advance(Duration::from_secs(200));
    ec2.forget_calls();
    assert_eq!(look(&ec2, document).await["status"], "Succeeded");
    assert!(!actions(&ec2).contains(&"DescribeSnapshots".to_owned()));
}

#[tokio::test]
async fn an_image_that_fails_before_its_snapshots_are_made_is_found_when_the_time_has_doubled() {
    let ec2 = ec2().await;
    let (code, message, after) = ("Client.InternalError".into(), "broken".into(), Duration::from_secs(40));
    ec2.next_image(SEED_INSTANCE, Fate::Fail { state: ImageState::Error, code, message, after });
    let mut document = begin(&ec2, create_request()).await;
    while document["status"] == "Pending" {
        wait(&ec2, &document);
        document = look(&ec2, document).await;
    }
    assert_eq!((&document["status"], &document["error"]["name"]), (&json!("Failed"), &json!("ImageFailed")));
    let elapsed = document["waitedSeconds"].as_u64().unwrap();
    assert!((40..100).contains(&elapsed), "{elapsed}");
    assert!(ec2.snapshots_tagged(RUN_TAG, RUN).iter().any(|snapshot| snapshot.percent < 100));
}

#[tokio::test]
async fn a_create_remembers_its_image_and_every_snapshot() {
    let ec2 = ec2().await;
    let mut document = begin(&ec2, create_request()).await;
    wait(&ec2, &document);
    document = look(&ec2, document).await;
    let image = &ec2.images()[0];
    assert_eq!(image_id(&document), image.id);
    let mut snapshots = image.snapshot_ids.clone();
    snapshots.sort();
    assert_eq!(document["memory"]["snapshotIds"], json!(snapshots));
}

/// Whether these are the calls of a look that finds the image pending.
fn is_a_look(calls: &[String]) -> bool {
    calls == ["DescribeSnapshots"] || calls == ["DescribeImages"] || calls == ["DescribeSnapshots", "DescribeImages"]
}

#[tokio::test]
async fn a_create_that_reboots_asks_for_the_instances_checks_until_they_pass_again() {
    let looks = calls_of_a_create(&ec2().await, create_request(), false).await;
    let asks = |calls: &Vec<String>| calls.iter().any(|call| call == "DescribeInstanceStatus");
    let asked = looks.iter().filter(|calls| asks(calls)).count();
    assert!((2..=3).contains(&asked), "{looks:?}");
    let rest: Vec<_> = looks[1..looks.len() - 1]
        .iter()
        .map(|calls| calls.iter().filter(|call| *call != "DescribeInstanceStatus").cloned().collect::<Vec<_>>())
        .collect();
    assert!(rest.iter().all(|calls| is_a_look(calls)), "{looks:?}");
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// An image of a run, and the request of an update that changes everything about it.
fn update(ec2: &Ec2) -> (String, Value) {
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN), ("Old", "tag")]);
    let request = json!({"action": "update", "imageId": image, "tags": {"Team": "web"}, "description": "new",
        "deprecationTime": "2031-01-01T00:00:00Z"});
    (image, request)
}

#[tokio::test]
async fn an_update_calls_what_it_changes_tags_last_and_looks_before_and_after() {
    let ec2 = ec2().await;
    let (_, request) = update(&ec2);
    let app = app(&ec2);
    let mut document = first_operation(&app, RUN, request).await;
    let mut calls = vec![];
    while document["status"] != "Succeeded" {
        if document["status"] == "Pending" {
            wait(&ec2, &document);
        }
        ec2.forget_calls();
        document = call(&app, "look", document).await.unwrap();
        calls.push(actions(&ec2));
    }
    let look = ["DescribeImages", "DescribeSnapshots"];
    let changes = ["ModifyImageAttribute", "EnableImageDeprecation", "DeleteTags", "CreateTags"];
    assert_eq!(calls[0], [look.as_slice(), &changes].concat());
    let last = &calls[calls.len() - 1];
    assert!(last.starts_with(&look.map(str::to_owned)) && !last.iter().any(|call| changes.contains(&call.as_str())));
}

#[tokio::test]
async fn a_value_that_somebody_changes_after_it_was_shown_is_not_sent_again_and_named_after_three_looks() {
    let ec2 = ec2().await;
    let (_, request) = update(&ec2);
    let app = app(&ec2);
    let mut document = first_operation(&app, RUN, request).await;
    document["memory"] = json!({"shown": ["description", "deprecationTime", "tags"]});
    for _ in 0..2 {
        document = call(&app, "look", document).await.unwrap();
        assert_eq!(document["status"], "Pending");
    }
    document = call(&app, "look", document).await.unwrap();
    assert_eq!(document["error"]["name"], "ImageChangedMeanwhile");
    assert!(document["error"]["message"].as_str().unwrap().contains("description, deprecationTime, tags"));
    assert!(ec2.mutating_calls().is_empty());
}

#[tokio::test]
async fn an_update_that_is_refused_half_way_says_what_it_has_changed() {
    let ec2 = ec2().await;
    let (_, request) = update(&ec2);
    let refused = FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "no".to_owned() };
    ec2.inject(Fault::on("DeleteTags", refused));
    let updated = whole(&ec2, &app(&ec2), request).await;
    assert_eq!(updated["error"]["name"], "NotAuthorized");
    let message = updated["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("; changed before: description, deprecationTime"), "{message}");
}

#[tokio::test]
async fn a_value_that_ec2_has_never_shown_is_sent_again() {
    let ec2 = ec2().await;
    let (_, request) = update(&ec2);
    let app = app(&ec2);
    let mut document = first_operation(&app, RUN, request).await;
    document["memory"] = json!({"shown": ["description"], "changedBack": 2});
    document = call(&app, "look", document).await.unwrap();
    assert_eq!((&document["status"], &document["memory"]["changedBack"]), (&json!("Pending"), &json!(0)));
    let sent: Vec<_> = ec2.mutating_calls().into_iter().map(|call| call.action).collect();
    assert_eq!(sent, ["EnableImageDeprecation", "DeleteTags", "CreateTags"]);
}

#[tokio::test]
async fn a_delete_calls_each_removal_once_unless_ec2_still_uses_the_snapshot() {
    let ec2 = ec2().await;
    let created = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(600));
    ec2.forget_calls();
    whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image_id(&created)})).await;
    let asked = ["DescribeImages", "DescribeSnapshots", "DescribeImageReferences", "DescribeLaunchConfigurations"];
    let actions = actions(&ec2);
    assert_eq!(actions[..4], asked);
    assert_eq!(actions[4..7], ["DeregisterImage", "DeleteSnapshot", "DeleteSnapshot"]);
    let removed = |call: &ec2::Call| call.mutating && call.outcome.is_ok();
    assert_eq!(ec2.calls().iter().filter(|call| removed(call)).count(), 3);
}

#[tokio::test]
async fn reading_a_request_calls_nothing_but_for_a_replace_that_could_be_in_vain() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("old", &[(RUN_TAG, RUN)]);
    let app = app(&ec2);
    let read = async |request: Value| {
        ec2.forget_calls();
        plan_of(&app, RUN, request).await.unwrap();
        actions(&ec2)
    };
    assert!(read(create_request()).await.is_empty());
    assert!(read(json!({"action": "delete", "imageId": image})).await.is_empty());
    let mut replace = create_request();
    replace["action"] = json!("replace");
    replace["imageId"] = json!(image);
    let asked = ["DescribeImages", "DescribeInstances", "DescribeImageReferences", "DescribeLaunchConfigurations"];
    assert_eq!(read(replace).await, asked);
}

/// The operations of a plan with what each is to keep, and the timeouts.
fn operations_of(plan: &Value) -> Vec<(&str, bool, u64)> {
    let operations = plan["operations"].as_array().unwrap().iter();
    operations
        .map(|one| {
            let (name, keeps) = (one["operation"].as_str().unwrap(), one["keepsImage"].as_bool().unwrap());
            (name, keeps, one["timeoutSeconds"].as_u64().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_plan_has_each_operation_with_its_timeout_and_says_when_the_image_stays() {
    let ec2 = ec2().await;
    let old = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let app = app(&ec2);
    let create = json!({"name": "new", "sourceInstanceId": SEED_INSTANCE, "deprecationTime": "2031-01-01T00:00:00Z"});
    let replace = merged(create.clone(), json!({"action": "replace", "imageId": old, "timeouts": {"delete": "2h"}}));
    let same_name = merged(replace.clone(), json!({"name": "web"}));
    let of = async |request| plan_of(&app, RUN, request).await.unwrap();
    let (create, replace, same_name) = (of(create).await, of(replace).await, of(same_name).await);
    assert_eq!(operations_of(&create), [("create", false, 2400), ("update", false, 2400)]);
    assert_eq!(operations_of(&replace), [("create", false, 2400), ("update", false, 2400), ("delete", true, 7200)]);
    assert_eq!(
        operations_of(&same_name),
        [("delete", false, 7200), ("create", false, 2400), ("update", false, 2400), ("delete", true, 7200)]
    );
    assert_eq!((&create["rollbackTimeoutSeconds"], &replace["rollbackTimeoutSeconds"]), (&json!(5400), &json!(7200)));
    assert_eq!(same_name["operations"][0]["arguments"]["snapshots"], "keep");
    let snapshot = ec2.image(&old).unwrap().snapshot_ids[0].clone();
    assert_eq!(same_name["operations"][3]["arguments"]["snapshots"], json!({"deleteAfterwards": [snapshot]}));
    assert!(same_name["operations"][1]["note"].as_str().unwrap().contains(&snapshot));
}

#[tokio::test]
async fn a_description_beyond_ascii_is_refused_before_anything_is_called() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("old", &[(RUN_TAG, RUN)]);
    let app = app(&ec2);
    let create = merged(create_request(), json!({"description": "Größe"}));
    let replace = merged(create.clone(), json!({"action": "replace", "imageId": image}));
    let update = json!({"action": "update", "imageId": image, "description": "образ"});
    for request in [create, replace, update] {
        let error = plan_of(&app, RUN, request).await.unwrap_err();
        assert!(error.to_string().starts_with("description: "), "{error}");
    }
    assert!(ec2.calls().is_empty());
}

#[tokio::test]
async fn an_image_of_the_name_without_tags_is_asked_for_again_and_adopted_once_it_shows_the_runs() {
    let ec2 = ec2_with(Lags { image_tags_show: Duration::from_secs(60), ..Lags::default() }).await;
    let first = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(30));
    let untagged = begin(&ec2, create_request()).await;
    assert_eq!(untagged["status"], "NotStarted", "{untagged}");
    ec2.advance(Duration::from_secs(30));
    let adopted = begin(&ec2, create_request()).await;
    assert_eq!((&adopted["status"], image_id(&adopted)), (&json!("Pending"), image_id(&first)));
    assert_eq!(ec2.images().len(), 1);
}

#[tokio::test]
async fn an_image_of_the_name_that_never_shows_tags_is_somebody_elses() {
    let ec2 = ec2().await;
    let client = ec2.client();
    client.create_image().instance_id(SEED_INSTANCE).name("web").no_reboot(true).send().await.unwrap();
    ec2.advance(Duration::from_secs(600));
    let taken = whole(&ec2, &app(&ec2), create_request()).await;
    assert_eq!(taken["error"]["name"], "NameTaken");
    assert!((120..400).contains(&taken["waitedSeconds"].as_u64().unwrap()), "{taken}");
}

#[tokio::test]
async fn an_instance_with_too_many_images_under_way_is_waited_for() {
    let settings = ec2::Settings { speed: 0.0, images_without_reboot: 1, ..ec2::Settings::default() };
    let ec2 = Ec2::start(settings).await.unwrap();
    let other = ec2.client().create_image().instance_id(SEED_INSTANCE).name("other").no_reboot(true);
    other.send().await.unwrap();
    let request = merged(create_request(), json!({"snapshotWithoutReboot": true}));
    let waits = begin(&ec2, request.clone()).await;
    assert_eq!(waits["reason"], "too many images of the instance are being made");
    assert_eq!(whole(&ec2, &app(&ec2), request).await["status"], "Succeeded");
}

#[tokio::test]
async fn what_ec2_is_busy_with_is_waited_for_and_the_reason_says_so() {
    for code in ["PendingSnapshotLimitExceeded", "ConcurrentSnapshotLimitExceeded", "IncorrectState"] {
        let ec2 = ec2().await;
        let refused = FaultKind::Refused { code: code.to_owned(), message: "busy".to_owned() };
        ec2.inject(Fault::on("CreateImage", refused));
        let waits = begin(&ec2, create_request()).await;
        assert_eq!(waits["status"], "NotStarted", "{code}: {waits}");
        assert!(!waits["reason"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn tags_that_another_client_changes_at_once_are_sent_again_later() {
    let ec2 = ec2_with(Lags { tag_access: Duration::from_secs(5), ..Lags::default() }).await;
    let (image, request) = update(&ec2);
    let others = ec2.client().create_tags().resources(&image).tags(tag("Owner", "audit"));
    others.send().await.unwrap();
    let app = app(&ec2);
    let mut document = first_operation(&app, RUN, request).await;
    assert_eq!(call(&app, "begin", document.clone()).await.unwrap_err().name(), "Throttled");
    loop {
        document = call(&app, "look", document).await.unwrap();
        if !is_going_on(&document) {
            break;
        }
        wait(&ec2, &document);
    }
    assert_eq!(document["status"], "Succeeded", "{document}");
    assert_eq!(document["result"]["tags"], json!({"Team": "web"}));
    assert!(ec2.calls().iter().any(|call| call.outcome == Err("ConcurrentTagAccess".to_owned())));
}

#[tokio::test]
async fn a_snapshot_that_goes_while_an_update_tags_it_does_not_end_the_update() {
    let ec2 = ec2().await;
    let (_, request) = update(&ec2);
    let gone = FaultKind::Refused { code: "InvalidSnapshot.NotFound".to_owned(), message: "gone".to_owned() };
    ec2.inject(Fault::on("CreateTags", gone));
    let updated = whole(&ec2, &app(&ec2), request).await;
    assert_eq!(updated["status"], "Succeeded", "{updated}");
    assert_eq!(updated["result"]["tags"], json!({"Team": "web"}));
}

#[tokio::test]
async fn an_image_whose_snapshots_begin_minutes_late_is_looked_at_until_it_is_available() {
    let ec2 = ec2_with(Lags { rebooted_snapshots_begin: Duration::from_secs(300), ..Lags::default() }).await;
    let created = whole(&ec2, &app(&ec2), create_request()).await;
    assert_eq!(created["status"], "Succeeded", "{created}");
    assert_eq!(created["result"]["ebsBlockDevice"].as_array().unwrap().len(), 2);
    assert!(created["waitedSeconds"].as_u64().unwrap() < 700, "{created}");
}

#[tokio::test]
async fn the_snapshots_of_an_image_that_shows_no_devices_go_with_it() {
    let ec2 = ec2_with(Lags { image_devices_show: Duration::from_secs(7_200), ..Lags::default() }).await;
    let created = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(600));
    let deleted = whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image_id(&created)})).await;
    assert_eq!(deleted["status"], "Succeeded", "{deleted}");
    assert_eq!((ec2.images().len(), ec2.snapshots().len()), (0, 0));
}

#[tokio::test]
async fn a_deleted_image_whose_id_ec2_goes_on_answering_with_an_empty_list_is_gone() {
    let ec2 = ec2().await;
    let created = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(600));
    let id = image_id(&created);
    ec2.client().run_instances().image_id(id).min_count(1).max_count(1).send().await.unwrap();
    let request = json!({"action": "delete", "imageId": id, "unlessInUse": false});
    let deleted = whole(&ec2, &app(&ec2), request.clone()).await;
    assert_eq!(deleted["result"], json!({"deletedImageId": id, "wasThere": true}));
    assert!(deleted["waitedSeconds"].as_u64().unwrap() < 120, "{deleted}");
    assert_eq!(whole(&ec2, &app(&ec2), request.clone()).await["result"]["wasThere"], false);
    let update = json!({"action": "update", "imageId": id, "description": "new"});
    assert_eq!(whole(&ec2, &app(&ec2), update).await["error"]["name"], "ImageNotFound");
}

#[tokio::test]
async fn an_image_that_failed_says_ec2s_code_once() {
    let ec2 = ec2().await;
    ec2.next_image(SEED_INSTANCE, Fate::InstanceTerminated);
    let failed = whole(&ec2, &app(&ec2), create_request()).await;
    let message = failed["error"]["message"].as_str().unwrap();
    assert_eq!((&failed["error"]["name"], message.matches("Client.").count()), (&json!("ImageFailed"), 1), "{message}");
}

/// An image that has the name the request wants, of a run whose execution is `status`, and what begin answers.
async fn begin_beside(status: &'static str, ended_for: Option<u64>, rolls_back: bool) -> (Ec2, App, Value) {
    let ec2 = ec2().await;
    let other = RUN.replace("nightly", "before");
    ec2.add_foreign_image("web", &[(RUN_TAG, &other)]);
    let rollback = format!("{other}-undo").replace(":ami-lifecycle:", ":ami-operation:");
    let rollback = rolls_back.then_some((rollback, "RUNNING", None));
    let app = app_that_knows(&ec2, [(other, status, ended_for)].into_iter().chain(rollback)).await;
    let begun = call(&app, "begin", first_operation(&app, RUN, create_request()).await).await.unwrap();
    (ec2, app, begun)
}

#[tokio::test]
async fn a_name_that_an_image_has_which_is_being_rolled_back_is_waited_for() {
    for (status, ended_for, rolls_back) in [
        ("ABORTED", Some(20), false),
        ("TIMED_OUT", Some(20), false),
        ("FAILED", Some(20), false),
        ("RUNNING", None, true),
    ] {
        let (ec2, app, begun) = begin_beside(status, ended_for, rolls_back).await;
        assert_eq!(begun["status"], "NotStarted", "{status}: {begun}");
        assert!(begun["reason"].as_str().unwrap().contains("is being rolled back"), "{begun}");
        let other = ec2.images().remove(0).id;
        ec2.client().deregister_image().image_id(other).send().await.unwrap();
        wait(&ec2, &begun);
        assert_eq!(call(&app, "begin", begun).await.unwrap()["status"], "Pending");
    }
}

#[tokio::test]
async fn a_name_that_an_image_has_which_stays_is_taken() {
    for (status, ended_for) in
        [("RUNNING", None), ("SUCCEEDED", Some(20)), ("ABORTED", Some(3_600)), ("FAILED", Some(180))]
    {
        let (_, _, begun) = begin_beside(status, ended_for, false).await;
        assert_eq!(begun["error"]["name"], "NameTaken", "{status}: {begun}");
    }
}

/// ListExecutions sorts ended executions by their stop date: one that has begun long ago may come before others.
#[tokio::test]
async fn a_sweep_finds_a_run_that_comes_after_one_that_began_long_ago_and_ended_late() {
    let ec2 = ec2().await;
    ec2.add_foreign_image("left", &[(RUN_TAG, RUN)]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let execution = move |name: &str, started: u64, ended: u64| {
        json!({"executionArn": RUN.replace("nightly", name), "stateMachineArn": "arn", "name": name,
            "status": "FAILED", "startDate": now - started, "stopDate": now - ended})
    };
    let day = 24 * 3_600;
    let client = step_functions::that_answers(move |action, input| match action {
        "ListExecutions" if input["statusFilter"] == "FAILED" => (
            200,
            json!({"executions": [execution("long", 31 * day, 29 * day), execution("nightly", 30 * day - 60, 29 * day + 60)]}),
        ),
        "ListExecutions" => (200, json!({"executions": []})),
        "DescribeExecution" => (400, json!({"__type": "ExecutionDoesNotExist", "message": ""})),
        _ => (200, json!({"executionArn": "arn", "startDate": now})),
    });
    let app = App { step_functions: client.await, ..app(&ec2) };
    let found = events::start_rollback(&app, sweep()).await.unwrap();
    assert_eq!(found["rolledBack"], json!([RUN]), "{found}");
}

/// A Step Functions in which a replace was aborted, its delete has this status, and its own rollback was sent this.
async fn aborted_replace(delete: Option<&'static str>, sent: Option<Value>) -> aws_sdk_sfn::Client {
    step_functions::that_answers(move |action, input| {
        let asked = input["executionArn"].as_str().unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let run = json!({"executionArn": RUN, "name": "nightly", "stateMachineArn": "arn",
            "status": "ABORTED", "startDate": now - 600, "stopDate": now - 60});
        let (status, document) = match (action, asked.rsplit('-').next().unwrap_or_default()) {
            ("ListExecutions", _) if input["statusFilter"] == "ABORTED" => return (200, json!({"executions": [run]})),
            ("ListExecutions", _) => return (200, json!({"executions": []})),
            ("StartExecution", _) => return (200, json!({"executionArn": "arn", "startDate": 0})),
            ("GetExecutionHistory", _) => return (200, json!({"events": []})),
            _ if asked == RUN => return (200, run),
            (_, "1") => (Some("SUCCEEDED"), Some(json!({"operation": "create", "keepsImage": false}))),
            (_, "2") => (delete, Some(json!({"operation": "delete", "keepsImage": true}))),
            (_, _) => (sent.as_ref().map(|_| "FAILED"), sent.clone()),
        };
        match (status, document) {
            (Some(status), Some(document)) => (
                200,
                json!({"executionArn": asked, "stateMachineArn": "arn", "status": status, "startDate": 0,
                    "input": document.to_string()}),
            ),
            _ => (400, json!({"__type": "ExecutionDoesNotExist", "message": asked})),
        }
    })
    .await
}

/// What the replace's own rollback was sent about an operation that failed.
fn sent_to_its_rollback(keeps_image: bool) -> Option<Value> {
    let planned = json!({"operation": "delete", "timeoutSeconds": 60, "keepsImage": keeps_image, "note": ""});
    let failed = json!({"position": 2, "planned": planned, "caught": {"name": "", "message": ""}});
    Some(json!({"operation": "rollback", "arguments": {"failed": failed}}))
}

/// What a sweep starts for it.
async fn swept(delete: Option<&'static str>, sent: Option<Value>) -> Value {
    let ec2 = ec2().await;
    ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let step_functions = aborted_replace(delete, sent).await;
    events::start_rollback(&App { step_functions, ..app(&ec2) }, sweep()).await.unwrap()
}

#[tokio::test]
async fn a_sweep_leaves_what_a_run_keeps_and_rolls_back_everything_else() {
    let kept = json!({"rolledBack": [], "orphanedSnapshots": [], "stoppedInstances": [], "failed": []});
    let rolled_back = merged(kept.clone(), json!({"rolledBack": [RUN]}));
    assert_eq!(swept(Some("ABORTED"), None).await, kept);
    // Its rollback has it stopped.
    assert_eq!(swept(Some("RUNNING"), None).await, rolled_back);
    assert_eq!(swept(None, None).await, rolled_back);
    // The delete could not be started, and the run's error says that the new image stays.
    assert_eq!(swept(None, sent_to_its_rollback(true)).await, kept);
    assert_eq!(swept(None, sent_to_its_rollback(false)).await, rolled_back);
}

#[tokio::test]
async fn a_rollback_that_a_rule_starts_keeps_what_the_runs_own_rollback_kept() {
    for keeps_image in [true, false] {
        let ec2 = ec2().await;
        ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
        let app = App { step_functions: aborted_replace(None, sent_to_its_rollback(keeps_image)).await, ..app(&ec2) };
        let document = json!({"operation": "rollback", "run": RUN, "execution": "arn", "timeoutSeconds": 5_400,
            "arguments": {}});
        let answer = call(&app, "begin", document).await.unwrap();
        let keeps = answer["reason"] == "the run keeps its image";
        assert_eq!(keeps, keeps_image, "{answer}");
    }
}

#[tokio::test]
async fn a_sweep_that_only_reports_starts_nothing() {
    let ec2 = ec2().await;
    ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let app = app_with(&ec2, Settings { sweep_only_reports: true, ..settings() });
    let found =
        events::start_rollback(&App { step_functions: aborted_replace(None, None).await, ..app }, sweep()).await;
    let found = found.unwrap();
    assert_eq!((&found["reported"], &found["rolledBack"]), (&json!([RUN]), &json!([])));
}

#[tokio::test]
async fn a_sweep_names_the_snapshots_of_no_image_of_a_run_that_has_made_another_image() {
    let ec2 = ec2().await;
    let [first, second] = ["first", "second"].map(|name| ec2.add_foreign_image(name, &[(RUN_TAG, RUN)]));
    let left = ec2.image(&first).unwrap().snapshot_ids;
    let app = App {
        step_functions: step_functions::that_answers(|_, _| (200, json!({"executions": []}))).await,
        ..app(&ec2)
    };
    let named = async || events::start_rollback(&app, sweep()).await.unwrap()["orphanedSnapshots"].clone();
    assert_eq!(named().await, json!([]), "{first} and {second} are there");
    app.ec2.deregister_image().image_id(&first).send().await.unwrap();
    ec2.advance(Duration::from_secs(600));
    assert_eq!(named().await, json!(left));
    // A delete that was cut off leaves old ones, too.
    let months_later = App { now: || SystemTime::now() + Duration::from_secs(200 * 24 * 3600), ..app };
    let found = events::start_rollback(&months_later, sweep()).await.unwrap();
    assert_eq!(found["orphanedSnapshots"], json!(left));
}

/// The sweep's event, as the template has it.
fn sweep() -> Value {
    json!({"source": "ami-from-instance", "detail-type": "Sweep", "detail": {}})
}

#[tokio::test]
async fn the_causes_of_wrong_requests_in_the_documents_are_what_the_functions_say() {
    let ec2 = ec2().await;
    let documents = include_str!("../../docs/errors.md");
    let instance = SEED_INSTANCE;
    for request in [
        json!({"name": "web", "sourceInstanceId": instance, "snapshotWithoutReboots": true}),
        json!({"name": "ab", "sourceInstanceId": instance}),
        json!({"name": "web:1", "sourceInstanceId": instance}),
        json!({"action": "update", "imageId": "ami-0123456789abcdef0"}),
    ] {
        let cause = plan_of(&app(&ec2), RUN, request).await.unwrap_err().to_string();
        assert!(documents.contains(&format!("\n{cause}\n")), "{cause}");
    }
}
