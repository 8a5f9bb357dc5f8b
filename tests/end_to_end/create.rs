//! A create: one image, or nothing left behind.

use std::time::Duration;

use ami_from_instance::{model::run::RUN_TAG, operations::instance_state::STOPPED_BY_TAG};
use aws_sdk_ec2::types::{ImageState, InstanceStateName, Tag, Volume};
use local_ec2::{Fate, InstanceSpec};
use serde_json::json;

use crate::{
    ends::{assert_nothing_is_left, failed, succeeded},
    event, execute, new_create, on_aws, unique,
};

#[test]
fn a_running_instance_becomes_one_image_with_a_snapshot_of_each_volume_all_tagged() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({}));
        let (run, outcome) = execute(aws, &input).await;
        let output = succeeded(&outcome);

        let images = aws.ec2.images_tagged(RUN_TAG, &run.arn);
        let snapshots = aws.ec2.snapshots_tagged(RUN_TAG, &run.arn);
        assert_eq!((images.len(), snapshots.len()), (1, 2));
        let image = &images[0];
        assert_eq!(image.state, ImageState::Available);
        assert_eq!(image.tags["Team"], "web");
        assert!(snapshots.iter().all(|snapshot| snapshot.tags == image.tags));

        assert_eq!(output["id"], image.id);
        assert_eq!(output["name"], input["name"]);
        assert_eq!(output["description"], input["description"]);
        assert_eq!(output["state"], "available");
        assert_eq!(output["arn"], format!("arn:aws:ec2:us-east-1::image/{}", image.id));
        assert_eq!(output["tags"], input["tags"]);
        assert_eq!(output["tagsAll"], json!(image.tags));
        assert_eq!(output["ebsBlockDevice"].as_array().map(Vec::len), Some(2));
        assert_eq!(output["rootSnapshotId"], output["ebsBlockDevice"][0]["snapshotId"]);
        assert_eq!(output["snapshotWithoutReboot"], false);
        assert_eq!(output["sourceInstance"]["rebooted"], true);
        assert_eq!(output["sourceInstance"]["stateAfter"], "running");

        let instance = aws.ec2.instance(&instance).unwrap();
        assert_eq!((instance.state, instance.reboots.len()), (InstanceStateName::Running, 1));
    });
}

#[test]
fn an_image_has_the_tags_the_volumes_and_the_series_that_the_request_takes_over() {
    on_aws(async |aws| {
        let spec = InstanceSpec::default().volume("/dev/sdf", 20, "gp3").volume("/dev/sdg", 20, "gp3");
        let instance = aws.ec2.add_instance(spec.tag("Name", "shop").tag("Cost", "42").tag("Patch Group", "a"));
        let found = aws.ec2.client().describe_volumes().send().await.unwrap();
        let is_scratch = |volume: &&Volume| {
            let attached = volume.attachments().first().unwrap();
            attached.instance_id() == Some(&instance) && attached.device() == Some("/dev/sdg")
        };
        let scratch = found.volumes().iter().find(is_scratch).unwrap().volume_id().unwrap();
        let backup = Tag::builder().key("Backup").value("no").build();
        aws.ec2.client().create_tags().resources(scratch).tags(backup).send().await.unwrap();

        let changes = json!({"name": unique("image"), "sourceInstanceId": instance});
        let (run, outcome) = execute(aws, &event("create-without-data-volumes.json", changes)).await;
        let output = succeeded(&outcome);
        assert_eq!((&output["series"], &output["copiedTags"]), (&json!("shop"), &json!(["Cost", "Name"])));
        assert_eq!((&output["tagsAll"]["Cost"], &output["tagsAll"]["Patch Group"]), (&json!("42"), &json!(null)));
        let devices =
            output["ebsBlockDevice"].as_array().unwrap().iter().map(|one| one["deviceName"].as_str().unwrap());
        assert_eq!(devices.collect::<Vec<_>>(), ["/dev/xvda", "/dev/sdf"]);
        assert_eq!(aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).len(), 2);
        assert!(output["deprecationTime"].is_string());
    });
}

#[test]
fn an_instance_is_stopped_for_its_image_and_runs_again_before_the_image_is_available() {
    on_aws(async |aws| {
        let instance = aws.ec2.add_instance(InstanceSpec::default().volume("/dev/sdf", 20, "gp3"));
        aws.ec2.next_image(&instance, Fate::Takes(Duration::from_secs(900)));
        let changes = json!({"name": unique("image"), "sourceInstanceId": instance});
        let (run, outcome) = execute(aws, &event("create-with-stop.json", changes)).await;
        let output = succeeded(&outcome);
        let source = &output["sourceInstance"];
        assert_eq!((&source["stateBefore"], &source["stateAfter"]), (&json!("running"), &json!("running")));
        assert!(source["downSeconds"].is_u64() && source["stoppedAt"].is_string(), "{source}");
        assert_eq!(output["state"], "available");
        assert_eq!(aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).len(), 2);
        let after = aws.ec2.instance(&instance).unwrap();
        assert_eq!((after.state, after.reboots.len()), (InstanceStateName::Running, 0));
        assert!(!after.tags.contains_key(STOPPED_BY_TAG));
        let calls: Vec<_> = aws.ec2.mutating_calls().into_iter().filter(|call| call.mentions(&instance)).collect();
        let actions: Vec<_> = calls.iter().map(|call| call.action.as_str()).collect();
        assert_eq!(actions, ["CreateTags", "StopInstances", "CreateImage", "StartInstances", "DeleteTags"]);
        let took = calls[4].at.duration_since(calls[2].at).unwrap();
        assert!(took < Duration::from_secs(600), "{took:?}");
    });
}

