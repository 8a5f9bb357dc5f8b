//! Undoes a stop: the instance runs again, whatever became of the run.

use aws_sdk_ec2::types::{Instance, InstanceStateName};
use aws_sdk_sfn::types::ExecutionStatus;

use super::{
    STOPPED_BY_TAG, Start, has_started_since, release, start, state, stop::Stop, stopped_by, stopped_by_ec2,
    stops_again,
};
use crate::{
    app::App,
    aws::ec2,
    error::Error,
    operations::{EndedRun, Undone, ended_run::Document},
};

/// For how long, in seconds, a stop that was cut off may still stop the instance: its function lives for up to a
/// minute after its machine was stopped.
const SETTLES: u64 = 90;

/// Starts what the run has stopped, and then takes its tag off. Until the instance runs, the image stays: it may be
/// the only way to bring the instance back.
pub(super) async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
    let mut undone = Undone::default();
    if run.has_given_up {
        return Ok(undone);
    }
    for stop in run.documents::<Stop>() {
        let Some(arguments) = &stop.arguments else { continue };
        let Some(instance) = ec2::instance(&app.ec2, &arguments.source_instance_id).await? else { continue };
        if stopped_by(&instance).as_ref() != Some(&run.run) || is_gone(&instance) {
            continue;
        }
        let settled = settled(app, run, &stop);
        let id = arguments.source_instance_id.as_str();
        // It is noted before StopInstances is called.
        let never_stopped = *stop.status == ExecutionStatus::Succeeded && stop.memory.stopped_at.is_none();
        let is_anothers = is_stopped(&instance)
            && stopped_by_ec2(&instance).is_none()
            && (never_stopped || has_started_since(&instance, stop.memory.launched_at));
        if let Err(error) = step(app, run, &instance, is_anothers, settled, &mut undone).await {
            if error.is_to_be_retried() {
                return Err(error);
            }
            // A start that is refused is no error.
            undone.removal.keep_for_a_while(&format!("the tag {STOPPED_BY_TAG} of {id}"), error.to_string());
        }
    }
    Ok(undone)
}

async fn step(
    app: &App,
    run: &EndedRun,
    instance: &Instance,
    is_anothers: bool,
    settled: bool,
    undone: &mut Undone,
) -> Result<(), Error> {
    let Undone { removal, keeps_the_rest, .. } = undone;
    let id = instance.instance_id().unwrap_or_default();
    let vain = stopped_by_ec2(instance).map(stops_again);
    // Somebody else has stopped it, before the run did or since it ran again.
    if is_anothers {
        release(app, instance, &run.run).await?;
        removal.done();
        return Ok(());
    }
    *keeps_the_rest = state(instance) != Some(&InstanceStateName::Running);
    match (start(app, instance).await?, vain) {
        (Start::Running, _) if settled => {
            release(app, instance, &run.run).await?;
            removal.done();
        }
        (Start::Running, _) => removal.found(1),
        (Start::OnItsWay(_), Some(why)) => removal.stopped(id, why, false),
        (Start::OnItsWay(why), None) => removal.stopped(id, why, true),
        (Start::NotNow(why), _) => removal.stopped(id, why, true),
        (Start::Refused(why), _) => removal.stopped(id, why, false),
    }
    Ok(())
}

fn is_stopped(instance: &Instance) -> bool {
    state(instance) == Some(&InstanceStateName::Stopped)
}

fn is_gone(instance: &Instance) -> bool {
    matches!(state(instance), Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated))
}

/// Whether no function of the stop can still stop the instance.
fn settled(app: &App, run: &EndedRun, stop: &Document<'_, Stop>) -> bool {
    let is_over = matches!(stop.status, ExecutionStatus::Succeeded | ExecutionStatus::Failed);
    let ended_for = stop.ended.map(|ended| u64::try_from(app.seconds() - ended.secs()).unwrap_or_default());
    is_over || run.waited.max(ended_for.unwrap_or_default()) >= SETTLES
}
