//! Each function calls exactly the actions that its role allows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
    time::Duration,
};

use ami_from_instance::{
    model::{run::RUN_TAG, tags::SERIES_TAG},
    operations::instance_state::STOPPED_BY_TAG,
};
use aws_sdk_ec2::types::{InstanceStateName, LaunchPermission, LaunchPermissionModifications, Tag};
use local_aws::{
    calls::Recorder,
    campaign::{self, AT_ONCE, OPERATIONS, Operation, Plan, SWEEP, Trouble},
    deployment::Deployment,
    execution::Outcome,
    prepare::root,
    step_functions,
};
use local_ec2::{BinResource, BinRule, Fate, FaultKind, InstanceSpec};
use serde_json::{Value, json};

use crate::{assert_nothing_is_violated, for_campaigns};

/// The services whose calls are written down.
const SERVICES: [&str; 3] = ["ec2:", "states:", "autoscaling:"];

/// What each function's role allows of these services, by the function's short name.
fn allowed(aws: &Deployment) -> BTreeMap<String, BTreeSet<String>> {
    let details = aws.aws_cli(&["iam", "get-account-authorization-details", "--filter", "Role"]).unwrap();
    let details: Value = serde_json::from_str(&details).unwrap();
    let mut allowed = BTreeMap::new();
    for role in details["RoleDetailList"].as_array().unwrap() {
        let name = role["RoleName"].as_str().unwrap();
        let Some((name, _)) = name.split_once("FunctionRole-") else { continue };
        let name = name.rsplit('-').next().unwrap();
        // StartCreate is start-create.
        let dashed: String =
            name.chars().flat_map(|c| c.is_uppercase().then_some('-').into_iter().chain(c.to_lowercase())).collect();
        let policies = role["RolePolicyList"].as_array().unwrap().iter();
        let statements = policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
        // What only EC2 may do in the role's name is no call of the function.
        let own = statements.filter(|statement| !statement["Condition"].to_string().contains("aws:CalledVia"));
        let statements = own.map(|statement| statement["Action"].clone());
        let actions = statements.flat_map(|actions| match actions {
            Value::Array(actions) => actions,
            action => vec![action],
        });
        let actions = actions.map(|action| action.as_str().unwrap().to_owned());
        allowed.insert(
            dashed.trim_start_matches('-').to_owned(),
            actions.filter(|action| SERVICES.iter().any(|service| action.starts_with(service))).collect(),
        );
    }
    allowed
}

/// Updates protect images and leave them unprotected, and deletes disable the protection of one that may go at once
/// and of one that may not.
async fn protect_and_delete(aws: &Deployment) {
    let (without, with) = ("enabled-without-cooldown", "enabled-with-cooldown");
    for protections in [vec![without, "disabled", without], vec![with]] {
        let image = aws.ec2.add_foreign_image(protections[0], &[(RUN_TAG, &aws.past_run())]);
        for protection in &protections {
            let update = json!({"action": "update", "imageId": image, "deregistrationProtection": protection});
            let ended = end(aws, &update.to_string()).await;
            assert!(matches!(ended, Outcome::Succeeded(_)), "{ended:?}");
        }
        let delete = json!({"action": "delete", "imageId": image, "disableProtection": true});
        let ended = end(aws, &delete.to_string()).await;
        assert_eq!(matches!(ended, Outcome::Succeeded(_)), protections[0] == without, "{ended:?}");
    }
}

