//! Two stacks in one account and Region.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ami_from_instance::model::run::{RUN_TAG, Run};
use local_aws::{
    deployment::{Deployment, STACK},
    execution::{Execution, Outcome},
    step_functions::Call,
};
use local_ec2::{Fate, Tags};
use serde_json::{Value, json};

use super::{BESIDE, SWEEPS, beside, create, on_aws, start, stop, succeeds, until};

async fn fails(aws: &Deployment, name: &str, request: &Value) -> String {
    match start(aws, name, request).await.wait().await.unwrap() {
        Outcome::Ended { error, .. } => error,
        succeeded => panic!("{name}: {succeeded:?}"),
    }
}

/// The names of a stack's resources of the kinds that a deploy or a deletion of another stack could touch.
fn resources(aws: &Deployment, stack: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    let list = |arguments: &[&str]| {
        let text = aws.aws_cli(&[arguments, &["--output", "text"]].concat()).unwrap();
        let names = text.split_whitespace().filter(|name| {
            let rest = name.rsplit('/').next().unwrap().strip_prefix(stack);
            // The first stack's name begins the others'.
            rest.is_some_and(|rest| !BESIDE.iter().any(|other| rest.starts_with(&format!("-{other}"))))
        });
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    BTreeMap::from([
        ("functions", list(&["lambda", "list-functions", "--query", "Functions[].FunctionName"])),
        ("rules", list(&["events", "list-rules", "--query", "Rules[].Name"])),
        ("schedules", list(&["scheduler", "list-schedules", "--query", "Schedules[].Name"])),
        ("log groups", list(&["logs", "describe-log-groups", "--query", "logGroups[].logGroupName"])),
        ("roles", list(&["iam", "list-roles", "--query", "Roles[].RoleName"])),
        ("machines", list(&["stepfunctions", "list-state-machines", "--query", "stateMachines[].name"])),
    ])
}

/// The ids of the images and snapshots of one stack's runs, and their tags.
fn made_by(aws: &Deployment) -> BTreeSet<String> {
    let machine = aws.lifecycle_machine_arn();
    let is_of = |tags: &Tags| tags.get(RUN_TAG).is_some_and(|run| Run::new(run).is_of(machine));
    let images = aws.ec2.images().into_iter().filter(|image| is_of(&image.tags));
    let images = images.map(|image| format!("{} {} {:?} {:?}", image.id, image.state, image.tags, image.description));
    let snapshots = aws.ec2.snapshots().into_iter().filter(|snapshot| is_of(&snapshot.tags));
    images.chain(snapshots.map(|snapshot| format!("{} {:?}", snapshot.id, snapshot.tags))).collect()
}

/// Starts a create, and aborts it once its snapshots are there.
async fn abort_a_create(aws: &Deployment, name: &str) -> Execution {
    let (instance, request) = create(&aws.ec2, name);
    aws.ec2.next_image(instance, Fate::Never);
    let run = start(aws, name, &request).await;
    until(async || !aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
    stop(aws, &run).await;
    run
}

/// No rollback of a run of one stack is started by another.
fn assert_nothing_crosses(one: &Deployment, two: &Deployment) {
    let calls = one.step_functions_calls().unwrap();
    let rollbacks: Vec<_> = calls.iter().filter(|call| call.action == "StartExecution").collect();
    for (stack, other) in [(one, two), (two, one)] {
        let of_other = other.lifecycle_machine_arn().replace(":stateMachine:", ":execution:") + ":";
        let crosses = |call: &&&Call| {
            let started: Value = serde_json::from_str(&call.body).unwrap();
            started["stateMachineArn"] == stack.output("OperationMachineArn") && call.body.contains(&of_other)
        };
        let crossed = rollbacks.iter().find(crosses);
        assert!(crossed.is_none(), "{crossed:?}");
    }
    assert!(!rollbacks.is_empty());
}

/// Neither changes, deletes or rolls back what the other has made.
async fn assert_the_other_may_not(stack: &Deployment, image: &Value) {
    let update = json!({"action": "update", "imageId": image["id"], "description": "mine"});
    assert_eq!(fails(stack, "meddles-1", &update).await, "ImageNotManaged");
    let delete = json!({"action": "delete", "imageId": image["id"]});
    assert_eq!(fails(stack, "meddles-2", &delete).await, "ImageNotManaged");
    let run = image["tagsAll"][RUN_TAG].as_str().unwrap();
    let rollback = json!({"operation": "rollback", "run": run, "timeoutSeconds": 900, "arguments": {}});
    let operations = stack.output("OperationMachineArn");
    let rollback = stack.start_execution(operations, None, &rollback.to_string()).await.unwrap();
    assert!(matches!(rollback.wait().await.unwrap(), Outcome::Succeeded(_)));
}

/// Aborts a create whose snapshot is locked, so that its rollback leaves it. Gives the snapshot.
async fn leave_a_snapshot(aws: &Deployment, name: &str) -> String {
    let (instance, request) = create(&aws.ec2, name);
    aws.ec2.next_image(instance, Fate::Never);
    let run = start(aws, name, &request).await;
    until(async || !aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
    let snapshot = aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).remove(0).id;
    aws.ec2.lock_snapshot(&snapshot);
    stop(aws, &run).await;
    until(async || aws.ec2.images_tagged(RUN_TAG, &run.arn).is_empty()).await;
    snapshot
}

#[test]
fn two_stacks_touch_nothing_of_each_other_and_one_works_on_when_the_other_is_deleted() {
    on_aws(async |one| {
        let two = beside(one, "two", &[SWEEPS]);
        let before = resources(one, STACK);
        assert!(before.values().all(|names| !names.is_empty()), "{before:?}");

        // Both are used.
        let of_one = succeeds(one, "same-name", &create(&one.ec2, "one").1).await;
        let of_two = succeeds(&two, "same-name", &create(&one.ec2, "two").1).await;
        assert_ne!(of_one["id"], of_two["id"]);
        let kept = [made_by(one), made_by(&two)];
        assert_the_other_may_not(one, &of_two).await;
        assert_the_other_may_not(&two, &of_one).await;

        // The rule of each rolls its own runs back; what the second's cannot remove, no sweep of the first touches.
        for (stack, name) in [(one, "aborted-one"), (&two, "aborted-two")] {
            let aborted = abort_a_create(stack, name).await;
            until(async || one.ec2.snapshots_tagged(RUN_TAG, &aborted.arn).is_empty()).await;
        }
        let left = leave_a_snapshot(&two, "left").await;

        // The second is deleted while a run of the first waits for its image.
        let waiting = one.create_without_progress("waiting", Duration::from_secs(900)).await.unwrap();
        until(async || !one.ec2.images_tagged(RUN_TAG, &waiting.arn).is_empty()).await;
        let image = one.ec2.images_tagged(RUN_TAG, &waiting.arn).remove(0).id;
        two.delete().unwrap();
        assert_eq!(resources(one, STACK), before);
        let mut of_the_second = resources(one, &format!("{STACK}-two"));
        // As on AWS, a call that was under way makes its log's group again.
        of_the_second.remove("log groups");
        assert!(of_the_second.values().all(BTreeSet::is_empty), "{of_the_second:?}");
        one.ec2.unlock_snapshot(&left);

        // The first's machines, its rule for EC2's events, its rule for aborted runs and its sweep go on.
        assert!(matches!(waiting.wait().await.unwrap(), Outcome::Succeeded(_)));
        until(async || one.ec2.calls_of("DescribeTags").iter().any(|call| call.mentions(&image))).await;
        let after = abort_a_create(one, "aborted-afterwards").await;
        until(async || one.ec2.snapshots_tagged(RUN_TAG, &after.arn).is_empty()).await;
        let missed = leave_a_snapshot(one, "swept").await;
        // The rule's rollback, and the one that the event's second delivery starts, give up.
        tokio::time::sleep(Duration::from_secs(4)).await;
        one.ec2.unlock_snapshot(&missed);
        until(async || one.ec2.snapshot(&missed).is_none()).await;
        let again = succeeds(one, "afterwards", &create(&one.ec2, "one-more").1).await;
        succeeds(one, "delete", &json!({"action": "delete", "imageId": again["id"]})).await;

        // What either has made is as it was, the deleted stack's leftover included.
        assert_nothing_crosses(one, &two);
        assert!(kept[0].is_subset(&made_by(one)));
        assert!(kept[1].is_subset(&made_by(&two)));
        assert!(one.ec2.snapshot(&left).is_some());
    });
}
