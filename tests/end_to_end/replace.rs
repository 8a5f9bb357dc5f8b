//! A replace: a fresh image, and the old one gone.

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_ec2::types::ImageState;
use local_aws::deployment::Deployment;
use local_ec2::Fate;
use serde_json::{Value, json};

use crate::{
    ends::{assert_nothing_is_left, failed, succeeded},
    event, execute, new_create, on_aws, unique,
};

/// An old image of a name, an instance, and the input of a replace.
fn replace(aws: &Deployment, file: &str, same_name: bool) -> (String, String, Value) {
    let name = unique("image");
    let old = aws.ec2.add_foreign_image(&name, &[(RUN_TAG, &aws.past_run())]);
    let (instance, _) = new_create(aws, json!({}));
    let name = if same_name { name } else { unique("fresh") };
    (old.clone(), instance.clone(), event(file, json!({"imageId": old, "sourceInstanceId": instance, "name": name})))
}

fn fails() -> Fate {
    let after = std::time::Duration::from_secs(30);
    Fate::Fail { state: ImageState::Error, code: "Server.InternalError".into(), message: "broken".into(), after }
}

#[test]
fn a_fresh_image_is_made_and_the_old_one_is_gone() {
    on_aws(async |aws| {
        let (old, _, input) = replace(aws, "replace.json", false);
        let (run, outcome) = execute(aws, &input).await;
        let output = succeeded(&outcome);
        assert_eq!((&output["deletedImageId"], &output["name"]), (&json!(old), &input["name"]));
        assert_eq!(aws.ec2.image(&old), None);
        assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn).len(), 1);
    });
}

#[test]
fn an_image_of_the_same_name_goes_first() {
    on_aws(async |aws| {
        let (old, _, input) = replace(aws, "replace-same-name.json", true);
        let (run, outcome) = execute(aws, &input).await;
        assert_eq!(succeeded(&outcome)["name"], input["name"]);
        assert_eq!(aws.ec2.image(&old), None);
        assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn).len(), 1);
    });
}

#[test]
fn an_old_image_in_use_is_refused_or_kept_as_the_request_says() {
    on_aws(async |aws| {
        let (old, _, input) = replace(aws, "replace.json", false);
        let arn = aws.ec2.add_launch_template(unique("template"), &[&old]);
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "ImageInUse");
        assert!(cause.contains(&arn), "{cause}");
        assert!(aws.ec2.image(&old).is_some());
        assert_nothing_is_left(aws, &run).await;

        let (_, instance, _) = replace(aws, "replace.json", false);
        let changes = json!({"imageId": old, "sourceInstanceId": instance, "name": unique("fresh")});
        let (run, outcome) = execute(aws, &event("replace-keep-previous.json", changes)).await;
        let output = succeeded(&outcome);
        assert_eq!(output["keptImageId"], old);
        assert!(output["keptBecause"].as_str().unwrap().contains(&arn), "{output}");
        assert!(aws.ec2.image(&old).is_some());
        assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn).len(), 1);
    });
}

#[test]
fn the_old_image_stays_if_the_fresh_one_fails() {
    on_aws(async |aws| {
        let (old, instance, input) = replace(aws, "replace.json", false);
        aws.ec2.next_image(&instance, fails());
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "ImageFailed");
        assert!(cause.contains(&old), "{cause}");
        assert!(aws.ec2.image(&old).is_some());
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn the_snapshots_of_the_old_image_of_the_same_name_stay_if_the_fresh_one_fails_and_the_error_names_them() {
    on_aws(async |aws| {
        let (old, instance, input) = replace(aws, "replace-same-name.json", true);
        let snapshots = aws.ec2.image(&old).unwrap().snapshot_ids;
        aws.ec2.next_image(&instance, fails());
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "ImageFailed");
        assert!(cause.contains(&format!("{old} was deregistered before")), "{cause}");
        assert_nothing_is_left(aws, &run).await;
        // An image can be registered of them again.
        assert!(snapshots.iter().all(|id| cause.contains(id) && aws.ec2.snapshot(id).is_some()), "{cause}");
    });
}

#[test]
fn nothing_is_deleted_where_it_is_certain_that_nothing_can_be_made() {
    on_aws(async |aws| {
        let (old, _, mut input) = replace(aws, "replace-same-name.json", true);
        input["sourceInstanceId"] = json!("i-0aaaaaaaaaaaaaaaa");
        let (_, outcome) = execute(aws, &input).await;
        assert_eq!(failed(&outcome).0, "SourceInstanceNotFound");
        assert!(aws.ec2.image(&old).is_some());
    });
}

#[test]
fn the_fresh_image_stays_if_the_old_one_cannot_be_deleted_whole() {
    on_aws(async |aws| {
        let (old, _, input) = replace(aws, "replace.json", false);
        let snapshot = aws.ec2.image(&old).unwrap().snapshot_ids[0].clone();
        aws.ec2.lock_snapshot(&snapshot);
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "LeftoversRemain");
        let fresh = aws.ec2.images_tagged(RUN_TAG, &run.arn);
        assert_eq!(fresh.len(), 1);
        assert!(cause.contains(&snapshot) && cause.contains(&fresh[0].id), "{cause}");
    });
}

#[test]
fn a_locked_snapshot_of_the_old_image_of_the_same_name_is_named_in_the_result() {
    on_aws(async |aws| {
        let (old, _, input) = replace(aws, "replace-same-name.json", true);
        let snapshot = aws.ec2.image(&old).unwrap().snapshot_ids[0].clone();
        aws.ec2.lock_snapshot(&snapshot);
        let (run, outcome) = execute(aws, &input).await;
        let output = succeeded(&outcome);
        assert!(output["leftovers"].as_str().unwrap().contains(&snapshot), "{output}");
        assert_eq!((&output["deletedImageId"], &output["wasThere"]), (&json!(old), &json!(true)));
        assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn).len(), 1);
    });
}
