//! Disabling and enabling an image, with its launch permissions.

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_ec2::types::{ImageAttributeName, LaunchPermission, LaunchPermissionModifications};
use local_ec2::{Ec2, Fault, FaultKind, InstanceSpec, SEED_INSTANCE};
use serde_json::{Value, json};

use super::{RUN, app, call, create_request, ec2, first_operation, is_going_on, plan_of, wait, whole};

const TAG: &str = "ami-from-instance:launch-permissions";

fn request(action: &str, image: &str) -> Value {
    json!({"action": action, "imageId": image})
}

/// An image of this run that so many accounts may launch.
async fn shared(ec2: &Ec2, accounts: u64) -> String {
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    if accounts == 0 {
        return image;
    }
    let add = (1..=accounts).map(|n| LaunchPermission::builder().user_id(format!("{n:012}")).build()).collect();
    let add = LaunchPermissionModifications::builder().set_add(Some(add)).build();
    ec2.client().modify_image_attribute().image_id(&image).launch_permission(add).send().await.unwrap();
    ec2.forget_calls();
    image
}

async fn accounts(ec2: &Ec2, image: &str) -> usize {
    let request = ec2.client().describe_image_attribute().image_id(image);
    let answer = request.attribute(ImageAttributeName::LaunchPermission).send().await.unwrap();
    answer.launch_permissions().len()
}

fn changes(ec2: &Ec2) -> Vec<String> {
    ec2.mutating_calls().into_iter().map(|call| call.action).collect()
}

#[tokio::test]
async fn a_disabled_image_that_is_enabled_has_its_launch_permissions_again() {
    let ec2 = ec2().await;
    let image = shared(&ec2, 2).await;
    let disabled = whole(&ec2, &app(&ec2), request("disable", &image)).await;
    assert_eq!(disabled["result"]["state"], "disabled", "{disabled}");
    assert_eq!(accounts(&ec2, &image).await, 0);
    let enabled = whole(&ec2, &app(&ec2), request("enable", &image)).await;
    assert_eq!(enabled["result"]["state"], "available", "{enabled}");
    assert_eq!(accounts(&ec2, &image).await, 2);
    assert!(!ec2.image(&image).unwrap().tags.contains_key(TAG));
    let expected = ["CreateTags", "DisableImage", "EnableImage", "ModifyImageAttribute", "DeleteTags"];
    assert_eq!(changes(&ec2), expected);
}

#[tokio::test]
async fn what_is_there_already_is_not_asked_for_again() {
    let ec2 = ec2().await;
    let image = shared(&ec2, 0).await;
    for (action, calls) in [("enable", 0), ("disable", 1), ("disable", 1), ("enable", 2), ("enable", 2)] {
        whole(&ec2, &app(&ec2), request(action, &image)).await;
        assert_eq!(changes(&ec2).len(), calls, "{action}");
    }
}

/// EC2 is not consistent at once: an image whose launch permissions it does not know may have some.
#[tokio::test]
async fn an_image_whose_launch_permissions_are_not_known_is_not_disabled() {
    let ec2 = ec2().await;
    let image = shared(&ec2, 2).await;
    let unknown = FaultKind::Refused { code: "InvalidAMIID.NotFound".to_owned(), message: "none".to_owned() };
    ec2.inject(Fault::on("DescribeImageAttribute", unknown));
    let refused = whole(&ec2, &app(&ec2), request("disable", &image)).await;
    assert_eq!(refused["error"]["name"], "ImageNotFound", "{refused}");
    assert!(changes(&ec2).is_empty());
    assert_eq!(accounts(&ec2, &image).await, 2);
}

#[tokio::test]
async fn an_image_that_too_many_may_launch_is_not_disabled() {
    let ec2 = ec2().await;
    let image = shared(&ec2, 20).await;
    let refused = whole(&ec2, &app(&ec2), request("disable", &image)).await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("imageId: must have fewer launch permissions"), "{message}");
    assert!(changes(&ec2).is_empty());
}

#[tokio::test]
async fn no_launch_permission_is_lost_with_an_answer() {
    for (action, call_that_fails) in [
        ("disable", "CreateTags"),
        ("disable", "DisableImage"),
        ("enable", "EnableImage"),
        ("enable", "ModifyImageAttribute"),
        ("enable", "DeleteTags"),
    ] {
        let ec2 = ec2().await;
        let image = shared(&ec2, 3).await;
        let app = app(&ec2);
        for step in ["disable", "enable"] {
            if step == action {
                ec2.inject(Fault::on(call_that_fails, FaultKind::LostResponseAs(500)).for_ever());
            }
            let mut document = first_operation(&app, RUN, request(step, &image)).await;
            document["status"] = json!("Pending");
            document["waitSeconds"] = json!(0);
            let mut calls = 0;
            while is_going_on(&document) {
                match call(&app, "look", document.clone()).await {
                    Ok(answer) => document = answer,
                    Err(_) => ec2.clear_faults(),
                }
                wait(&ec2, &document);
                calls += 1;
                assert!(calls < 50, "{document}");
            }
            assert_eq!(document["status"], "Succeeded", "{document}");
        }
        assert_eq!(accounts(&ec2, &image).await, 3, "{call_that_fails}");
    }
}

