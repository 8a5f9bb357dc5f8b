//! Whether a run may be rolled back: Step Functions is asked about it, and what still runs is stopped.

use std::time::SystemTime;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_sfn::{operation::describe_execution::DescribeExecutionOutput, types::ExecutionStatus};

use super::{
    Call,
    children::{self, OwnRollback},
    failure,
};
use crate::{
    app::App,
    aws::step_functions,
    error::{Error, NOT_RESTARTED},
    model::run::Run,
    operations::ended_run::EndedRun,
};

/// For how long, in seconds, Step Functions may say that a run still runs that has ended.
const SHOWS_THE_END_WITHIN: u64 = 60;
/// For how long after its end a run is rolled back, in seconds. Step Functions forgets an execution
/// after 90 days.
pub(crate) const REMEMBERED: i64 = 30 * 24 * 3600;

/// What is to be done about a run.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Undo what its operations did.
    Undo(EndedRun),
    /// Somebody wants it, or nobody knows.
    Keep(&'static str),
    /// The run still runs, or Step Functions does not show its end yet.
    AskAgain,
}

/// Asks Step Functions about the run and its operations, notes why it failed, and stops what still runs.
pub(super) async fn ask(app: &App, call: &mut Call) -> Result<Verdict, Error> {
    let machines = app.settings.machines()?;
    let run = &call.run;
    if !run.is_of(&machines.lifecycle) {
        return Ok(Verdict::Keep("it is no run of this deployment"));
    }
    let rolls_itself_back = call.execution == run.rollback(&machines.operation);
    let Some(execution) = step_functions::execution(&app.step_functions, run.arn()).await? else {
        return Ok(Verdict::Keep("Step Functions does not know the run"));
    };
    match execution.status {
        ExecutionStatus::Succeeded => return Ok(Verdict::Keep("the run has succeeded")),
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive if !rolls_itself_back => {
            if call.waited() < SHOWS_THE_END_WITHIN {
                return Ok(Verdict::AskAgain);
            }
            return Err(Error::RunKept { run: run.arn().to_owned() });
        }
        _ => {}
    }
    // Its operations' executions are forgotten before it is, and they tell what to keep.
    if is_over_for_long(&execution, (app.now)()) {
        return Ok(Verdict::Keep("the run has ended too long ago"));
    }
    let children = children::of(&app.step_functions, &machines.operation, run).await?;
    if let Some(failed) = &call.arguments.failed
        && call.memory.failure.is_none()
    {
        call.memory.failure = Some(failure::of(failed, children.get(failed.position.wrapping_sub(1))));
    }
    children::stop(&app.step_functions, &children).await?;
    // The run itself knows more than its operations' executions: the one that failed may not have started.
    let own = match &call.arguments.failed {
        None => children::own_rollback(&app.step_functions, &machines.operation, run).await?,
        failed => OwnRollback {
            failed: failed.clone(),
            error: call.memory.failure.as_ref().map(|failure| failure.name.clone()),
        },
    };
    let keeps_image = own.keeps_image() || children.iter().any(|child| child.keeps_image);
    let has_given_up = rolls_itself_back && own.error.as_deref() == Some(NOT_RESTARTED);
    let (run, started, waited) = (run.clone(), execution.start_date, call.waited());
    let ended = EndedRun { run, started, waited, rolls_itself_back, has_given_up, keeps_image, children };
    Ok(Verdict::Undo(ended))
}

/// Whether a run that ended badly keeps its image, so that its rollback would change nothing.
///
/// # Errors
///
/// What Step Functions refuses.
pub(crate) async fn is_kept(app: &App, run: &Run) -> Result<bool, Error> {
    children::are_to_stay(&app.step_functions, &app.settings.machines()?.operation, run).await
}

fn is_over_for_long(execution: &DescribeExecutionOutput, now: SystemTime) -> bool {
    let now = DateTime::from(now).secs();
    execution.stop_date.is_some_and(|end| end.secs() < now - REMEMBERED)
}
