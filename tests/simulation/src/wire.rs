//! The way from the functions' AWS clients to the services: in memory, in virtual time, and not always open.

use std::{fmt, sync::Arc, time::Duration};

use ami_from_instance::{model::run::RUN_TAG, operations::instance_state::STOPPED_BY_TAG};
use aws_sdk_ec2::{
    config::{HttpClient, RuntimeComponents, http::HttpRequest},
    types::{ImageState::Available, InstanceStateName},
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use local_ec2::{Call, Fault, FaultKind, ImageInfo, InstanceInfo, Request};
use permissions::Deployed;

use crate::{
    check::{IN_USE, NOT_ALLOWED, NOTHING_LOST},
    coverage,
    faults::CallFault,
    people,
    replies::Sent,
    roles, step_functions,
    template::DEPLOYED,
    world::{World, lock},
};

/// Milliseconds that a request takes, and that its answer takes.
const THERE: std::ops::Range<u64> = 2..120;
const BACK: std::ops::Range<u64> = 1..60;

/// Reaches the services of a world for one function.
#[derive(Clone)]
pub(crate) struct Wire {
    world: Arc<World>,
    function: &'static str,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("function", &self.function).finish_non_exhaustive()
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        let body = request.body().bytes().unwrap_or_default();
        let body = String::from_utf8_lossy(body).into_owned();
        let target = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
        let target = target.map(str::to_owned);
        HttpConnectorFuture::new(async move { wire.send(target, body).await.into_response() })
    }
}

impl Wire {
    pub(crate) fn new(world: Arc<World>, function: &'static str) -> Self {
        Self { world, function }
    }

