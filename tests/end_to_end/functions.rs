//! Each function by itself, as one calls it from the command line.

use std::{collections::BTreeSet, fs, process::Command};

use ami_from_instance::model::run::Run;
use local_aws::{
    deployment::Deployment,
    prepare::{kept, root},
};
use serde_json::{Value, json};

use crate::{ends::succeeded, execute, new_create, on_aws, parsed};

/// Calls a function with a file of `events/functions/`.
pub(crate) fn invoke(aws: &Deployment, function: &str, file: &str) -> Value {
    let name = aws.function(function).unwrap();
    let payload = format!("file://{}", root().join("events/functions").join(file).display());
    let answer = tempfile::NamedTempFile::new().unwrap();
    let out = answer.path().to_str().unwrap();
    aws.aws_cli(&["lambda", "invoke", "--function-name", &name, "--payload", &payload, out]).unwrap();
    serde_json::from_reader(answer).unwrap()
}

#[test]
fn each_function_answers_what_the_machines_send_it() {
    on_aws(async |aws| {
        let invoke = |function, file| invoke(aws, function, file);
        let plan = invoke("ReadRequestFunction", "read-request.json");
        assert_eq!(plan["operations"][0]["arguments"]["name"], "web-2026-11-23-08-30-05");
        assert_eq!(
            (&plan["operations"][0]["timeoutSeconds"], &plan["rollbackTimeoutSeconds"]),
            (&2400.into(), &5400.into())
        );
        for (function, file, status) in [
            ("StartCreateFunction", "start-create.json", "Pending"),
            // It tags the instance, and the test stops there.
            ("InstanceStateFunction", "instance-state.json", "Pending"),
            ("CheckStatusFunction", "check-status.json", "Succeeded"),
            // The run that the event names has ended long ago, and its own rollback asks until it is sure.
            ("CleanupFunction", "cleanup.json", "Pending"),
        ] {
            let answer = invoke(function, file);
            assert_eq!(answer["status"], status, "{file}: {answer}");
        }
        let update = invoke("StartUpdateFunction", "start-update.json");
        assert!(update["status"] == "Pending" || update["status"] == "Succeeded", "{update}");
        let woken = invoke("WakeFunction", "wake.json");
        assert_eq!((&woken["woken"], &woken["reason"]), (&false.into(), &"it has ended".into()), "{woken}");
        let started = invoke("StartRollbackFunction", "start-rollback.json");
        assert!(started["rolledBack"].as_str().is_some_and(|run| run.ends_with(":example")), "{started}");
    });
}

#[test]
fn the_events_of_the_operations_functions_have_the_fields_that_the_machines_send() {
    on_aws(async |aws| {
        let (run, outcome) = execute(aws, &new_create(aws, json!({})).1).await;
        succeeded(&outcome);
        let child = Run::new(&run.arn).operation(aws.output("OperationMachineArn"), 1);
        let child = aws.step_functions().describe_execution().execution_arn(child).send().await.unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let mut sent = keys(&parsed(child.input().unwrap()));
        sent.extend(["step", "execution"].map(str::to_owned));
        for file in ["start-create.json", "start-update.json", "instance-state.json", "adopt.json"] {
            let event = fs::read_to_string(root().join("events/functions").join(file)).unwrap();
            assert_eq!(keys(&parsed(&event)), sent, "{file}");
        }
    });
}

#[test]
fn cargo_lambda_invokes_a_function_on_the_local_aws() {
    on_aws(async |aws| {
        let name = aws.function("CheckStatusFunction").unwrap();
        let file = root().join("events/functions/check-status.json");
        let mut invoke = Command::new(kept().join("venv/bin/cargo-lambda"));
        invoke.args(["lambda", "invoke", "--remote", "--data-file"]).arg(file).arg(name).envs(aws.environment());
        let output = invoke.output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).expect("an answer");
        assert_eq!(answer["result"]["id"], "ami-0123456789abcdef0", "{output:?}");
    });
}
