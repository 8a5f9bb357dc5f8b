//! The local AWS with the application deployed on it.

use std::{collections::BTreeMap, fs, process::Command, sync::Arc, time::Duration};

use ami_from_instance::{aws::clients::http_client, model::run::RUN_TAG};
use anyhow::{Context, Result};
use aws_config::BehaviorVersion;
use local_ec2::{Ec2, Fate, Fault, FaultKind, InstanceSpec, Settings};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    execution::Execution,
    iam::Judge,
    journal::Journal,
    ministack::{self, EventBus, MiniStack},
    prepare::{self, quietly},
    step_functions,
};

/// An image that an earlier run made, there from the start.
pub const MANAGED_IMAGE: &str = "ami-0123456789abcdef0";
/// An image that no run made, there from the start.
pub const UNMANAGED_IMAGE: &str = "ami-0fedcba9876543210";

/// What can be chosen about a local AWS.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many times faster than real its time runs.
    pub speed: f64,
    /// MiniStack's port; 0 for a free one.
    pub port: u16,
    /// The local EC2's port; 0 for a free one.
    pub ec2_port: u16,
    /// The URL at which the functions find EC2 if not at its own, such as a proxy's.
    pub ec2_through: Option<String>,
    /// Parameters of the template, as `Key=Value`.
    pub parameters: Vec<String>,
}

/// How often the local EC2 is asked for its events.
const EVENTS_EVERY: Duration = Duration::from_millis(20);

/// Carries EC2's events to EventBridge until it is dropped.
#[derive(Debug)]
struct Events(JoinHandle<()>);

