//! An update: exactly the given tags, description and deprecation time, on the image and its snapshots.

use ami_from_instance::model::run::RUN_TAG;
use local_aws::deployment::Deployment;
use local_ec2::{Fault, FaultKind, Tags};
use serde_json::json;

use crate::{
    ends::{failed, succeeded},
    event, execute, on_aws, unique,
};

fn managed_image(aws: &Deployment) -> String {
    aws.ec2.add_foreign_image(unique("image"), &[(RUN_TAG, &aws.past_run()), ("Team", "web"), ("Old", "")])
}

fn tags_with_run(aws: &Deployment, tags: &[(&str, &str)]) -> Tags {
    let run = aws.past_run();
    tags.iter().chain(&[(RUN_TAG, run.as_str())]).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn tags_become_exactly_the_given_ones_and_the_run_tag_stays() {
    on_aws(async |aws| {
        let image = managed_image(aws);
        let (_, outcome) = execute(aws, &event("update.json", json!({"imageId": image}))).await;
        let output = succeeded(&outcome);
        let shown = aws.ec2.image(&image).unwrap();
        let expected = tags_with_run(aws, &[("Team", "audit")]);
        assert_eq!(shown.tags, expected);
        let snapshots: Vec<_> =
            aws.ec2.snapshots().into_iter().filter(|one| shown.snapshot_ids.contains(&one.id)).collect();
        assert!(!snapshots.is_empty() && snapshots.iter().all(|snapshot| snapshot.tags == expected));
        assert_eq!(output["tags"], json!({"Team": "audit"}));
        assert_eq!(output["tagsAll"], json!(expected));
        assert_eq!(output["description"], "Kept for the audit");
        assert_eq!(output["deprecationTime"], "2030-06-30T00:00:00.000Z");
    });
}

#[test]
fn description_and_deprecation_time_can_be_removed() {
    on_aws(async |aws| {
        let image = managed_image(aws);
        succeeded(&execute(aws, &event("update.json", json!({"imageId": image}))).await.1);
        let (_, outcome) = execute(aws, &event("update-remove.json", json!({"imageId": image}))).await;
        let output = succeeded(&outcome);
        assert_eq!((&output["description"], &output["deprecationTime"]), (&json!(null), &json!(null)));
        assert_eq!(aws.ec2.image(&image).unwrap().tags, tags_with_run(aws, &[]));
    });
}

#[test]
fn watermarks_become_exactly_the_given_ones() {
    on_aws(async |aws| {
        let image = managed_image(aws);
        let (_, outcome) = execute(aws, &event("update-watermarks.json", json!({"imageId": image}))).await;
        assert_eq!(succeeded(&outcome)["imageWatermarks"][0]["watermarkKey"], "000000000000:nightly");
        let (_, outcome) = execute(aws, &event("update-watermarks-remove.json", json!({"imageId": image}))).await;
        assert_eq!(succeeded(&outcome)["imageWatermarks"], json!([]));
    });
}

#[test]
fn fields_that_are_not_given_stay_as_they_are() {
    on_aws(async |aws| {
        let image = managed_image(aws);
        let before = aws.ec2.image(&image).unwrap();
        let input = json!({"action": "update", "imageId": image, "description": "new"});
        succeeded(&execute(aws, &input).await.1);
        let after = aws.ec2.image(&image).unwrap();
        assert_eq!(after.description.as_deref(), Some("new"));
        assert_eq!((after.tags, after.deprecation), (before.tags, before.deprecation));
    });
}

#[test]
fn an_update_ends_with_its_time_limit() {
    on_aws(async |aws| {
        let image = managed_image(aws);
        aws.ec2.inject(Fault::on("ModifyImageAttribute", FaultKind::Throttle).mentioning(&image).for_ever());
        let input = event("update.json", json!({"imageId": image, "timeouts": {"update": "2m"}}));
        let (_, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "TimedOut");
        assert!(
            cause.starts_with("the update took longer than its timeout of 120 seconds (timeouts.update)"),
            "{cause}"
        );
    });
}

#[test]
fn an_image_that_no_run_made_is_not_changed() {
    on_aws(async |aws| {
        let image = aws.ec2.add_foreign_image(unique("image"), &[("Team", "other")]);
        let before = aws.ec2.image(&image);
        let (_, outcome) = execute(aws, &event("update.json", json!({"imageId": image}))).await;
        assert_eq!(failed(&outcome).0, "ImageNotManaged");
        assert_eq!(aws.ec2.image(&image), before);
    });
}

#[test]
fn an_image_that_does_not_exist_is_named() {
    on_aws(async |aws| {
        let image = "ami-0aaaaaaaaaaaaaaaa";
        let (_, outcome) = execute(aws, &event("update.json", json!({"imageId": image}))).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "ImageNotFound");
        assert!(cause.contains(image), "{cause}");
    });
}
