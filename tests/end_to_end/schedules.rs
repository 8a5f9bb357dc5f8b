//! Schedules: the template's, and those that are added to it. Here every delivery comes twice.

use std::{fs, time::Duration};

use ami_from_instance::model::run::RUN_TAG;
use local_aws::{deployment::Deployment, prepare::root};
use local_ec2::InstanceSpec;
use serde_json::{Value, json};

use crate::{
    cli,
    ends::{failed, succeeded},
    event, execute, on_aws, parsed, unique,
};

/// The request of the template's schedule; with a quote and a backslash, which have to be escaped.
pub(crate) const REQUEST: &str = r#"ScheduleInput={"name": "x{{date}}", "description": "a \"b\" \\ c"}"#;

/// A file of `events/schedules/` for `aws scheduler create-schedule`, with this deployment's ARNs and one's
/// own name, rate and request.
fn schedule(aws: &Deployment, file: &str, name: &str, request: &Value) -> Value {
    let mut text = fs::read_to_string(root().join("events/schedules").join(file)).unwrap();
    for output in ["ScheduleRoleArn", "ScheduledMachineArn", "ScheduleDeadLetterQueueArn"] {
        assert!(text.contains(output), "{output}");
        text = text.replace(output, aws.output(output));
    }
    let mut schedule = parsed(&text);
    let mut input = parsed(schedule["Target"]["Input"].as_str().unwrap());
    assert!(input["Name"].as_str().unwrap().ends_with("-<aws.scheduler.execution-id>"));
    let asked = parsed(input["Input"].as_str().unwrap());
    assert!(asked["name"].as_str().unwrap().contains("{{time}}"));
    input["Name"] = json!(format!("{name}-<aws.scheduler.execution-id>"));
    input["Input"] = json!(request.to_string());
    schedule["Name"] = json!(name);
    schedule["ScheduleExpression"] = json!("rate(2 minutes)");
    schedule["Target"]["Input"] = json!(input.to_string());
    schedule
}

/// Names of the runs of a schedule.
async fn runs(aws: &Deployment, schedule: &str) -> Vec<String> {
    let machine = aws.lifecycle_machine_arn();
    let executions = aws.step_functions().list_executions().state_machine_arn(machine).send().await.unwrap();
    let runs = executions.executions.into_iter().filter(|run| run.name.starts_with(schedule));
    runs.map(|run| run.execution_arn).collect()
}

#[test]
fn each_run_of_a_schedule_makes_one_image_of_its_own_name() {
    on_aws(async |aws| {
        let instance = aws.ec2.add_instance(InstanceSpec::default().tag("Name", "web: blue"));
        let request = event("create-scheduled.json", json!({"sourceInstanceId": instance}));
        let name = unique("schedule");
        let schedule = schedule(aws, "nightly.json", &name, &request).to_string();
        cli(aws, &["scheduler", "create-schedule", "--cli-input-json", &schedule]);
        while runs(aws, &name).await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        cli(aws, &["scheduler", "delete-schedule", "--name", &name]);
        for run in runs(aws, &name).await {
            let run_id = run.rsplit(':').next().unwrap();
            let image = loop {
                if let Some(image) = aws.ec2.images_tagged(RUN_TAG, &run).pop() {
                    break image;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            let start = format!("web- blue {instance} 20");
            assert!(image.name.starts_with(&start) && image.name.ends_with(run_id), "{}", image.name);
        }
    });
}

#[test]
fn the_templates_schedule_hands_the_request_on_unchanged_under_a_name_of_the_delivery() {
    on_aws(async |aws| {
        let schedules = cli(aws, &["scheduler", "list-schedules"]);
        let is_ours = |one: &&Value| one["Name"].as_str().unwrap().contains("-Schedule-");
        let ours = schedules["Schedules"].as_array().unwrap().iter().find(is_ours).expect("the schedule");
        let name = ours["Name"].as_str().unwrap();
        let found = cli(aws, &["scheduler", "get-schedule", "--name", name]);
        let input = parsed(found["Target"]["Input"].as_str().unwrap());
        assert_eq!(input["StateMachineArn"], aws.output("CreateMachineArn"));
        assert_eq!(input["Name"], "scheduled-<aws.scheduler.execution-id>");
        assert_eq!(format!("ScheduleInput={}", input["Input"].as_str().unwrap()), REQUEST);
        assert_eq!(found["Target"]["DeadLetterConfig"]["Arn"], aws.output("ScheduleDeadLetterQueueArn"));
    });
}

#[test]
fn a_name_whose_placeholders_cannot_be_replaced_is_refused() {
    on_aws(async |aws| {
        let nameless = aws.ec2.add_instance(InstanceSpec::default());
        for (name, start) in [
            ("web-{{day}}", "name: has an unknown placeholder"),
            (
                "{{instanceName}}",
                &format!("name: must have no {{{{instanceName}}}}: {nameless} has no Name tag") as &str,
            ),
            (&format!("{}{{{{date}}}}", "x".repeat(119)), "name: must have 3 to 128"),
        ] {
            let changes = json!({"name": name, "sourceInstanceId": nameless});
            let (_, outcome) = execute(aws, &event("create-scheduled.json", changes)).await;
            let (error, cause) = failed(&outcome);
            assert_eq!(error, "InvalidRequest");
            assert!(cause.starts_with(start), "{cause}");
        }
        let changes = json!({"name": format!("{}{{{{date}}}}", "x".repeat(118)), "sourceInstanceId": nameless});
        let (_, outcome) = execute(aws, &event("create-scheduled.json", changes)).await;
        assert_eq!(succeeded(&outcome)["name"].as_str().map(str::len), Some(128));
    });
}
