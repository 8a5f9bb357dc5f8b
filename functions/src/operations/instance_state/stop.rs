//! A stop: the instance is stopped by this run and no other, or was stopped before.

use aws_sdk_ec2::{primitives::DateTime, types::InstanceStateName};
use serde::{Deserialize, Serialize};

use super::{Arguments, Output, STOPPED_BY_TAG, has_started_since, shown, state, stopped_by, undo};
use crate::{
    app::App,
    aws::{
        ec2,
        error_codes::{self, INSTANCE_STATE},
    },
    error::Error,
    machine::{answer, call},
    model::{ids::InstanceId, source_instance::SourceInstance},
    operations::{EndedRun, Operation, Rehearsing, Undone},
};

/// Stops an instance.
#[derive(Debug)]
pub struct Stop;

/// What a stop knows between two calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// When the run was about to stop it, in RFC 3339; it is noted before StopInstances is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stopped_at: Option<String>,
    /// When EC2 had launched it by then, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) launched_at: Option<i64>,
    /// What the machine had waited by then, in seconds.
    stopped_after: u64,
    /// What it had waited when the tag was set, in seconds.
    tagged_after: u64,
    /// What it had waited when EC2 first denied the tag, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    denied_after: Option<u64>,
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Output>;

/// Seconds until another try, while the instance is not ready.
const NOT_READY: u64 = 15;
/// Seconds between the tag and the stop: of two runs that tag at once, the later one's tag stays.
const TAG_SETTLES: u64 = 5;
/// For how long EC2 may not show the tag yet, in seconds.
const TAG_SHOWS_WITHIN: u64 = 120;

impl Operation for Stop {
    const NAME: &'static str = "stop";
    const TIMEOUT: &'static str = "create";
    const IS_OF_THE_IMAGE: bool = false;
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Output;

    /// Takes the instance for this run.
    async fn begin(app: &App, call: Call) -> Result<Answer, Error> {
        let instance_id = &call.arguments.source_instance_id;
        let Some(instance) = ec2::instance(&app.ec2, instance_id).await? else {
            return Err(Error::SourceInstanceNotFound { instance_id: instance_id.to_string() });
        };
        match stopped_by(&instance) {
            Some(run) if run == call.run => Ok(tagged(call)),
            Some(run) => Ok(held(call, run.arn())),
            None => match state(&instance) {
                Some(InstanceStateName::Running) => take(app, call).await,
                Some(InstanceStateName::Stopped) => {
                    Ok(Answer::succeeded(Output { source_instance: None }, "the instance is stopped", call.memory))
                }
                Some(InstanceStateName::Pending | InstanceStateName::Stopping) => {
                    let reason = format!("the instance is {}", shown(&instance));
                    Ok(Answer::not_started(call.growing(NOT_READY), reason, call.memory))
                }
                _ => Err(not_stoppable(instance_id, format!("it is {}", shown(&instance)))),
            },
        }
    }

    async fn look(app: &App, mut call: Call) -> Result<Answer, Error> {
        let instance_id = call.arguments.source_instance_id.clone();
        let Some(instance) = ec2::instance(&app.ec2, &instance_id).await? else {
            return Err(Error::SourceInstanceNotFound { instance_id: instance_id.to_string() });
        };
        match stopped_by(&instance) {
            Some(run) if run != call.run => return Ok(held(call, run.arn())),
            Some(_) => {}
            None if call.waited() - call.memory.tagged_after < TAG_SHOWS_WITHIN => {
                return Ok(Answer::pending(TAG_SETTLES, "EC2 does not show the tag of the stop yet", call.memory));
            }
            None => {
                let reason = format!("another client has removed its tag {STOPPED_BY_TAG}");
                return Err(not_stoppable(&instance_id, reason));
            }
        }
        match state(&instance) {
            Some(InstanceStateName::Stopped) => {
                // Somebody else has stopped it before this run did; or this call comes late, and the run has stopped it
                // since. So the tag stays on until the start.
                let Some(stopped_at) = call.memory.stopped_at.clone() else {
                    let reason = "another client has stopped the instance";
                    return Ok(Answer::succeeded(Output { source_instance: None }, reason, call.memory));
                };
                let waited = call.waited() - call.memory.stopped_after;
                let source_instance = Some(SourceInstance::stopped(instance_id, stopped_at).down_for(waited));
                return Ok(Answer::succeeded(Output { source_instance }, "the instance is stopped", call.memory));
            }
            Some(InstanceStateName::Running) if call.memory.stopped_at.is_none() => {
                call.memory.stopped_at = Some(ec2::shown(app.seconds()));
                call.memory.launched_at = instance.launch_time().map(DateTime::secs);
                call.memory.stopped_after = call.waited();
                return Ok(Answer::pending(1, "the instance is about to be stopped", call.memory));
            }
            // A call that comes late must not stop what the run has started again.
            Some(InstanceStateName::Running) if has_started_since(&instance, call.memory.launched_at) => {
                return Err(not_stoppable(&instance_id, "it has been started since the run was to stop it".to_owned()));
            }
            Some(InstanceStateName::Running) => {
                let answer = app.ec2.stop_instances().instance_ids(instance_id.as_str()).send().await;
                match answer {
                    Ok(_) => tracing::info!(instanceId = instance_id.as_str(), "the instance is stopped"),
                    Err(error) if error_codes::code(&error) == Some(INSTANCE_STATE) => {}
                    Err(error) => return Err(error_codes::unexpected("ec2:StopInstances", &error)),
                }
            }
            Some(InstanceStateName::Pending | InstanceStateName::Stopping) => {}
            _ => return Err(not_stoppable(&instance_id, format!("it is {}", shown(&instance)))),
        }
        let reason = format!("the instance is {}", shown(&instance));
        Ok(Answer::pending(call.growing(TAG_SETTLES), reason, call.memory))
    }

