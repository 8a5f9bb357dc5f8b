//! The functions, as Lambda runs them: each with clients of its own, a timeout, and deaths at any moment.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use ami_from_instance::{
    app::App,
    aws::clients,
    error::Error,
    events::{self, wake},
    lambda,
    operations::{self, describe},
    plan,
    settings::{
        ALLOW_UNMANAGED_IMAGES, CREATE_TIMEOUT, DEFAULT_TAGS, DELETE_TIMEOUT, LIFECYCLE_MACHINE_ARN,
        OPERATION_MACHINE_ARN, Settings, UPDATE_TIMEOUT,
    },
};
use aws_config::SdkConfig;
use aws_sdk_ec2::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider,
    retry::{RetryPartition, TokenBucket},
};
use aws_smithy_async::time::TimeSource;
use local_ec2::REGION;
use local_step_functions::TaskError;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::spawn_local};

use crate::{
    check::ONE_NAME,
    faults::InvocationFault,
    roles,
    template::{DEPLOYED, parameter},
    time,
    trace::brief,
    wire::Wire,
    world::{Invocation, World, lock},
};

/// The functions of a world.
pub(crate) struct Functions {
    world: Arc<World>,
    /// Each since the deployment of a number.
    apps: RefCell<BTreeMap<&'static str, (u32, Rc<App>)>>,
}

#[derive(Debug)]
struct VirtualTime;

impl TimeSource for VirtualTime {
    fn now(&self) -> std::time::SystemTime {
        time::of_functions()
    }
}

impl Functions {
    pub(crate) fn new(world: Arc<World>) -> Rc<Self> {
        Rc::new(Self { world, apps: RefCell::default() })
    }

    /// Makes invocations, as long as somebody may ask for some.
    pub(crate) async fn serve(self: Rc<Self>, mut invocations: mpsc::UnboundedReceiver<Invocation>) {
        while let Some(Invocation { function, event, place, answer }) = invocations.recv().await {
            let functions = Rc::clone(&self);
            spawn_local(async move {
                let world = Arc::clone(&functions.world);
                let name = function.clone();
                let done = spawn_local(async move { functions.invoke(&function, event, place).await }).await;
                let done = done.unwrap_or_else(|panic| {
                    world.violation(ONE_NAME, format!("{name} has panicked: {panic}"));
                    Err(TaskError::new("Panicked", panic.to_string()))
                });
                if let Some(answer) = answer {
                    // Nobody may wait for it any more.
                    drop(answer.send(done));
                }
            });
        }
    }

    /// Invokes a function, and says what the caller gets.
    pub(crate) async fn invoke(&self, function: &str, event: Value, place: String) -> Result<Value, TaskError> {
        let world = &self.world;
        let fault = lock(&world.troubles).invocation(label(function));
        let struck = fault.map(|fault| format!(" [{fault:?}]")).unwrap_or_default();
        world.say(|| format!("{:<14} called {}{struck}", label(function), brief(&what(&event))));
        if let Some(fault) = fault {
            lock(&world.coverage).note(place, fault.name());
        }
        world.pause(10..250).await;
        match fault {
            Some(InvocationFault::Refused(error)) => return Err(TaskError::new(error, "not now")),
            Some(InvocationFault::Late(seconds)) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            _ => {}
        }
        let polls = if let Some(InvocationFault::Killed(polls)) = fault { polls } else { u32::MAX };
        let handled = Mortal { future: Box::pin(self.handle(function, event)), polls };
        let answer = match tokio::time::timeout(DEPLOYED.function_timeout, handled).await {
            Ok(Some(answer)) => answer.map_err(|error| TaskError::of_function(error.name(), &error.to_string())),
            Ok(None) => Err(TaskError::of_function("Runtime.ExitError", "RequestId: 0 Error: Runtime exited")),
            Err(_) => Err(TaskError::of_function("Sandbox.Timedout", "RequestId: 0 Error: Task timed out")),
        };
        world.say(|| {
            let shown = match &answer {
                Ok(answer) => brief(&shown(answer)),
                Err(error) => format!("raises {}: {}", error.error, error.cause.as_deref().unwrap_or_default()),
            };
            format!("{:<14} answers {shown}", label(function))
        });
        if fault == Some(InvocationFault::AnswerLost) {
            return Err(TaskError::new("Lambda.Unknown", "The cause could not be determined"));
        }
        answer
    }

