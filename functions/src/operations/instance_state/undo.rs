//! Undoes a stop: the instance runs again, whatever became of the run.

use aws_sdk_sfn::types::ExecutionStatus;

use super::{Start, release, start, start::Start as Restart, stop::Stop, stopped_by, stopped_by_ec2, stops_again};
use crate::{
    app::App,
    aws::ec2,
    error::Error,
    operations::{EndedRun, Operation, Undone, removal::Removal},
};

/// For how long, in seconds, a stop that was cut off may still stop the instance: its function lives for up to a
/// minute after its machine was stopped.
const SETTLES: u64 = 90;

/// Whether the run itself has tried for as long as its timeout says: it ends with that error, and the rule for ended
/// runs and the sweep go on.
fn has_given_up(run: &EndedRun) -> bool {
    run.rolls_itself_back && run.children.last().is_some_and(|child| child.operation == Restart::NAME)
}

/// Starts what the run has stopped, and then takes its tag off.
pub(super) async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
    let mut removal = Removal::default();
    if has_given_up(run) {
        return Ok(Undone::default());
    }
    for stop in run.documents::<Stop>() {
        let Some(arguments) = &stop.arguments else { continue };
        let Some(instance) = ec2::instance(&app.ec2, &arguments.source_instance_id).await? else { continue };
        if stopped_by(&instance).as_ref() != Some(&run.run) {
            continue;
        }
        let is_over = matches!(stop.status, ExecutionStatus::Succeeded | ExecutionStatus::Failed);
        let ended_for = stop.ended.map(|ended| u64::try_from(app.seconds() - ended.secs()).unwrap_or_default());
        let settled = is_over || run.waited.max(ended_for.unwrap_or_default()) >= SETTLES;
        let id = arguments.source_instance_id.as_str();
        // Once in each rollback, for a reason that may have passed.
        if let Some(reason) = stopped_by_ec2(&instance).filter(|_| run.waited > 0) {
            removal.untagged(&stopped(id), stops_again(reason));
            continue;
        }
        match start(app, &instance).await? {
            Start::Running if settled => {
                release(app, &instance, &run.run).await?;
                removal.done(1);
            }
            Start::Running | Start::OnItsWay(_) => removal.found(1),
            Start::NotNow(why) => removal.keep_trying(&stopped(id), why),
            Start::Refused(why) => removal.untagged(&stopped(id), why),
        }
    }
    Ok(Undone { removal, settles_seconds: 0 })
}

fn stopped(id: &str) -> String {
    format!("{id}, which the run stopped,")
}
