//! Prunes: of a series stays what the request keeps, what is in use, protected or young, and the newest in any case.

use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

use ami_from_instance::{
    app::App,
    model::{run::RUN_TAG, tags::SERIES_TAG},
};
use local_ec2::{Ec2, Fault, FaultKind, SEED_INSTANCE};
use serde_json::{Value, json};

use crate::{RUN, app, begin, call, create_request, ec2, first_operation, is_going_on, merged, plan_of, wait, whole};

const DAY: Duration = Duration::from_secs(24 * 3600);
const QUARANTINE: &str = "ami-from-instance:quarantined-since";

fn prune(retain: Value) -> Value {
    json!({"action": "prune", "series": "web", "retain": retain})
}

/// Images of the series, one a day, the newest first; each is older than a day.
fn series(ec2: &Ec2, count: u32) -> Vec<String> {
    let one = |days: u32| {
        let run = format!("{RUN}-{days}");
        let id = ec2.add_foreign_image(format!("web-{days}"), &[(RUN_TAG, &run), (SERIES_TAG, "web")]);
        ec2.age_image(&id, DAY * days);
        id
    };
    (1..=count).map(one).collect()
}

fn left(ec2: &Ec2, all: &[String]) -> Vec<usize> {
    (0..all.len()).filter(|at| ec2.image(&all[*at]).is_some()).collect()
}

fn because<'a>(document: &'a Value, id: &str) -> &'a str {
    let kept = document["result"]["kept"].as_array().unwrap_or_else(|| panic!("{document}"));
    kept.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{document}"))["because"].as_str().unwrap()
}

#[tokio::test]
async fn the_oldest_go_with_their_snapshots_and_everything_that_stays_says_why() {
    let ec2 = ec2().await;
    let all = series(&ec2, 6);
    let arn = ec2.add_launch_template("web", &[&all[4]]);
    let other = ec2.add_foreign_image("other", &[(RUN_TAG, RUN), (SERIES_TAG, "shop")]);
    let nobodys = ec2.add_foreign_image("nobody's", &[(SERIES_TAG, "web")]);
    let strangers = ec2.add_foreign_image("stranger's", &[(RUN_TAG, "arn:of:another:stack"), (SERIES_TAG, "web")]);
    let pruned = whole(&ec2, &app(&ec2), prune(json!({"count": 3}))).await;
    assert_eq!(pruned["result"]["pruned"], json!([all[5], all[3]]), "{pruned}");
    assert_eq!(left(&ec2, &all), [0, 1, 2, 4]);
    assert!(because(&pruned, &all[0]).contains("atLeast") && because(&pruned, &all[2]).contains("(count)"));
    assert!(because(&pruned, &all[4]).contains(&arn));
    for id in [&other, &nobodys, &strangers] {
        assert!(ec2.image(id).is_some(), "what is not of the series and of this stack stays");
    }
    assert_eq!(ec2.snapshots().len(), 4 + 3);
    // Again, there is nothing to do.
    ec2.forget_calls();
    assert_eq!(whole(&ec2, &app(&ec2), prune(json!({"count": 3}))).await["result"]["pruned"], json!([]));
    assert!(ec2.mutating_calls().is_empty());
}

#[tokio::test]
async fn what_is_protected_excluded_or_young_stays() {
    let ec2 = ec2().await;
    let all = series(&ec2, 5);
    ec2.client().enable_image_deregistration_protection().image_id(&all[4]).send().await.unwrap();
    ec2.client().create_tags().resources(&all[3]).tags(crate::tag("Keep", "yes")).send().await.unwrap();
    ec2.launched_from(&all[2], DAY * 3);
    let exclusions = json!({"lastLaunched": "7d", "tagMap": {"Keep": "yes"}});
    let pruned = whole(&ec2, &app(&ec2), prune(json!({"age": "1d", "exclusions": exclusions}))).await;
    assert_eq!(pruned["result"]["pruned"], json!([all[1]]), "{pruned}");
    for (at, why) in [(0, "atLeast"), (2, "lastLaunched"), (3, "tagMap"), (4, "protection")] {
        assert!(because(&pruned, &all[at]).contains(why), "{pruned}");
    }
}