    /// What the function's main does.
    async fn handle(&self, function: &str, event: Value) -> Result<Value, Error> {
        let Some(name) = roles::FUNCTIONS.into_iter().find(|name| *name == label(function)) else {
            return Err(Error::invalid("function", "must be one of the template"));
        };
        let app = &*self.app(name);
        let for_machines = match name {
            "Wake" => return wake::handle(app, event).await.map(|woken| json!(woken)),
            "StartRollback" => return events::start_rollback(app, event).await,
            "ReadRequest" => plan::handle(app, event).await.map(|plan| json!(plan)),
            "CheckStatus" if event.get("operation").is_none() => {
                describe::handle(app, &event).await.map(|attributes| json!(attributes))
            }
            _ => operations::answer(app, event).await,
        };
        for_machines.or_else(lambda::conclude)
    }

    /// What a function works with, made anew by each deployment.
    fn app(&self, name: &'static str) -> Rc<App> {
        let deployment = *lock(&self.world.deployments);
        let mut apps = self.apps.borrow_mut();
        if apps.get(name).is_none_or(|(made_by, _)| *made_by != deployment) {
            apps.insert(name, (deployment, Rc::new(app_of(&self.world, name))));
        }
        Rc::clone(&apps[name].1)
    }
}

/// A future that may die while it waits, whatever it waits for.
struct Mortal<F> {
    future: Pin<Box<F>>,
    /// How often it may wait.
    polls: u32,
}

impl<F: Future> Future for Mortal<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        match self.polls.checked_sub(1) {
            Some(left) => {
                self.polls = left;
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

fn app_of(world: &Arc<World>, name: &'static str) -> App {
    let wire = Wire::new(Arc::clone(world), name);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIA",
            "secret",
            None,
            None,
            "simulated",
        )))
        .region(Region::from_static(REGION))
        .http_client(wire)
        .time_source(VirtualTime)
        .timeout_config(clients::timeouts())
        .build();
    // The buckets of tokens for retries that clients share by default would outlive the run.
    let partition = |service| RetryPartition::custom(service).token_bucket(TokenBucket::default()).build();
    let ec2 = aws_sdk_ec2::config::Builder::from(&config).retry_partition(partition("ec2"));
    let auto_scaling = aws_sdk_autoscaling::config::Builder::from(&config).retry_partition(partition("autoscaling"));
    let step_functions = aws_sdk_sfn::config::Builder::from(&config).retry_partition(partition("sfn"));
    App {
        ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
        auto_scaling: aws_sdk_autoscaling::Client::from_conf(auto_scaling.build()),
        step_functions: aws_sdk_sfn::Client::from_conf(step_functions.build()),
        // Only an adopt needs it.
        settings: Settings { allow_unmanaged_images: world.is_unmanaged_allowed(), ..SETTINGS.clone() },
        now: time::of_functions,
        print: |_| {},
    }
}

/// As the template sets them.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    Settings::from(|name| {
        Some(match name {
            LIFECYCLE_MACHINE_ARN => DEPLOYED.lifecycle_arn.clone(),
            OPERATION_MACHINE_ARN => DEPLOYED.operation_arn.clone(),
            DEFAULT_TAGS => parameter("DefaultTags"),
            ALLOW_UNMANAGED_IMAGES => parameter("AllowUnmanagedImages"),
            CREATE_TIMEOUT => parameter("CreateTimeout"),
            UPDATE_TIMEOUT => parameter("UpdateTimeout"),
            DELETE_TIMEOUT => parameter("DeleteTimeout"),
            _ => return None,
        })
    })
});

fn label(function: &str) -> &str {
    function.strip_suffix("Function").unwrap_or(function)
}

/// What of an event a reader of the trace wants to see.
fn what(event: &Value) -> Value {
    let fields = ["operation", "step", "woken", "memory", "waitedSeconds", "waitSeconds", "request", "detail-type"];
    let mut shown: serde_json::Map<_, _> =
        fields.iter().filter_map(|name| Some(((*name).to_owned(), event.get(*name)?.clone()))).collect();
    for name in ["ImageId", "State", "executionArn", "status"] {
        if let Some(value) = event.get("detail").and_then(|detail| detail.get(name)) {
            shown.insert(name.to_owned(), value.clone());
        }
    }
    shown.into()
}

/// What of an answer.
fn shown(answer: &Value) -> Value {
    let fields = ["status", "reason", "waitSeconds", "wake", "error"];
    let shown: serde_json::Map<_, _> =
        fields.iter().filter_map(|name| Some(((*name).to_owned(), answer.get(*name)?.clone()))).collect();
    if shown.is_empty() { answer.clone() } else { shown.into() }
}
