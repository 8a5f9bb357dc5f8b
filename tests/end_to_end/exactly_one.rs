//! Exactly one image, whatever answer is lost.

use std::{fs, time::Duration};

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_ec2::types::InstanceStateName;
use local_aws::{deployment::Deployment, prepare::root};
use local_ec2::{Fault, FaultKind, InstanceSpec};
use serde_json::json;

use crate::{
    ends::{assert_nothing_is_left, failed, succeeded},
    event, execute, new_create, on_aws, start, unique,
};

async fn one_image_in_spite_of(aws: &Deployment, kind: FaultKind, times: usize) {
    let (instance, input) = new_create(aws, json!({}));
    aws.ec2.inject(Fault::on("CreateImage", kind).mentioning(&instance).times(times));
    let (run, outcome) = execute(aws, &input).await;
    let output = succeeded(&outcome);
    let images = aws.ec2.images_tagged(RUN_TAG, &run.arn);
    assert_eq!(images.len(), 1);
    assert_eq!(output["id"], images[0].id);
    assert_eq!(aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).len(), 2);
    assert_eq!(output["sourceInstance"]["stateAfter"], "running");
}

#[test]
fn an_image_whose_answer_was_lost_is_adopted() {
    // The EC2 client tries three times itself: four losses reach the machine's retry.
    on_aws(async |aws| one_image_in_spite_of(aws, FaultKind::LostResponse, 4).await);
}

#[test]
fn an_image_that_was_made_under_a_server_error_is_adopted() {
    on_aws(async |aws| one_image_in_spite_of(aws, FaultKind::LostResponseAs(500), 1).await);
}

#[test]
fn throttles_and_outages_are_waited_out() {
    on_aws(async |aws| one_image_in_spite_of(aws, FaultKind::Throttle, 5).await);
    on_aws(async |aws| one_image_in_spite_of(aws, FaultKind::ServerError(503), 5).await);
    on_aws(async |aws| one_image_in_spite_of(aws, FaultKind::ConnectionReset, 5).await);
}

#[test]
fn an_image_whose_answer_was_lost_is_adopted_though_its_instance_is_gone() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({}));
        aws.ec2.inject(Fault::on("CreateImage", FaultKind::LostResponse).mentioning(&instance).times(3));
        let run = start(aws, &input).await;
        while aws.ec2.images_tagged(RUN_TAG, &run.arn).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        aws.ec2.client().terminate_instances().instance_ids(&instance).send().await.unwrap();
        let outcome = run.wait().await.unwrap();
        assert_eq!(failed(&outcome).0, "ImageFailed");
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn one_execution_name_makes_one_image() {
    on_aws(async |aws| {
        let (_, input) = new_create(aws, json!({}));
        let name = unique("twice");
        let start = async || aws.start_execution(aws.lifecycle_machine_arn(), Some(&name), &input.to_string()).await;
        let (first, second) = (start().await.unwrap(), start().await.unwrap());
        assert_eq!(first.arn, second.arn);
        succeeded(&first.wait().await.unwrap());
        assert!(start().await.is_err());
        assert_eq!(aws.ec2.images_tagged(RUN_TAG, &first.arn).len(), 1);
    });
}

#[test]
fn quotas_and_permissions_are_named_and_nothing_is_made() {
    on_aws(async |aws| {
        for (code, name, words) in [
            ("SnapshotLimitExceeded", "QuotaExceeded", "SnapshotLimitExceeded"),
            ("UnauthorizedOperation", "NotAuthorized", "ec2:CreateImage"),
            ("SomethingOfTomorrow", "CallRefused", "SomethingOfTomorrow"),
        ] {
            let (instance, input) = new_create(aws, json!({}));
            let refused = FaultKind::Refused { code: code.into(), message: "no".into() };
            aws.ec2.inject(Fault::on("CreateImage", refused).mentioning(&instance));
            let (run, outcome) = execute(aws, &input).await;
            let (error, cause) = failed(&outcome);
            assert_eq!(error, name);
            assert!(cause.contains(words), "{cause}");
            assert_nothing_is_left(aws, &run).await;
        }
    });
}

