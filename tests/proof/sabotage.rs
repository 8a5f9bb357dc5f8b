//! A deployment is broken, one thing at a time: the look finds it and names it.

use std::{env, fmt::Write, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use local_aws::{
    deployment::{Deployment, STACK},
    ministack::REGION,
};
use local_ec2::{BinResource, BinRule};
use serde_json::{Value, json};
use verify::{
    aws::{Aws, CLOUDWATCH, EVENTBRIDGE, IAM, LAMBDA, LOGS, SCHEDULER, SNS, SQS, STEP_FUNCTIONS, items, text},
    look::{engine, look},
    report::{Finished, Report, Verdict},
    stack::{Caller, Stack},
};

use super::{SPEED, deploy};

/// How many of them `cargo test` tries.
const SAMPLE: usize = 40;

/// A call that breaks something, and one that mends it.
struct Sabotage {
    what: String,
    breaks: Call,
    mends: Call,
}

enum Call {
    Action(verify::aws::Service, &'static str, Value),
    Rest(verify::aws::Service, &'static str, String, Value),
    BinRule,
    Nothing,
}

impl Call {
    async fn make(&self, aws: &Aws, local: &Deployment) {
        match self {
            Self::Action(service, action, arguments) => {
                drop(aws.call(*service, action, arguments.clone()).await.unwrap())
            }
            Self::Rest(service, method, path, body) => {
                drop(aws.rest(*service, method, path, body.clone()).await.unwrap());
            }
            Self::BinRule => local.ec2.add_bin_rule(BinRule::new(BinResource::Image, Duration::from_secs(86_400))),
            Self::Nothing => {}
        }
    }
}

pub(super) fn client(local: &Deployment) -> Aws {
    let credentials = SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "local"));
    let environment = local.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Aws::of(REGION.to_owned(), credentials, environment, SPEED)
}

pub(super) async fn stack(aws: &Aws) -> Stack {
    let caller = Caller::ask(aws).await.unwrap();
    Stack::ask(aws, caller, STACK).await.unwrap()
}

async fn looked(aws: &Aws) -> Finished {
    let report = Report::new(&|_| {});
    look(aws, &stack(aws).await, &report).await;
    report.finish(verify::report::About::default())
}

/// Each statement of each policy of the stack's roles, taken away and widened.
async fn policies(aws: &Aws, stack: &Stack) -> Vec<Sabotage> {
    let mut all = vec![];
    for (name, role) in stack.of_kind("AWS::IAM::Role") {
        let listed = aws.call(IAM, "ListRolePolicies", json!({"RoleName": role})).await.unwrap();
        for policy in items(&listed["PolicyNames"]) {
            let about = json!({"RoleName": role, "PolicyName": policy});
            let document = aws.call(IAM, "GetRolePolicy", about).await.unwrap();
            let document: Value = serde_json::from_str(&decoded(text(&document["PolicyDocument"]))).unwrap();
            let put = |document: &Value| {
                let arguments = json!({"RoleName": role, "PolicyName": policy, "PolicyDocument": document.to_string()});
                Call::Action(IAM, "PutRolePolicy", arguments)
            };
            for (number, statement) in items(&document["Statement"]).iter().enumerate() {
                let sid = text(&statement["Sid"]);
                // MiniStack takes an empty list of keys for one of an empty key.
                if statement["Resource"] == json!([""]) || statement["Resource"] == json!("") {
                    continue;
                }
                let mut removed = document.clone();
                removed["Statement"].as_array_mut().unwrap().remove(number);
                // A policy needs a statement.
                if items(&removed["Statement"]).is_empty() {
                    removed["Statement"] =
                        json!([{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}]);
                }
                let mut widened = document.clone();
                let wide = &mut widened["Statement"][number];
                let fields = wide.as_object_mut().unwrap();
                let had_condition = fields.remove("Condition").is_some();
                let how = if had_condition {
                    "without its condition"
                } else if fields["Resource"] == json!("*") {
                    fields.insert("Action".to_owned(), json!("*"));
                    "of any action"
                } else {
                    fields.insert("Resource".to_owned(), json!("*"));
                    "on any resource"
                };
                for (what, broken) in [("removed".to_owned(), removed), (how.to_owned(), widened)] {
                    let what = format!("{name}: {sid} {what}");
                    all.push(Sabotage { what, breaks: put(&broken), mends: put(&document) });
                }
            }
        }
    }
    all
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let byte = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        byte.map_or_else(|| format!("{text}%{part}"), |byte| format!("{text}{}{}", char::from(byte), &part[2..]))
    })
}

