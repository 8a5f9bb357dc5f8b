//! Looks at the stack and its account, and changes nothing.

mod account;
pub mod dry_runs;
pub mod engine;
mod functions;
mod machines;
mod notifications;
mod rights;
mod rules;

use anyhow::{Result, bail};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    aws::{Aws, CLOUDFORMATION, items, text},
    report::{Check, Report},
    stack::Stack,
};

/// Does every check that only looks.
pub async fn look(aws: &Aws, stack: &Stack, report: &Report<'_>) {
    report.add(status(stack));
    drift(aws, stack, report).await;
    functions::look(aws, stack, report).await;
    machines::look(aws, stack, report).await;
    rights::look(aws, stack, report).await;
    rules::look(aws, stack, report).await;
    notifications::look(aws, stack, report).await;
    account::look(aws, stack, report).await;
}

/// Adds what checks that go on side by side have found, in their order.
async fn add_all(report: &Report<'_>, checks: impl IntoIterator<Item = impl Future<Output = Check>>) {
    for check in join_all(checks).await {
        report.add(check);
    }
}

/// A check that cannot be made if AWS does not answer.
async fn check(id: String, expected: &str, look: impl Future<Output = Result<(bool, String)>>) -> Check {
    match look.await {
        Ok((holds, saw)) => Check::holds(id, holds, expected, saw),
        Err(error) => Check::unknown(id, expected, &error),
    }
}

fn status(stack: &Stack) -> Check {
    let complete = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"];
    Check::holds(
        "look/stack/status",
        complete.contains(&stack.status.as_str()),
        "CREATE_COMPLETE or UPDATE_COMPLETE",
        &stack.status,
    )
}

/// CloudFormation tells of drift where there is none in schedules, which it takes for deleted, and in machines with
/// substitutions (aws-cloudformation/cloudformation-coverage-roadmap 1725 and 2562). Other checks ask them themselves.
const ASKED_THEMSELVES: [&str; 2] = ["AWS::Scheduler::Schedule", "AWS::StepFunctions::StateMachine"];

/// What somebody has changed besides CloudFormation.
async fn drift(aws: &Aws, stack: &Stack, report: &Report<'_>) {
    let id = "look/stack/drift";
    let expected = "every resource is as the stack's template has it";
    let look = async {
        let begun = aws.call(CLOUDFORMATION, "DetectStackDrift", json!({"StackName": stack.name})).await?;
        let begun = json!({"StackDriftDetectionId": begun["StackDriftDetectionId"]});
        for _ in 0..60 {
            let answer = aws.call(CLOUDFORMATION, "DescribeStackDriftDetectionStatus", begun.clone()).await?;
            match text(&answer["DetectionStatus"]) {
                "DETECTION_IN_PROGRESS" => aws.sleep(std::time::Duration::from_secs(5)).await,
                "DETECTION_COMPLETE" => return differences(aws, stack).await,
                status => bail!("{status}: {}", text(&answer["DetectionStatusReason"])),
            }
        }
        bail!("CloudFormation still looks after five minutes")
    };
    report.add(check(id.to_owned(), expected, look).await);
}

/// The resources that are not as the template has them, and in what.
async fn differences(aws: &Aws, stack: &Stack) -> Result<(bool, String)> {
    let (mut found, mut token) = (vec![], Value::Null);
    loop {
        let statuses = ["MODIFIED", "DELETED"];
        let arguments =
            json!({"StackName": stack.name, "StackResourceDriftStatusFilters": statuses, "NextToken": token});
        let answer = aws.call(CLOUDFORMATION, "DescribeStackResourceDrifts", arguments).await?;
        let drifts = items(&answer["StackResourceDrifts"]).iter();
        let drifts = drifts.filter(|one| !ASKED_THEMSELVES.contains(&text(&one["ResourceType"])));
        found.extend(drifts.map(|one| {
            let places = items(&one["PropertyDifferences"]).iter().map(|place| text(&place["PropertyPath"]));
            let places: Vec<_> = places.collect();
            let (name, status) = (text(&one["LogicalResourceId"]), text(&one["StackResourceDriftStatus"]));
            format!("{name} {status} {}", places.join(" "))
        }));
        token = answer["NextToken"].clone();
        if text(&token).is_empty() {
            return Ok((found.is_empty(), found.join(", ")));
        }
    }
}
