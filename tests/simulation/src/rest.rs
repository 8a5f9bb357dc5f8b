//! After a run's end: rules and sweeps go on until nothing is left to do.

use std::time::Duration;

use local_step_functions::{HISTORY_EVENTS, Status};
use serde_json::Value;

use crate::{
    people,
    template::DEPLOYED,
    world::{World, lock},
};

/// How much longer things go wrong after a run's end.
const TROUBLED: Duration = Duration::from_secs(1800);
const STEP: Duration = Duration::from_secs(60);
/// After this, an execution that still runs will not come to rest: an operation may take a day.
const LONGEST: Duration = Duration::from_secs(30 * 3600);

/// Lets time pass until a sweep has found nothing to start and nothing runs; or says what goes on instead.
pub(crate) async fn comes(world: &World) -> Option<String> {
    tokio::time::sleep(TROUBLED).await;
    lock(&world.troubles).end();
    people::give_way(world);
    world.say(|| "nothing goes wrong any more".to_owned());
    let mut passed = Duration::ZERO;
    let mut seen = lock(&world.sweeps).len();
    while passed < LONGEST {
        tokio::time::sleep(STEP).await;
        passed += STEP;
        let swept = lock(&world.sweeps).len();
        if swept == seen || !is_idle(world) {
            continue;
        }
        // The rollback that a sweep starts is over by now, so that the next sweep shows whether it helped.
        seen = swept;
        if lock(&world.sweeps).last().is_some_and(started_nothing) {
            return None;
        }
    }
    let last = lock(&world.sweeps).last().cloned();
    Some(format!("idle: {}, the last sweep: {last:?}", is_idle(world)))
}

fn started_nothing(sweep: &Value) -> bool {
    ["rolledBack", "failed"].iter().all(|list| sweep[list].as_array().is_some_and(Vec::is_empty))
}

/// Whether no execution runs and nothing is to be delivered.
fn is_idle(world: &World) -> bool {
    let engine = world.engine();
    let none_runs = |machine: &String| {
        let running = engine.list_executions(machine, Some(Status::Running), Some(1), None);
        running.is_ok_and(|page| page.items.is_empty())
    };
    *lock(&world.under_way) == 0 && [&DEPLOYED.lifecycle_arn, &DEPLOYED.operation_arn].into_iter().all(none_runs)
}

/// The executions whose history is full.
pub(crate) fn full_histories(world: &World) -> Vec<String> {
    let engine = world.engine();
    let executions = [&DEPLOYED.lifecycle_arn, &DEPLOYED.operation_arn]
        .into_iter()
        .filter_map(|machine| engine.list_executions(machine, None, Some(1000), None).ok())
        .flat_map(|page| page.items);
    let is_full = |arn: &String| {
        let last = engine.get_execution_history(arn, true, Some(1), None);
        last.is_ok_and(|page| page.items.first().is_some_and(|event| event.id >= HISTORY_EVENTS as u64))
    };
    executions.map(|execution| execution.arn).filter(is_full).collect()
}