/// What else can be broken.
async fn others(aws: &Aws, stack: &Stack) -> Vec<Sabotage> {
    let mut all = vec![];
    let mut add = |what: String, breaks: Call, mends: Call| all.push(Sabotage { what, breaks, mends });
    for (name, rule) in stack.of_kind("AWS::Events::Rule") {
        let about = json!({"Name": rule});
        add(
            format!("{name} disabled"),
            Call::Action(EVENTBRIDGE, "DisableRule", about.clone()),
            Call::Action(EVENTBRIDGE, "EnableRule", about.clone()),
        );
        let described = aws.call(EVENTBRIDGE, "DescribeRule", about).await.unwrap();
        let put = |pattern: &str| {
            Call::Action(EVENTBRIDGE, "PutRule", json!({"Name": rule, "EventPattern": pattern, "State": "ENABLED"}))
        };
        add(
            format!("{name} with another pattern"),
            put(r#"{"source": ["somebody"]}"#),
            put(text(&described["EventPattern"])),
        );
        let targets = aws.call(EVENTBRIDGE, "ListTargetsByRule", json!({"Rule": rule})).await.unwrap();
        let ids: Vec<_> = items(&targets["Targets"]).iter().map(|target| target["Id"].clone()).collect();
        add(
            format!("{name} without its target"),
            Call::Action(EVENTBRIDGE, "RemoveTargets", json!({"Rule": rule, "Ids": ids})),
            Call::Action(EVENTBRIDGE, "PutTargets", json!({"Rule": rule, "Targets": targets["Targets"]})),
        );
    }
    for (name, alarm) in stack.of_kind("AWS::CloudWatch::Alarm") {
        let about = json!({"AlarmNames": [alarm]});
        add(
            format!("{name} with its actions off"),
            Call::Action(CLOUDWATCH, "DisableAlarmActions", about.clone()),
            Call::Action(CLOUDWATCH, "EnableAlarmActions", about),
        );
    }
    for (name, schedule) in stack.of_kind("AWS::Scheduler::Schedule") {
        let path = format!("/schedules/{}", schedule.rsplit('/').next().unwrap());
        let is = aws.rest(SCHEDULER, "GET", &path, Value::Null).await.unwrap();
        let mut off = is.clone();
        off["State"] = json!("DISABLED");
        add(
            format!("{name} disabled"),
            Call::Rest(SCHEDULER, "PUT", path.clone(), off),
            Call::Rest(SCHEDULER, "PUT", path, is),
        );
    }
    for (name, function) in stack.of_kind("AWS::Lambda::Function") {
        let concurrency = format!("/2017-10-31/functions/{function}/concurrency");
        add(
            format!("{name} may not run"),
            Call::Rest(LAMBDA, "PUT", concurrency.clone(), json!({"ReservedConcurrentExecutions": 0})),
            Call::Rest(LAMBDA, "DELETE", concurrency, Value::Null),
        );
        let configuration = format!("/2015-03-31/functions/{function}/configuration");
        let level = |level: &str| {
            let logging = json!({"LogFormat": "JSON", "ApplicationLogLevel": level});
            Call::Rest(LAMBDA, "PUT", configuration.clone(), json!({"LoggingConfig": logging}))
        };
        add(format!("{name} logs warnings only"), level("WARN"), level("INFO"));
    }
    for (name, machine) in stack.of_kind("AWS::StepFunctions::StateMachine") {
        let is = aws.call(STEP_FUNCTIONS, "DescribeStateMachine", json!({"stateMachineArn": machine})).await.unwrap();
        let mut definition: Value = serde_json::from_str(text(&is["definition"])).unwrap();
        let own = definition.to_string();
        definition["TimeoutSeconds"] = json!(7);
        let update = |definition: String| {
            let arguments = json!({"stateMachineArn": machine, "definition": definition});
            Call::Action(STEP_FUNCTIONS, "UpdateStateMachine", arguments)
        };
        add(format!("{name} with a timeout of its own"), update(definition.to_string()), update(own));
    }
    for (name, filter) in stack.of_kind("AWS::Logs::MetricFilter") {
        let groups = ["MachinesLogGroup", "FunctionsLogGroup"].map(|group| stack.id(group).unwrap());
        for group in groups {
            let listed = json!({"logGroupName": group, "filterNamePrefix": filter});
            let listed = aws.call(LOGS, "DescribeMetricFilters", listed).await.unwrap();
            for found in items(&listed["metricFilters"]) {
                let put = json!({
                    "logGroupName": group, "filterName": filter, "filterPattern": found["filterPattern"],
                    "metricTransformations": found["metricTransformations"],
                });
                let delete = json!({"logGroupName": group, "filterName": filter});
                add(
                    format!("{name} deleted"),
                    Call::Action(LOGS, "DeleteMetricFilter", delete),
                    Call::Action(LOGS, "PutMetricFilter", put),
                );
            }
        }
    }
    let topic = stack.id("NotificationTopic").unwrap();
    let attributes = aws.call(SNS, "GetTopicAttributes", json!({"TopicArn": topic})).await.unwrap();
    let entries = items(&attributes["Attributes"]["entry"]).iter();
    let policy = entries.into_iter().find(|entry| entry["key"] == "Policy").unwrap()["value"].clone();
    let set = |policy: String| {
        let arguments = json!({"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": policy});
        Call::Action(SNS, "SetTopicAttributes", arguments)
    };
    for service in ["events", "cloudwatch"] {
        let broken = text(&policy).replace(&format!("{service}.amazonaws.com"), "s3.amazonaws.com");
        add(format!("the topic's policy without {service}"), set(broken), set(text(&policy).to_owned()));
    }
    let queue = stack.id("ScheduleDeadLetterQueue").unwrap();
    add(
        "a delivery in the dead-letter queue".to_owned(),
        Call::Action(SQS, "SendMessage", json!({"QueueUrl": queue, "MessageBody": "{}"})),
        Call::Action(SQS, "PurgeQueue", json!({"QueueUrl": queue})),
    );
    // There is no way to take it off again: it is the last.
    add("a rule of the Recycle Bin for every image".to_owned(), Call::BinRule, Call::Nothing);
    all
}

/// All of them with `SABOTAGES=all`, after as many looks at the healthy deployment as `LOOKS` says; the table is printed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_in_a_deployment_is_found_and_named() {
    let local = deploy().await;
    let aws = client(&local);
    let stack = stack(&aws).await;
    let mut all = policies(&aws, &stack).await;
    all.extend(others(&aws, &stack).await);
    let step = if env::var("SABOTAGES").is_ok_and(|which| which == "all") { 1 } else { all.len() / SAMPLE + 1 };
    let looks = env::var("LOOKS").ok().and_then(|looks| looks.parse().ok()).unwrap_or(1);
    for look in 0..looks {
        let finished = looked(&aws).await;
        assert!(finished.all_held(), "a false alarm in look {look}: {:#?}", finished.others().collect::<Vec<_>>());
    }
    println!("no false alarm in {looks} looks");
    // MiniStack's TestState knows no variables: that is another engine.
    let report = Report::new(&|_| {});
    engine::look(&aws, &stack, &report).await;
    let checks = report.checks();
    assert!(
        checks.iter().any(|check| check.verdict == Verdict::Failed && check.saw.contains("Fail with the error: error")),
        "{checks:?}"
    );
    let mut table = "| broken | found by |\n|---|---|\n".to_owned();
    let (mut tried, mut missed) = (0, vec![]);
    let last = all.len() - 1;
    for (_, sabotage) in all.into_iter().enumerate().filter(|(number, _)| number % step == 0 || *number == last) {
        sabotage.breaks.make(&aws, &local).await;
        let finished = looked(&aws).await;
        let found: Vec<_> = finished.others().map(|check| check.id.clone()).collect();
        let _ = writeln!(table, "| {} | {} |", sabotage.what, found.join(", "));
        finished.others().for_each(|check| eprintln!("{}: {}: {}", sabotage.what, check.id, check.saw));
        tried += 1;
        if found.is_empty() {
            missed.push(sabotage.what);
        }
        sabotage.mends.make(&aws, &local).await;
    }
    println!("{table}\n{} of {tried} found", tried - missed.len());
    assert!(missed.len() * 20 <= tried, "{} of {tried} are not found: {missed:#?}", missed.len());
}
