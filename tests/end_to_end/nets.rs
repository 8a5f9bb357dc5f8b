//! The nets under a failed create: the rule for runs that ended badly, the sweep, and what they
//! must not touch.

use std::time::Duration;

use ami_from_instance::{model::run::RUN_TAG, operations::instance_state::STOPPED_BY_TAG};
use aws_sdk_ec2::types::{ImageState, InstanceStateName};
use local_aws::{
    deployment::Deployment,
    execution::{Execution, Outcome},
};
use local_ec2::{Fate, Fault, FaultKind, InstanceSpec};
use serde_json::json;

use crate::{
    ends::{assert_nothing_is_left, failed, succeeded},
    event, execute, new_create, on_aws, start, unique, until,
};

/// Starts a rollback of a run by hand and waits for its end.
async fn roll_back(aws: &Deployment, run: &str) -> Outcome {
    let input = json!({"operation": "rollback", "run": run, "timeoutSeconds": 5400, "arguments": {}}).to_string();
    let operations = aws.output("OperationMachineArn");
    let rollback = aws.start_execution(operations, None, &input).await.unwrap();
    rollback.wait().await.unwrap()
}

#[test]
fn a_run_that_is_aborted_leaves_nothing_behind() {
    on_aws(async |aws| {
        let (_, input) = new_create(aws, json!({}));
        let run = start(aws, &input).await;
        until(|| !aws.ec2.images_tagged(RUN_TAG, &run.arn).is_empty()).await;
        aws.step_functions().stop_execution().execution_arn(&run.arn).send().await.unwrap();
        until(|| aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
        assert_nothing_is_left(aws, &run).await;
        assert!(matches!(roll_back(aws, &run.arn).await, Outcome::Succeeded(_)), "a second rollback is harmless");
    });
}

#[test]
fn a_leftover_of_a_failed_run_is_named_and_the_sweep_removes_it_when_it_can() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({"timeouts": {"create": "2m"}}));
        aws.ec2.next_image(&instance, Fate::Never);
        let run = start(aws, &input).await;
        until(|| !aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
        let snapshot = aws.ec2.snapshots_tagged(RUN_TAG, &run.arn)[0].id.clone();
        aws.ec2.lock_snapshot(&snapshot);
        let outcome = run.wait().await.unwrap();
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "LeftoversRemain");
        assert!(cause.contains("TimedOut") && cause.contains(&snapshot), "{cause}");
        assert!(aws.ec2.images_tagged(RUN_TAG, &run.arn).is_empty());
        // By now the rule has started its rollback, which could not remove it either.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).len(), 1);
        aws.ec2.unlock_snapshot(&snapshot);
        until(|| aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
    });
}

/// A create that stops its instance, whose image takes longer than the test.
async fn stopping(aws: &Deployment) -> (String, Execution) {
    let instance = aws.ec2.add_instance(InstanceSpec::default());
    aws.ec2.next_image(&instance, Fate::Never);
    let changes = json!({"name": unique("image"), "sourceInstanceId": instance, "timeouts": {"create": "10m"}});
    let run = start(aws, &event("create-with-stop.json", changes)).await;
    (instance, run)
}

fn is_as_before(aws: &Deployment, instance: &str) -> bool {
    let instance = aws.ec2.instance(instance).unwrap();
    instance.state == InstanceStateName::Running && !instance.tags.contains_key(STOPPED_BY_TAG)
}

#[test]
fn an_instance_runs_again_when_the_run_that_has_stopped_it_is_aborted() {
    on_aws(async |aws| {
        let (instance, run) = stopping(aws).await;
        until(|| aws.ec2.instance(&instance).unwrap().state != InstanceStateName::Running).await;
        aws.step_functions().stop_execution().execution_arn(&run.arn).send().await.unwrap();
        until(|| is_as_before(aws, &instance)).await;
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn an_instance_that_cannot_be_started_keeps_its_image_and_the_sweep_starts_it_later() {
    on_aws(async |aws| {
        let capacity =
            FaultKind::Refused { code: "InsufficientInstanceCapacity".to_owned(), message: "no place".to_owned() };
        let (instance, run) = stopping(aws).await;
        aws.ec2.inject(Fault::on("StartInstances", capacity).mentioning(&instance).times(60));
        let outcome = run.wait().await.unwrap();
        let (error, cause) = failed(&outcome);
        let image = &aws.ec2.images_tagged(RUN_TAG, &run.arn)[0].id;
        assert_eq!(error, "InstanceNotRestarted", "{cause}");
        for part in [&instance, image, "InsufficientInstanceCapacity"] {
            assert!(cause.contains(part), "{part} in {cause}");
        }
        until(|| is_as_before(aws, &instance)).await;
        assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn)[0].id, *image);
    });
}

#[test]
fn what_a_succeeded_run_made_is_kept() {
    on_aws(async |aws| {
        let (_, input) = new_create(aws, json!({}));
        let (run, outcome) = execute(aws, &input).await;
        succeeded(&outcome);
        assert!(matches!(roll_back(aws, &run.arn).await, Outcome::Succeeded(_)));
        assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn).len(), 1);
        assert_eq!(aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).len(), 2);
    });
}

