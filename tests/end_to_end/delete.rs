//! A delete: the image is gone with every snapshot, or it is named what stays and why.

use ami_from_instance::model::run::RUN_TAG;
use local_aws::deployment::{Deployment, UNMANAGED_IMAGE};
use local_ec2::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::{
    ends::{failed, succeeded},
    event, execute, new_create, on_aws, unique,
};

/// An image that a run has made, with the ids of its snapshots.
async fn made_image(aws: &Deployment) -> (String, Vec<String>) {
    let (_, input) = new_create(aws, json!({}));
    let (_, outcome) = execute(aws, &input).await;
    let id = succeeded(&outcome)["id"].as_str().unwrap().to_owned();
    let snapshots = aws.ec2.image(&id).unwrap().snapshot_ids;
    assert_eq!(snapshots.len(), 2);
    (id, snapshots)
}

fn delete(image: &str) -> Value {
    event("delete.json", json!({"imageId": image}))
}

fn left(aws: &Deployment, snapshots: &[String]) -> Vec<String> {
    let all = aws.ec2.snapshots().into_iter().map(|snapshot| snapshot.id);
    all.filter(|id| snapshots.contains(id)).collect()
}

#[test]
fn the_image_and_every_snapshot_are_gone() {
    on_aws(async |aws| {
        let (image, snapshots) = made_image(aws).await;
        let (_, outcome) = execute(aws, &delete(&image)).await;
        assert_eq!(succeeded(&outcome), &json!({"deletedImageId": image, "wasThere": true}));
        assert_eq!(aws.ec2.image(&image), None);
        assert!(left(aws, &snapshots).is_empty());

        let (_, again) = execute(aws, &delete(&image)).await;
        assert_eq!(succeeded(&again), &json!({"deletedImageId": image, "wasThere": false}));
    });
}

#[test]
fn snapshots_of_an_image_that_is_already_gone_are_found() {
    on_aws(async |aws| {
        let (image, snapshots) = made_image(aws).await;
        aws.ec2.client().deregister_image().image_id(&image).send().await.unwrap();
        succeeded(&execute(aws, &delete(&image)).await.1);
        assert!(left(aws, &snapshots).is_empty());
    });
}

#[test]
fn an_image_in_use_stays_unless_the_request_says_otherwise() {
    on_aws(async |aws| {
        let (image, snapshots) = made_image(aws).await;
        let arn = aws.ec2.add_reference("autoscaling:LaunchConfiguration", unique("configuration"), &image);
        let (_, outcome) = execute(aws, &delete(&image)).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "ImageInUse");
        assert!(cause.contains(&arn), "{cause}");
        assert_eq!(left(aws, &snapshots).len(), 2);

        let (_, outcome) = execute(aws, &event("delete-in-use.json", json!({"imageId": image}))).await;
        assert_eq!(succeeded(&outcome)["deletedImageId"], image);
        assert!(left(aws, &snapshots).is_empty());
    });
}

#[test]
fn an_image_that_no_run_made_stays() {
    on_aws(async |aws| {
        let before = aws.ec2.image(UNMANAGED_IMAGE);
        assert!(before.is_some());
        let (_, outcome) = execute(aws, &delete(UNMANAGED_IMAGE)).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "ImageNotManaged");
        assert!(cause.contains("manageEbsSnapshots"), "{cause}");
        let (_, outcome) = execute(aws, &event("delete-unmanaged.json", json!({}))).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "ImageNotManaged");
        assert!(cause.contains("AllowUnmanagedImages"), "{cause}");
        assert_eq!(aws.ec2.image(UNMANAGED_IMAGE), before);
    });
}

#[test]
fn a_protected_image_stays() {
    on_aws(async |aws| {
        let image = aws.ec2.add_foreign_image(unique("image"), &[(RUN_TAG, &aws.past_run())]);
        aws.ec2.client().enable_image_deregistration_protection().image_id(&image).send().await.unwrap();
        let (_, outcome) = execute(aws, &delete(&image)).await;
        assert_eq!(failed(&outcome).0, "ImageProtected");
        assert!(aws.ec2.image(&image).is_some());
    });
}

#[test]
fn a_locked_snapshot_is_named_and_the_other_one_is_gone() {
    on_aws(async |aws| {
        let (image, snapshots) = made_image(aws).await;
        aws.ec2.lock_snapshot(&snapshots[1]);
        let (_, outcome) = execute(aws, &delete(&image)).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "LeftoversRemain");
        assert!(cause.contains(&snapshots[1]) && !cause.contains(&snapshots[0]), "{cause}");
        assert_eq!(left(aws, &snapshots), [snapshots[1].clone()]);

        aws.ec2.unlock_snapshot(&snapshots[1]);
        succeeded(&execute(aws, &delete(&image)).await.1);
        assert!(left(aws, &snapshots).is_empty());
    });
}

#[test]
fn snapshots_that_another_image_uses_are_named_after_a_while() {
    on_aws(async |aws| {
        let (image, snapshots) = made_image(aws).await;
        let other = aws.ec2.add_image_sharing(&image, unique("sharing"));
        let (_, outcome) = execute(aws, &delete(&image)).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "LeftoversRemain");
        assert!(snapshots.iter().all(|id| cause.contains(id)) && cause.contains(&other), "{cause}");
        assert_eq!(left(aws, &snapshots).len(), 2);
    });
}

#[test]
fn a_missing_permission_names_the_action_and_what_stays() {
    on_aws(async |aws| {
        let (image, snapshots) = made_image(aws).await;
        let refused = FaultKind::Refused { code: "UnauthorizedOperation".into(), message: "no".into() };
        aws.ec2.inject(Fault::on("DeleteSnapshot", refused).mentioning(&snapshots[0]).for_ever());
        let (_, outcome) = execute(aws, &delete(&image)).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "LeftoversRemain");
        assert!(cause.contains("ec2:DeleteSnapshot") && cause.contains(&snapshots[0]), "{cause}");
    });
}

#[test]
fn an_answer_that_is_lost_changes_nothing() {
    on_aws(async |aws| {
        let (image, snapshots) = made_image(aws).await;
        aws.ec2.inject(Fault::on("DeregisterImage", FaultKind::LostResponse).mentioning(&image).times(4));
        aws.ec2.inject(Fault::on("DeleteSnapshot", FaultKind::LostResponse).mentioning(&snapshots[0]).times(4));
        succeeded(&execute(aws, &delete(&image)).await.1);
        assert_eq!(aws.ec2.image(&image), None);
        assert!(left(aws, &snapshots).is_empty());
    });
}
