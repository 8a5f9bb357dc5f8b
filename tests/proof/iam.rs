//! The policies that are deployed judge every call, as IAM does: a statement that is missing shows in what runs do.

use std::process::Stdio;

use local_aws::deployment::MANAGED_IMAGE;
use serde_json::{Value, json};
use verify::{
    aws::{Aws, IAM, LAMBDA, items, text},
    run::Run,
};

use super::{
    checks, deploy,
    sabotage::{client, stack},
    verify,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_missing_shows_in_what_runs_do() {
    let local = deploy().await;
    local.enforce_iam().unwrap();
    let aws = client(&local);
    let stack = stack(&aws).await;
    // It can remove nothing any more.
    allow_only(&aws, stack.id("CleanupFunctionRole").unwrap(), &["ec2:Describe*", "ec2:List*", "states:*"]).await;
    // Nor does its rule reach the function that starts rollbacks.
    let function = stack.id("StartRollbackFunction").unwrap();
    let path = format!("/2015-03-31/functions/{function}/policy");
    let policy = aws.rest(LAMBDA, "GET", &path, Value::Null).await.unwrap();
    let policy: Value = serde_json::from_str(text(&policy["Policy"])).unwrap();
    for statement in items(&policy["Statement"]) {
        aws.rest(LAMBDA, "DELETE", &format!("{path}/{}", text(&statement["Sid"])), Value::Null).await.unwrap();
    }
    let mut command = verify(&local, "denied", &["--depth", "image"]);
    assert!(!command.stdin(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let checks = checks("denied");
    let failed: Vec<_> =
        checks.iter().filter(|(_, (verdict, _))| verdict == "failed").map(|(id, _)| id.as_str()).collect();
    for id in
        ["image/delete", "image/sweep", "look/rights/CleanupFunction", "look/rule/StartRollbackFunctionRunEndedBadly"]
    {
        assert!(failed.contains(&id), "{id}: {failed:?}");
    }
    assert!(checks["image/delete"].1.contains("UnauthorizedOperation"), "{}", checks["image/delete"].1);
    assert!(!failed.contains(&"image/update") && !failed.contains(&"image/event"), "{failed:?}");
    assert_eq!(checks["nothing-left"].0, "passed");
    // A machine that may not start operations starts none.
    allow_only(&aws, stack.id("LifecycleMachineRole").unwrap(), &["lambda:InvokeFunction"]).await;
    let request = json!({"action": "update", "imageId": MANAGED_IMAGE, "description": "never"});
    let run = Run::start(&aws, &stack, "iam-denied", request).await.unwrap();
    let ended = run.end().await.unwrap();
    assert!(ended.cause.contains("StepFunctions.AccessDeniedException"), "{}", ended.told());
}

/// Puts in place of all statements of a role one that allows these actions.
async fn allow_only(aws: &Aws, role: &str, actions: &[&str]) {
    let listed = aws.call(IAM, "ListRolePolicies", json!({"RoleName": role})).await.unwrap();
    let statement = json!([{"Effect": "Allow", "Action": actions, "Resource": "*"}]);
    let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    for policy in items(&listed["PolicyNames"]) {
        let put = json!({"RoleName": role, "PolicyName": policy, "PolicyDocument": document});
        aws.call(IAM, "PutRolePolicy", put).await.unwrap();
    }
}