#[tokio::test]
async fn more_than_the_request_lets_go_refuses_the_whole_prune() {
    let ec2 = ec2().await;
    let all = series(&ec2, 22);
    for (retain, why) in [
        (json!({"count": 1}), "21 images would go, and retain.maxPerRun is 20"),
        (json!({"count": 10}), "12 of 22 images would go, and retain.maxPercentPerRun is 50"),
    ] {
        let refused = whole(&ec2, &app(&ec2), prune(retain)).await;
        assert_eq!(refused["error"]["name"], "PruneRefused", "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains(why), "{refused}");
        assert!(ec2.mutating_calls().is_empty());
    }
    let retain = json!({"count": 1, "maxPerRun": 21, "maxPercentPerRun": 100});
    assert_eq!(whole(&ec2, &app(&ec2), prune(retain)).await["status"], "Succeeded");
    assert_eq!(left(&ec2, &all), [0]);
}

#[tokio::test]
async fn every_series_is_pruned_by_itself_and_twenty_five_candidates_take_three_questions() {
    let ec2 = ec2().await;
    let all = series(&ec2, 26);
    let shop = ec2.add_foreign_image("shop", &[(RUN_TAG, RUN), (SERIES_TAG, "shop*")]);
    ec2.forget_calls();
    let retain = json!({"count": 1, "maxPerRun": 25, "maxPercentPerRun": 100});
    let request = json!({"action": "prune", "allSeries": true, "retain": retain});
    let first = call(&app(&ec2), "begin", first_operation(&app(&ec2), RUN, request.clone()).await).await.unwrap();
    assert!(is_going_on(&first), "{first}");
    // Three about all, and one once more before the first one goes.
    assert!(ec2.calls_of("DescribeImageReferences").len() <= 4);
    let pruned = whole(&ec2, &app(&ec2), request).await;
    assert_eq!(pruned["status"], "Succeeded", "{pruned}");
    assert_eq!(left(&ec2, &all), [0]);
    assert!(ec2.image(&shop).is_some());
    // A star in a series is a character as any other.
    let starred = merged(prune(json!({"count": 1})), json!({"series": "*"}));
    assert_eq!(whole(&ec2, &app(&ec2), starred).await["result"]["kept"], json!([]));
}

#[tokio::test]
async fn an_image_that_comes_into_use_meanwhile_stays_and_one_that_cannot_be_deleted_is_named() {
    let ec2 = ec2().await;
    let all = series(&ec2, 4);
    let app = app(&ec2);
    let document = first_operation(&app, RUN, prune(json!({"count": 1}))).await;
    let begun = call(&app, "begin", document).await.unwrap();
    ec2.add_reference("ssm:Parameter", "/golden/web", &all[2]);
    let refused = FaultKind::Refused { code: "OperationNotPermitted".to_owned(), message: "not now".to_owned() };
    ec2.inject(Fault::on("DeregisterImage", refused).mentioning(&all[1]).for_ever());
    let mut document = begun;
    while is_going_on(&document) {
        wait(&ec2, &document);
        document = call(&app, "look", document).await.unwrap();
    }
    assert_eq!(document["error"]["name"], "LeftoversRemain", "{document}");
    assert!(document["error"]["message"].as_str().unwrap().contains(&all[1]), "{document}");
    assert_eq!(left(&ec2, &all), [0, 1, 2]);
}

#[tokio::test]
async fn a_create_prunes_last_and_its_image_stays_whatever_becomes_of_that() {
    let ec2 = ec2().await;
    let all = series(&ec2, 3);
    let request = merged(create_request(), json!({"name": "web", "series": "web", "retain": {"count": 2}}));
    let plan = plan_of(&app(&ec2), RUN, request).await.unwrap();
    let [create, prune] = plan["operations"].as_array().unwrap().as_slice() else { panic!("{plan}") };
    assert_eq!((&prune["operation"], &prune["keepsImage"]), (&json!("prune"), &json!(true)));
    let mut created = merged(create.clone(), json!({"run": RUN, "results": {}, "execution": "arn"}));
    created = call(&app(&ec2), "begin", created).await.unwrap();
    while is_going_on(&created) {
        wait(&ec2, &created);
        created = call(&app(&ec2), "look", created).await.unwrap();
    }
    let results = created["result"].clone();
    let run = async |results: Value| {
        let mut document = merged(prune.clone(), json!({"run": RUN, "results": results, "execution": "arn"}));
        document = call(&app(&ec2), "begin", document).await.unwrap();
        while is_going_on(&document) {
            wait(&ec2, &document);
            document = call(&app(&ec2), "look", document).await.unwrap();
        }
        document
    };
    // Until EC2 lists the new image, nothing goes.
    let unlisted = run(json!({"id": "ami-0aaaaaaaaaaaaaaaa"})).await;
    assert!(unlisted["result"]["pruneFailed"][0].as_str().unwrap().contains("does not list"), "{unlisted}");
    assert_eq!(left(&ec2, &all), [0, 1, 2]);
    let refused = FaultKind::Refused { code: "OperationNotPermitted".to_owned(), message: "not now".to_owned() };
    ec2.inject(Fault::on("DeregisterImage", refused).mentioning(&all[2]).for_ever());
    let pruned = run(results.clone()).await;
    assert_eq!((&pruned["status"], &pruned["result"]["pruned"]), (&json!("Succeeded"), &json!([all[1]])), "{pruned}");
    assert!(pruned["result"]["pruneFailed"][0].as_str().unwrap().contains(&all[2]), "{pruned}");
    assert!(ec2.image(results["id"].as_str().unwrap()).is_some());
    assert_eq!(ec2.instance(SEED_INSTANCE).unwrap().reboots.len(), 1);
}

#[tokio::test]
async fn a_dry_prune_says_the_same_as_the_prune_itself() {
    let ec2 = ec2().await;
    let all = series(&ec2, 5);
    ec2.add_launch_template("web", &[&all[4]]);
    let request = prune(json!({"count": 2}));
    let dry = whole(&ec2, &app(&ec2), merged(request.clone(), json!({"dryRun": true}))).await;
    assert!(ec2.mutating_calls().is_empty());
    let pruned = whole(&ec2, &app(&ec2), request).await;
    let would = dry["result"]["wouldDelete"].as_array().unwrap_or_else(|| panic!("{dry}"));
    let images: Vec<_> = would.iter().filter(|id| id.as_str().unwrap().starts_with("ami-")).collect();
    assert_eq!(images, pruned["result"]["pruned"].as_array().unwrap().iter().collect::<Vec<_>>());
    assert_eq!(dry["result"]["wouldKeep"], pruned["result"]["kept"]);
}

/// So many minutes from now.
fn later<const MINUTES: u64>() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60 * MINUTES)
}

