//! Dry runs: what would be done, by the functions and roles that would do it, and nothing changes.

use ami_from_instance::{
    app::App,
    model::{run::RUN_TAG, tags::SERIES_TAG},
    operations,
    settings::Settings,
};
use aws_sdk_ec2::types::InstanceStateName;
use local_ec2::{Ec2, Fault, FaultKind, InstanceSpec, SEED_INSTANCE};
use serde_json::{Value, json};

use crate::{RUN, app, app_with, create_request, ec2, merged, plan_of, settings, whole};

fn dry(request: Value) -> Value {
    merged(request, json!({"dryRun": true}))
}

/// Runs every operation of a request's plan, as the machines do; gives the last answer.
async fn run(app: &App, request: Value) -> Value {
    let plan = plan_of(app, RUN, request).await.unwrap();
    let mut results = json!({});
    let mut answer = json!({});
    for (position, planned) in plan["operations"].as_array().unwrap().iter().enumerate() {
        let execution = format!("{RUN}-{}", position + 1).replace(":ami-lifecycle:", ":ami-operation:");
        let call = json!({"run": RUN, "results": results, "execution": execution, "step": "begin"});
        answer = operations::answer(app, merged(planned.clone(), call)).await.unwrap();
        if answer["status"] != "Succeeded" {
            break;
        }
        results = merged(results, answer["result"].clone());
    }
    answer
}

/// Everything there is.
fn world(ec2: &Ec2) -> String {
    format!("{:?} {:?} {:?}", ec2.images(), ec2.snapshots(), ec2.instances())
}

/// What a dry run would do: each call with what it is about, and the verdict.
fn would_do(answer: &Value) -> Vec<(String, String)> {
    let asked = answer["result"]["wouldDo"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    asked.iter().map(|one| (text(&one["call"]), text(&one["verdict"]))).collect()
}

fn of(calls: &[(&str, &str)]) -> Vec<(String, String)> {
    calls.iter().map(|(call, verdict)| ((*call).to_owned(), (*verdict).to_owned())).collect()
}

/// Runs a request dry, and checks that nothing has changed and nothing was asked without DryRun.
async fn rehearse(ec2: &Ec2, app: &App, request: Value) -> Value {
    let before = world(ec2);
    ec2.forget_calls();
    let answer = run(app, dry(request)).await;
    assert_eq!(world(ec2), before);
    let changes = |call: &&local_ec2::Call| !call.action.starts_with("Describe");
    let sent = ec2.calls();
    let unasked: Vec<_> = sent
        .iter()
        .filter(changes)
        .filter(|call| call.parameters.get("DryRun").is_none_or(|dry| dry != "true"))
        .collect();
    assert!(unasked.is_empty(), "{unasked:?}");
    assert!(ec2.mutating_calls().is_empty(), "a dry call changes nothing");
    answer
}

fn refused() -> FaultKind {
    FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "not here".to_owned() }
}

#[tokio::test]
async fn a_create_says_its_name_its_reboot_and_every_call() {
    let ec2 = ec2().await;
    let request = merged(create_request(), json!({"name": "web-{{date}}", "deprecateAfter": "90d"}));
    let unknown = rehearse(&ec2, &app(&ec2), request.clone()).await;
    let calls =
        [("ec2:CreateImage", "allowed"), ("ec2:EnableImageDeprecation", "unknown"), ("ec2:CreateTags", "unknown")];
    assert_eq!(would_do(&unknown)[..3], of(&calls));
    // An earlier image of the stack tells more.
    let earlier = ec2.add_foreign_image("earlier", &[(RUN_TAG, &format!("{RUN}-before"))]);
    let known = rehearse(&ec2, &app(&ec2), request.clone()).await;
    let calls = [
        "ec2:CreateImage",
        "ec2:EnableImageDeprecation",
        "ec2:CreateTags",
        "ec2:DeregisterImage",
        "ec2:DeleteSnapshot",
    ];
    assert_eq!(would_do(&known), of(&calls.map(|call| (call, "allowed"))));
    assert_eq!(known["result"]["wouldDo"][2]["on"], json!([earlier]));
    let why = |position: usize| known["result"]["wouldDo"][position]["why"].as_str().unwrap_or_default();
    let another = "asked about an earlier image of this stack";
    assert_eq!([why(0), why(1), why(2), why(3)], ["", another, another, another]);
    assert_eq!((&known["result"]["reboots"], &known["result"]["stops"]), (&json!(true), &json!(false)));
    let named = plan_of(&app(&ec2), RUN, request).await.unwrap()["operations"][0]["arguments"]["name"].clone();
    assert_eq!(known["result"]["names"], json!([named]));
}