impl Events {
    fn carry(ec2: Ec2, event_bus: EventBus) -> Self {
        Self(tokio::spawn(async move {
            // Should MiniStack have ended, there is nobody to be told.
            while ec2.take_events().iter().all(|event| event_bus.send(event).is_ok()) {
                tokio::time::sleep(EVENTS_EVERY).await;
            }
        }))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The stack's name, unless there is more than one.
pub const STACK: &str = "ami-from-instance";

/// A running local AWS with the application deployed on it; it ends when this and each one beside it are dropped.
#[derive(Debug)]
pub struct Deployment {
    /// The local EC2.
    pub ec2: Ec2,
    _events: Arc<Events>,
    ministack: Arc<MiniStack>,
    step_functions: aws_sdk_sfn::Client,
    journal: Arc<Journal>,
    stack: String,
    outputs: BTreeMap<String, String>,
    speed: f64,
    parameters: Vec<String>,
}

impl Deployment {
    /// Prepares what is missing, starts the local AWS, and deploys `template.yaml` on it.
    pub async fn start(options: &Options, say: &dyn Fn(&str)) -> Result<Self> {
        let python = prepare::python(say)?;
        prepare::handlers(say)?;
        say("starting the local AWS");
        let settings = Settings { speed: options.speed, port: options.ec2_port, ..Settings::default() };
        let ec2 = Ec2::start(settings).await.with_context(|| {
            format!("the local EC2 cannot listen on port {}: choose another one, or 0 for a free one", options.ec2_port)
        })?;
        let functions_find_it = options.ec2_through.clone().unwrap_or_else(|| ec2.endpoint());
        let ministack = MiniStack::start(&python, options.port, &functions_find_it, options.speed)?;
        let journal = Arc::new(Journal::of(ministack.folder()));
        let step_functions = step_functions_at(ministack.endpoint());
        let ministack = Arc::new(ministack);
        say("deploying template.yaml with CloudFormation");
        let outputs = deploy(&ministack, STACK, "", &options.parameters)?;
        let events = Arc::new(Events::carry(ec2.clone(), ministack.event_bus()));
        let stack = STACK.to_owned();
        let (speed, parameters) = (options.speed, options.parameters.clone());
        let deployment =
            Self { ec2, _events: events, ministack, step_functions, journal, stack, outputs, speed, parameters };
        deployment.seed();
        Ok(deployment)
    }

    /// Deploys a stack of another name on the same local AWS.
    pub fn beside(&self, stack: &str, parameters: &[String]) -> Result<Self> {
        Ok(Self {
            ec2: self.ec2.clone(),
            _events: Arc::clone(&self._events),
            ministack: Arc::clone(&self.ministack),
            step_functions: self.step_functions.clone(),
            journal: Arc::clone(&self.journal),
            stack: stack.to_owned(),
            outputs: deploy(&self.ministack, stack, "", parameters)?,
            speed: self.speed,
            parameters: parameters.to_vec(),
        })
    }

    /// Deploys the stack again: with other functions and machines, if `release` is another word than before,
    /// and with other values of some parameters.
    pub fn deploy_again(&self, release: &str, parameters: &[String]) -> Result<()> {
        deploy(&self.ministack, &self.stack, release, parameters).map(drop)
    }

    /// Deletes the stack.
    pub fn delete(&self) -> Result<()> {
        self.aws_cli(&["cloudformation", "delete-stack", "--stack-name", &self.stack])?;
        self.aws_cli(&["cloudformation", "wait", "stack-delete-complete", "--stack-name", &self.stack]).map(drop)
    }

    /// From now on, every call of the functions, machines, rules and schedules needs to be allowed by the policies that
    /// are deployed.
    pub fn enforce_iam(&self) -> Result<()> {
        let listed = ["iam", "list-roles", "--query", "Roles[].Arn", "--output", "text"];
        let mut roles = BTreeMap::new();
        for arn in self.aws_cli(&listed)?.split_whitespace() {
            let name = arn.rsplit('/').next().unwrap_or_default().strip_prefix(&format!("{}-", self.stack));
            if let Some((function, _)) = name.and_then(|name| name.split_once("Role-")) {
                roles.insert(function.to_owned(), arn.to_owned());
            }
        }
        let judge = Judge::new(self.ministack.port(), roles);
        self.ec2.authorize(move |call| judge.allows(call));
        Ok(fs::write(self.ministack.folder().join("iam"), "")?)
    }

    /// Begins to write down each call of a function.
    pub fn record(&self) -> Result<()> {
        Ok(fs::write(self.recording(), "")?)
    }

    /// What was written down since [`Deployment::record`].
    pub fn recorded(&self) -> Result<Vec<serde_json::Value>> {
        let lines = fs::read_to_string(self.recording())?;
        lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn recording(&self) -> std::path::PathBuf {
        self.ministack.folder().join("recording")
    }

    /// Begins to write down each execution that ends.
    pub fn keep_histories(&self) -> Result<()> {
        Ok(fs::write(self.kept_histories(), "")?)
    }

    /// The executions of the stack's machines that have ended since, a line each in the format of
    /// `tests/local-step-functions/src/bin/replay/`.
    pub fn histories(&self) -> Result<String> {
        let kept = fs::read_to_string(self.kept_histories())?;
        let machines = ["LifecycleMachineArn", "OperationMachineArn", "CreateMachineArn"].map(|arn| self.output(arn));
        let is_ours = |line: &&str| {
            let execution: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            execution["stateMachineArn"].as_str().is_some_and(|machine| machines.contains(&machine))
        };
        Ok(kept.lines().filter(is_ours).flat_map(|line| [line, "\n"]).collect())
    }

    fn kept_histories(&self) -> std::path::PathBuf {
        self.ministack.folder().join("histories")
    }

    /// Adds the images that the files in `events/` name.
    fn seed(&self) {
        self.ec2.add_image_of_id(MANAGED_IMAGE, "web-seed", &[(RUN_TAG, &self.past_run()), ("Team", "web")]);
        self.ec2.add_image_of_id(UNMANAGED_IMAGE, "golden", &[("Team", "platform")]);
    }

    /// A run of this deployment that Step Functions no longer knows.
    pub fn past_run(&self) -> String {
        format!("{}:past", self.lifecycle_machine_arn().replace(":stateMachine:", ":execution:"))
    }

    /// An output of the stack.
    pub fn output(&self, key: &str) -> &str {
        self.outputs.get(key).map_or("", String::as_str)
    }

    /// ARN of the machine that users start.
    pub fn lifecycle_machine_arn(&self) -> &str {
        self.output("LifecycleMachineArn")
    }

    /// How many times faster than real its time runs.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// What the functions have called of Step Functions so far.
    pub fn step_functions_calls(&self) -> Result<Vec<step_functions::Call>> {
        step_functions::calls(self.ministack.folder())
    }

    /// What the machines have called so far.
    pub fn machines_calls(&self) -> Result<Vec<step_functions::MachineCall>> {
        step_functions::machines_calls(self.ministack.folder())
    }

    /// Whether it was deployed with this parameter, as `Key=Value`.
    pub fn has_parameter(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|one| one == parameter)
    }

    /// Says what goes wrong with the functions' calls of Step Functions.
    pub fn inject(&self, fault: &step_functions::Fault) -> Result<()> {
        step_functions::inject(self.ministack.folder(), fault)
    }

    /// Drops all rules of what goes wrong, with EC2 too.
    pub fn clear_faults(&self) -> Result<()> {
        self.ec2.clear_faults();
        step_functions::clear_faults(self.ministack.folder())
    }

    /// The name of the function that the template calls so.
    pub fn function(&self, logical_id: &str) -> Result<String> {
        let names =
            self.aws_cli(&["lambda", "list-functions", "--query", "Functions[].FunctionName", "--output", "text"])?;
        let start = format!("{}-{logical_id}-", self.stack);
        let name = names.split_whitespace().find(|name| name.starts_with(&start));
        Ok(name.with_context(|| format!("no function is called {logical_id}"))?.to_owned())
    }

    /// How many calls of functions have taken longer than they may.
    pub fn functions_timed_out(&self) -> Result<usize> {
        let log = std::fs::read_to_string(self.ministack.folder().join(ministack::LOG))?;
        Ok(log.lines().filter(|line| line.contains("Task timed out after")).count())
    }

    /// The process ids of the functions that run.
    pub fn functions(&self) -> Vec<u32> {
        self.ministack.functions()
    }

    /// Runs an AWS CLI command on it; gives what it printed.
    pub fn aws_cli(&self, arguments: &[&str]) -> Result<String> {
        let mut aws = Command::new(prepare::kept().join("venv/bin/aws"));
        let output = quietly(aws.args(arguments).envs(self.environment()))?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// The environment that points any AWS client to it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL", self.ministack.endpoint()),
            ("AWS_ENDPOINT_URL_EC2", self.ec2.endpoint()),
            ("AWS_ENDPOINT_URL_AUTO_SCALING", self.ec2.endpoint()),
            ("AWS_ENDPOINT_URL_EBS", self.ec2.endpoint()),
            ("AWS_ENDPOINT_URL_RBIN", self.ec2.endpoint()),
            ("AWS_ENDPOINT_URL_SERVICE_QUOTAS", self.ec2.endpoint()),
            ("LIFECYCLE_MACHINE_ARN", self.lifecycle_machine_arn().to_owned()),
        ];
        variables.extend(ministack::credentials().map(|(name, value)| (name, value.to_owned())));
        variables
    }

    /// Starts a create of this name whose image takes so long, and whose looks see no progress, as EC2 refuses
    /// to show its snapshots: its waits grow, so that its event most likely comes amid one.
    pub async fn create_without_progress(&self, name: &str, takes: Duration) -> Result<Execution> {
        let instance = self.ec2.add_instance(InstanceSpec::default());
        let refused = FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "not here".to_owned() };
        self.ec2.inject(Fault::on("DescribeSnapshots", refused).mentioning(format!(":{name}")).for_ever());
        self.ec2.next_image(&instance, Fate::Takes(takes));
        let request = json!({"name": name, "sourceInstanceId": instance, "snapshotWithoutReboot": true});
        self.start_execution(self.lifecycle_machine_arn(), Some(name), &request.to_string()).await
    }

