//! EC2's events of images that have ended: they make a look come sooner, and nothing relies on them.

use std::time::Duration;

use ami_from_instance::run::RUN_TAG;
use aws_sdk_sfn::types::HistoryEventType;
use local_aws::{
    deployment::Deployment,
    execution::{Execution, Outcome},
};
use serde_json::json;

use crate::{ends::succeeded, execute, new_create, on_aws, unique, until};

async fn history(aws: &Deployment, execution: &Execution) -> Vec<HistoryEventType> {
    let history = aws.step_functions().get_execution_history().execution_arn(&execution.arn).send().await.unwrap();
    history.events.into_iter().map(|event| event.r#type).collect()
}

#[test]
fn an_event_ends_the_wait_for_an_image_and_comes_twice_without_harm() {
    on_aws(async |aws| {
        let (run, operation) = aws.create_in_a_crowd(&unique("crowd"), Duration::from_secs(150)).await.unwrap();
        assert!(matches!(operation.wait().await.unwrap(), Outcome::Succeeded(_)));
        // All waits but the last one had their time.
        let history = history(aws, &operation).await;
        let count = |kind| history.iter().filter(|one| **one == kind).count();
        let (waits, timed_out) = (count(HistoryEventType::TaskSubmitted), count(HistoryEventType::TaskFailed));
        assert_eq!((waits, timed_out), (2, 1), "{history:?}");
        let image = &aws.ec2.images_tagged(RUN_TAG, &run)[0];
        let told = || aws.ec2.calls_of("DescribeTags").iter().filter(|call| call.mentions(&image.id)).count();
        until(|| told() == 2).await;
    });
}

#[test]
fn a_wait_ends_by_itself_where_no_event_comes() {
    on_aws(async |aws| {
        let (instance, input) = new_create(aws, json!({}));
        aws.ec2.lose_event(&instance);
        let (run, outcome) = execute(aws, &input).await;
        let image = succeeded(&outcome)["id"].as_str().unwrap();
        assert!(aws.ec2.calls_of("DescribeTags").iter().all(|call| !call.mentions(image)));
        assert_eq!(aws.ec2.images_tagged(RUN_TAG, &run.arn).len(), 1);
    });
}
