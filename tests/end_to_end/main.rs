//! End-to-end tests on one local AWS with the application deployed, which all of them share.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod availability;
mod create;
mod delete;
mod dry_run;
mod ends;
mod events;
mod exactly_one;
mod functions;
mod ministack;
mod nets;
mod only_creates;
mod protection;
mod prune;
mod replace;
mod schedules;
mod transitions;
mod unmanaged;
mod update;
mod watch;

use std::{
    fs,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use local_aws::{
    calls::Recorder,
    deployment::{Deployment, Options},
    execution::{Execution, Outcome},
    prepare::root,
};
use local_ec2::InstanceSpec;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// How many times faster than real the tests' AWS runs: fast enough for 40 minutes to be waited
/// for, slow enough for a minute to be longer than a few calls take.
const SPEED: f64 = 60.0;

/// What the functions and machines have called.
static CALLS: Recorder = Recorder::new("end_to_end");

/// A test on the shared deployment: when the last that goes on has ended, the calls and the executions are written
/// down.
struct GoesOn(&'static Deployment);

static GO_ON: AtomicUsize = AtomicUsize::new(0);

/// Where `.ci/run` finds the executions, for the interpreter of the machines to replay.
const HISTORIES: &str = "target/histories/end_to_end.jsonl";

impl GoesOn {
    fn new(deployment: &'static Deployment) -> Self {
        GO_ON.fetch_add(1, Ordering::SeqCst);
        Self(deployment)
    }
}

impl Drop for GoesOn {
    fn drop(&mut self) {
        if GO_ON.fetch_sub(1, Ordering::SeqCst) == 1 {
            CALLS.record(self.0).expect("a file of calls");
            let executions = self.0.histories().expect("executions");
            fs::write(root().join(HISTORIES), executions).expect("a file of executions");
        }
    }
}

/// Runs a test on the shared deployment.
fn on_aws(test: impl AsyncFnOnce(&'static Deployment)) {
    static SHARED: OnceLock<(Runtime, Deployment)> = OnceLock::new();
    let (runtime, deployment) = SHARED.get_or_init(|| {
        CALLS.begin().expect("a file of calls");
        fs::create_dir_all(root().join("target/histories")).expect("a folder of executions");
        let runtime = Runtime::new().expect("a runtime");
        let options = Options {
            speed: SPEED,
            port: 0,
            ec2_port: 0,
            ec2_through: None,
            parameters: [
                "SweepSchedule=rate(5 minutes)",
                "NotificationEmail=team@example.com",
                // It never starts a run by itself.
                "ScheduleExpression=at(2999-12-31T23:59:59)",
                schedules::REQUEST,
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        let deployment = runtime.block_on(Deployment::start(&options, &|step| eprintln!("{step}")));
        let deployment = deployment.expect("a local AWS");
        deployment.keep_histories().expect("a file of executions");
        (runtime, deployment)
    });
    let _goes_on = GoesOn::new(deployment);
    runtime.block_on(test(deployment));
}

/// A name that no other test has, and that is the beginning of no other one.
fn unique(what: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    format!("{what}-{:04}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The request in a file of `events/requests/`, with some fields changed.
fn event(file: &str, changes: Value) -> Value {
    let text = fs::read_to_string(root().join("events/requests").join(file)).expect(file);
    let mut event: Value = serde_json::from_str(&text).expect(file);
    if let (Value::Object(event), Value::Object(changes)) = (&mut event, changes) {
        event.extend(changes);
    }
    event
}

/// A new running instance with two volumes, and the input of a create from it with some fields changed.
fn new_create(aws: &Deployment, changes: Value) -> (String, Value) {
    let instance = aws.ec2.add_instance(InstanceSpec::default().volume("/dev/sdf", 20, "gp3"));
    let mut input = event("create.json", json!({"name": unique("image"), "sourceInstanceId": instance}));
    if let (Value::Object(input), Value::Object(changes)) = (&mut input, changes) {
        input.extend(changes);
    }
    (instance, input)
}

/// Starts a run.
async fn start(aws: &Deployment, input: &Value) -> Execution {
    let machine = aws.lifecycle_machine_arn();
    aws.start_execution(machine, Some(&unique("run")), &input.to_string()).await.expect("a run")
}

/// Runs an input to its end.
async fn execute(aws: &Deployment, input: &Value) -> (Execution, Outcome) {
    let run = start(aws, input).await;
    let outcome = run.wait().await.expect("an end");
    (run, outcome)
}

/// Waits until a condition holds, for so long that only a fault keeps it from holding.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..600 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it has not come to pass in half a minute");
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

/// What an AWS CLI command prints; null where it prints nothing.
fn cli(aws: &Deployment, arguments: &[&str]) -> Value {
    let environment = aws.environment();
    // For SQS the AWS CLI does not look into its environment.
    let (_, endpoint) = environment.iter().find(|(name, _)| *name == "AWS_ENDPOINT_URL").unwrap();
    let printed = aws.aws_cli(&[arguments, &["--endpoint-url", endpoint, "--output", "json"]].concat()).unwrap();
    serde_json::from_str(&printed).unwrap_or_default()
}
