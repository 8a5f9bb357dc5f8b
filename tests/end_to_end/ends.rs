//! How runs end, and what EC2 holds afterwards.

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_sfn::types::ExecutionStatus;
use local_aws::{
    deployment::Deployment,
    execution::{Execution, Outcome},
};
use serde_json::Value;

/// The output of a run that succeeded.
pub(crate) fn succeeded(outcome: &Outcome) -> &Value {
    match outcome {
        Outcome::Succeeded(output) => output,
        ended => panic!("{ended:?}"),
    }
}

/// The error's name and the cause of a run that failed.
pub(crate) fn failed(outcome: &Outcome) -> (&str, &str) {
    match outcome {
        Outcome::Ended { status, error, cause } => {
            assert_eq!(status, "FAILED");
            (error, cause)
        }
        Outcome::Succeeded(output) => panic!("{output}"),
    }
}

/// Nothing that the run made is left, and no operation of it goes on.
pub(crate) async fn assert_nothing_is_left(aws: &Deployment, run: &Execution) {
    assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn), []);
    assert_eq!(aws.ec2.snapshots_tagged(RUN_TAG, &run.arn), []);
    let operations = aws.output("OperationMachineArn");
    let running = aws.step_functions().list_executions().state_machine_arn(operations);
    let running = running.status_filter(ExecutionStatus::Running).send().await.unwrap();
    assert!(running.executions.iter().all(|child| !child.name.starts_with(&format!("{}-", run.name()))));
}
