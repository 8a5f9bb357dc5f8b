//! EC2's events of images that have ended: they make a look come sooner, and one that is lost makes it no later
//! than the end of its wait.

use std::time::Duration;

use ami_from_instance::model::run::{RUN_TAG, Run};
use aws_sdk_sfn::types::HistoryEventType;
use local_aws::{deployment::Deployment, execution::Execution};
use serde_json::json;

use crate::{ends::succeeded, execute, new_create, on_aws, unique, until};

/// How often the run's create waited for an event, and how often none came in time.
async fn waits(aws: &Deployment, run: &Execution) -> (usize, usize) {
    let create = Run::new(&run.arn).operation(aws.output("OperationMachineArn"), 1);
    let history = aws.step_functions().get_execution_history().execution_arn(create).send().await.unwrap();
    let count = |kind| history.events.iter().filter(|event| event.r#type == kind).count();
    (count(HistoryEventType::TaskSubmitted), count(HistoryEventType::TaskFailed))
}

#[test]
fn an_event_ends_the_wait_for_an_image_and_comes_twice_without_harm() {
    on_aws(async |aws| {
        let mut runs = vec![];
        // Of five images that end at five moments, the event of one at least comes amid a wait.
        for takes in [300, 340, 380, 420, 460] {
            let create = aws.create_without_progress(&unique("woken"), Duration::from_secs(takes)).await;
            runs.push(create.unwrap());
        }
        let mut woken = 0;
        for run in &runs {
            succeeded(&run.wait().await.unwrap());
            let (waits, timed_out) = waits(aws, run).await;
            // All but the last one had their time.
            assert!(timed_out == waits || timed_out == waits - 1, "{waits} waits, {timed_out} timed out");
            woken += waits - timed_out;
            let image = &aws.ec2.images_tagged(RUN_TAG, &run.arn)[0];
            let asked = || aws.ec2.calls_of("DescribeTags").iter().filter(|call| call.mentions(&image.id)).count();
            until(|| asked() == 2).await;
        }
        assert!(woken > 0);
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