#[tokio::test]
async fn a_disabled_image_is_deleted_as_any_other() {
    let ec2 = ec2().await;
    let image = shared(&ec2, 0).await;
    whole(&ec2, &app(&ec2), request("disable", &image)).await;
    let deleted = whole(&ec2, &app(&ec2), request("delete", &image)).await;
    assert_eq!(deleted["status"], "Succeeded", "{deleted}");
    assert!(ec2.image(&image).is_none());
}

#[tokio::test]
async fn a_watermark_that_is_to_be_kept_and_is_not_there_is_refused_before_anything_is_touched() {
    let ec2 = ec2().await;
    let instance = ec2.add_instance(InstanceSpec::default().watermark("111122223333:approved"));
    let created = whole(&ec2, &app(&ec2), json!({"name": "web", "sourceInstanceId": instance})).await;
    ec2.forget_calls();
    let typo = json!({"keep": ["111122223333:aproved"]});
    let update = json!({"action": "update", "imageId": created["result"]["id"], "watermarks": typo});
    let refused = whole(&ec2, &app(&ec2), update).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("111122223333:approved, and not"), "{refused}");
    // The seeded instance's image has none.
    let create = json!({"name": "fresh", "sourceInstanceId": SEED_INSTANCE, "watermarks": typo});
    let error = plan_of(&app(&ec2), RUN, create).await.unwrap_err();
    assert!(error.to_string().starts_with("watermarks.keep: must have watermarks that are there"), "{error}");
    assert!(ec2.mutating_calls().is_empty());
}

#[tokio::test]
async fn an_image_has_the_watermarks_that_the_request_decides_and_no_others() {
    let ec2 = ec2().await;
    let spec = InstanceSpec::default().watermark("111122223333:approved").watermark("111122223333:old");
    let instance = ec2.add_instance(spec);
    let watermarks = json!({"keep": ["111122223333:approved"], "attach": ["nightly"]});
    let attach = json!({"attach": ["nightly"]});
    let request = json!({"name": "web", "sourceInstanceId": instance, "watermarks": attach});
    let plan = plan_of(&app(&ec2), RUN, request).await.unwrap();
    let operations = plan["operations"].as_array().unwrap();
    assert_eq!(operations.iter().map(|one| &one["operation"]).collect::<Vec<_>>(), ["create", "update"]);
    let created = whole(&ec2, &app(&ec2), json!({"name": "web", "sourceInstanceId": instance})).await;
    let image = created["result"]["id"].clone();
    for (wanted, keys) in [
        (watermarks, vec!["111122223333:approved", "000000000000:nightly"]),
        (json!({}), vec![]),
        (json!({"attach": ["nightly"]}), vec!["000000000000:nightly"]),
    ] {
        let update = json!({"action": "update", "imageId": image, "watermarks": wanted});
        let updated = whole(&ec2, &app(&ec2), update.clone()).await;
        let shown = updated["result"]["imageWatermarks"].as_array().unwrap_or_else(|| panic!("{updated}"));
        assert_eq!(shown.iter().map(|one| one["watermarkKey"].as_str().unwrap()).collect::<Vec<_>>(), keys);
        ec2.forget_calls();
        whole(&ec2, &app(&ec2), update).await;
        assert!(ec2.mutating_calls().is_empty(), "what is as it should be is left alone");
    }
}

#[tokio::test]
async fn the_result_has_the_image_that_the_instance_was_launched_from_and_what_that_hands_on() {
    let ec2 = ec2().await;
    let spec = InstanceSpec::default().watermark("111122223333:approved").product_code("abc");
    let mut create = create_request();
    create["sourceInstanceId"] = json!(ec2.add_instance(spec));
    let result = &whole(&ec2, &app(&ec2), create).await["result"];
    assert_eq!(result["imageWatermarks"][0]["watermarkKey"], "111122223333:approved", "{result}");
    assert_eq!(result["imageWatermarks"][0]["sourceImageId"], result["sourceImageId"]);
    assert!(result["sourceImageId"].as_str().unwrap().starts_with("ami-"));
    assert_eq!((&result["sourceImageRegion"], &result["productCodes"]), (&json!("us-east-1"), &json!(["abc"])));
}