#[tokio::test]
async fn a_call_that_is_denied_fails_the_dry_run_and_is_named_with_the_others() {
    let ec2 = ec2().await;
    ec2.add_foreign_image("earlier", &[(RUN_TAG, &format!("{RUN}-before"))]);
    ec2.inject(Fault::on("CreateImage", refused()).for_ever());
    ec2.inject(Fault::on("DeleteSnapshot", refused()).for_ever());
    let denied = rehearse(&ec2, &app(&ec2), create_request()).await;
    assert_eq!(denied["error"]["name"], "NotAuthorized", "{denied}");
    let message = denied["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("ec2:CreateImage is not allowed"), "{message}");
    assert!(message.contains(SEED_INSTANCE) && message.contains("ec2:DeleteSnapshot on snap-"), "{message}");
    // The run itself fails at the same call.
    let run = whole(&ec2, &app(&ec2), create_request()).await;
    assert!(run["error"]["message"].as_str().unwrap().starts_with("ec2:CreateImage is not allowed"), "{run}");
}

#[tokio::test]
async fn what_keeps_a_run_from_beginning_keeps_a_dry_run_from_it_too() {
    let ec2 = ec2().await;
    ec2.add_foreign_image("web", &[]);
    let taken = rehearse(&ec2, &app(&ec2), create_request()).await;
    assert_eq!(taken["error"]["name"], "NameTaken");
    let none = merged(create_request(), json!({"name": "fresh", "sourceInstanceId": "i-0aaaaaaaaaaaaaaaa"}));
    assert_eq!(rehearse(&ec2, &app(&ec2), none).await["error"]["name"], "SourceInstanceNotFound");
    let image = ec2.add_foreign_image("old", &[(RUN_TAG, RUN)]);
    ec2.add_launch_template("web", &[&image]);
    let delete = json!({"action": "delete", "imageId": image});
    assert_eq!(rehearse(&ec2, &app(&ec2), delete).await["error"]["name"], "ImageInUse");
}

#[tokio::test]
async fn a_stop_that_needs_the_runs_tag_first_is_unknown_and_not_denied() {
    let ec2 = ec2().await;
    ec2.inject(Fault::on("StopInstances", refused()).for_ever());
    let request = merged(create_request(), json!({"stopInstance": true}));
    let answer = rehearse(&ec2, &app(&ec2), request.clone()).await;
    let calls = [
        ("ec2:CreateTags", "allowed"),
        ("ec2:StopInstances", "unknown"),
        ("ec2:CreateImage", "allowed"),
        ("ec2:StartInstances", "allowed"),
        ("ec2:DeleteTags", "allowed"),
    ];
    assert_eq!(would_do(&answer)[..5], of(&calls), "{answer}");
    assert_eq!((&answer["result"]["stops"], &answer["result"]["reboots"]), (&json!(true), &json!(false)));
    let stopped = ec2.add_instance(InstanceSpec::default().state(InstanceStateName::Stopped));
    let answer = rehearse(&ec2, &app(&ec2), merged(request, json!({"sourceInstanceId": stopped}))).await;
    assert_eq!((&answer["result"]["stops"], &would_do(&answer)[0].0), (&json!(false), &"ec2:CreateImage".to_owned()));
}

#[tokio::test]
async fn an_update_asks_for_what_differs_and_names_the_fields() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN), ("Team", "platform"), ("Old", "1")]);
    let request = json!({"action": "update", "imageId": image, "description": "new", "tags": {"Team": "web"},
        "deprecationTime": "2035-01-01T00:00:00Z", "deregistrationProtection": "enabled-with-cooldown"});
    let answer = rehearse(&ec2, &app(&ec2), request).await;
    let calls = [
        "ec2:ModifyImageAttribute",
        "ec2:EnableImageDeprecation",
        "ec2:DeleteTags",
        "ec2:CreateTags",
        "ec2:EnableImageDeregistrationProtection",
    ];
    assert_eq!(would_do(&answer), of(&calls.map(|call| (call, "allowed"))));
    let fields = ["description", "deprecationTime", "tags", "deregistrationProtection"];
    assert_eq!(answer["result"]["wouldChange"], json!([{"imageId": image, "fields": fields}]));
    // Of what is as it should be, nothing is asked.
    let same = json!({"action": "update", "imageId": image, "description": ""});
    assert!(would_do(&rehearse(&ec2, &app(&ec2), same).await).is_empty());
}

