//! What is in use stays, unless the request says otherwise.

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_ec2::types::InstanceStateName;
use local_ec2::{Ec2, Fault, FaultKind, InstanceSpec};
use serde_json::{Value, json};

use crate::{
    RUN, app, begin, call, create_request, ec2, first_operation, is_going_on, look, merged, plan_of,
    rollbacks::roll_back, wait, whole,
};

fn delete_request(image: &str) -> Value {
    json!({"action": "delete", "imageId": image})
}

fn replace_request(image: &str, name: &str) -> Value {
    merged(create_request(), json!({"action": "replace", "imageId": image, "name": name}))
}

fn old_image(ec2: &Ec2) -> String {
    ec2.add_foreign_image("web", &[(RUN_TAG, RUN)])
}

fn message(document: &Value) -> &str {
    document["error"]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn whatever_names_an_image_keeps_it_from_being_deleted_and_is_named() {
    let others = ["ami-0aaaaaaaaaaaaaaaa"; 49];
    let named = |image: &str| [image].into_iter().chain(others).map(str::to_owned).collect::<Vec<_>>();
    type Name = fn(&Ec2, &str, &[String]) -> String;
    let ways: [(&str, Name); 7] = [
        ("running", |ec2, image, _| instance_arn(ec2, image, InstanceStateName::Running)),
        ("stopped", |ec2, image, _| instance_arn(ec2, image, InstanceStateName::Stopped)),
        ("the oldest of 50 versions of a launch template", |ec2, _, versions| {
            ec2.add_launch_template("web", &versions.iter().map(String::as_str).collect::<Vec<_>>())
        }),
        ("a parameter", |ec2, image, _| ec2.add_reference("ssm:Parameter", "/golden/web", image)),
        ("an image recipe", |ec2, image, _| ec2.add_reference("imagebuilder:ImageRecipe", "web", image)),
        ("a container recipe", |ec2, image, _| ec2.add_reference("imagebuilder:ContainerRecipe", "web", image)),
        ("a launch configuration", |ec2, image, _| ec2.add_reference("autoscaling:LaunchConfiguration", "web", image)),
    ];
    for (what, name) in ways {
        let ec2 = ec2().await;
        let image = old_image(&ec2);
        let arn = name(&ec2, &image, &named(&image));
        let refused = whole(&ec2, &app(&ec2), delete_request(&image)).await;
        assert_eq!(refused["error"]["name"], "ImageInUse", "{what}: {refused}");
        assert!(message(&refused).contains(&arn) && message(&refused).starts_with(&image), "{what}: {refused}");
        assert!(ec2.mutating_calls().is_empty() && ec2.image(&image).is_some(), "{what}");
        let all_the_same = merged(delete_request(&image), json!({"unlessInUse": false}));
        let deleted = whole(&ec2, &app(&ec2), all_the_same).await;
        assert_eq!(deleted["result"]["deletedImageId"], image, "{what}: {deleted}");
    }
}

fn instance_arn(ec2: &Ec2, image: &str, state: InstanceStateName) -> String {
    let id = ec2.add_instance(InstanceSpec::default().image(image).state(state));
    format!("arn:aws:ec2:us-east-1:000000000000:instance/{id}")
}

#[tokio::test]
async fn a_terminated_instance_keeps_no_image() {
    let ec2 = ec2().await;
    let image = old_image(&ec2);
    instance_arn(&ec2, &image, InstanceStateName::Terminated);
    assert_eq!(whole(&ec2, &app(&ec2), delete_request(&image)).await["status"], "Succeeded");
}

#[tokio::test]
async fn an_image_of_which_nobody_can_say_whether_it_is_in_use_stays() {
    for (action, permission) in [
        ("DescribeImageReferences", "ec2:DescribeImageReferences"),
        ("DescribeLaunchConfigurations", "autoscaling:DescribeLaunchConfigurations"),
    ] {
        let ec2 = ec2().await;
        let image = old_image(&ec2);
        let code = if action.contains("Launch") { "AccessDenied" } else { "UnauthorizedOperation" };
        let refused = FaultKind::Refused { code: code.to_owned(), message: "not here".to_owned() };
        ec2.inject(Fault::on(action, refused).for_ever());
        let refused = whole(&ec2, &app(&ec2), delete_request(&image)).await;
        assert_eq!(refused["error"]["name"], "ImageInUse", "{refused}");
        assert!(message(&refused).contains(&format!("not known: {permission} is not allowed")), "{refused}");
        assert!(ec2.image(&image).is_some());
        // What the other one names is enough to know.
        let arn = match action {
            "DescribeImageReferences" => ec2.add_reference("autoscaling:LaunchConfiguration", "web", &image),
            _ => ec2.add_reference("ssm:Parameter", "/golden/web", &image),
        };
        let refused = whole(&ec2, &app(&ec2), delete_request(&image)).await;
        assert!(message(&refused).contains(&arn), "{refused}");
    }
}

#[tokio::test]
async fn a_throttled_question_is_asked_again() {
    let ec2 = ec2().await;
    let image = old_image(&ec2);
    let app = app(&ec2);
    let document = first_operation(&app, RUN, delete_request(&image)).await;
    let noted = call(&app, "begin", document).await.unwrap();
    ec2.inject(Fault::on("DescribeImageReferences", FaultKind::Throttle).for_ever());
    let throttled = call(&app, "look", noted).await.unwrap();
    assert_eq!(throttled["status"], "Pending", "{throttled}");
    assert!(ec2.image(&image).is_some());
}

#[tokio::test]
async fn a_replace_of_an_image_in_use_is_refused_before_anything_is_touched() {
    for name in ["web", "fresh"] {
        let ec2 = ec2().await;
        let image = old_image(&ec2);
        let arn = ec2.add_launch_template("web", &[&image]);
        let error = plan_of(&app(&ec2), RUN, replace_request(&image, name)).await.unwrap_err();
        assert_eq!(error.name(), "ImageInUse");
        assert!(error.to_string().contains(&arn), "{error}");
        assert!(ec2.mutating_calls().is_empty());
        let all_the_same = merged(replace_request(&image, name), json!({"unlessInUse": false}));
        assert!(plan_of(&app(&ec2), RUN, all_the_same).await.is_ok());
        // Two images cannot have one name.
        let kept = plan_of(&app(&ec2), RUN, merged(replace_request(&image, name), json!({"keepPrevious": true}))).await;
        assert_eq!(kept.is_ok(), name == "fresh", "{kept:?}");
    }
}

#[tokio::test]
async fn the_instance_that_is_imaged_may_have_been_launched_from_the_image_that_is_replaced() {
    let ec2 = ec2().await;
    let image = old_image(&ec2);
    let instance = ec2.add_instance(InstanceSpec::default().image(&image));
    let request = merged(replace_request(&image, "fresh"), json!({"sourceInstanceId": instance}));
    let plan = plan_of(&app(&ec2), RUN, request).await.unwrap();
    let deleted = run_last(&ec2, &plan).await;
    assert_eq!(deleted["result"]["deletedImageId"], image, "{deleted}");
}

/// Runs the last operation of a plan.
async fn run_last(ec2: &Ec2, plan: &Value) -> Value {
    let app = app(ec2);
    let mut document = plan["operations"].as_array().unwrap().last().unwrap().clone();
    document["run"] = json!(RUN);
    document["execution"] = json!("arn");
    document = call(&app, "begin", document).await.unwrap();
    while is_going_on(&document) {
        wait(ec2, &document);
        document = call(&app, "look", document).await.unwrap();
    }
    document
}

#[tokio::test]
async fn an_image_that_comes_into_use_while_it_is_replaced_stays_beside_the_new_one() {
    let ec2 = ec2().await;
    let image = old_image(&ec2);
    let plan = plan_of(&app(&ec2), RUN, replace_request(&image, "fresh")).await.unwrap();
    let arn = ec2.add_reference("ssm:Parameter", "/golden/web", &image);
    let kept = run_last(&ec2, &plan).await;
    assert_eq!((&kept["status"], &kept["result"]["keptImageId"]), (&json!("Succeeded"), &json!(image)), "{kept}");
    assert_eq!(kept["result"]["keptBecause"], format!("it is in use by {arn}"));
    assert!(kept["result"].get("deletedImageId").is_none() && ec2.image(&image).is_some());
}

#[tokio::test]
async fn a_rollback_keeps_an_image_that_is_in_use_already_and_names_it() {
    let ec2 = ec2().await;
    let mut created = begin(&ec2, create_request()).await;
    while is_going_on(&created) {
        wait(&ec2, &created);
        created = look(&ec2, created).await;
    }
    let image = created["memory"]["imageId"].as_str().unwrap();
    let arn = ec2.add_launch_template("web", &[image]);
    let rolled_back = roll_back(&ec2, &created).await;
    assert_eq!(rolled_back["error"]["name"], "LeftoversRemain", "{rolled_back}");
    assert!(message(&rolled_back).contains(&format!("{image} stays: it is in use by {arn}")), "{rolled_back}");
    assert_eq!((ec2.images().len(), ec2.snapshots_tagged(RUN_TAG, RUN).len()), (1, 2));
    ec2.remove_references();
    assert_eq!(roll_back(&ec2, &created).await["status"], "Succeeded");
    assert!(ec2.images().is_empty());
}

#[tokio::test]
async fn a_rollback_that_may_not_ask_removes_the_image_and_asks_nothing_about_one_that_was_never_available() {
    let ec2 = ec2().await;
    let created = begin(&ec2, create_request()).await;
    assert_eq!(roll_back(&ec2, &created).await["status"], "Succeeded");
    assert!(ec2.calls_of("DescribeImageReferences").is_empty());

    let mut created = begin(&ec2, create_request()).await;
    while is_going_on(&created) {
        wait(&ec2, &created);
        created = look(&ec2, created).await;
    }
    let refused = FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "not here".to_owned() };
    ec2.inject(Fault::on("DescribeImageReferences", refused).for_ever());
    assert_eq!(roll_back(&ec2, &created).await["status"], "Succeeded");
    assert!(ec2.images().is_empty() && !ec2.calls_of("DescribeImageReferences").is_empty());
}

#[tokio::test]
async fn an_image_that_comes_into_use_after_its_protection_was_disabled_says_so() {
    let ec2 = ec2().await;
    let image = old_image(&ec2);
    ec2.client().enable_image_deregistration_protection().image_id(&image).send().await.unwrap();
    let app = app(&ec2);
    let request = merged(delete_request(&image), json!({"disableProtection": true}));
    let mut document = call(&app, "begin", first_operation(&app, RUN, request).await).await.unwrap();
    document = call(&app, "look", document).await.unwrap();
    ec2.add_reference("ssm:Parameter", "/golden/web", &image);
    document = call(&app, "look", document).await.unwrap();
    assert!(message(&document).contains("its deregistration protection was disabled before"), "{document}");
}
