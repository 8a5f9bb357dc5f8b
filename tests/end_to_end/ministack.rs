//! MiniStack behaves like AWS where the machines rely on it: one test for each replaced function
//! of `ministack/start.py`, but for the turns that functions take, which `load.rs` needs. Should one pass
//! without its replacement, the replacement can go.

use aws_sdk_sfn::types::ExecutionStatus;
use local_aws::{
    deployment::Deployment,
    execution::{Execution, Outcome},
};
use serde_json::{Value, json};

use crate::{on_aws, unique};

/// Makes a machine and gives its ARN.
pub(crate) async fn machine(aws: &Deployment, definition: Value) -> String {
    let mut definition = definition;
    definition["QueryLanguage"] = json!("JSONata");
    let request =
        aws.step_functions().create_state_machine().name(unique("machine")).definition(definition.to_string());
    request.role_arn("arn:aws:iam::000000000000:role/any").send().await.unwrap().state_machine_arn
}

async fn start(aws: &Deployment, machine: &str, name: &str) -> Execution {
    aws.start_execution(machine, Some(name), "{}").await.unwrap()
}

async fn output(aws: &Deployment, definition: Value) -> Value {
    let machine = machine(aws, definition).await;
    match start(aws, &machine, &unique("execution")).await.wait().await.unwrap() {
        Outcome::Succeeded(output) => output,
        ended => panic!("{ended:?}"),
    }
}

fn waiting(seconds: u64) -> Value {
    json!({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": seconds, "End": true}}})
}

/// A machine that runs a child and catches how it ends.
fn parent(child: &str, name: &str, extra: Value) -> Value {
    let mut task = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": {
            "StateMachineArn": child,
            "Name": name,
            "Input": {"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "{% $states.context.Execution.Id %}"},
        },
        "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Caught"}],
        "End": true,
    });
    if let (Some(task), Value::Object(extra)) = (task.as_object_mut(), extra) {
        task.extend(extra);
    }
    json!({"StartAt": "Task", "States": {"Task": task, "Caught": {"Type": "Pass", "End": true}}})
}

#[test]
fn the_time_limit_of_a_task_may_be_computed() {
    on_aws(async |aws| {
        let child = machine(aws, waiting(6_000)).await;
        let limit = json!({"TimeoutSeconds": "{% 30 + 30 %}"});
        let caught = output(aws, parent(&child, &unique("child"), limit)).await;
        assert_eq!(caught["Error"], "States.Timeout");
    });
}

#[test]
fn a_succeed_state_may_have_an_output() {
    on_aws(async |aws| {
        let done = json!({"StartAt": "Done", "States": {"Done": {"Type": "Succeed", "Output": "{% 40 + 2 %}"}}});
        assert_eq!(output(aws, done).await, 42);
    });
}

