//! What people are shown and told.

use serde_json::json;

use crate::{
    cli,
    ends::{failed, succeeded},
    event, execute, on_aws, parsed,
};

#[test]
fn a_run_that_fails_is_told_to_the_topic() {
    on_aws(async |aws| {
        let queue = cli(aws, &["sqs", "create-queue", "--queue-name", "told"])["QueueUrl"].clone();
        let topic = cli(aws, &["sns", "list-topics"])["Topics"][0]["TopicArn"].clone();
        let to_queue = ["--protocol", "sqs", "--notification-endpoint", "arn:aws:sqs:us-east-1:000000000000:told"];
        cli(aws, &[&["sns", "subscribe", "--topic-arn", topic.as_str().unwrap()], &to_queue[..]].concat());

        let (run, outcome) = execute(aws, &event("create-scheduled.json", json!({"name": "{{day}}"}))).await;
        let (error, cause) = failed(&outcome);
        // Other tests' runs fail too, and are told of.
        let receive = ["sqs", "receive-message", "--queue-url", queue.as_str().unwrap()];
        let receive = [&receive[..], &["--max-number-of-messages", "10", "--wait-time-seconds", "5"]].concat();
        let told = loop {
            let received = cli(aws, &receive);
            let messages = received["Messages"].as_array().into_iter().flatten();
            let mut told =
                messages.map(|one| parsed(parsed(one["Body"].as_str().unwrap())["Message"].as_str().unwrap()));
            if let Some(told) = told.find(|told| told["run"] == run.name()) {
                break told;
            }
        };
        assert_eq!((&told["error"], &told["cause"]), (&json!(error), &json!(cause)));
        assert_eq!(parsed(told["request"].as_str().unwrap())["name"], "{{day}}");
        assert!(told["console"].as_str().unwrap().ends_with(&run.arn));
    });
}

#[test]
fn every_line_of_a_runs_logs_names_the_run_the_instance_and_the_image() {
    on_aws(async |aws| {
        let (run, outcome) = execute(aws, &event("create.json", json!({"name": "logged"}))).await;
        let image = &succeeded(&outcome)["id"];
        let group = cli(aws, &["logs", "describe-log-groups", "--log-group-name-prefix", "/aws/lambda/"]);
        let group = group["logGroups"][0]["logGroupName"].as_str().unwrap();
        let filter = format!("\"{}\"", run.arn);
        let logs = cli(aws, &["logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", &filter]);
        let lines: Vec<_> =
            logs["events"].as_array().unwrap().iter().map(|line| parsed(line["message"].as_str().unwrap())).collect();
        assert!(lines.len() > 4, "{lines:?}");
        for line in &lines {
            let span = &line["span"];
            assert_eq!(span["run"], json!(run.arn), "{line}");
            // An event of an image does not say whose it is.
            let is_of_event = span["operation"].is_null() && span["imageId"] == *image;
            assert!(span["instanceId"] == "i-0123456789abcdef0" || is_of_event, "{line}");
            // Before it is begun there is none.
            assert!(span["imageId"] == *image || line["message"] == "the request is valid", "{line}");
        }
    });
}

#[test]
fn every_alarm_tells_the_topic_and_the_dashboard_is_json() {
    on_aws(async |aws| {
        let topic = cli(aws, &["sns", "list-topics"])["Topics"][0]["TopicArn"].clone();
        let alarms = cli(aws, &["cloudwatch", "describe-alarms"])["MetricAlarms"].as_array().unwrap().clone();
        assert_eq!(alarms.len(), 7);
        assert!(alarms.iter().all(|alarm| alarm["AlarmActions"] == json!([topic])), "{alarms:?}");
        let name = cli(aws, &["cloudwatch", "list-dashboards"])["DashboardEntries"][0]["DashboardName"].clone();
        let dashboard = cli(aws, &["cloudwatch", "get-dashboard", "--dashboard-name", name.as_str().unwrap()]);
        let dashboard = parsed(dashboard["DashboardBody"].as_str().unwrap());
        assert!(dashboard["widgets"].as_array().is_some_and(|widgets| widgets.len() == 5));
        assert!(!dashboard.to_string().contains("${"));
    });
}