    async fn rehearse(app: &App, call: Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        let instance_id = &call.arguments.source_instance_id;
        let Some(instance) = ec2::instance(&app.ec2, instance_id).await? else {
            return Err(Error::SourceInstanceNotFound { instance_id: instance_id.to_string() });
        };
        if matches!(state(&instance), Some(InstanceStateName::Stopped | InstanceStateName::Stopping)) {
            return Ok(());
        }
        rehearsing.given().stops = true;
        let id = instance_id.as_str();
        if let Some(run) = stopped_by(&instance) {
            rehearsing.cannot_tell("ec2:StopInstances", &[id], format!("another run has stopped it: {}", run.arn()));
            return Ok(());
        }
        let tag = ec2::tag(STOPPED_BY_TAG, call.run.arn());
        let answer = app.ec2.create_tags().resources(id).tags(tag).dry_run(true).send().await;
        rehearsing.ask("ec2:CreateTags", &[id], answer)?;
        let answer = app.ec2.stop_instances().instance_ids(id).dry_run(true).send().await;
        rehearsing.before_it_is_tagged().ask("ec2:StopInstances", &[id], answer)
    }

    async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
        undo::undo(app, run).await
    }
}

/// Tags the instance. The role may do that only where no run's tag is: an earlier attempt's answer may be lost, or
/// another run may be first, and EC2 may not show that tag yet.
async fn take(app: &App, mut call: Call) -> Result<Answer, Error> {
    let instance_id = &call.arguments.source_instance_id;
    let tag = ec2::tag(STOPPED_BY_TAG, call.run.arn());
    let answer = app.ec2.create_tags().resources(instance_id.as_str()).tags(tag).send().await;
    let error = match answer.map_err(|error| error_codes::unexpected("ec2:CreateTags", &error)) {
        Ok(_) => return Ok(tagged(call)),
        Err(error @ Error::NotAuthorized { .. }) => error,
        Err(error) => return Err(error),
    };
    match ec2::instance(&app.ec2, instance_id).await?.as_ref().and_then(stopped_by) {
        Some(run) if run == call.run => Ok(tagged(call)),
        Some(run) => Ok(held(call, run.arn())),
        None => {
            let waited = call.waited();
            if waited - *call.memory.denied_after.get_or_insert(waited) >= TAG_SHOWS_WITHIN {
                return Err(error);
            }
            let reason = format!("{error}; another run may have tagged the instance, and EC2 not show it yet");
            Ok(Answer::not_started(TAG_SETTLES, reason, call.memory))
        }
    }
}

fn tagged(mut call: Call) -> Answer {
    call.memory.tagged_after = call.waited();
    Answer::pending(TAG_SETTLES, "the instance is tagged with the run that is to stop it", call.memory)
}

/// Its run starts it again, or the sweep does.
fn held(mut call: Call, run: &str) -> Answer {
    call.memory.denied_after = None;
    Answer::not_started(call.growing(NOT_READY), format!("another run has stopped the instance: {run}"), call.memory)
}

fn not_stoppable(instance_id: &InstanceId, reason: String) -> Error {
    Error::SourceInstanceNotImageable { instance_id: instance_id.to_string(), reason }
}