async fn launch_permissions(ec2: &Ec2, id: &str) -> Vec<String> {
    let attribute = aws_sdk_ec2::types::ImageAttributeName::LaunchPermission;
    let shown = ec2.client().describe_image_attribute().image_id(id).attribute(attribute).send().await.unwrap();
    shown.launch_permissions().iter().filter_map(|one| one.user_id().map(str::to_owned)).collect()
}

async fn share(ec2: &Ec2, id: &str, account: &str) {
    let permission = aws_sdk_ec2::types::LaunchPermission::builder().user_id(account).build();
    let add = aws_sdk_ec2::types::LaunchPermissionModifications::builder().add(permission).build();
    ec2.client().modify_image_attribute().image_id(id).launch_permission(add).send().await.unwrap();
}

#[tokio::test]
async fn what_is_shared_stays_if_the_request_says_so() {
    let ec2 = ec2().await;
    let all = series(&ec2, 4);
    share(&ec2, &all[2], "111122223333").await;
    let retain = json!({"count": 1, "exclusions": {"shared": true}});
    let pruned = whole(&ec2, &app(&ec2), prune(retain)).await;
    assert_eq!(pruned["result"]["pruned"], json!([all[3], all[1]]), "{pruned}");
    assert_eq!(because(&pruned, &all[2]), "it is shared with 111122223333 (exclusions.shared)");
    assert_eq!(whole(&ec2, &app(&ec2), prune(json!({"count": 1}))).await["result"]["pruned"], json!([all[2]]));
}

