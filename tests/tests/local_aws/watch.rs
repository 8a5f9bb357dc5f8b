//! What people are shown and told.

use std::time::Duration;

use serde_json::json;

use crate::{cli, ends::failed, event, execute, on_aws, parsed};

#[test]
fn a_run_that_fails_is_told_to_the_topic() {
    on_aws(async |aws| {
        let queue = cli(aws, &["sqs", "create-queue", "--queue-name", "told"])["QueueUrl"].clone();
        let topic = cli(aws, &["sns", "list-topics"])["Topics"][0]["TopicArn"].clone();
        let to_queue = ["--protocol", "sqs", "--notification-endpoint", "arn:aws:sqs:us-east-1:000000000000:told"];
        cli(aws, &[&["sns", "subscribe", "--topic-arn", topic.as_str().unwrap()], &to_queue[..]].concat());

        let (run, outcome) = execute(aws, &event("create-scheduled.json", json!({"name": "{{day}}"}))).await;
        let (error, cause) = failed(&outcome);
        let receive = ["sqs", "receive-message", "--queue-url", queue.as_str().unwrap()];
        let told = loop {
            // Other tests' runs fail too, and are told of.
            if let Some(body) = cli(aws, &receive)["Messages"][0]["Body"].as_str() {
                let told = parsed(parsed(body)["Message"].as_str().unwrap());
                if told["run"] == run.name() {
                    break told;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!((&told["error"], &told["cause"]), (&json!(error), &json!(cause)));
        assert_eq!(parsed(told["request"].as_str().unwrap())["name"], "{{day}}");
        assert!(told["look"].as_str().unwrap().ends_with(&run.arn));
    });
}

#[test]
fn every_alarm_tells_the_topic_and_the_dashboard_is_json() {
    on_aws(async |aws| {
        let topic = cli(aws, &["sns", "list-topics"])["Topics"][0]["TopicArn"].clone();
        let alarms = cli(aws, &["cloudwatch", "describe-alarms"])["MetricAlarms"].as_array().unwrap().clone();
        assert_eq!(alarms.len(), 6);
        assert!(alarms.iter().all(|alarm| alarm["AlarmActions"] == json!([topic])), "{alarms:?}");
        let name = cli(aws, &["cloudwatch", "list-dashboards"])["DashboardEntries"][0]["DashboardName"].clone();
        let dashboard = cli(aws, &["cloudwatch", "get-dashboard", "--dashboard-name", name.as_str().unwrap()]);
        let dashboard = parsed(dashboard["DashboardBody"].as_str().unwrap());
        assert!(dashboard["widgets"].as_array().is_some_and(|widgets| widgets.len() == 5));
        assert!(!dashboard.to_string().contains("${"));
    });
}