/// Creates stop their instance: one succeeds, one cannot start it again, and one is aborted.
async fn stop_and_start(aws: &Deployment) {
    let start = async |instance: &str| {
        let request = json!({"name": format!("roles-{instance}"), "sourceInstanceId": instance, "stopInstance": true});
        aws.start_execution(aws.lifecycle_machine_arn(), None, &request.to_string()).await.unwrap()
    };
    let key = "arn:aws:kms:us-east-1:000000000000:key/of-a-volume";
    let specs = [InstanceSpec::default(), InstanceSpec::default().ungranted_key(key), InstanceSpec::default()];
    let [good, lost, aborted] = specs.map(|spec| aws.ec2.add_instance(spec));
    assert!(matches!(start(&good).await.wait().await.unwrap(), Outcome::Succeeded(_)));
    let ended = start(&lost).await.wait().await.unwrap();
    assert!(matches!(&ended, Outcome::Ended { error, .. } if error == "InstanceNotRestarted"), "{ended:?}");
    // Its owner sees to it, so that the sweep only has the image to ask about.
    let tag = Tag::builder().key(STOPPED_BY_TAG).build();
    aws.ec2.client().delete_tags().resources(lost).tags(tag).send().await.unwrap();
    let is_up = || aws.ec2.instance(&aborted).unwrap().state == InstanceStateName::Running;
    let run = start(&aborted).await;
    while is_up() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    aws.step_functions().stop_execution().execution_arn(&run.arn).send().await.unwrap();
    while !is_up() || aws.ec2.instance(&aborted).unwrap().tags.contains_key(STOPPED_BY_TAG) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts a run, and says how it ended.
async fn end(aws: &Deployment, request: &str) -> Outcome {
    let run = aws.start_execution(aws.lifecycle_machine_arn(), None, request).await.unwrap();
    run.wait().await.unwrap()
}

/// Every operation without a fault, a run that is aborted, and one whose image was begun by a lost answer.
async fn every_operation(aws: &Arc<Deployment>) {
    let everything =
        OPERATIONS.iter().enumerate().map(|(n, operation)| Plan::with("roles", n as u64, *operation, vec![]));
    let aborted = Plan::with("roles", 99, Operation::Create, vec![Trouble::AbortedAt("Look".to_owned())]);
    let lost = FaultKind::LostResponse;
    let lost = Trouble::OwnCall { action: "CreateImage".to_owned(), kind: lost, times: 1, after: 0 };
    let lost = Plan::with("roles", 100, Operation::Create, vec![lost]);
    let plans = everything.chain([aborted, lost]).collect();
    assert_nothing_is_violated(&campaign::run_plans(aws, plans, AT_ONCE).await.unwrap());
}

/// What some of the requests among the events ask for.
async fn requests(aws: &Deployment) {
    let read = |file: &str| fs::read_to_string(root().join("events/requests").join(file)).unwrap();
    // The seeded instance boots by UEFI.
    let files =
        ["create-with-everything.json", "create-without-data-volumes.json", "update.json", "update-remove.json"];
    let more = ["update-watermarks.json", "update-watermarks-remove.json", "disable.json", "enable.json"];
    for file in files.into_iter().chain(more) {
        assert!(matches!(end(aws, &read(file)).await, Outcome::Succeeded(_)), "{file}");
    }
    let ended = end(aws, &read("adopt.json")).await;
    assert!(matches!(&ended, Outcome::Ended { error, .. } if error == "ImageNotManaged"), "{ended:?}");
}

/// An operation goes on after its timeout until it is stopped.
async fn too_late(aws: &Deployment) {
    let instance = aws.ec2.add_instance(InstanceSpec::default());
    aws.ec2.next_image(&instance, Fate::Never);
    let request = json!({"name": "roles-late", "sourceInstanceId": instance, "timeouts": {"create": "1m"}});
    let ended = end(aws, &request.to_string()).await;
    assert!(matches!(&ended, Outcome::Ended { error, .. } if error == "TimedOut"), "{ended:?}");
}

/// Images end until the event of one has come amid a wait; how many that takes depends on how busy the computer is.
async fn events(aws: &Deployment) {
    let is_woken = || aws.step_functions_calls().unwrap().iter().any(|call| call.action == "SendTaskSuccess");
    for batch in 0..10 {
        let mut runs = vec![];
        for number in 0..5 {
            let (name, takes) = (format!("roles-event-{batch}-{number}"), Duration::from_secs(300 + 40 * number));
            runs.push(aws.create_without_progress(&name, takes).await.unwrap());
        }
        for run in runs {
            assert!(matches!(run.wait().await.unwrap(), Outcome::Succeeded(_)));
        }
        if is_woken() {
            return;
        }
    }
}

/// A run asks whether the name that another one's image has is about to be free.
async fn a_rival(aws: &Deployment) {
    let name = "roles-rival";
    let run = aws.create_without_progress(name, Duration::from_secs(460)).await.unwrap();
    let begun = |call: &local_ec2::Call| call.action == "CreateImage" && call.mentions(name);
    while !aws.ec2.calls().iter().any(begun) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let request = json!({"name": name, "sourceInstanceId": aws.ec2.add_instance(InstanceSpec::default())});
    let rival = end(aws, &request.to_string()).await;
    assert!(matches!(&rival, Outcome::Ended { error, .. } if error == "NameTaken"), "{rival:?}");
    assert!(matches!(run.wait().await.unwrap(), Outcome::Succeeded(_)));
}

/// Images of a series are deprecated, disabled for a quarantine, and enabled again as they are to stay.
async fn prunes(aws: &Deployment) {
    let tags: &[(&str, &str)] = &[(RUN_TAG, &aws.past_run()), (SERIES_TAG, "roles-series")];
    let ids = [1, 2].map(|number| aws.ec2.add_foreign_image(format!("roles-series-{number}"), tags));
    for id in &ids {
        let permission = LaunchPermission::builder().user_id("111122223333").build();
        let add = LaunchPermissionModifications::builder().add(permission).build();
        aws.ec2.client().modify_image_attribute().image_id(id).launch_permission(add).send().await.unwrap();
    }
    let prune = async |retain: Value| {
        let request = json!({"action": "prune", "series": "roles-series", "retain": retain});
        end(aws, &request.to_string()).await
    };
    // EC2's time is far ahead of the functions' here, so that it takes the time for a past one.
    let refused = prune(json!({"count": 1, "action": "DEPRECATE"})).await;
    assert!(matches!(&refused, Outcome::Ended { cause, .. } if cause.contains("must be in the future")), "{refused:?}");
    for (retain, field) in [(json!({"count": 1, "quarantine": "1d"}), "disabled"), (json!({"count": 2}), "enabled")] {
        let outcome = prune(retain).await;
        let Outcome::Succeeded(result) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(result[field].as_array().map(Vec::len), Some(1), "{result}");
    }
}

/// An image goes to the Recycle Bin, and comes back.
async fn restores(aws: &Deployment) {
    for resource in [BinResource::Image, BinResource::Snapshot] {
        aws.ec2.add_bin_rule(BinRule::new(resource, Duration::from_secs(24 * 3600)).with_tag("Bin", "yes"));
    }
    let instance = aws.ec2.add_instance(InstanceSpec::default());
    let request = json!({"name": "roles-restored", "sourceInstanceId": instance, "tags": {"Bin": "yes"}});
    let Outcome::Succeeded(made) = end(aws, &request.to_string()).await else { panic!("it is made") };
    for action in ["delete", "restore"] {
        let request = json!({"action": action, "imageId": made["id"]});
        let outcome = end(aws, &request.to_string()).await;
        assert!(matches!(outcome, Outcome::Succeeded(_)), "{action}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_function_calls_exactly_the_actions_its_role_allows() {
    let aws = &for_campaigns().await;
    tokio::join!(
        every_operation(aws),
        requests(aws),
        protect_and_delete(aws),
        stop_and_start(aws),
        too_late(aws),
        events(aws),
        a_rival(aws),
        prunes(aws),
        restores(aws)
    );
    // A sweep comes every twenty seconds, and asks about the run that could not start its instance: its image stays.
    let asks = |call: &step_functions::Call| call.caller == SWEEP && call.action == "DescribeExecution";
    while !aws.step_functions_calls().unwrap().iter().any(asks) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut called: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let ec2 = aws.ec2.calls().into_iter().map(|call| (call.caller.clone(), call.permission()));
    let states =
        aws.step_functions_calls().unwrap().into_iter().map(|call| (call.caller, format!("states:{}", call.action)));
    for (caller, action) in ec2.chain(states) {
        if let Some(function) = caller.strip_prefix("ami-from-instance-") {
            called.entry(function.to_owned()).or_default().insert(action);
        }
    }
    // CreateImage puts the tags on by itself, which takes this permission and no call.
    called.entry("start-create".to_owned()).or_default().insert("ec2:CreateTags".to_owned());
    let mut allowed = allowed(aws);
    // This deployment lets it take over nothing.
    assert_eq!(allowed.remove("adopt"), Some(BTreeSet::new()));
    assert_eq!(called, allowed);
    Recorder::new("roles").record(aws).unwrap();
}
