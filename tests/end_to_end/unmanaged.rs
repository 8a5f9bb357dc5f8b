//! A deployment of its own that may change images that no run made, and may image instances with a tag only.

use ami_from_instance::settings::SOURCE_TAG;
use local_aws::{
    deployment::{Deployment, Options, UNMANAGED_IMAGE},
    execution::Outcome,
};
use local_ec2::InstanceSpec;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{CALLS, SPEED, event, execute};

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
