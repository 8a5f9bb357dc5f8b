//! What a create takes over from its source instance: tags, volumes, the series.

use std::time::Duration;

use ami_from_instance::{
    model::{
        run::RUN_TAG,
        tags::{SERIES_TAG, Tags, is_reserved},
    },
    operations,
};
use aws_sdk_ec2::types::Tag;
use local_ec2::{Ec2, Fate, InstanceSpec, SEED_INSTANCE};
use proptest::{
    collection::btree_map,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use super::{RUN, app, begin, call, create_request, ec2, plan_of, tags, whole};

/// A create of this instance with these fields besides.
fn create_of(instance: &str, fields: Value) -> Value {
    let mut request = create_request();
    request["sourceInstanceId"] = json!(instance);
    for (field, value) in fields.as_object().unwrap() {
        request[field] = value.clone();
    }
    request
}

/// An instance with a data volume and another one.
fn with_volumes(ec2: &Ec2) -> String {
    ec2.add_instance(InstanceSpec::default().volume("/dev/sdf", 20, "gp3").volume("/dev/sdg", 30, "gp3"))
}

/// Why the plan refuses the request; nothing has been changed then.
async fn refusal(ec2: &Ec2, request: Value) -> String {
    let error = plan_of(&app(ec2), RUN, request).await.unwrap_err();
    assert!(ec2.mutating_calls().is_empty());
    error.to_string()
}

/// The whole create; gives what it gave or why it failed.
async fn created(ec2: &Ec2, request: Value) -> Value {
    let document = whole(ec2, &app(ec2), request).await;
    if document["status"] == "Succeeded" { document["result"].clone() } else { document["error"].clone() }
}

#[tokio::test]
async fn the_instances_tags_lie_between_the_default_ones_and_the_users_on_image_and_snapshots() {
    let ec2 = ec2().await;
    let spec = InstanceSpec::default().tag("Team", "instance").tag("Stage", "instance").tag("Cost", "42");
    let instance = ec2.add_instance(spec.tag("aws:stack", "x").tag(RUN_TAG, "forged").tag(SERIES_TAG, "forged"));
    let result = created(&ec2, create_of(&instance, json!({"copyTags": true}))).await;
    assert_eq!(result["copiedTags"], json!(["Cost", "Stage", "Team"]));
    let expected =
        tags(&[("Team", "web"), ("Stage", "instance"), ("Cost", "42"), (RUN_TAG, RUN), (SERIES_TAG, &instance)]);
    assert_eq!(ec2.images()[0].tags, expected);
    assert!(ec2.snapshots_tagged(RUN_TAG, RUN).iter().all(|snapshot| snapshot.tags == expected));
    assert!(ec2.calls_of("CreateTags").is_empty());
}

#[tokio::test]
async fn patterns_say_which_of_the_instances_tags_are_copied() {
    let ec2 = ec2().await;
    let spec = InstanceSpec::default().tag("CostCenter", "1").tag("CostOwner", "2").tag("Patch Group", "3");
    let instance = ec2.add_instance(spec);
    for (copied, expected) in [
        (json!({"include": ["Cost*"]}), json!(["CostCenter", "CostOwner"])),
        (json!({"include": ["Cost*"], "exclude": ["*Owner"]}), json!(["CostCenter"])),
        (json!({"exclude": ["Cost??????", "Cost?????"]}), json!(["Patch Group"])),
        (json!({"include": ["cost*"]}), json!([])),
        (json!(false), Value::Null),
    ] {
        let plan = plan_of(&app(&ec2), RUN, create_of(&instance, json!({"copyTags": copied}))).await.unwrap();
        assert_eq!(plan["operations"][0]["arguments"]["copiedTags"], expected, "{copied}");
    }
}

#[tokio::test]
async fn more_tags_than_fit_are_refused_before_anything_is_touched() {
    let ec2 = ec2().await;
    let spec = (0..50).fold(InstanceSpec::default(), |spec, n| spec.tag(format!("k{n:02}"), ""));
    let instance = ec2.add_instance(spec);
    let with = |copied: Value| create_of(&instance, json!({"copyTags": copied}));
    let error = refusal(&ec2, with(json!(true))).await;
    assert!(
        error.starts_with("copyTags.exclude: must leave out some of the instance's 50 tags: there are 52"),
        "{error}"
    );
    assert_eq!(created(&ec2, with(json!({"exclude": ["k0*"]}))).await["state"], "available");
}

#[tokio::test]
async fn the_tags_are_those_of_the_plan_whatever_becomes_of_the_instances_meanwhile() {
    let ec2 = ec2().await;
    let instance = ec2.add_instance(InstanceSpec::default().tag("Cost", "42"));
    let app = app(&ec2);
    let document = super::first_operation(&app, RUN, create_of(&instance, json!({"copyTags": true}))).await;
    let tag = Tag::builder().key("Cost").value("43").build();
    ec2.client().create_tags().resources(&instance).tags(tag).send().await.unwrap();
    for _ in 0..2 {
        super::call(&app, "begin", document.clone()).await.unwrap();
    }
    let images = ec2.images();
    assert_eq!((images.len(), images[0].tags["Cost"].as_str()), (1, "42"));
}

/// Random tags and patterns: the image has the default ones, over them the instance's, and over these the user's.
#[test]
fn the_tags_are_merged_by_their_precedence_for_all_instances_and_requests() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ec2, app) = runtime.block_on(async {
        let settings = local_ec2::Settings { speed: 0.0, request_buckets: false, ..local_ec2::Settings::default() };
        let ec2 = Ec2::start(settings).await.unwrap();
        let app = app(&ec2);
        (ec2, app)
    });
    let defaults = app.settings.default_tags.clone().unwrap();
    let some = || btree_map("Team|Stage|aws:[ab]|ami-from-instance:[ab]|[a-c]{1,2}", "[0-9]{0,2}", 0..8);
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    let property = |instance_tags: Tags, mut own: Tags| {
        own.retain(|key, _| !is_reserved(key));
        let spec = instance_tags.iter().fold(InstanceSpec::default(), |spec, (key, value)| spec.tag(key, value));
        let request = create_of(&ec2.add_instance(spec), json!({"copyTags": true, "tags": own}));
        let plan = runtime.block_on(plan_of(&app, RUN, request)).unwrap();
        let sent: Tags = serde_json::from_value(plan["operations"][0]["arguments"]["tags"].clone()).unwrap();
        let mut expected = defaults.clone();
        expected.extend(instance_tags.into_iter().filter(|(key, _)| !is_reserved(key)));
        expected.extend(own);
        prop_assert_eq!(sent, expected);
        Ok(())
    };
    runner.run(&(some(), some()), |(instance, own)| property(instance, own)).unwrap();
}