#[tokio::test]
async fn a_delete_names_what_would_go_and_what_would_stay() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let snapshot = ec2.image(&image).unwrap().snapshot_ids[0].clone();
    let request = json!({"action": "delete", "imageId": image});
    let answer = rehearse(&ec2, &app(&ec2), request.clone()).await;
    assert_eq!(would_do(&answer), of(&[("ec2:DeregisterImage", "allowed"), ("ec2:DeleteSnapshot", "allowed")]));
    assert_eq!(answer["result"]["wouldDelete"], json!([image, snapshot]));
    let keeping = merged(request, json!({"manageEbsSnapshots": false}));
    let answer = rehearse(&ec2, &app(&ec2), keeping).await;
    assert_eq!(answer["result"]["wouldDelete"], json!([image]));
    assert_eq!(answer["result"]["wouldKeep"], json!([{"id": snapshot, "because": "manageEbsSnapshots is false"}]));
    // A protected one is unprotected first.
    ec2.client().enable_image_deregistration_protection().image_id(&image).send().await.unwrap();
    let request = json!({"action": "delete", "imageId": image, "disableProtection": true});
    let answer = rehearse(&ec2, &app(&ec2), request).await;
    assert_eq!(would_do(&answer)[0].0, "ec2:DisableImageDeregistrationProtection");
}

#[tokio::test]
async fn a_replace_says_what_it_makes_and_what_goes_or_stays_in_use() {
    for name in ["web", "fresh"] {
        let ec2 = ec2().await;
        let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
        let snapshot = ec2.image(&image).unwrap().snapshot_ids[0].clone();
        let request = merged(create_request(), json!({"action": "replace", "imageId": image, "name": name}));
        let answer = rehearse(&ec2, &app(&ec2), request.clone()).await;
        assert_eq!(answer["result"]["names"], json!([name]), "{answer}");
        let gone: Vec<_> = answer["result"]["wouldDelete"].as_array().unwrap().clone();
        assert_eq!(gone, [json!(image), json!(snapshot)]);
        let arn = ec2.add_reference("ssm:Parameter", "/golden/web", &image);
        if name == "fresh" {
            let answer = rehearse(&ec2, &app(&ec2), merged(request, json!({"keepPrevious": true}))).await;
            let kept = json!([{"id": image, "because": format!("it is in use by {arn}")}]);
            assert_eq!((&answer["result"]["wouldKeep"], &answer["result"]["wouldDelete"]), (&kept, &json!([])));
        }
    }
}

#[tokio::test]
async fn a_disable_and_an_enable_ask_for_what_keeps_the_launch_permissions() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let share = aws_sdk_ec2::types::LaunchPermission::builder().user_id("111122223333").build();
    let add = aws_sdk_ec2::types::LaunchPermissionModifications::builder().add(share).build();
    ec2.client().modify_image_attribute().image_id(&image).launch_permission(add).send().await.unwrap();
    let disable = json!({"action": "disable", "imageId": image});
    let answer = rehearse(&ec2, &app(&ec2), disable.clone()).await;
    assert_eq!(would_do(&answer), of(&[("ec2:CreateTags", "allowed"), ("ec2:DisableImage", "allowed")]));
    whole(&ec2, &app(&ec2), disable).await;
    let answer = rehearse(&ec2, &app(&ec2), json!({"action": "enable", "imageId": image})).await;
    let calls = ["ec2:EnableImage", "ec2:ModifyImageAttribute", "ec2:DeleteTags"];
    assert_eq!(would_do(&answer), of(&calls.map(|call| (call, "allowed"))));
}

