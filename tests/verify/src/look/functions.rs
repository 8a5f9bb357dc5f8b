//! The functions: whether each can be called, and says what it does.

use serde_json::{Value, json};

use super::{add_all, check};
use crate::{
    aws::{Aws, LAMBDA, text},
    report::Report,
    stack::Stack,
};

pub(super) async fn look(aws: &Aws, stack: &Stack, report: &Report<'_>) {
    let checks = stack.of_kind("AWS::Lambda::Function").map(|(name, id)| {
        let expected = "active, its environment readable, not limited to 0 at once, its log level INFO or lower";
        check(format!("look/function/{name}"), expected, async move {
            let path = format!("/2015-03-31/functions/{id}");
            let configuration = aws.rest(LAMBDA, "GET", &format!("{path}/configuration"), Value::Null).await?;
            let concurrency = format!("/2019-09-30/functions/{id}/concurrency");
            let concurrency = aws.rest(LAMBDA, "GET", &concurrency, Value::Null).await?;
            let problems = problems(&configuration, &concurrency);
            Ok((problems.is_empty(), problems.join("; ")))
        })
    });
    add_all(report, checks).await;
}

/// What is wrong with a function.
fn problems(configuration: &Value, concurrency: &Value) -> Vec<String> {
    let state = text(&configuration["State"]);
    let mut problems = vec![];
    // A new function is pending for a moment, and an idle one inactive until it is called.
    if state == "Failed" {
        problems.push(format!("its state is {state}: {}", text(&configuration["StateReason"])));
    }
    if text(&configuration["LastUpdateStatus"]) == "Failed" {
        problems.push(format!("its last update failed: {}", text(&configuration["LastUpdateStatusReason"])));
    }
    let unreadable = &configuration["Environment"]["Error"];
    if !unreadable.is_null() {
        problems.push(format!("its environment cannot be read: {}", text(&unreadable["Message"])));
    }
    if concurrency["ReservedConcurrentExecutions"] == json!(0) {
        problems.push("its reserved concurrency is 0: nobody can call it".to_owned());
    }
    let level = text(&configuration["LoggingConfig"]["ApplicationLogLevel"]);
    if ["WARN", "ERROR", "FATAL"].contains(&level) {
        problems.push(format!("its log level is {level}: the metrics of sweeps and prunes are logged at INFO"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_named() {
        let healthy = json!({"State": "Active", "LoggingConfig": {"ApplicationLogLevel": "INFO"}});
        assert!(problems(&healthy, &Value::Null).is_empty());
        let broken = json!({
            "State": "Failed", "LastUpdateStatus": "Failed", "Environment": {"Error": {"Message": "KMS"}},
            "LoggingConfig": {"ApplicationLogLevel": "WARN"},
        });
        assert_eq!(problems(&broken, &json!({"ReservedConcurrentExecutions": 0})).len(), 5);
    }
}
