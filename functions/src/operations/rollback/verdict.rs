//! Whether a run may be rolled back: Step Functions is asked about it, and what still runs is stopped.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_sfn::{operation::describe_execution::DescribeExecutionOutput, types::ExecutionStatus};

use super::{Call, children, failure};
use crate::{
    app::App,
    aws::step_functions,
    error::{Error, NOT_RESTARTED, REDRIVEN},
    model::run::Run,
    operations::ended_run::EndedRun,
};

/// For how long, in seconds, Step Functions may show an execution as it was before: DescribeExecution is eventually
/// consistent, and AWS does not say how long that takes.
const SHOWS_WITHIN: u64 = 60;
/// Seconds until Step Functions is asked again about what it may show at any moment.
const SOON: u64 = 15;
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
    /// The run still runs, or Step Functions may not show yet what has become of it: ask again in so many seconds.
    AskAgain(u64),
}

/// Asks Step Functions about the run and its operations, notes why it failed, and stops what still runs.
pub(super) async fn ask(app: &App, call: &mut Call) -> Result<Verdict, Error> {
    let machines = app.settings.machines()?;
    let run = &call.run;
    if !run.is_of(&machines.lifecycle) {
        return Ok(Verdict::Keep("it is no run of this deployment"));
    }
    let rolls_itself_back = call.execution == run.rollback(&machines.operation);
    let shows_all = call.waited() >= SHOWS_WITHIN;
    let Some(execution) = step_functions::execution(&app.step_functions, run.arn()).await? else {
        return Ok(if shows_all {
            Verdict::Keep("Step Functions does not know the run")
        } else {
            Verdict::AskAgain(SOON)
        });
    };
    let goes_on = matches!(execution.status, ExecutionStatus::Running | ExecutionStatus::PendingRedrive);
    match execution.status {
        ExecutionStatus::Succeeded => return Ok(Verdict::Keep("the run has succeeded")),
        // It waits for its own rollback, and runs until that has ended.
        _ if !shows_all && goes_on != rolls_itself_back => return Ok(Verdict::AskAgain(SOON)),
        _ if goes_on && !rolls_itself_back => return Err(Error::RunKept { run: run.arn().to_owned() }),
        _ => {}
    }
    // The function's clock may be wrong.
    let left = shows_all_in(&execution, (app.now)()).min(SHOWS_WITHIN.saturating_sub(call.waited()));
    if !goes_on && left > 0 {
        return Ok(Verdict::AskAgain(left));
    }
    // Its operations' executions are forgotten before it is, and they tell what to keep.
    if is_over_for_long(&execution, (app.now)()) {
        return Ok(Verdict::Keep("the run has ended too long ago"));
    }
    let children = children::of(&app.step_functions, &machines.operation, run).await?;
    let told = call.arguments.failed.as_ref().is_some_and(|failed| failed.caught.name == REDRIVEN);
    let is_redriven = told || execution.redrive_count().is_some_and(|times| times > 0);
    if let Some(failed) = &call.arguments.failed
        && call.memory.failure.is_none()
    {
        if !shows_all && (is_redriven || !failure::shows(failed, &children)) {
            return Ok(Verdict::AskAgain(SOON));
        }
        let redriven = || Error::RunRedriven { run: run.arn().to_owned() };
        call.memory.failure = Some(if is_redriven { redriven().into() } else { failure::of(failed, &children) });
    }
    children::stop(&app.step_functions, &children).await?;
    // The run itself knows more than its operations' executions: the one that failed may not have started.
    let failed = match &call.arguments.failed {
        None => children::failed(&app.step_functions, &machines.operation, run).await?,
        failed => failed.clone(),
    };
    let is_planned = failed.is_some_and(|failed| failed.keeps_image());
    let is_waited_for = rolls_itself_back && execution.status == ExecutionStatus::Running;
    let error = call.memory.failure.as_ref().map(|failure| failure.name.as_str());
    let has_given_up = is_waited_for && error == Some(NOT_RESTARTED);
    let keeps_image =
        is_planned || has_given_up || is_not_restarted(&execution) || children.iter().any(|child| child.keeps_image);
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
    let machine = &app.settings.machines()?.operation;
    let Some(execution) = step_functions::execution(&app.step_functions, run.arn()).await? else { return Ok(false) };
    let children = children::executions(&app.step_functions, machine, run).await?;
    if children.iter().any(|child| child.status == ExecutionStatus::Running) {
        return Ok(false);
    }
    if is_not_restarted(&execution) || children.iter().any(children::keeps_image) {
        return Ok(true);
    }
    let failed = children::failed(&app.step_functions, machine, run).await?;
    Ok(failed.is_some_and(|failed| failed.keeps_image()))
}

/// Whether the run has said that its image stays, as it may be the only way to bring back the instance that the run has
/// stopped. Only what the run itself has said counts, so that all its rollbacks do the same.
fn is_not_restarted(execution: &DescribeExecutionOutput) -> bool {
    execution.error() == Some(NOT_RESTARTED)
}

/// Seconds until Step Functions shows all of a run that has ended.
fn shows_all_in(execution: &DescribeExecutionOutput, now: SystemTime) -> u64 {
    let ended = execution.stop_date.and_then(|end| SystemTime::try_from(end).ok()).unwrap_or(now);
    let left = (ended + Duration::from_secs(SHOWS_WITHIN)).duration_since(now).unwrap_or_default();
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

fn is_over_for_long(execution: &DescribeExecutionOutput, now: SystemTime) -> bool {
    let now = DateTime::from(now).secs();
    execution.stop_date.is_some_and(|end| end.secs() < now - REMEMBERED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_over_for_long_once_its_end_is_further_back_than_it_is_remembered() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100 * 24 * 3600);
        let ended = |seconds_ago: i64| {
            let end = DateTime::from_secs(DateTime::from(now).secs() - seconds_ago);
            DescribeExecutionOutput::builder()
                .execution_arn("arn")
                .state_machine_arn("arn")
                .start_date(DateTime::from_secs(0))
                .status(ExecutionStatus::Failed)
                .stop_date(end)
                .build()
                .unwrap()
        };
        assert!(is_over_for_long(&ended(REMEMBERED + 1), now));
        assert!(!is_over_for_long(&ended(REMEMBERED), now));
    }
}
