//! Adopts: images that no run made are taken over, and nothing but their tags changes.

use std::time::{SystemTime, UNIX_EPOCH};

use ami_from_instance::{
    app::App,
    model::{
        run::RUN_TAG,
        tags::{SERIES_TAG, Tags},
    },
    settings::Settings,
};
use local_ec2::{Ec2, Fault, FaultKind, SEED_INSTANCE};
use serde_json::{Value, json};

use crate::{
    RUN, app, app_with, call, create_request, ec2, first_operation, merged, plan_of, rollbacks::roll_back, settings,
    step_functions::that_answers, whole,
};

fn request(image: &str) -> Value {
    json!({"action": "adopt", "imageId": image, "series": "web"})
}

/// With a deployment that may.
fn may(ec2: &Ec2) -> App {
    app_with(ec2, Settings { allow_unmanaged_images: true, ..settings() })
}

fn tags(own: &[(&str, &str)], series: &str) -> Tags {
    let all = own.iter().copied().chain([(RUN_TAG, RUN), (SERIES_TAG, series)]);
    all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

async fn refusal(ec2: &Ec2, request: Value) -> String {
    let error = plan_of(&may(ec2), RUN, request).await.unwrap_err().to_string();
    assert!(ec2.mutating_calls().is_empty());
    error
}

#[tokio::test]
async fn an_image_and_its_snapshots_get_the_runs_tags_and_keep_their_own() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("found", &[("Team", "web")]);
    let before = ec2.image(&image).unwrap();
    let adopted = whole(&ec2, &may(&ec2), request(&image)).await;
    assert_eq!((&adopted["status"], &adopted["result"]["series"]), (&json!("Succeeded"), &json!("web")), "{adopted}");
    let after = ec2.image(&image).unwrap();
    assert_eq!(after.tags, tags(&[("Team", "web")], "web"));
    assert_eq!(ec2.snapshot(&after.snapshot_ids[0]).unwrap().tags, after.tags);
    assert_eq!(local_ec2::ImageInfo { tags: before.tags.clone(), ..after }, before, "nothing but the tags has changed");
    assert!(ec2.mutating_calls().iter().all(|call| call.action == "CreateTags"));
    // It counts as one of the stack's: it cannot be adopted again, and a delete needs no more than its id.
    let again = plan_of(&may(&ec2), &format!("{RUN}-2"), request(&image)).await.unwrap_err().to_string();
    assert!(again.contains("no run has made or adopted") && again.contains(&image), "{again}");
    let deleted = whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image})).await;
    assert_eq!(deleted["status"], "Succeeded", "{deleted}");
    assert!(ec2.images().is_empty() && ec2.snapshots().is_empty());
}

#[tokio::test]
async fn the_series_is_the_images_own_the_requests_or_the_instance() {
    let ec2 = ec2().await;
    let with_series = ec2.add_foreign_image("found", &[(SERIES_TAG, "shop")]);
    let without = |image: &str| json!({"action": "adopt", "imageId": image});
    let adopted = whole(&ec2, &may(&ec2), without(&with_series)).await;
    assert_eq!(adopted["result"]["series"], "shop", "{adopted}");
    let other = ec2.add_foreign_image("other", &[(SERIES_TAG, "shop")]);
    assert!(
        plan_of(&may(&ec2), RUN, request(&other)).await.unwrap_err().to_string().starts_with("series: must be shop")
    );
    let nameless = ec2.add_foreign_image("nameless", &[]);
    let error = plan_of(&may(&ec2), RUN, without(&nameless)).await.unwrap_err();
    assert!(error.to_string().starts_with("series: must be given"), "{error}");
    // EC2 shows the instance of an image that CreateImage made.
    let made = ec2.client().create_image().instance_id(SEED_INSTANCE).name("by hand").send().await.unwrap();
    ec2.advance(std::time::Duration::from_secs(3600));
    let app = App { now: || std::time::SystemTime::now() + std::time::Duration::from_secs(3600), ..may(&ec2) };
    let start = humantime::format_rfc3339_seconds(ec2.sim_now()).to_string();
    let input = json!({"run": RUN, "startTime": start, "request": without(&made.image_id.unwrap())});
    let plan = serde_json::to_value(ami_from_instance::plan::handle(&app, input).await.unwrap()).unwrap();
    assert_eq!(plan["operations"][0]["arguments"]["series"], SEED_INSTANCE);
}