#[test]
fn a_failed_child_gives_its_parent_task_failed_with_the_childs_description() {
    on_aws(async |aws| {
        let fail = json!({"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "Broken", "Cause": "why"}}});
        let child = machine(aws, fail).await;
        let caught = output(aws, parent(&child, &unique("child"), json!({}))).await;
        assert_eq!(caught["Error"], "States.TaskFailed");
        let described: Value = serde_json::from_str(caught["Cause"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&described["Status"], &described["Error"], &described["Cause"]),
            (&"FAILED".into(), &"Broken".into(), &"why".into())
        );
    });
}

#[test]
fn a_childs_name_can_be_used_once() {
    on_aws(async |aws| {
        let child = machine(aws, waiting(0)).await;
        let name = unique("child");
        assert_eq!(output(aws, parent(&child, &name, json!({}))).await["Status"], "SUCCEEDED");
        let caught = output(aws, parent(&child, &name, json!({}))).await;
        assert_eq!(caught["Error"], "StepFunctions.ExecutionAlreadyExistsException");
    });
}

#[test]
fn starting_a_running_execution_again_gives_that_execution() {
    on_aws(async |aws| {
        // It goes on for as long as the computer may be busy.
        let machine = machine(aws, waiting(80_000)).await;
        let name = unique("execution");
        let first = start(aws, &machine, &name).await;
        assert_eq!(start(aws, &machine, &name).await.arn, first.arn);
        let client = aws.step_functions();
        client.stop_execution().execution_arn(&first.arn).send().await.unwrap();
        assert!(aws.start_execution(&machine, Some(&name), "{}").await.is_err());
    });
}

#[test]
fn stopping_an_execution_stops_its_child_and_it_stays_stopped() {
    on_aws(async |aws| {
        let client = aws.step_functions();
        let child = machine(aws, waiting(80_000)).await;
        let name = unique("child");
        let machine = machine(aws, parent(&child, &name, json!({"TimeoutSeconds": 80_000}))).await;
        let run = start(aws, &machine, &unique("execution")).await;
        let child = format!("{}:{name}", child.replace(":stateMachine:", ":execution:"));
        let status =
            async |arn: &str| client.describe_execution().execution_arn(arn).send().await.map(|one| one.status);
        while status(&child).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        client.stop_execution().execution_arn(&run.arn).send().await.unwrap();
        assert_eq!(status(&child).await.unwrap(), ExecutionStatus::Aborted);
        // The parent's thread hears of the child's end only now.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert_eq!(status(&run.arn).await.unwrap(), ExecutionStatus::Aborted);
    });
}

/// A machine that waits for a token for so many seconds.
fn waiting_for_a_token(seconds: &str) -> Value {
    json!({"StartAt": "Wait", "States": {
        "Wait": {
            "Type": "Task",
            "Resource": "arn:aws:states:::events:putEvents.waitForTaskToken",
            "Arguments": {"Entries": [
                {"Source": "tests", "DetailType": "Waits", "Detail": {"token": "{% $states.context.Task.Token %}"}},
            ]},
            "TimeoutSeconds": seconds,
            "Catch": [{"ErrorEquals": ["States.Timeout"], "Output": "in time", "Next": "Caught"}],
            "End": true,
        },
        "Caught": {"Type": "Pass", "End": true},
    }})
}

#[test]
fn a_history_has_the_token_of_a_task_and_the_token_ends_its_wait() {
    on_aws(async |aws| {
        let client = aws.step_functions();
        let machine = machine(aws, waiting_for_a_token("{% 60000 %}")).await;
        let execution = start(aws, &machine, &unique("execution")).await;
        let token = loop {
            let history = client.get_execution_history().execution_arn(&execution.arn).send().await.unwrap();
            let scheduled = history.events.iter().find_map(|event| event.task_scheduled_event_details());
            let arguments = scheduled.map(|details| details.parameters().to_owned()).unwrap_or_default();
            if let Ok(arguments) = serde_json::from_str::<Value>(&arguments) {
                break arguments["Entries"][0]["Detail"]["token"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        client.send_task_success().task_token(token).output(r#"{"told": "now"}"#).send().await.unwrap();
        assert_eq!(execution.wait().await.unwrap(), Outcome::Succeeded(json!({"told": "now"})));
    });
}

#[test]
fn the_time_of_a_task_that_waits_for_a_token_may_be_computed() {
    on_aws(async |aws| assert_eq!(output(aws, waiting_for_a_token("{% 30 + 30 %}")).await, "in time"));
}

#[test]
fn a_machines_own_time_limit_ends_its_executions() {
    on_aws(async |aws| {
        let mut limited = waiting(6_000);
        limited["TimeoutSeconds"] = json!(60);
        let machine = machine(aws, limited).await;
        match start(aws, &machine, &unique("execution")).await.wait().await.unwrap() {
            Outcome::Ended { status, .. } => assert_eq!(status, "TIMED_OUT"),
            succeeded => panic!("{succeeded:?}"),
        }
    });
}

#[test]
fn evaluations_may_wait_for_one_another_longer_than_each_may_take() {
    on_aws(async |aws| {
        let sum = json!({"Type": "Pass", "Output": "{% $sum([1..2000].($ * 2)) %}", "End": true});
        let map = json!({
            "Type": "Map",
            "Items": "{% [1..120] %}",
            "ItemProcessor": {"StartAt": "Sum", "States": {"Sum": sum}},
            "End": true,
        });
        let sums = output(aws, json!({"StartAt": "Map", "States": {"Map": map}})).await;
        assert_eq!(sums.as_array().unwrap().len(), 120);
    });
}
