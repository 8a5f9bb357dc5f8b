//! Stopping an instance for its image, and starting it again.
//!
//! A tag on the instance says which run has stopped it, from before the stop until after the start. It is what
//! lets the functions stop and start the instance at all, and how the sweep finds an instance to be started.

pub mod start;
pub mod stop;
mod undo;

use aws_sdk_ec2::{
    error::ProvideErrorMetadata,
    types::{Instance, InstanceStateName},
};

use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    aws::{
        ec2,
        error_codes::{self, INSTANCE_STATE},
    },
    error::Error,
    model::{ids::InstanceId, run::Run, source_instance::SourceInstance},
};

/// The tag that an instance has while a run has stopped it; its value is the run.
pub const STOPPED_BY_TAG: &str = "ami-from-instance:stopped-by";

/// Which instance is stopped, or started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arguments {
    /// The instance.
    pub source_instance_id: InstanceId,
}

/// What a stop and a start give.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The instance, if it is the run that has stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_instance: Option<SourceInstance>,
}

/// The run that has stopped an instance, or is about to.
pub(crate) fn stopped_by(instance: &Instance) -> Option<Run> {
    let tag = instance.tags().iter().find(|tag| tag.key() == Some(STOPPED_BY_TAG));
    tag.and_then(|tag| tag.value()).map(Run::new)
}

/// The instances that have a run's tag, as far as EC2 shows them.
pub(crate) async fn left_by(app: &App, run: &Run) -> Vec<String> {
    let tagged = ec2::instances_tagged(&app.ec2, STOPPED_BY_TAG).await.unwrap_or_default();
    let of_run = tagged.iter().filter(|instance| stopped_by(instance).as_ref() == Some(run));
    let said = |instance: &Instance| Some(format!("{} is {}", instance.instance_id()?, shown(instance)));
    of_run.filter_map(said).collect()
}

fn state(instance: &Instance) -> Option<&InstanceStateName> {
    instance.state().and_then(|state| state.name())
}

fn shown(instance: &Instance) -> &str {
    state(instance).map_or("in no known state", InstanceStateName::as_str)
}

/// How far an instance is on its way to run.
#[derive(Debug, PartialEq)]
enum Start {
    /// It runs.
    Running,
    /// It will run, if nothing goes wrong.
    OnItsWay(&'static str),
    /// EC2 has no place for it at the moment.
    NotNow(String),
    /// EC2 does not start it.
    Refused(String),
}

/// Starts an instance, unless it runs or is on its way.
async fn start(app: &App, instance: &Instance) -> Result<Start, Error> {
    match state(instance) {
        Some(InstanceStateName::Running) => return Ok(Start::Running),
        Some(InstanceStateName::Pending) => return Ok(Start::OnItsWay("the instance is starting")),
        Some(InstanceStateName::Stopping) => return Ok(Start::OnItsWay("the instance is still stopping")),
        Some(InstanceStateName::Stopped) => {}
        _ => return Ok(Start::Refused(format!("it is {}", shown(instance)))),
    }
    let id = instance.instance_id().unwrap_or_default();
    match app.ec2.start_instances().instance_ids(id).send().await {
        Ok(_) => {
            tracing::info!(instanceId = id, "the instance is started");
            Ok(Start::OnItsWay("EC2 has accepted to start the instance"))
        }
        Err(error) => match error_codes::code(&error) {
            Some(INSTANCE_STATE) => Ok(Start::OnItsWay("the instance is changing its state")),
            // EC2 answers it as an error of its own (HTTP 500).
            Some(code) if error_codes::is_about_capacity(code) => {
                let words = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
                Ok(Start::NotNow(format!("ec2:StartInstances was refused: {code}: {words}")))
            }
            _ => match error_codes::unexpected("ec2:StartInstances", &error) {
                error if error.is_to_be_retried() => Err(error),
                error => Ok(Start::Refused(error.to_string())),
            },
        },
    }
}

/// What EC2 says about an instance that it accepted to start and then stopped; none if a user stopped it.
fn stopped_by_ec2(instance: &Instance) -> Option<&str> {
    let reason = instance.state_reason().filter(|_| state(instance) == Some(&InstanceStateName::Stopped))?;
    let code = reason.code().unwrap_or_default();
    // For want of a place, EC2 may also stop it after it has accepted the start.
    let may_pass = code == "Client.UserInitiatedShutdown" || code.ends_with("Capacity");
    (!may_pass).then(|| reason.message().unwrap_or("no reason"))
}

/// Whether the instance was started after it was last seen with this launch time.
fn has_started_since(instance: &Instance, launched_at: Option<i64>) -> bool {
    instance.launch_time().zip(launched_at).is_some_and(|(launched, before)| launched.secs() > before)
}

fn stops_again(reason: &str) -> String {
    format!("EC2 accepts to start it, and it stops again: {reason}")
}

/// Takes the tag off an instance that runs again.
async fn release(app: &App, instance: &Instance, run: &Run) -> Result<(), Error> {
    let id = instance.instance_id().unwrap_or_default();
    // With its value, so that another run's tag stays.
    let tag = ec2::tag(STOPPED_BY_TAG, run.arn());
    let answer = app.ec2.delete_tags().resources(id).tags(tag).send().await;
    answer.map_err(|error| error_codes::unexpected("ec2:DeleteTags", &error)).map(drop)
}
