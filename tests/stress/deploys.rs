//! Deploys on a local AWS of their own: a second stack beside the first, a second deploy amid runs, and one that
//! changes a parameter. Each test has a stack.

mod amid_runs;
mod held;
mod two_stacks;

use std::{sync::OnceLock, time::Duration};

use local_aws::{
    deployment::{Deployment, Options, STACK},
    execution::{Execution, Outcome},
};
use local_ec2::{Ec2, InstanceSpec};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const SPEED: f64 = 60.0;
/// The stacks beside the first; its name begins theirs.
const BESIDE: [&str; 3] = ["two", "redeployed", "changed"];
const SWEEPS: &str = "SweepSchedule=rate(5 minutes)";

/// Runs a test beside the stack that is there from the start.
fn on_aws(test: impl AsyncFnOnce(&'static Deployment)) {
    static SHARED: OnceLock<(Runtime, Deployment)> = OnceLock::new();
    let (runtime, deployment) = SHARED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let parameters = vec![SWEEPS.to_owned()];
        let options = Options { speed: SPEED, port: 0, ec2_port: 0, ec2_through: None, parameters };
        let deployment = runtime.block_on(Deployment::start(&options, &|step| eprintln!("{step}"))).unwrap();
        (runtime, deployment)
    });
    runtime.block_on(test(deployment));
}

/// Deploys one more stack.
fn beside(aws: &Deployment, name: &str, parameters: &[&str]) -> Deployment {
    let parameters: Vec<_> = parameters.iter().map(|one| (*one).to_owned()).collect();
    aws.beside(&format!("{STACK}-{name}"), &parameters).unwrap()
}

async fn start(aws: &Deployment, name: &str, request: &Value) -> Execution {
    let machine = aws.lifecycle_machine_arn();
    aws.start_execution(machine, Some(name), &request.to_string()).await.unwrap()
}

async fn succeeds(aws: &Deployment, name: &str, request: &Value) -> Value {
    match start(aws, name, request).await.wait().await.unwrap() {
        Outcome::Succeeded(output) => output,
        ended => panic!("{name}: {ended:?}"),
    }
}

/// A new instance, and the request of a create from it.
fn create(ec2: &Ec2, name: &str) -> (String, Value) {
    let instance = ec2.add_instance(InstanceSpec::default());
    let request = json!({"name": name, "sourceInstanceId": instance, "snapshotWithoutReboot": true});
    (instance, request)
}

async fn until(condition: impl AsyncFn() -> bool) {
    assert!(comes_to_pass(condition).await, "it has not come to pass in a minute");
}

async fn comes_to_pass(condition: impl AsyncFn() -> bool) -> bool {
    for _ in 0..1_200 {
        if condition().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

async fn stop(aws: &Deployment, run: &Execution) {
    aws.step_functions().stop_execution().execution_arn(&run.arn).send().await.unwrap();
}