#[tokio::test]
async fn what_something_else_manages_is_refused_before_anything_is_touched() {
    let ec2 = ec2().await;
    for (tag, who) in [
        ("aws:dlm:lifecycle-policy-id", "Data Lifecycle Manager"),
        ("aws:backup:source-resource", "AWS Backup"),
        ("Ec2ImageBuilderArn", "Image Builder"),
        (RUN_TAG, "no run has made or adopted"),
    ] {
        let image = ec2.add_foreign_image(format!("of {tag}"), &[(tag, "somebody's")]);
        let refusal = refusal(&ec2, request(&image)).await;
        assert!(refusal.starts_with("imageId: must be an image that") && refusal.contains(who), "{refusal}");
    }
    let image = ec2.add_foreign_image("shared", &[]);
    let other = ec2.add_image_sharing(&image, "sharing");
    assert!(refusal(&ec2, request(&image)).await.contains(&format!("shares no snapshot: {other}")));
    let fresh = ec2.client().create_image().instance_id(SEED_INSTANCE).name("fresh").send().await.unwrap();
    ec2.advance(std::time::Duration::from_secs(300));
    ec2.forget_calls();
    assert!(refusal(&ec2, request(&fresh.image_id.unwrap())).await.contains("at least ten minutes old"));
    assert!(refusal(&ec2, request("ami-0aaaaaaaaaaaaaaaa")).await.contains("there is no image"));
    let error = plan_of(&app(&ec2), RUN, request(&ec2.add_foreign_image("free", &[]))).await.unwrap_err();
    assert_eq!(error.name(), "ImageNotManaged");
}

#[tokio::test]
async fn an_image_that_changes_hands_before_it_is_tagged_is_refused() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("found", &[]);
    let app = may(&ec2);
    let document = first_operation(&app, RUN, request(&image)).await;
    let tag = aws_sdk_ec2::types::Tag::builder().key(RUN_TAG).value("another stack's").build();
    ec2.client().create_tags().resources(&image).tags(tag).send().await.unwrap();
    ec2.forget_calls();
    let refused = call(&app, "begin", document).await.unwrap();
    assert_eq!(refused["error"]["name"], "InvalidRequest", "{refused}");
    assert!(ec2.mutating_calls().is_empty());
}

#[tokio::test]
async fn a_rollback_takes_the_tags_off_and_leaves_the_image() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("found", &[("Team", "web")]);
    let before = ec2.image(&image).unwrap();
    let app = may(&ec2);
    let document = first_operation(&app, RUN, request(&image)).await;
    let noted = call(&app, "begin", document).await.unwrap();
    assert!(noted["status"] == "Pending" && ec2.mutating_calls().is_empty(), "{noted}");
    let tagged = call(&app, "look", noted).await.unwrap();
    assert_eq!(tagged["status"], "Pending");
    ec2.advance(std::time::Duration::from_secs(10));
    // What the same run makes goes.
    let made = whole(&ec2, &self::app(&ec2), merged(create_request(), json!({"name": "made"}))).await;
    assert_eq!(made["status"], "Succeeded", "{made}");
    let rolled_back = roll_back(&ec2, &tagged).await;
    assert_eq!(rolled_back["status"], "Succeeded", "{rolled_back}");
    assert_eq!(ec2.image(&image), Some(before));
    assert!(ec2.snapshots_tagged(RUN_TAG, RUN).is_empty());
}

#[tokio::test]
async fn a_lost_answer_whose_second_attempt_is_denied_is_no_failure_and_a_lasting_denial_is() {
    let ec2 = ec2().await;
    let app = may(&ec2);
    let denied =
        || FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "it has the tag".to_owned() };
    let image = ec2.add_foreign_image("found", &[]);
    let noted = call(&app, "begin", first_operation(&app, RUN, request(&image)).await).await.unwrap();
    ec2.inject(Fault::on("CreateTags", denied()));
    let unsure = call(&app, "look", noted).await.unwrap();
    assert_eq!(unsure["status"], "Pending", "{unsure}");
    ec2.clear_faults();
    let other = ec2.add_foreign_image("other", &[]);
    ec2.inject(Fault::on("CreateTags", denied()).for_ever());
    assert_eq!(whole(&ec2, &app, request(&other)).await["error"]["name"], "NotAuthorized");
}