#[tokio::test]
async fn a_device_that_is_left_out_never_has_a_snapshot_and_is_sent_as_an_empty_text() {
    let ec2 = ec2().await;
    let instance = with_volumes(&ec2);
    let mappings = json!([{"deviceName": "/dev/sdf", "noDevice": true},
        {"deviceName": "/dev/xvda", "ebs": {"deleteOnTermination": false}}]);
    let result = created(&ec2, create_of(&instance, json!({"blockDeviceMappings": mappings}))).await;
    let devices = result["ebsBlockDevice"].as_array().unwrap();
    let shown: Vec<_> =
        devices.iter().map(|one| (one["deviceName"].as_str().unwrap(), &one["deleteOnTermination"])).collect();
    assert_eq!(shown, [("/dev/xvda", &json!(false)), ("/dev/sdg", &json!(false))]);
    assert_eq!(ec2.snapshots().len(), 2);
    let calls = ec2.calls_of("CreateImage");
    let no_device = calls[0].parameters.iter().filter(|(name, _)| name.ends_with(".NoDevice"));
    assert_eq!(no_device.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), [""]);
}

#[tokio::test]
async fn data_volumes_are_left_out_all_or_by_their_tags() {
    for (fields, volumes) in [
        (json!({"excludeDataVolumes": true}), 1),
        (json!({"excludeDataVolumeTags": {"Backup": "no"}}), 2),
        (json!({"excludeDataVolumeTags": {"Backup": "yes"}}), 3),
        (json!({"excludeDataVolumes": false}), 3),
    ] {
        let ec2 = ec2().await;
        let instance = with_volumes(&ec2);
        let answer = ec2.client().describe_instances().instance_ids(&instance).send().await.unwrap();
        let tag = Tag::builder().key("Backup").value("no").build();
        for mapping in answer.reservations()[0].instances()[0].block_device_mappings() {
            // The root volume stays, whatever its tags say.
            if mapping.device_name() != Some("/dev/sdg") {
                let volume = mapping.ebs().unwrap().volume_id().unwrap();
                ec2.client().create_tags().resources(volume).tags(tag.clone()).send().await.unwrap();
            }
        }
        let result = created(&ec2, create_of(&instance, fields.clone())).await;
        let devices = result["ebsBlockDevice"].as_array().unwrap();
        assert_eq!((devices.len(), ec2.snapshots().len()), (volumes, volumes), "{fields}: {result}");
        assert_eq!(devices[0]["deviceName"], "/dev/xvda");
    }
}