#[tokio::test]
async fn a_throttled_question_is_raised_and_an_image_that_no_run_made_is_refused() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("web", &[]);
    let update = json!({"action": "update", "imageId": image, "description": "new"});
    assert_eq!(rehearse(&ec2, &app(&ec2), update.clone()).await["error"]["name"], "ImageNotManaged");
    let app = app_with(&ec2, Settings { allow_unmanaged_images: true, ..settings() });
    ec2.inject(Fault::on("ModifyImageAttribute", FaultKind::Throttle).for_ever());
    let plan = plan_of(&app, RUN, dry(update)).await.unwrap();
    let call = json!({"run": RUN, "results": {}, "execution": "arn", "step": "begin"});
    let error = operations::answer(&app, merged(plan["operations"][0].clone(), call)).await.unwrap_err();
    assert_eq!(error.name(), "Throttled");
}

#[tokio::test]
async fn a_dry_run_refuses_what_a_cooldown_keeps_and_names_the_run_that_holds_an_instance() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let protect = ec2.client().enable_image_deregistration_protection().image_id(&image).with_cooldown(true);
    protect.send().await.unwrap();
    let request = json!({"action": "delete", "imageId": image, "disableProtection": true});
    assert_eq!(rehearse(&ec2, &app(&ec2), request).await["error"]["name"], "ImageProtected");
    let tag = crate::tag(ami_from_instance::operations::instance_state::STOPPED_BY_TAG, "another run");
    ec2.client().create_tags().resources(SEED_INSTANCE).tags(tag).send().await.unwrap();
    let request = merged(create_request(), json!({"name": "fresh", "stopInstance": true}));
    let answer = rehearse(&ec2, &app(&ec2), request).await;
    assert_eq!(would_do(&answer)[0], ("ec2:StopInstances".to_owned(), "unknown".to_owned()), "{answer}");
}

#[tokio::test]
async fn a_function_that_knows_no_dry_run_finds_nothing_to_do_in_its_plan() {
    let ec2 = ec2().await;
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let plan = plan_of(&app(&ec2), RUN, dry(json!({"action": "delete", "imageId": image}))).await.unwrap();
    let mut planned = plan["operations"][0].clone();
    planned.as_object_mut().unwrap().remove("dryRun");
    let call = json!({"run": RUN, "results": {}, "execution": "arn", "step": "begin"});
    let error = operations::answer(&app(&ec2), merged(planned, call)).await.unwrap_err();
    assert!(error.to_string().contains("arguments"), "{error}");
    assert!(ec2.image(&image).is_some());
}

#[tokio::test]
async fn a_dry_create_that_prunes_counts_the_image_that_it_would_make() {
    let ec2 = ec2().await;
    let series = [(RUN_TAG, RUN), (SERIES_TAG, SEED_INSTANCE)];
    let old = ec2.add_foreign_image("old", &series);
    ec2.age_image(&old, std::time::Duration::from_secs(2 * 24 * 3600));
    let retain = json!({"count": 1, "maxPercentPerRun": 100});
    let answer = rehearse(&ec2, &app(&ec2), merged(create_request(), json!({"retain": retain}))).await;
    assert_eq!(answer["result"]["wouldDelete"][0], json!(old), "{answer}");
}

#[tokio::test]
async fn a_dry_prune_names_an_image_that_it_may_not_look_at_and_goes_on_with_the_others() {
    let ec2 = ec2().await;
    let series = [(RUN_TAG, RUN), (SERIES_TAG, "web")];
    let [newest, next, oldest] = ["newest", "next", "oldest"].map(|name| ec2.add_foreign_image(name, &series));
    for (days, image) in (2..).zip([&newest, &next, &oldest]) {
        ec2.age_image(image, std::time::Duration::from_secs(days * 24 * 3600));
    }
    ec2.inject(Fault::on("DescribeImages", refused()).mentioning(&oldest).for_ever());
    let request = json!({"action": "prune", "series": "web", "retain": {"count": 1, "maxPercentPerRun": 100}});
    let answer = rehearse(&ec2, &app(&ec2), request).await;
    assert_eq!(answer["result"]["wouldDelete"][0], json!(next), "{answer}");
    let kept = answer["result"]["wouldKeep"].as_array().unwrap();
    assert!(kept.iter().any(|one| one["id"] == json!(oldest)), "{answer}");
}