/// Hundreds of images are asked about in the one minute that a function has.
#[tokio::test]
async fn whether_an_image_is_shared_is_one_call_and_one_that_ec2_does_not_know_stays() {
    let ec2 = ec2().await;
    let all = series(&ec2, 12);
    let gone = FaultKind::Refused { code: "InvalidAMIID.NotFound".to_owned(), message: "gone".to_owned() };
    ec2.inject(Fault::on("DescribeImageAttribute", gone));
    ec2.forget_calls();
    let rules = json!({"count": 2, "maxPercentPerRun": 100, "exclusions": {"shared": true}});
    let pruned = begin(&ec2, prune(rules)).await;
    let calls = ["DescribeImages", "DescribeImageAttribute"].map(|action| ec2.calls_of(action).len());
    assert_eq!((&pruned["status"], calls), (&json!("Pending"), [1, 10]), "{pruned}");
    // It stays: what is not known must not be taken for shared with nobody.
    assert!(pruned["reason"].as_str().unwrap().starts_with(&all[10]), "{pruned}");
}

#[tokio::test]
async fn images_are_disabled_or_deprecated_in_place_of_deleted_and_only_once() {
    for (action, field) in [("DISABLE", "disabled"), ("DEPRECATE", "deprecated")] {
        let ec2 = ec2().await;
        let all = series(&ec2, 4);
        let arn = ec2.add_launch_template("web", &[&all[3]]);
        let retain = json!({"count": 1, "action": action});
        let pruned = whole(&ec2, &app(&ec2), prune(retain.clone())).await;
        assert_eq!((&pruned["result"][field], &pruned["result"]["pruned"]), (&json!([all[2], all[1]]), &json!([])));
        assert!(because(&pruned, &all[3]).contains(&arn), "{pruned}");
        assert_eq!(left(&ec2, &all), [0, 1, 2, 3]);
        let changed = |id: &String| {
            let image = ec2.image(id).unwrap();
            image.deprecation.is_some() || image.state == aws_sdk_ec2::types::ImageState::Disabled
        };
        assert_eq!(all.iter().map(changed).collect::<Vec<_>>(), [false, true, true, false]);
        ec2.advance(Duration::from_secs(600));
        ec2.forget_calls();
        let again = whole(&ec2, &App { now: later::<10>, ..app(&ec2) }, prune(retain)).await;
        assert!(again["result"][field].is_null() && ec2.mutating_calls().is_empty(), "{again}");
        assert_eq!(because(&again, &all[1]), format!("it is {field}"));
    }
}

