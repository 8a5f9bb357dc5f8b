//! A start: the instance that the run has stopped runs again, and its status checks have passed.

use std::collections::BTreeSet;

use aws_sdk_ec2::{
    primitives::DateTime,
    types::{Filter, Instance, InstanceStateName, SummaryStatus, Volume},
};
use serde::{Deserialize, Serialize};

use super::{
    Arguments, Output, Start as Standing, has_started_since, release, stopped_by, stopped_by_ec2, stops_again,
};
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    machine::{answer, call},
    model::{ids::InstanceId, source_instance::SourceInstance},
    operations::{Operation, Rehearsing},
};

/// Starts an instance again.
#[derive(Debug)]
pub struct Start;

/// What a start knows between two calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// How often EC2 has accepted to start it.
    starts: u32,
    /// When EC2 had launched it before that, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    launched_at: Option<i64>,
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Output>;

/// Seconds until the next look at an instance that starts.
const SHORTLY: u64 = 5;
/// Seconds until EC2 is asked again that had no place for the instance.
const NO_PLACE: u64 = 15;
/// How often an instance may stop again by itself. Once is enough for a key that may not be used, and too little
/// for a failure of EC2.
const MOST_STARTS: u32 = 3;

impl Operation for Start {
    const NAME: &'static str = "start";
    const TIMEOUT: &'static str = "create";
    const IS_OF_THE_IMAGE: bool = false;
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Output;

    async fn begin(app: &App, mut call: Call) -> Result<Answer, Error> {
        let Some(stopped) = call.results.source_instance.clone().filter(SourceInstance::is_stopped_by_run) else {
            let instance = ec2::instance(&app.ec2, &call.arguments.source_instance_id).await?;
            if let Some(instance) = instance.filter(|instance| stopped_by(instance).as_ref() == Some(&call.run)) {
                release(app, &instance, &call.run).await?;
            }
            let reason = "the instance was stopped before the run, and stays so";
            return Ok(Answer::succeeded(Output { source_instance: None }, reason, call.memory));
        };
        let id = &call.arguments.source_instance_id;
        let Some(instance) = ec2::instance(&app.ec2, id).await? else {
            return Err(not_restarted(id, "EC2 does not know it any more"));
        };
        if stopped_by(&instance).as_ref() != Some(&call.run) {
            // An earlier attempt has taken it off.
            if is_up(app, &instance).await? {
                return Ok(done(call, stopped));
            }
            let tag = super::STOPPED_BY_TAG;
            return Err(not_restarted(id, format!("another client has removed its tag {tag}, so nobody may start it")));
        }
        if call.memory.starts >= MOST_STARTS
            && let Some(reason) = stopped_by_ec2(&instance)
        {
            return Err(not_restarted(id, why_it_stops(app, &instance, reason).await?));
        }
        let is_stopped = super::state(&instance) == Some(&InstanceStateName::Stopped);
        if is_stopped && call.memory.starts == 0 {
            call.memory.launched_at = instance.launch_time().map(DateTime::secs);
        }
        if is_stopped && stopped_by_ec2(&instance).is_none() && has_started_since(&instance, call.memory.launched_at) {
            release(app, &instance, &call.run).await?;
            return Err(not_restarted(id, "it ran, and another client has stopped it since"));
        }
        let (wait, reason) = match super::start(app, &instance).await? {
            Standing::Running if is_up(app, &instance).await? => {
                release(app, &instance, &call.run).await?;
                return Ok(done(call, stopped));
            }
            Standing::Running => (SHORTLY, "its status checks have not passed yet".to_owned()),
            Standing::OnItsWay(reason) => {
                call.memory.starts += u32::from(is_stopped);
                (SHORTLY, reason.to_owned())
            }
            Standing::NotNow(why) => (NO_PLACE, why),
            Standing::Refused(why) => return Err(not_restarted(id, why)),
        };
        Ok(Answer::pending(call.growing(wait), reason, call.memory))
    }

    async fn rehearse(app: &App, call: Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        if !rehearsing.given().stops {
            return Ok(());
        }
        let id = call.arguments.source_instance_id.as_str();
        let answer = app.ec2.start_instances().instance_ids(id).dry_run(true).send().await;
        rehearsing.before_it_is_tagged().ask("ec2:StartInstances", &[id], answer)?;
        let tag = ec2::tag(super::STOPPED_BY_TAG, call.run.arn());
        let answer = app.ec2.delete_tags().resources(id).tags(tag).dry_run(true).send().await;
        rehearsing.before_it_is_tagged().ask("ec2:DeleteTags", &[id], answer)
    }

    fn timed_out(arguments: &Arguments, reason: &str) -> Option<Error> {
        Some(not_restarted(&arguments.source_instance_id, format!("{reason}, until the timeout (timeouts.create)")))
    }
}

fn done(call: Call, stopped: SourceInstance) -> Answer {
    let source_instance = SourceInstance { state_after: Some("running".to_owned()), ..stopped.down_for(call.waited()) };
    let reason = "the instance runs, and its status checks have passed";
    Answer::succeeded(Output { source_instance: Some(source_instance) }, reason, call.memory)
}

fn not_restarted(instance_id: &InstanceId, reason: impl Into<String>) -> Error {
    Error::InstanceNotRestarted { instance_id: instance_id.to_string(), reason: reason.into() }
}

/// Whether the instance runs and both its status checks have passed.
async fn is_up(app: &App, instance: &Instance) -> Result<bool, Error> {
    let id = instance.instance_id().unwrap_or_default();
    let answer = app.ec2.describe_instance_status().instance_ids(id).send().await;
    let answer = answer.map_err(|error| error_codes::unexpected("ec2:DescribeInstanceStatus", &error))?;
    // Only running instances are listed.
    let Some(status) = answer.instance_statuses().first() else { return Ok(false) };
    let checks = [status.instance_status(), status.system_status()];
    Ok(checks.iter().all(|check| check.and_then(|check| check.status()) == Some(&SummaryStatus::Ok)))
}

/// What EC2 says about an instance that it stops again, with the keys of its volumes: mostly a role may not use one.
async fn why_it_stops(app: &App, instance: &Instance, reason: &str) -> Result<String, Error> {
    let of_instance =
        Filter::builder().name("attachment.instance-id").values(instance.instance_id().unwrap_or_default()).build();
    let volumes = app.ec2.describe_volumes().filters(of_instance).into_paginator().items().send();
    let volumes: Result<Vec<Volume>, _> = volumes.collect().await;
    let volumes = volumes.map_err(|error| error_codes::unexpected("ec2:DescribeVolumes", &error));
    let volumes = error_codes::optional(volumes)?.unwrap_or_default();
    let keys: BTreeSet<_> = volumes.iter().filter_map(Volume::kms_key_id).collect();
    let stops = stops_again(reason);
    if keys.is_empty() {
        return Ok(stops);
    }
    let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
    Ok(format!(
        "{stops}; its volumes are encrypted with {keys}: the roles need kms:CreateGrant on it, which the template's \
         parameter VolumeKmsKeyArns gives them"
    ))
}