    /// `target` is the action of Step Functions' protocol.
    async fn send(&self, target: Option<String>, body: String) -> Sent {
        let world = &self.world;
        world.pause(THERE).await;
        let (action, request) = match target {
            Some(action) => (action, None),
            None => {
                let action = body.split('&').find_map(|field| field.strip_prefix("Action=")).unwrap_or_default();
                (action.to_owned(), Some(Request::read("", body.as_bytes(), self.function)))
            }
        };
        let is_ec2 = request.is_some();
        world.deeds_at_call().into_iter().for_each(|deed| people::act(world, deed));
        if !roles::allow(self.function, &action) {
            world.violation(NOT_ALLOWED, format!("{} calls {action}", self.function));
        }
        let fault = lock(&world.troubles).call(self.function, &action);
        if let Some(fault) = fault {
            lock(&world.coverage).note(coverage::call(self.function, &action), fault.name());
        }
        let is_dry = parameter(&body, "DryRun") == Some("true");
        let image = parameter(&body, "ImageId").or_else(|| parameter(&body, "ImageId.1"));
        if let Some(image) = image.filter(|_| !is_dry) {
            self.watch_use(&action, image, fault.is_none());
            self.watch_instance(&action, image);
        }
        let is_denied = self.is_denied(&action, &body);
        let sent = match request {
            Some(request) => self.ec2(request, if is_denied { Some(CallFault::Refused) } else { fault }),
            None => self.step_functions(&action, &body, fault),
        };
        world.say(|| {
            let struck = fault.map(|fault| format!(" [{fault:?}]")).unwrap_or_default();
            let about = if is_ec2 { about(&body) } else { step_functions::about(&body) };
            format!("{:<14} {action} {about} → {}{struck}", self.function, sent.summary())
        });
        if let Some(CallFault::Slow(seconds)) = fault {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        world.pause(BACK).await;
        sent
    }

    /// No function deregisters an image of which it has just heard that something names it.
    fn watch_use(&self, action: &str, image: &str, is_answered: bool) {
        let mut in_use = lock(&self.world.in_use);
        match action {
            "DescribeImageReferences" => in_use.asked(image, is_answered),
            // Somebody else may have deregistered it meanwhile.
            "DeregisterImage" if in_use.is_known(image) && self.world.ec2.image(image).is_some() => {
                self.world.violation(IN_USE, format!("{} deregisters {image}", self.function));
            }
            _ => {}
        }
    }

    /// No function deregisters the image of a run whose instance is still as the run has stopped it.
    fn watch_instance(&self, action: &str, image: &str) {
        if action != "DeregisterImage" || self.world.ec2.image(image).is_none_or(|image| image.state != Available) {
            return;
        }
        let subject = lock(&self.world.subject).clone();
        let is_of_the_run = |image: &ImageInfo| image.tags.get(RUN_TAG) == Some(&subject.arn);
        let is_down = |instance: &InstanceInfo| {
            instance.tags.get(STOPPED_BY_TAG) == Some(&subject.arn) && instance.state == InstanceStateName::Stopped
        };
        let ec2 = &self.world.ec2;
        if ec2.image(image).is_some_and(|one| is_of_the_run(&one))
            && ec2.instance(&subject.instance).is_some_and(|one| is_down(&one))
        {
            let seen = format!("{} deregisters {image}, and {} is stopped", self.function, subject.instance);
            self.world.violation(NOTHING_LOST, seen);
        }
    }

    /// Whether the role denies a call by its condition: a tag of a run is put on only where none is.
    fn is_denied(&self, action: &str, body: &str) -> bool {
        let key = match (action, self.function) {
            ("CreateTags", "InstanceState") => STOPPED_BY_TAG,
            ("CreateTags", "Adopt") => RUN_TAG,
            _ => return false,
        };
        let ec2 = &self.world.ec2;
        let tags = |id: &str| {
            let image = ec2.image(id).map(|image| image.tags);
            let snapshot = || ec2.snapshot(id).map(|snapshot| snapshot.tags);
            image.or_else(snapshot).or_else(|| ec2.instance(id).map(|instance| instance.tags))
        };
        let ids = (1..).map_while(|number| parameter(body, &format!("ResourceId.{number}")));
        ids.filter_map(tags).any(|tags| tags.contains_key(key))
    }

    fn step_functions(&self, action: &str, body: &str, fault: Option<CallFault>) -> Sent {
        let request = serde_json::from_str(body).unwrap_or_default();
        lock(&self.world.calls).extend([permissions::of_step_functions(&self.principal(), action, &request)]);
        step_functions::answer(&self.world, action, &request, fault)
    }

    /// Writes down calls whose resources IAM looks at.
    fn note(&self, calls: &[Call]) {
        let is_unmanaged_allowed = self.world.is_unmanaged_allowed();
        let deployed = Deployed { runs: &DEPLOYED.runs, is_unmanaged_allowed };
        // People call, too.
        let is_told = |call: &&Call| call.mutating || call.action == "DescribeImageAttribute";
        for call in calls.iter().filter(|call| call.caller == self.function).filter(is_told) {
            lock(&self.world.calls).extend(permissions::of_ec2(&self.principal(), call, deployed));
        }
    }

    fn principal(&self) -> String {
        format!("{}Function", self.function)
    }

    fn ec2(&self, request: Request, fault: Option<CallFault>) -> Sent {
        let ec2 = &self.world.ec2;
        let kind = match fault {
            None | Some(CallFault::Slow(_)) => None,
            Some(CallFault::Throttled) => Some(FaultKind::Throttle),
            Some(CallFault::ServerError(status)) => Some(FaultKind::ServerError(status)),
            Some(CallFault::Reset) => Some(FaultKind::ConnectionReset),
            Some(CallFault::AnswerLost) => Some(FaultKind::LostResponse),
            Some(CallFault::AnswerLostAs(status)) => Some(FaultKind::LostResponseAs(status)),
            Some(CallFault::Refused) => {
                let (code, message) = ("UnauthorizedOperation".to_owned(), "not for now".to_owned());
                Some(FaultKind::Refused { code, message })
            }
        };
        if let Some(kind) = kind {
            ec2.inject(Fault::on_any(kind));
        }
        let reply = ec2.answer(request);
        self.note(&ec2.calls());
        ec2.clear_faults();
        ec2.forget_calls();
        self.world.ec2_changed.notify_one();
        reply.into()
    }
}

/// The value of a parameter in a request's body.
fn parameter<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    body.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

/// What of an EC2 request a reader of the trace wants to see.
fn about(query: &str) -> String {
    let shown = |field: &&str| {
        let name = field.split('=').next().unwrap_or_default();
        !matches!(name, "Action" | "Version") && !name.starts_with("TagSpecification")
    };
    query.split('&').filter(shown).collect::<Vec<_>>().join(" ")
}
