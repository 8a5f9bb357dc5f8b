//! EC2's events of images that have ended: they make a look come sooner, and one that is lost makes it no later
//! than the end of its wait.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use ami_from_instance::{run::RUN_TAG, trust::Trust};
use aws_sdk_sfn::types::HistoryEventType;
use local_aws::{deployment::Deployment, execution::Execution};
use serde_json::json;

use crate::{ends::succeeded, execute, ministack::machine, new_create, on_aws, unique, until};

async fn history(aws: &Deployment, execution: &Execution) -> Vec<HistoryEventType> {
    let history = aws.step_functions().get_execution_history().execution_arn(&execution.arn).send().await.unwrap();
    history.events.into_iter().map(|event| event.r#type).collect()
}

#[test]
fn an_event_ends_the_wait_for_an_image_and_comes_twice_without_harm() {
    on_aws(async |aws| {
        let (run, operation) = aws.create_in_a_crowd(&unique("crowd"), Duration::from_secs(150), false).await.unwrap();
        assert_eq!(succeeded(&operation.wait().await.unwrap())["trust"], 3);
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

#[test]
fn an_event_that_is_overdue_takes_the_trust_away() {
    on_aws(async |aws| {
        let (_, operation) = aws.create_in_a_crowd(&unique("lost"), Duration::from_secs(150), true).await.unwrap();
        assert_eq!(succeeded(&operation.wait().await.unwrap())["trust"], 0);
    });
}

#[test]
fn the_latest_create_that_succeeded_hands_its_trust_on() {
    on_aws(async |aws| {
        let client = aws.step_functions();
        let machine = machine(aws, json!({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})).await;
        let handed_on = async || serde_json::to_value(Trust::handed_on(&client, &machine).await).unwrap();
        assert_eq!(handed_on().await, 0);
        let end = async |name: &str, output: serde_json::Value| {
            Execution::start(&client, &machine, Some(name), &output.to_string()).await.unwrap().wait().await.unwrap()
        };
        end("first-create", json!({"trust": 1})).await;
        end("second-create", json!({"trust": 2})).await;
        end("third-update", json!({})).await;
        assert_eq!(handed_on().await, 2);
        // A create of an older version.
        end("fourth-create", json!({})).await;
        assert_eq!(handed_on().await, 0);
    });
}

#[test]
fn whether_events_come_is_asked_for_five_seconds_at_the_most() {
    on_aws(async |aws| {
        // It takes connections, and answers nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = aws.step_functions().config().to_builder();
        let config = config.endpoint_url(format!("http://{}", silent.local_addr().unwrap()));
        let start = Instant::now();
        let trust = Trust::handed_on(&aws_sdk_sfn::Client::from_conf(config.build()), "arn").await;
        assert_eq!(trust, Trust::default());
        assert!((4..15).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    });
}
