//! A second stack beside the first, and a second deploy amid runs. They deploy and delete: no other test shares
//! their local AWS.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use ami_from_instance::model::run::{RUN_TAG, Run};
use local_aws::{
    deployment::{Deployment, Options},
    execution::{Execution, Outcome, states},
};
use local_ec2::{Ec2, Fate, Fault, FaultKind, InstanceSpec};
use serde_json::{Value, json};

const SPEED: f64 = 60.0;

async fn local_aws(parameters: &[&str]) -> Deployment {
    let parameters = parameters.iter().map(|one| (*one).to_owned()).collect();
    let options = Options { speed: SPEED, port: 0, ec2_port: 0, parameters };
    Deployment::start(&options, &|step| eprintln!("{step}")).await.unwrap()
}

async fn start(aws: &Deployment, name: &str, request: &Value) -> Execution {
    let machine = aws.lifecycle_machine_arn();
    Execution::start(&aws.step_functions(), machine, Some(name), &request.to_string()).await.unwrap()
}

async fn succeeds(aws: &Deployment, name: &str, request: &Value) -> (Execution, Value) {
    let run = start(aws, name, request).await;
    match run.wait().await.unwrap() {
        Outcome::Succeeded(output) => (run, output),
        ended => panic!("{name}: {ended:?}"),
    }
}

async fn fails(aws: &Deployment, name: &str, request: &Value) -> String {
    match start(aws, name, request).await.wait().await.unwrap() {
        Outcome::Ended { error, .. } => error,
        succeeded => panic!("{name}: {succeeded:?}"),
    }
}

fn create(ec2: &Ec2, name: &str) -> (String, Value) {
    let instance = ec2.add_instance(InstanceSpec::default());
    let request = json!({"name": name, "sourceInstanceId": instance, "snapshotWithoutReboot": true});
    (instance, request)
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..1_200 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it has not come to pass in a minute");
}