#[tokio::test]
async fn a_snapshot_that_does_not_fit_is_named_before_anything_is_touched() {
    let ec2 = ec2().await;
    let with_snapshot_tag = async |name: &str, key: &str| {
        let image = ec2.add_foreign_image(name, &[]);
        let snapshot = ec2.image(&image).unwrap().snapshot_ids[0].clone();
        ec2.client().create_tags().resources(&snapshot).tags(crate::tag(key, "1")).send().await.unwrap();
        ec2.forget_calls();
        (image, snapshot)
    };
    for (key, why) in [
        ("Ec2ImageBuilderArn", "Image Builder"),
        (RUN_TAG, "no run has made or adopted"),
        (SERIES_TAG, "has its series itself"),
    ] {
        let (image, snapshot) = with_snapshot_tag(key, key).await;
        let refusal = refusal(&ec2, request(&image)).await;
        assert!(refusal.contains(why) && refusal.contains(&snapshot), "{refusal}");
    }
    let full: Vec<_> = (0..49).map(|number| (format!("key-{number}"), "1")).collect();
    let full: Vec<_> = full.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let image = ec2.add_foreign_image("full", &full);
    assert!(refusal(&ec2, request(&image)).await.contains("has room for 2 more tags"));
    // A snapshot that began later than its image is what counts.
    let young = ec2.add_foreign_image("young", &[]);
    ec2.age_snapshots(&young, std::time::Duration::from_secs(5 * 60));
    assert!(refusal(&ec2, request(&young)).await.contains("at least ten minutes old: snap-"));
}

#[tokio::test]
async fn a_rollback_leaves_the_tags_of_an_image_that_an_earlier_run_of_the_same_name_took_over() {
    let ec2 = ec2().await;
    let earlier = ec2.add_foreign_image("earlier", &[(RUN_TAG, RUN), (SERIES_TAG, "web")]);
    let before = ec2.image(&earlier).unwrap();
    let image = ec2.add_foreign_image("found", &[]);
    let app = may(&ec2);
    let noted = call(&app, "begin", first_operation(&app, RUN, request(&image)).await).await.unwrap();
    let tagged = call(&app, "look", noted).await.unwrap();
    ec2.advance(std::time::Duration::from_secs(10));
    assert_eq!(roll_back(&ec2, &tagged).await["status"], "Succeeded");
    assert_eq!(ec2.image(&earlier), Some(before));
    assert!(ec2.image(&image).unwrap().tags.is_empty());
}

/// The sweep finds what is left by the image.
#[tokio::test]
async fn a_tag_that_a_rollback_may_not_take_off_is_named_and_the_image_keeps_its_own_until_its_snapshots_have_none() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("found", &[]);
    let app = may(&ec2);
    let noted = call(&app, "begin", first_operation(&app, RUN, request(&image)).await).await.unwrap();
    let tagged = call(&app, "look", noted).await.unwrap();
    ec2.advance(std::time::Duration::from_secs(10));
    let denied = FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "no".to_owned() };
    ec2.inject(Fault::on("DeleteTags", denied).for_ever());
    let left = roll_back(&ec2, &tagged).await;
    assert_eq!(left["error"]["name"], "LeftoversRemain", "{left}");
    let message = left["error"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("{RUN_TAG} of {image}")), "{message}");
    assert!(ec2.calls_of("DeleteTags").iter().all(|call| !call.concerns.contains(&image)), "{left}");
    ec2.clear_faults();
    assert_eq!(swept(&ec2, &image).await, json!([RUN]));
    assert_eq!(roll_back(&ec2, &tagged).await["status"], "Succeeded");
    assert!(ec2.image(&image).unwrap().tags.is_empty());
}

/// What a sweep has rolled back where the run was aborted and its only operation took over an image.
async fn swept(ec2: &Ec2, image: &str) -> Value {
    swept_after(ec2, "adopt", image).await
}

/// The same after another operation.
async fn swept_after(ec2: &Ec2, operation: &str, image: &str) -> Value {
    let input = json!({"operation": operation, "arguments": {"imageId": image}}).to_string();
    let client = that_answers(move |action, asked| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let arn = asked["executionArn"].as_str().unwrap_or_default();
        let aborted = json!({"executionArn": RUN, "name": "nightly", "stateMachineArn": "arn", "status": "ABORTED",
            "startDate": now - 600, "stopDate": now - 60});
        match action {
            "ListExecutions" if asked["statusFilter"] == "ABORTED" => (200, json!({"executions": [aborted]})),
            "ListExecutions" => (200, json!({"executions": []})),
            "StartExecution" => (200, json!({"executionArn": "arn", "startDate": 0})),
            _ if arn.ends_with("-1") => (
                200,
                json!({"executionArn": arn, "stateMachineArn": "arn", "status": "ABORTED", "startDate": 0, "input": input}),
            ),
            _ => (400, json!({"__type": "ExecutionDoesNotExist", "message": arn})),
        }
    });
    let sweep = json!({"source": "ami-from-instance", "detail-type": "Sweep", "detail": {}});
    let app = App { step_functions: client.await, ..app(ec2) };
    ami_from_instance::events::start_rollback(&app, sweep).await.unwrap()["rolledBack"].clone()
}