#[tokio::test]
async fn an_image_in_quarantine_is_deleted_at_its_end_or_enabled_with_its_permissions_if_something_uses_it() {
    let ec2 = ec2().await;
    let all = series(&ec2, 3);
    share(&ec2, &all[1], "111122223333").await;
    let retain = json!({"count": 1, "quarantine": "2d"});
    let first = whole(&ec2, &app(&ec2), prune(retain.clone())).await;
    assert_eq!(first["result"]["disabled"], json!([all[2], all[1]]), "{first}");
    assert!(because(&first, &all[1]).starts_with("it is in quarantine until 20"), "{first}");
    assert!(launch_permissions(&ec2, &all[1]).await.is_empty());
    // Before its end nothing changes; one that has come into use is enabled again.
    ec2.advance(DAY);
    let arn = ec2.add_launch_template("web", &[&all[1]]);
    let second = whole(&ec2, &App { now: later::<1440>, ..app(&ec2) }, prune(retain.clone())).await;
    assert_eq!((&second["result"]["enabled"], &second["result"]["pruned"]), (&json!([all[1]]), &json!([])), "{second}");
    assert!(because(&second, &all[1]).contains(&arn));
    assert_eq!(launch_permissions(&ec2, &all[1]).await, ["111122223333"]);
    assert_eq!(ec2.image(&all[1]).unwrap().tags.keys().filter(|key| key.contains("quarantine")).count(), 0);
    ec2.advance(DAY + Duration::from_secs(60));
    let app = App { now: later::<2890>, ..app(&ec2) };
    let third = whole(&ec2, &app, prune(retain.clone())).await;
    assert_eq!(third["result"]["pruned"], json!([all[2]]), "{third}");
    // A second quarantine begins anew, whatever an earlier prune has noted.
    ec2.client()
        .create_tags()
        .resources(&all[1])
        .tags(crate::tag(QUARANTINE, "2026-01-01T00:00:00Z"))
        .send()
        .await
        .unwrap();
    ec2.remove_references();
    let fourth = whole(&ec2, &app, prune(retain.clone())).await;
    assert_eq!(fourth["result"]["disabled"], json!([all[1]]), "{fourth}");
    let fifth = whole(&ec2, &app, prune(retain)).await;
    assert!(because(&fifth, &all[1]).starts_with("it is in quarantine until"), "{fifth}");
    // A rule that keeps it again brings it back, too.
    let kept = whole(&ec2, &app, prune(json!({"count": 2}))).await;
    assert_eq!(kept["result"]["enabled"], json!([all[1]]), "{kept}");
    assert_eq!(left(&ec2, &all), [0, 1]);
}

#[tokio::test]
async fn a_dry_prune_tells_what_it_would_disable_and_deprecate() {
    for (retain, call, field) in [
        (json!({"count": 1, "action": "DISABLE"}), "ec2:DisableImage", "state"),
        (json!({"count": 1, "quarantine": "2d"}), "ec2:DisableImage", "state"),
        (json!({"count": 1, "action": "DEPRECATE"}), "ec2:EnableImageDeprecation", "deprecationTime"),
    ] {
        let ec2 = ec2().await;
        let all = series(&ec2, 2);
        ec2.forget_calls();
        let told = whole(&ec2, &app(&ec2), merged(prune(retain), json!({"dryRun": true}))).await;
        let result = &told["result"];
        assert!(result["wouldDo"].as_array().unwrap().iter().any(|one| one["call"] == call), "{told}");
        assert_eq!(result["wouldChange"], json!([{"imageId": all[1], "fields": [field]}]), "{told}");
        assert_eq!((&result["wouldDelete"], ec2.mutating_calls().len()), (&json!([]), 0), "{told}");
    }
}

#[tokio::test]
async fn a_prune_tells_cloudwatch_what_it_has_done() {
    static LINES: Mutex<Vec<String>> = Mutex::new(vec![]);
    let ec2 = ec2().await;
    let all = series(&ec2, 4);
    ec2.lock_snapshot(&ec2.image(&all[3]).unwrap().snapshot_ids[0]);
    let app = App { print: |line| LINES.lock().unwrap().push(line.to_owned()), ..app(&ec2) };
    whole(&ec2, &app, prune(json!({"count": 2}))).await;
    let lines = LINES.lock().unwrap().clone();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let told: Value = serde_json::from_str(line).unwrap();
    let size = ec2.image(&all[0]).unwrap().snapshot_ids.len() as u64 * (8 << 30);
    let expected = json!([1, 2, 1, size]);
    let names = ["ImagesPruned", "ImagesKept", "PruneFailed", "PrunedVolumeSize"];
    assert_eq!(json!(names.map(|name| told[name].clone())), expected, "{told}");
}