#[tokio::test]
async fn a_device_that_the_instance_has_not_and_the_root_volume_are_refused_with_the_devices_there_are() {
    let ec2 = ec2().await;
    let instance = with_volumes(&ec2);
    for (device, problem) in [
        ("/dev/xvdf", "must be a device of the instance, which has /dev/xvda, /dev/sdf, /dev/sdg"),
        ("/dev/xvda", "must not be /dev/xvda: the root volume cannot be left out"),
    ] {
        let mappings = json!([{"deviceName": device, "noDevice": true}]);
        let error = refusal(&ec2, create_of(&instance, json!({"blockDeviceMappings": mappings}))).await;
        assert_eq!(error, format!("blockDeviceMappings[0].deviceName: {problem}"));
    }
}

#[tokio::test]
async fn an_image_with_a_volume_that_was_to_be_left_out_fails() {
    let ec2 = ec2().await;
    let instance = with_volumes(&ec2);
    ec2.next_image(&instance, Fate::TakesEveryVolume);
    let error = created(&ec2, create_of(&instance, json!({"excludeDataVolumes": true}))).await;
    assert_eq!(error["name"], "ImageFailed");
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with("exactly the volumes /dev/xvda, and differs in /dev/sdf, /dev/sdg"), "{message}");
}

#[tokio::test]
async fn every_image_counts_in_a_series_that_is_the_instances_unless_the_request_names_one() {
    let ec2 = ec2().await;
    for (fields, series) in [
        (json!({}), SEED_INSTANCE),
        (json!({"name": "web-1", "series": "web"}), "web"),
        (json!({"name": "web-2", "series": "{{instanceId}} nightly"}), &format!("{SEED_INSTANCE} nightly")),
    ] {
        let result = created(&ec2, create_of(SEED_INSTANCE, fields)).await;
        assert_eq!(result["series"], series);
        let snapshots = ec2.snapshots_tagged(SERIES_TAG, series);
        assert_eq!((ec2.images_tagged(SERIES_TAG, series).len(), snapshots.len()), (1, 2));
    }
}

#[tokio::test]
async fn days_until_the_deprecation_count_from_the_runs_start() {
    let ec2 = ec2().await;
    let app = app(&ec2);
    let of = async |request: Value| {
        let input = json!({"run": RUN, "startTime": "2026-11-25T08:00:20Z", "request": request});
        ami_from_instance::plan::handle(&app, input).await.map(|plan| serde_json::to_value(plan).unwrap())
    };
    let plan = of(create_of(SEED_INSTANCE, json!({"deprecateAfter": "3650d"}))).await.unwrap();
    let time = &plan["operations"][1]["arguments"]["deprecation"]["at"];
    assert_eq!(time.as_i64().map(|time| time - 1_795_593_600), Some(3650 * 86_400), "{plan}");
    let both = json!({"deprecateAfter": "90d", "deprecationTime": "2030-01-31T08:00:00Z"});
    let error = of(create_of(SEED_INSTANCE, both)).await.unwrap_err().to_string();
    assert_eq!(error, "deprecateAfter: must not be given beside deprecationTime");
    let too_soon = json!({"deprecateAfter": "1d", "timeouts": {"create": "24h"}});
    let error = of(create_of(SEED_INSTANCE, too_soon)).await.unwrap_err().to_string();
    assert!(error.starts_with("deprecateAfter: must be later than the timeouts of create and update"), "{error}");
}

#[tokio::test]
async fn a_plan_of_a_release_without_a_series_is_still_begun() {
    let ec2 = ec2().await;
    let app = app(&ec2);
    let mut document = super::first_operation(&app, RUN, create_request()).await;
    document["arguments"].as_object_mut().unwrap().remove("series");
    document["step"] = json!("begin");
    assert_eq!(operations::answer(&app, document).await.unwrap()["status"], "Pending");
    assert!(!ec2.images()[0].tags.contains_key(SERIES_TAG));
    begin(&ec2, create_request()).await;
}

#[tokio::test]
async fn a_create_waits_a_little_longer_each_time_for_an_instance_that_is_on_its_way_back() {
    let ec2 = ec2().await;
    let instance = with_volumes(&ec2);
    let mut document = begin(&ec2, create_of(&instance, json!({}))).await;
    ec2.advance(Duration::from_secs(3600));
    let power = ec2.client();
    power.stop_instances().instance_ids(&instance).send().await.unwrap();
    ec2.advance(Duration::from_secs(120));
    power.start_instances().instance_ids(&instance).send().await.unwrap();
    let mut waits = vec![];
    for waited in [600, 700] {
        document["waitedSeconds"] = json!(waited);
        document = call(&app(&ec2), "look", document).await.unwrap();
        assert_eq!(document["reason"], "the source instance is not back yet", "{document}");
        waits.push(document["waitSeconds"].as_u64().unwrap());
    }
    assert_eq!(waits, [5, 13]);
}