#[test]
fn what_a_running_run_makes_is_kept() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({}));
        aws.ec2.next_image(&instance, Fate::Takes(Duration::from_secs(1_200)));
        let run = start(aws, &input).await;
        until(|| !aws.ec2.images_tagged(RUN_TAG, &run.arn).is_empty()).await;
        let refused = roll_back(aws, &run.arn).await;
        assert_eq!(failed(&refused).0, "RunKept");
        succeeded(&run.wait().await.unwrap());
        assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn).len(), 1);
    });
}

#[test]
fn what_step_functions_does_not_know_is_kept() {
    on_aws(async |aws| {
        let unknown = format!("{}-unknown", aws.past_run());
        let image = aws.ec2.add_foreign_image(unique("image"), &[(RUN_TAG, &unknown)]);
        assert!(matches!(roll_back(aws, &unknown).await, Outcome::Succeeded(_)));
        let other_machine = unknown.replace("-lifecycle:", "-lifecycle-2:");
        let other = aws.ec2.add_foreign_image(unique("image"), &[(RUN_TAG, &other_machine)]);
        assert!(matches!(roll_back(aws, &other_machine).await, Outcome::Succeeded(_)));
        assert!(aws.ec2.image(&image).is_some() && aws.ec2.image(&other).is_some());
    });
}

#[test]
fn a_rollback_survives_answers_that_are_lost() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({"timeouts": {"create": "2m"}}));
        aws.ec2.next_image(&instance, Fate::Never);
        let run = start(aws, &input).await;
        until(|| !aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
        let image = aws.ec2.images_tagged(RUN_TAG, &run.arn)[0].id.clone();
        aws.ec2.inject(Fault::on("DeregisterImage", FaultKind::LostResponse).mentioning(&image).times(4));
        let outcome = run.wait().await.unwrap();
        assert_eq!(failed(&outcome).0, "TimedOut");
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn a_rollback_asks_about_the_run_and_its_operations_and_calls_each_removal_once() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({}));
        let (code, message) = ("Client.InternalError".into(), "broken".into());
        let after = Duration::from_secs(60);
        aws.ec2.next_image(&instance, Fate::Fail { state: ImageState::Failed, code, message, after });
        let (run, outcome) = execute(aws, &input).await;
        assert_eq!(failed(&outcome).0, "ImageFailed");
        let calls = aws.ec2.calls();
        let calls = calls.iter().filter(|call| call.caller == "ami-from-instance-cleanup" && call.mentions(&run.arn));
        let (looks, removals): (Vec<_>, Vec<_>) = calls.partition(|call| call.action.starts_with("Describe"));
        assert!(looks.iter().all(|call| ["DescribeImages", "DescribeSnapshots"].contains(&call.action.as_str())));
        // EC2 may say once more that a snapshot is in use.
        let done: Vec<_> = removals.iter().filter(|call| call.outcome.is_ok()).map(|call| &call.action).collect();
        assert_eq!(done, ["CreateTags", "DeregisterImage", "DeleteSnapshot", "DeleteSnapshot"], "{removals:?}");
        let asked = aws.step_functions_calls().unwrap().into_iter();
        let asked = asked.filter(|call| call.caller == "ami-from-instance-cleanup" && call.body.contains(run.name()));
        let asked: Vec<_> = asked.map(|call| call.action).take(4).collect();
        // The run, its operation, whether there is another one, and what the operation knew.
        assert_eq!(asked, ["DescribeExecution", "DescribeExecution", "DescribeExecution", "GetExecutionHistory"]);
    });
}