#[tokio::test]
async fn what_nobody_can_tell_changes_nothing_in_quarantine_and_what_waits_keeps_no_question_from_being_asked() {
    let ec2 = ec2().await;
    let all = series(&ec2, 5);
    share(&ec2, &all[1], "111122223333").await;
    let retain = json!({"count": 1, "quarantine": "2d", "maxPerRun": 1, "exclusions": {"shared": true}});
    let first = json!({"count": 4, "quarantine": "2d"});
    assert_eq!(whole(&ec2, &app(&ec2), prune(first)).await["result"]["disabled"], json!([all[4]]));
    ec2.advance(DAY);
    let tomorrow = App { now: later::<1440>, ..app(&ec2) };
    whole(&ec2, &tomorrow, prune(json!({"count": 3, "quarantine": "2d"}))).await;
    // One is due, one waits, one is to go, and the newest of those is shared.
    ec2.advance(DAY + Duration::from_secs(60));
    let app = App { now: later::<2890>, ..app(&ec2) };
    ec2.forget_calls();
    let denied = FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "no".to_owned() };
    ec2.inject(Fault::on("DescribeImageReferences", denied).for_ever());
    let unknown = whole(&ec2, &app, prune(merged(retain.clone(), json!({"maxPerRun": 9})))).await;
    assert!(ec2.mutating_calls().is_empty() && because(&unknown, &all[4]).contains("is not known"), "{unknown}");
    ec2.clear_faults();
    let pruned = whole(&ec2, &app, prune(merged(retain, json!({"maxPerRun": 9})))).await;
    assert_eq!((&pruned["result"]["pruned"], &pruned["result"]["disabled"]), (&json!([all[4]]), &json!([all[2]])));
    assert!(
        because(&pruned, &all[1]).contains("is shared with") && because(&pruned, &all[3]).contains("in quarantine")
    );
    assert_eq!(launch_permissions(&ec2, &all[1]).await, ["111122223333"]);
    // Who wants it disabled for good, and not deleted, enables nothing first.
    let disabled = whole(&ec2, &app, prune(json!({"count": 1, "action": "DISABLE"}))).await;
    assert_eq!(disabled["result"]["disabled"], json!([all[1]]), "{disabled}");
    assert!(disabled["result"]["enabled"].is_null(), "{disabled}");
}

#[tokio::test]
async fn a_new_image_that_ec2_does_not_list_yet_is_waited_for_and_little_time_takes_no_image() {
    let ec2 = ec2().await;
    let all = series(&ec2, 4);
    let app = app(&ec2);
    let request = merged(create_request(), json!({"series": "web", "retain": {"count": 1}}));
    let plan = plan_of(&app, RUN, request).await.unwrap();
    let mut after = plan["operations"][1].clone();
    after["run"] = json!(RUN);
    after["execution"] = json!("arn");
    after["results"] = json!({"id": "ami-00000000000000000"});
    let waits = call(&app, "begin", after).await.unwrap();
    assert_eq!(waits["status"], "Pending", "{waits}");
    assert!(waits["reason"].as_str().unwrap().contains("does not list the new image yet"), "{waits}");
    let mut late = first_operation(&app, RUN, prune(json!({"count": 1}))).await;
    late["timeoutSeconds"] = json!(60);
    let ended = call(&app, "begin", late).await.unwrap();
    assert!(ended.to_string().contains("the time left is too short"), "{ended}");
    assert_eq!(left(&ec2, &all).len(), 4);
}