/// The names of a stack's resources of the kinds that a deploy or a deletion of another stack could touch.
fn resources(aws: &Deployment, stack: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    let list = |arguments: &[&str]| {
        let text = aws.aws_cli(&[arguments, &["--output", "text"]].concat()).unwrap();
        let names = text.split_whitespace().filter(|name| {
            let rest = name.rsplit('/').next().unwrap().strip_prefix(stack);
            // One stack's name begins with the other's.
            rest.is_some_and(|rest| !rest.starts_with("-2"))
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
    let is_of = |tags: &local_ec2::Tags| tags.get(RUN_TAG).is_some_and(|run| Run::new(run).is_of(machine));
    let images = aws.ec2.images().into_iter().filter(|image| is_of(&image.tags));
    let images = images.map(|image| format!("{} {} {:?} {:?}", image.id, image.state, image.tags, image.description));
    let snapshots = aws.ec2.snapshots().into_iter().filter(|snapshot| is_of(&snapshot.tags));
    images.chain(snapshots.map(|snapshot| format!("{} {:?}", snapshot.id, snapshot.tags))).collect()
}

async fn stop(aws: &Deployment, run: &Execution) {
    aws.step_functions().stop_execution().execution_arn(&run.arn).send().await.unwrap();
}

/// Starts a create, and aborts it once its snapshots are there.
async fn abort_a_create(aws: &Deployment, name: &str) -> Execution {
    let (instance, request) = create(&aws.ec2, name);
    aws.ec2.next_image(instance, Fate::Never);
    let run = start(aws, name, &request).await;
    until(|| !aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
    stop(aws, &run).await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stacks_touch_nothing_of_each_other_and_one_works_on_when_the_other_is_deleted() {
    let sweeps = "SweepSchedule=rate(5 minutes)";
    let one = local_aws(&[sweeps]).await;
    let two = tokio::task::block_in_place(|| one.beside("ami-from-instance-2", &[sweeps.to_owned()])).unwrap();
    assert_ne!(one.lifecycle_machine_arn(), two.lifecycle_machine_arn());
    let before = resources(&one, "ami-from-instance");
    assert!(before.values().all(|names| !names.is_empty()), "{before:?}");

    // Both are used.
    let (_, of_one) = succeeds(&one, "same-name", &create(&one.ec2, "one").1).await;
    let (_, of_two) = succeeds(&two, "same-name", &create(&one.ec2, "two").1).await;
    assert_ne!(of_one["id"], of_two["id"]);
    let kept = [made_by(&one), made_by(&two)];

    // Neither changes, deletes or rolls back what the other has made.
    for (stack, image, name) in [(&one, &of_two, "one-meddles"), (&two, &of_one, "two-meddles")] {
        let update = json!({"action": "update", "imageId": image["id"], "description": "mine"});
        assert_eq!(fails(stack, &format!("{name}-1"), &update).await, "ImageNotManaged");
        let delete = json!({"action": "delete", "imageId": image["id"]});
        assert_eq!(fails(stack, &format!("{name}-2"), &delete).await, "ImageNotManaged");
        let run = image["tagsAll"][RUN_TAG].as_str().unwrap();
        let rollback = json!({"operation": "rollback", "run": run, "timeoutSeconds": 900, "arguments": {}});
        let operations = stack.output("OperationMachineArn");
        let rollback = Execution::start(&one.step_functions(), operations, None, &rollback.to_string()).await.unwrap();
        assert!(matches!(rollback.wait().await.unwrap(), Outcome::Succeeded(_)));
    }

    // The rule of each rolls its own runs back; what the second's could not remove, no sweep of the first touches.
    let aborted = [abort_a_create(&one, "aborted-one").await, abort_a_create(&two, "aborted-two").await];
    for run in &aborted {
        until(|| one.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
    }
    let (instance, request) = create(&one.ec2, "locked");
    one.ec2.next_image(instance, Fate::Never);
    let left = start(&two, "locked", &request).await;
    until(|| !one.ec2.snapshots_tagged(RUN_TAG, &left.arn).is_empty()).await;
    let snapshot = one.ec2.snapshots_tagged(RUN_TAG, &left.arn)[0].id.clone();
    one.ec2.lock_snapshot(&snapshot);
    stop(&two, &left).await;
    until(|| one.ec2.images_tagged(RUN_TAG, &left.arn).is_empty()).await;
    for (stack, other) in [(&one, &two), (&two, &one)] {
        let rollbacks = one.step_functions_calls().unwrap();
        let rollbacks = rollbacks.iter().filter(|call| call.action == "StartExecution");
        let of_other = other.lifecycle_machine_arn().replace(":stateMachine:", ":execution:") + ":";
        let crossed: Vec<_> = rollbacks
            .filter(|call| {
                let started: Value = serde_json::from_str(&call.body).unwrap();
                started["stateMachineArn"] == stack.output("OperationMachineArn") && call.body.contains(&of_other)
            })
            .collect();
        assert!(crossed.is_empty(), "{crossed:?}");
    }

    // The second is deleted while a run of the first waits for its image.
    let waiting = one.create_without_progress("waiting", Duration::from_secs(900)).await.unwrap();
    until(|| !one.ec2.images_tagged(RUN_TAG, &waiting.arn).is_empty()).await;
    let image = one.ec2.images_tagged(RUN_TAG, &waiting.arn)[0].id.clone();
    tokio::task::block_in_place(|| two.delete()).unwrap();
    assert_eq!(resources(&one, "ami-from-instance"), before);
    let mut left = resources(&one, "ami-from-instance-2");
    // A call that was under way makes its log's group again.
    left.remove("log groups");
    assert!(left.values().all(BTreeSet::is_empty), "{left:?}");
    one.ec2.unlock_snapshot(&snapshot);

    assert!(matches!(waiting.wait().await.unwrap(), Outcome::Succeeded(_)));
    // Its rule for EC2's events is still there, and the rest of it too.
    until(|| one.ec2.calls_of("DescribeTags").iter().any(|call| call.mentions(&image))).await;
    let after = abort_a_create(&one, "aborted-afterwards").await;
    until(|| one.ec2.snapshots_tagged(RUN_TAG, &after.arn).is_empty()).await;
    let missed = abort_a_create_that_only_the_sweep_finds(&one).await;
    until(|| one.ec2.snapshots_tagged(RUN_TAG, &missed.arn).is_empty()).await;
    let (_, again) = succeeds(&one, "afterwards", &create(&one.ec2, "one-more").1).await;
    succeeds(&one, "delete", &json!({"action": "delete", "imageId": again["id"]})).await;

    // What either has made is as it was, the deleted stack's leftover included.
    assert!(kept[0].is_subset(&made_by(&one)));
    assert!(kept[1].is_subset(&made_by(&two)));
    assert!(one.ec2.snapshot(&snapshot).is_some());
}

/// The rollback of an aborted run, started by the rule, cannot remove a snapshot; a sweep does later.
async fn abort_a_create_that_only_the_sweep_finds(aws: &Deployment) -> Execution {
    let (instance, request) = create(&aws.ec2, "swept");
    aws.ec2.next_image(instance, Fate::Never);
    let run = start(aws, "swept", &request).await;
    until(|| !aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
    let snapshot = aws.ec2.snapshots_tagged(RUN_TAG, &run.arn)[0].id.clone();
    aws.ec2.lock_snapshot(&snapshot);
    stop(aws, &run).await;
    until(|| aws.ec2.images_tagged(RUN_TAG, &run.arn).is_empty()).await;
    // The rule's rollback and the one that the second delivery starts have given up.
    tokio::time::sleep(Duration::from_secs(5)).await;
    aws.ec2.unlock_snapshot(&snapshot);
    run
}

/// A run of each kind, and how it is to end.
struct Expected {
    run: Execution,
    error: Option<&'static str>,
    images: usize,
    gone: Option<String>,
}

fn old_image(aws: &Deployment, name: &str) -> String {
    aws.ec2.add_foreign_image(name, &[(RUN_TAG, &aws.past_run())])
}

/// A refusal that passes, so that an operation goes on for a while.
fn refuse(aws: &Deployment, action: &str, code: &str, mentioning: &str, times: usize) {
    let refused = FaultKind::Refused { code: code.to_owned(), message: "busy".to_owned() };
    aws.ec2.inject(Fault::on(action, refused).mentioning(mentioning).times(times));
}

/// Starts a run of every operation, each so that it goes on for some ten seconds.
async fn start_runs(aws: &Deployment, round: usize) -> Vec<Expected> {
    let ec2 = &aws.ec2;
    let named = |what: &str| format!("{what}-{round}");
    let slowly = |instance: &str| ec2.next_image(instance, Fate::Takes(Duration::from_secs(600)));
    let mut all = vec![];

    // Waits for its image.
    let (instance, request) = create(ec2, &named("create"));
    slowly(&instance);
    all.push(Expected { run: start(aws, &named("create"), &request).await, error: None, images: 1, gone: None });

    // Waits to begin.
    let (instance, request) = create(ec2, &named("later"));
    refuse(aws, "CreateImage", "PendingSnapshotLimitExceeded", &instance, 12);
    all.push(Expected { run: start(aws, &named("later"), &request).await, error: None, images: 1, gone: None });

    // Its looks are throttled.
    let image = old_image(aws, &named("updated"));
    ec2.inject(Fault::on("DescribeImages", FaultKind::Throttle).mentioning(&image).after(1).times(18));
    let request = json!({"action": "update", "imageId": image, "description": "new", "tags": {"Team": "audit"},
        "deprecationTime": "2030-06-30T00:00:00Z"});
    all.push(Expected { run: start(aws, &named("update"), &request).await, error: None, images: 0, gone: None });

    // Waits for a snapshot to be no longer in use.
    let image = old_image(aws, &named("deleted"));
    let snapshot = ec2.image(&image).unwrap().snapshot_ids[0].clone();
    refuse(aws, "DeleteSnapshot", "InvalidSnapshot.InUse", &snapshot, 9);
    let request = json!({"action": "delete", "imageId": image});
    let run = start(aws, &named("delete"), &request).await;
    all.push(Expected { run, error: None, images: 0, gone: Some(image) });

    // Several operations.
    for (what, same_name) in [("replace", false), ("same", true)] {
        let old = old_image(aws, &named(what));
        let snapshot = ec2.image(&old).unwrap().snapshot_ids[0].clone();
        refuse(aws, "DeleteSnapshot", "InvalidSnapshot.InUse", &snapshot, 4);
        if same_name {
            refuse(aws, "DeregisterImage", "IncorrectState", &old, 2);
        }
        let (instance, mut request) = create(ec2, &named(if same_name { what } else { "fresh" }));
        ec2.next_image(&instance, Fate::Takes(Duration::from_secs(240)));
        request["action"] = json!("replace");
        request["imageId"] = json!(old);
        let run = start(aws, &named(what), &request).await;
        all.push(Expected { run, error: None, images: 1, gone: Some(old) });
    }

    // Rolls back, and waits for its snapshot to be no longer in use.
    let (instance, mut request) = create(ec2, &named("failed"));
    request["timeouts"] = json!({"create": "1m"});
    ec2.next_image(&instance, Fate::Never);
    let run = start(aws, &named("failed"), &request).await;
    until(|| !ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
    for snapshot in ec2.snapshots_tagged(RUN_TAG, &run.arn) {
        refuse(aws, "DeleteSnapshot", "InvalidSnapshot.InUse", &snapshot.id, 9);
    }
    all.push(Expected { run, error: Some("TimedOut"), images: 0, gone: None });
    all
}

/// The operations and states that the executions of a run were in at some time between two moments.
async fn states_between(aws: &Deployment, run: &Execution, from: SystemTime, to: SystemTime) -> Vec<(String, String)> {
    let client = aws.step_functions();
    let mut found = vec![];
    for arn in run.with_children(aws.output("OperationMachineArn")).await.unwrap() {
        let end = client.describe_execution().execution_arn(&arn).send().await.unwrap().stop_date;
        let end = end.map_or(to, |end| SystemTime::try_from(end).unwrap());
        let entered = states(&client, &arn).await.unwrap();
        let times: Vec<_> = entered.iter().map(|one| SystemTime::try_from(one.at).unwrap()).chain([end]).collect();
        for (number, one) in entered.into_iter().enumerate() {
            if times[number] <= to && times[number + 1] >= from {
                found.push((one.operation, one.state));
            }
        }
    }
    found
}

/// What the CLI prints as text.
fn text(aws: &Deployment, arguments: &[&str]) -> String {
    aws.aws_cli(&[arguments, &["--output", "text"]].concat()).unwrap().trim().to_owned()
}

/// The second deploy changes every function and both machines. As on AWS, an execution that has begun keeps
/// its definition, and each child that it starts later has the new one; the functions are new from their next call
/// on. AWS lets a call of a function that is under way come to its end. MiniStack ends its process amid the
/// call: that is less kind, and the machine's Retry calls the new function.
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_amid_runs_of_every_operation_changes_how_none_of_them_ends() {
    let aws = local_aws(&[]).await;
    let mut seen = BTreeSet::new();
    // The deploys come at three moments of the runs.
    for (round, release, pause) in [(0, "one", 300), (1, "two", 2_000), (2, "three", 4_500)] {
        let runs = start_runs(&aws, round).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let from = SystemTime::now();
        tokio::task::block_in_place(|| aws.deploy_again(release, &[])).unwrap();
        let to = SystemTime::now();
        eprintln!("a deploy took {:?}", to.duration_since(from).unwrap());
        let function = aws.function("CheckStatusFunction").unwrap();
        let query = "Environment.Variables.RELEASE";
        let arguments = ["lambda", "get-function-configuration", "--function-name", &function, "--query", query];
        assert_eq!(text(&aws, &arguments), release);
        for machine in ["LifecycleMachineArn", "OperationMachineArn"] {
            let arguments = ["stepfunctions", "describe-state-machine", "--state-machine-arn", aws.output(machine)];
            assert!(text(&aws, &arguments).contains(&format!("Release {release}.")));
        }
        for Expected { run, error, images, gone } in runs {
            let outcome = run.wait().await.unwrap();
            match (&outcome, error) {
                (Outcome::Succeeded(_), None) => {}
                (Outcome::Ended { error, .. }, Some(expected)) => assert_eq!(error, expected, "{outcome:?}"),
                _ => panic!("{}: {outcome:?}", run.name()),
            }
            assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn).len(), images, "{}", run.name());
            assert_eq!(aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).len(), images, "{}", run.name());
            assert!(gone.is_none_or(|image| aws.ec2.image(&image).is_none()), "{}", run.name());
            seen.extend(states_between(&aws, &run, from, to).await);
        }
    }
    for (operation, state) in [
        ("run", "Run the next operation"),
        ("run", "Roll back"),
        ("create", "Wait to begin again"),
        ("create", "Wait for the event"),
        ("create", "Look"),
        ("update", "Wait"),
        ("update", "Look"),
        ("delete", "Wait"),
        ("delete", "Look"),
        ("rollback", "Wait"),
        ("rollback", "Look"),
    ] {
        assert!(seen.contains(&(operation.to_owned(), state.to_owned())), "{operation}, {state}: {seen:?}");
    }

    // A deploy that changes only a parameter: the next run has it, and the one under way goes on with the old one.
    let (instance, request) = create(&aws.ec2, "before");
    aws.ec2.next_image(&instance, Fate::Takes(Duration::from_secs(1_200)));
    let before = start(&aws, "before", &request).await;
    until(|| !aws.ec2.images_tagged(RUN_TAG, &before.arn).is_empty()).await;
    tokio::task::block_in_place(|| aws.deploy_again("three", &["CreateTimeout=3m".to_owned()])).unwrap();
    let (instance, request) = create(&aws.ec2, "after");
    aws.ec2.next_image(&instance, Fate::Takes(Duration::from_secs(1_200)));
    let after = start(&aws, "after", &request).await.wait().await.unwrap();
    let Outcome::Ended { error, cause, .. } = &after else { panic!("{after:?}") };
    assert!(error == "TimedOut" && cause.contains("timeout of 180 seconds"), "{after:?}");
    assert!(matches!(before.wait().await.unwrap(), Outcome::Succeeded(_)));
}
