//! A deployment of its own that may change images that no run made, and may image instances with a tag only.

use std::time::Duration;

use ami_from_instance::{model::run::RUN_TAG, settings::SOURCE_TAG};
use local_aws::{
    deployment::{Deployment, Options, UNMANAGED_IMAGE},
    execution::Outcome,
};
use local_ec2::InstanceSpec;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{CALLS, SPEED, event, execute, functions::invoke};

#[test]
fn images_that_no_run_made_are_changed_and_deleted_where_that_is_allowed() {
    let parameters =
        ["AllowUnmanagedImages=true", "OnlyTaggedInstances=true", "SchedulesOnlyCreate=false", "Sweep=report"];
    let parameters = parameters.map(str::to_owned).to_vec();
    let options = Options { speed: SPEED, port: 0, ec2_port: 0, ec2_through: None, parameters };
    Runtime::new().unwrap().block_on(async {
        let aws = Deployment::start(&options, &|step| eprintln!("{step}")).await.unwrap();
        let protected = aws.ec2.add_foreign_image("protected", &[]);
        let protect =
            json!({"action": "update", "imageId": protected, "deregistrationProtection": "enabled-with-cooldown"});
        let (_, outcome) = execute(&aws, &protect).await;
        assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
        let changes = json!({"imageId": protected, "manageEbsSnapshots": false});
        let (_, outcome) = execute(&aws, &event("delete-protected.json", changes)).await;
        assert!(matches!(&outcome, Outcome::Ended { error, .. } if error == "ImageProtected"), "{outcome:?}");
        adopt(&aws).await;
        let unprotect = json!({"action": "update", "imageId": UNMANAGED_IMAGE, "deregistrationProtection": "disabled"});
        let protect = json!({"action": "update", "imageId": UNMANAGED_IMAGE, "deregistrationProtection": "enabled-without-cooldown"});
        for request in [protect, unprotect] {
            let (_, outcome) = execute(&aws, &request).await;
            assert!(matches!(outcome, Outcome::Succeeded(_)), "{request}: {outcome:?}");
        }
        let files = ["disable.json", "enable.json", "update.json", "update-remove.json", "update-watermarks.json"];
        for file in files.into_iter().chain(["update-watermarks-remove.json", "delete-unmanaged.json"]) {
            let (_, outcome) = execute(&aws, &event(file, json!({"imageId": UNMANAGED_IMAGE}))).await;
            assert!(matches!(outcome, Outcome::Succeeded(_)), "{file}: {outcome:?}");
        }
        assert!(aws.ec2.image(UNMANAGED_IMAGE).is_none());
        assert_eq!(invoke(&aws, "AdoptFunction", "adopt.json")["error"]["name"], "ImageNotFound");

        let spec = InstanceSpec::default;
        let [tagged, untagged] = [spec().tag(SOURCE_TAG.0, SOURCE_TAG.1), spec()].map(|spec| aws.ec2.add_instance(spec));
        let create = |instance: &str, file| event(file, json!({"name": instance, "sourceInstanceId": instance}));
        let (_, outcome) = execute(&aws, &create(&tagged, "create-with-stop.json")).await;
        assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
        let (_, outcome) = execute(&aws, &create(&untagged, "create.json")).await;
        assert!(matches!(&outcome, Outcome::Ended { cause, .. } if cause.starts_with("sourceInstanceId: must be an instance with the tag")), "{outcome:?}");
        assert_eq!(aws.output("ScheduledMachineArn"), aws.lifecycle_machine_arn());
        CALLS.record(&aws).unwrap();
    });
}

/// Images that no run made are taken over, or not, and then deleted as one of the stack's own.
async fn adopt(aws: &Deployment) {
    let [found, managed] = [&[][..], &[("aws:dlm:lifecycle-policy-id", "policy-1")]].map(|tags| {
        let name = format!("found-{}", tags.len());
        aws.ec2.add_foreign_image(name, tags)
    });
    let adopt = |image: &str, changes: Value| {
        let mut request = event("adopt.json", json!({"imageId": image}));
        request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        request
    };
    let (_, outcome) = execute(aws, &adopt(&managed, json!({}))).await;
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Ended { error, .. } if error == "InvalidRequest");
    assert!(refused(&outcome), "{outcome:?}");
    let (_, outcome) = execute(aws, &adopt(&found, json!({"dryRun": true}))).await;
    let Outcome::Succeeded(output) = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        (&output["wouldDo"][0]["call"], &output["wouldDo"][0]["verdict"]),
        (&json!("ec2:CreateTags"), &json!("allowed"))
    );
    assert!(aws.ec2.image(&found).unwrap().tags.is_empty());

    // One is aborted after it has tagged, and leaves no tag.
    let client = aws.step_functions();
    let run =
        aws.start_execution(aws.lifecycle_machine_arn(), None, &adopt(&found, json!({})).to_string()).await.unwrap();
    while aws.ec2.image(&found).unwrap().tags.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client.stop_execution().execution_arn(&run.arn).send().await.unwrap();
    while !aws.ec2.image(&found).unwrap().tags.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let snapshot = aws.ec2.image(&found).unwrap().snapshot_ids[0].clone();
    while !aws.ec2.snapshot(&snapshot).unwrap().tags.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let (run, outcome) = execute(aws, &adopt(&found, json!({}))).await;
    let Outcome::Succeeded(output) = outcome else { panic!("{outcome:?}") };
    assert_eq!((&output["id"], &output["series"]), (&json!(found), &json!("web")));
    assert_eq!(aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).len(), 1);
    let (_, outcome) = execute(aws, &event("delete.json", json!({"imageId": found}))).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert!(aws.ec2.image(&found).is_none() && aws.ec2.snapshot(&snapshot).is_none());
}
