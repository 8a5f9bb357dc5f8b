//! One run, from an empty world to the judgement.

use std::{collections::BTreeSet, sync::Arc};

use local_step_functions::{Engine, Execution};
use permissions::Lines;
use serde_json::Value;
use tokio::task::LocalSet;

use crate::{
    check::{Ended, HISTORY, LIMITS, NOTHING_LEFT, OTHERS, REST, Violation},
    coverage::Coverage,
    faults::{Fault, Moment},
    people,
    plan::Plan,
    prepare, rest,
    strangers::Strangers,
    template::{DEPLOYED, execution_arn},
    world::{World, lock},
};

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What it was to do.
    pub plan: Plan,
    /// Its status, and its error if it has one.
    pub outcome: String,
    /// The kinds of the faults that have struck.
    pub struck: Vec<String>,
    /// What has gone wrong where.
    pub coverage: Coverage,
    /// What the functions have called.
    pub calls: Lines,
    /// What does not hold.
    pub violations: Vec<Violation>,
    /// What happened, if that was asked for.
    pub trace: Option<String>,
}

/// Simulates a run on this thread.
///
/// # Panics
///
/// If the machine has no memory left for a runtime.
pub fn run(plan: &Plan, with_trace: bool) -> Finished {
    // The SDK draws its delays from this generator.
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime can be made: {error}"));
    LocalSet::new().block_on(&runtime, live(plan, with_trace))
}

async fn live(plan: &Plan, with_trace: bool) -> Finished {
    let world = prepare::world(plan, with_trace);
    let strangers = Strangers::add(&world.ec2, &execution_arn(&plan.name()), &plan.name());
    let outcome = match prepare::start(plan, &world).await {
        Ok(started) => judge(plan, &world, started).await,
        Err(error) => {
            world.violation(LIMITS, error.clone());
            error
        }
    };
    let changed = strangers.changed(&world.ec2);
    if !changed.is_empty() {
        world.violation(OTHERS, format!("{changed:?}"));
    }
    rest::full_histories(&world).into_iter().for_each(|seen| world.violation(HISTORY, seen));
    let trace = world.trace().map(|mut trace| {
        trace.add_histories(&world.engine());
        trace.text()
    });
    let struck = lock(&world.troubles).struck().map(Fault::kind).collect();
    let violations = lock(&world.violations).clone();
    let coverage = std::mem::take(&mut *lock(&world.coverage));
    let calls = std::mem::take(&mut *lock(&world.calls));
    world.end();
    Finished { plan: plan.clone(), outcome, struck, coverage, calls, violations, trace }
}

/// Waits for the run's end and for all that comes after it, and says how it ended.
async fn judge(plan: &Plan, world: &Arc<World>, mut run: Ended) -> String {
    people::later(world, |at| if let Moment::Millis(millis) = at { Some(millis) } else { None });
    let engine = world.engine();
    match tokio::time::timeout(plan.longest(), engine.wait_for_end(&run.execution.arn)).await {
        Ok(Ok(execution)) => run.execution = execution,
        _ => world.violation(LIMITS, format!("it still runs after {:?}", plan.longest())),
    }
    run.keeps_image = keeps_image(&engine, &run.execution);
    let violate = |violation: Violation| world.violation(violation.invariant, violation.seen);
    run.unnamed(&world.ec2, plan.begins_with_release_before()).into_iter().for_each(violate);
    people::later(world, |at| if let Moment::MillisAfterEnd(millis) = at { Some(millis) } else { None });
    rest::comes(world).await.into_iter().for_each(|seen| world.violation(REST, seen));
    // It may have been redriven.
    if let Ok(execution) = engine.describe_execution(&run.execution.arn) {
        run.execution = execution;
    }
    if let Some(seen) = untold(&engine, &run.execution) {
        world.violation(NOTHING_LEFT, seen);
    }
    run.done = lock(&world.subject).done.clone();
    run.named_by_sweep = named_by_last_sweep(world);
    run.keeps_image = keeps_image(&engine, &run.execution);
    run.violations(&world.ec2).into_iter().for_each(violate);
    let others = lock(&world.others).clone();
    for mut other in others {
        match engine.describe_execution(&other.execution.arn) {
            Ok(execution) => other.execution = execution,
            Err(error) => world.violation(LIMITS, error.to_string()),
        }
        other.violations(&world.ec2).into_iter().for_each(violate);
    }
    let error = run.execution.error.as_deref().unwrap_or_default();
    format!("{} {error}", run.execution.status).trim_end().to_owned()
}

/// The snapshots of no image that the last sweep has named.
fn named_by_last_sweep(world: &World) -> BTreeSet<String> {
    let sweeps = lock(&world.sweeps);
    let named = sweeps.last().and_then(|sweep| sweep["orphanedSnapshots"].as_array());
    named.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

/// An execution of a run by the end of its name, and its input.
fn of_run(engine: &Engine, run: &Execution, end: &str) -> Option<(Execution, Value)> {
    let operations = DEPLOYED.operation_arn.replacen(":stateMachine:", ":execution:", 1);
    let execution = engine.describe_execution(&format!("{operations}:{}-{end}", run.name)).ok()?;
    let input = serde_json::from_str(&execution.input).ok()?;
    Some((execution, input))
}

/// A run that was redriven tells the rollback that it begins then: what it would have begun keeps nothing.
fn untold(engine: &Engine, run: &Execution) -> Option<String> {
    let (rollback, input) = of_run(engine, run, "undo")?;
    let is_told = input["arguments"]["failed"]["caught"]["name"] == "RunRedriven";
    let began_after = run.redrive_millis.is_some_and(|redriven| rollback.start_millis > redriven);
    (began_after && !is_told).then(|| format!("its rollback is not told that it was redriven: {input}"))
}

/// Whether one of the run's operations has begun with which its image stays, or the run, unless it was redriven, has told
/// its rollback that it should have; or the run has said that its image may be the only way to bring the instance back.
fn keeps_image(engine: &Engine, run: &Execution) -> bool {
    let input = |end: &str| of_run(engine, run, end).map(|(_, input)| input);
    let keeps = |planned: &Value| planned["keepsImage"] == true && planned["redriven"] != true;
    // What a redriven run would have begun does not count.
    let told = || input("undo").map(|rollback| rollback["arguments"]["failed"].clone());
    let is_planned =
        || told().is_some_and(|failed| failed["caught"]["name"] != "RunRedriven" && keeps(&failed["planned"]));
    run.error.as_deref() == Some("InstanceNotRestarted")
        || (1..).map_while(|position: u8| input(&position.to_string())).any(|operation| keeps(&operation))
        || is_planned()
}