    /// Starts a machine with an input; Step Functions makes up a name if there is none.
    pub async fn start_execution(&self, machine_arn: &str, name: Option<&str>, input: &str) -> Result<Execution> {
        let request = self.step_functions.start_execution().state_machine_arn(machine_arn);
        let answer = request.set_name(name.map(str::to_owned)).input(input).send().await;
        let arn = answer.context("the execution could not be started")?.execution_arn;
        Ok(Execution::new(Arc::clone(&self.journal), arn))
    }

    /// A Step Functions client for it.
    pub fn step_functions(&self) -> aws_sdk_sfn::Client {
        self.step_functions.clone()
    }
}

fn step_functions_at(endpoint: String) -> aws_sdk_sfn::Client {
    let credentials = aws_sdk_sfn::config::Credentials::new("test", "test", None, None, "local");
    let config = aws_sdk_sfn::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client())
        .region(aws_sdk_sfn::config::Region::new(ministack::REGION))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .build();
    aws_sdk_sfn::Client::from_conf(config)
}

/// Deploys a stack, and gives its outputs.
fn deploy(
    ministack: &MiniStack,
    stack: &str,
    release: &str,
    parameters: &[String],
) -> Result<BTreeMap<String, String>> {
    let staged = ministack.folder().join(stack);
    fs::create_dir_all(&staged)?;
    let mut deploy = Command::new(prepare::kept().join("venv/bin/python"));
    deploy
        .arg(prepare::ministack().join("deploy.py"))
        .arg(prepare::root().join("template.yaml"))
        .arg(prepare::root().join("target/debug"))
        .arg(staged)
        .args([stack, release])
        .args(parameters)
        .envs(ministack::credentials())
        .env("AWS_ENDPOINT_URL", ministack.endpoint());
    Ok(serde_json::from_slice(&quietly(&mut deploy)?)?)
}