#[tokio::test]
async fn a_sweep_finds_what_an_aborted_adopt_has_tagged_whatever_its_age_and_no_older_image_of_the_same_name() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("found", &[(RUN_TAG, RUN)]);
    ec2.age_image(&image, std::time::Duration::from_secs(365 * 24 * 3600));
    assert_eq!(swept(&ec2, &image).await, json!([RUN]));
    assert_eq!(swept(&ec2, "ami-0aaaaaaaaaaaaaaaa").await, json!([]), "a run of that name made it long ago");
}

/// Nothing but their tags tells of them any more.
#[tokio::test]
async fn a_sweep_finds_the_snapshots_of_an_adopted_image_that_somebody_has_deregistered_whatever_their_age() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("found", &[]);
    ec2.age_image(&image, std::time::Duration::from_secs(365 * 24 * 3600));
    let app = may(&ec2);
    let noted = call(&app, "begin", first_operation(&app, RUN, request(&image)).await).await.unwrap();
    let tagged = call(&app, "look", noted).await.unwrap();
    ec2.advance(std::time::Duration::from_secs(10));
    ec2.client().deregister_image().image_id(&image).send().await.unwrap();
    ec2.advance(std::time::Duration::from_secs(60));
    assert_eq!(ec2.snapshots_tagged(RUN_TAG, RUN).len(), 1);
    for (operation, other) in [("update", image.as_str()), ("adopt", "ami-0aaaaaaaaaaaaaaaa")] {
        let made_long_ago = "a run of that name made them long ago";
        assert_eq!(swept_after(&ec2, operation, other).await, json!([]), "{made_long_ago}");
    }
    assert_eq!(swept(&ec2, &image).await, json!([RUN]));
    assert_eq!(roll_back(&ec2, &tagged).await["status"], "Succeeded");
    assert!(ec2.snapshots_tagged(RUN_TAG, RUN).is_empty());
    assert_eq!(swept(&ec2, &image).await, json!([]));
}

#[tokio::test]
async fn the_series_that_the_image_has_may_be_given_too() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("found", &[(SERIES_TAG, "shop")]);
    let request = json!({"action": "adopt", "imageId": image, "series": "shop"});
    assert_eq!(whole(&ec2, &may(&ec2), request).await["result"]["series"], "shop");
}

/// Its image and its instance both tell of the run.
#[tokio::test]
async fn a_sweep_has_a_run_rolled_back_once_however_much_it_has_left() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("found", &[(RUN_TAG, RUN)]);
    ec2.add_instance(local_ec2::InstanceSpec::default().tag("ami-from-instance:stopped-by", RUN));
    assert_eq!(swept(&ec2, &image).await, json!([RUN]));
}

/// The others are rolled back all the same.
#[tokio::test]
async fn a_sweep_that_may_not_ask_what_a_run_was_to_take_over_names_the_run_and_goes_on() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("found", &[(RUN_TAG, RUN)]);
    ec2.age_image(&image, std::time::Duration::from_secs(365 * 24 * 3600));
    let client = that_answers(|action, asked| match action {
        "ListExecutions" if asked["statusFilter"] == "ABORTED" => {
            let aborted = json!({"executionArn": RUN, "name": "nightly", "stateMachineArn": "arn", "status": "ABORTED",
                "startDate": 4_000_000_000_u64, "stopDate": 4_000_000_000_u64});
            (200, json!({"executions": [aborted]}))
        }
        "ListExecutions" => (200, json!({"executions": []})),
        _ => (400, json!({"__type": "AccessDeniedException", "message": "no"})),
    });
    let app = App { step_functions: client.await, ..app(&ec2) };
    let sweep = json!({"source": "ami-from-instance", "detail-type": "Sweep", "detail": {}});
    let found = ami_from_instance::events::start_rollback(&app, sweep).await.unwrap();
    assert_eq!(found["failed"][0][0], RUN, "{found}");
}