#[test]
fn an_instance_that_is_not_to_be_rebooted_goes_on_running() {
    on_aws(async |aws| {
        let instance = aws.ec2.add_instance(InstanceSpec::default());
        let changes = json!({"name": unique("image"), "sourceInstanceId": instance});
        let (_, outcome) = execute(aws, &event("create-without-reboot.json", changes)).await;
        let output = succeeded(&outcome);
        assert_eq!(
            (&output["snapshotWithoutReboot"], &output["sourceInstance"]["rebooted"]),
            (&true.into(), &false.into())
        );
        assert!(aws.ec2.instance(&instance).unwrap().reboots.is_empty());
    });
}

#[test]
fn an_image_that_fails_is_removed_and_the_run_fails_with_ec2s_reason() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({}));
        aws.ec2.next_image(
            &instance,
            Fate::Fail {
                state: ImageState::Failed,
                code: "Client.SnapshotLimit".to_owned(),
                message: "too many snapshots".to_owned(),
                after: Duration::from_secs(40),
            },
        );
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "ImageFailed");
        assert!(cause.contains("Client.SnapshotLimit: too many snapshots"), "{cause}");
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn a_create_that_exceeds_its_limit_is_stopped_and_removed() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({"timeouts": {"create": "3m"}}));
        aws.ec2.next_image(&instance, Fate::Never);
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "TimedOut");
        let start = "the create took longer than its timeout of 180 seconds (timeouts.create): EC2 has made 99 %";
        assert!(cause.starts_with(start), "{cause}");
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn an_image_of_somebody_else_keeps_its_name_and_is_not_touched() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({}));
        let name = input["name"].as_str().unwrap();
        let foreign = aws.ec2.add_foreign_image(name, &[("Team", "other")]);
        let before = aws.ec2.image(&foreign);
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "NameTaken");
        assert!(cause.contains(&foreign), "{cause}");
        assert_eq!(aws.ec2.image(&foreign), before);
        assert!(aws.ec2.instance(&instance).unwrap().reboots.is_empty());
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn an_instance_that_does_not_exist_is_named() {
    on_aws(async |aws| {
        let (_, input) = new_create(aws, json!({"sourceInstanceId": "i-0aaaaaaaaaaaaaaaa"}));
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "SourceInstanceNotFound");
        assert!(cause.contains("i-0aaaaaaaaaaaaaaaa"), "{cause}");
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn a_misspelt_field_is_refused_and_nothing_is_called_that_changes_anything() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({"snapshotWithoutReboots": true}));
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "InvalidRequest");
        assert!(cause.starts_with("snapshotWithoutReboots: is no field"), "{cause}");
        assert!(aws.ec2.mutating_calls().iter().all(|call| !call.mentions(&instance)));
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn bad_input_of_every_kind_ends_the_run_with_the_name_of_its_field() {
    on_aws(async |aws| {
        let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
        let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("k{n}"), json!(""))).collect();
        for (field, value) in [
            ("name", json!("ab")),
            ("name", json!("ключ")),
            ("sourceInstanceId", json!("ami-0123456789abcdef0")),
            ("snapshotWithoutReboot", json!("yes")),
            ("description", json!("d".repeat(200 * 1024))),
            ("description", json!("\u{7}")),
            ("deprecationTime", json!("2001-01-01T00:00:00Z")),
            ("tags", json!(many)),
            ("tags", json!({"aws:name": ""})),
            ("tags", deep.clone()),
            ("timeouts", json!({"create": 1e300})),
            ("unheardOf", deep),
        ] {
            let (instance, input) = new_create(aws, json!({field: value}));
            let (run, outcome) = execute(aws, &input).await;
            let (error, cause) = failed(&outcome);
            assert_eq!(error, "InvalidRequest", "{cause}");
            // What is nested more deeply than the function can read has no field for it.
            assert!(cause.starts_with(field) || cause.starts_with("input: must be JSON that is not nested"), "{cause}");
            assert!(aws.ec2.calls().iter().all(|call| !call.mentions(&instance)));
            assert_nothing_is_left(aws, &run).await;
        }
    });
}
