//! The machine for those who may create images and nothing else.

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_sfn::types::ExecutionStatus;
use local_aws::{
    deployment::Deployment,
    execution::{Execution, Outcome},
};
use serde_json::{Value, json};

use crate::{
    ends::{assert_nothing_is_left, failed, succeeded},
    new_create, on_aws, unique, until,
};

async fn start(aws: &Deployment, request: &Value) -> Execution {
    let name = unique("only");
    aws.start_execution(aws.output("CreateMachineArn"), Some(&name), &request.to_string()).await.unwrap()
}

/// The run of the same name.
fn run_of(aws: &Deployment, execution: &Execution) -> String {
    format!("{}:{}", aws.lifecycle_machine_arn().replace(":stateMachine:", ":execution:"), execution.name())
}

async fn outcome(aws: &Deployment, request: &Value) -> (String, Outcome) {
    let execution = start(aws, request).await;
    (run_of(aws, &execution), execution.wait().await.unwrap())
}

#[test]
fn it_creates_an_image_and_gives_what_the_run_gives() {
    on_aws(async |aws| {
        let (run, outcome) = outcome(aws, &new_create(aws, json!({"action": null})).1).await;
        let output = succeeded(&outcome);
        assert_eq!(output["id"], aws.ec2.images_tagged(RUN_TAG, &run)[0].id);
    });
}

#[test]
fn it_refuses_every_other_action_before_a_run_starts() {
    on_aws(async |aws| {
        let image = aws.ec2.add_foreign_image(unique("image"), &[(RUN_TAG, &aws.past_run())]);
        for action in [json!("delete"), json!("update"), json!("Delete"), json!(["delete"]), json!({"a": 1})] {
            let (run, outcome) = outcome(aws, &json!({"action": action, "imageId": image})).await;
            let (error, cause) = failed(&outcome);
            assert!(
                error == "InvalidRequest" && cause.starts_with("action: must be create"),
                "{action}: {error}: {cause}"
            );
            let run = aws.step_functions().describe_execution().execution_arn(run).send().await;
            assert!(run.is_err(), "{run:?}");
        }
        // Nor does it remove older images.
        let retain = json!({"name": "web", "sourceInstanceId": "i-0123456789abcdef0", "retain": {"count": 1}});
        let (_, refused) = outcome(aws, &retain).await;
        let (error, cause) = failed(&refused);
        assert!(error == "InvalidRequest" && cause.starts_with("retain: must be left out"), "{error}: {cause}");
        // What is as good as no action is none, and the run refuses the rest of the request.
        for action in [json!(""), json!(false)] {
            let (_, outcome) = outcome(aws, &json!({"action": action, "imageId": image})).await;
            assert_eq!(failed(&outcome).0, "InvalidRequest");
        }
        assert!(aws.ec2.image(&image).is_some());
    });
}

#[test]
fn it_fails_as_the_run_fails() {
    on_aws(async |aws| {
        let (_, request) = new_create(aws, json!({"name": "x"}));
        let (_, outcome) = outcome(aws, &request).await;
        let (error, cause) = failed(&outcome);
        assert!(error == "InvalidRequest" && cause.starts_with("name: must have 3 to 128"), "{error}: {cause}");
    });
}

#[test]
fn a_run_that_is_aborted_is_named_and_one_that_never_started_too() {
    on_aws(async |aws| {
        let (_, request) = new_create(aws, json!({}));
        let execution = start(aws, &request).await;
        let run = run_of(aws, &execution);
        until(|| !aws.ec2.images_tagged(RUN_TAG, &run).is_empty()).await;
        aws.step_functions().stop_execution().execution_arn(&run).send().await.unwrap();
        let outcome = execution.wait().await.unwrap();
        let (error, cause) = failed(&outcome);
        assert!(error == "RunEnded" && cause.contains(&run) && cause.ends_with("ABORTED"), "{error}: {cause}");

        // A name may be used once.
        let name = unique("only");
        let taken = aws.start_execution(aws.lifecycle_machine_arn(), Some(&name), "{}").await.unwrap();
        taken.wait().await.unwrap();
        let machine = aws.output("CreateMachineArn");
        let second = aws.start_execution(machine, Some(&name), &request.to_string()).await.unwrap();
        let outcome = second.wait().await.unwrap();
        let (error, cause) = failed(&outcome);
        assert!(error == "RunNotStarted" && cause.contains(&name), "{error}: {cause}");
    });
}

#[test]
fn stopping_it_stops_the_run_and_leaves_nothing_behind() {
    on_aws(async |aws| {
        let execution = start(aws, &new_create(aws, json!({})).1).await;
        let run = execution.other(run_of(aws, &execution));
        until(|| !aws.ec2.images_tagged(RUN_TAG, &run.arn).is_empty()).await;
        aws.step_functions().stop_execution().execution_arn(&execution.arn).send().await.unwrap();
        until(|| aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty()).await;
        assert_nothing_is_left(aws, &run).await;
        let ended = aws.step_functions().describe_execution().execution_arn(&run.arn).send().await.unwrap();
        assert_eq!(ended.status, ExecutionStatus::Aborted);
    });
}