#[test]
fn a_stopped_instance_stays_stopped() {
    on_aws(async |aws| {
        let instance = aws.ec2.add_instance(InstanceSpec::default().state(InstanceStateName::Stopped));
        let (_, input) = new_create(aws, json!({"sourceInstanceId": instance}));
        let (_, outcome) = execute(aws, &input).await;
        let source = &succeeded(&outcome)["sourceInstance"];
        assert_eq!(
            (&source["stateBefore"], &source["stateAfter"], &source["rebooted"]),
            (&json!("stopped"), &json!("stopped"), &json!(false))
        );
        assert_eq!(aws.ec2.instance(&instance).unwrap().state, InstanceStateName::Stopped);
    });
}

#[test]
fn what_ec2_is_busy_with_is_waited_for() {
    on_aws(async |aws| {
        let refused = FaultKind::Refused { code: "PendingSnapshotLimitExceeded".into(), message: "busy".into() };
        one_image_in_spite_of(aws, refused, 1).await;
    });
}

#[test]
fn an_instance_on_its_way_is_waited_for() {
    on_aws(async |aws| {
        for (state, then) in [(InstanceStateName::Pending, "running"), (InstanceStateName::Stopping, "stopped")] {
            let instance = aws.ec2.add_instance(InstanceSpec::default().state(state));
            let (_, input) = new_create(aws, json!({"sourceInstanceId": instance}));
            let (_, outcome) = execute(aws, &input).await;
            assert_eq!(succeeded(&outcome)["sourceInstance"]["stateBefore"], then);
        }
    });
}

#[test]
fn instances_that_never_can_be_imaged_are_refused_with_the_reason() {
    on_aws(async |aws| {
        for (spec, words) in [
            (InstanceSpec::default().state(InstanceStateName::Terminated), "terminated"),
            (InstanceSpec::default().instance_store_root(), "instance store"),
        ] {
            let instance = aws.ec2.add_instance(spec);
            let (_, input) = new_create(aws, json!({"sourceInstanceId": instance}));
            let (run, outcome) = execute(aws, &input).await;
            let (error, cause) = failed(&outcome);
            assert_eq!(error, "SourceInstanceNotImageable");
            assert!(cause.contains(words), "{cause}");
            assert_nothing_is_left(aws, &run).await;
        }
    });
}

#[test]
fn every_argument_of_a_create_arrives() {
    on_aws(async |aws| {
        let (instance, _) = new_create(aws, json!({}));
        let input = event("create-with-everything.json", json!({"sourceInstanceId": instance}));
        let (_, outcome) = execute(aws, &input).await;
        let output = succeeded(&outcome);
        for field in ["name", "description", "tags", "sourceInstanceId", "snapshotWithoutReboot"] {
            assert_eq!(output[field], input[field], "{field}");
        }
        assert_eq!(output["deprecationTime"], "2030-01-31T08:00:00.000Z");
        assert_eq!(output["tagsAll"]["Stage"], "");
    });
}

#[test]
fn limits_out_of_range_are_refused_before_anything_starts() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({"timeouts": {"create": "25h"}}));
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "InvalidRequest");
        assert!(cause.starts_with("timeouts.create: must be from one minute"), "{cause}");
        assert!(aws.ec2.calls().iter().all(|call| !call.mentions(&instance)));
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn check_status_describes_an_image_by_its_id() {
    on_aws(async |aws| {
        let describe = |payload: String| {
            let output = tempfile::NamedTempFile::new().unwrap();
            let path = output.path().to_str().unwrap().to_owned();
            let function = aws.output("CheckStatusFunctionName");
            aws.aws_cli(&["lambda", "invoke", "--function-name", function, "--payload", &payload, &path]).unwrap();
            serde_json::from_slice::<serde_json::Value>(&std::fs::read(&path).unwrap()).unwrap()
        };
        let shown = describe(fs::read_to_string(root().join("events/functions/describe.json")).unwrap());
        assert_eq!((&shown["id"], &shown["state"]), (&json!("ami-0123456789abcdef0"), &json!("available")));
        let missing = describe(json!({"imageId": "ami-0aaaaaaaaaaaaaaaa"}).to_string());
        assert_eq!((&missing["status"], &missing["error"]["name"]), (&json!("Failed"), &json!("ImageNotFound")));
    });
}
