//! EventBridge's rules and the sweep's schedule: deliveries that are late, come twice, or not at all.

use std::{rc::Rc, sync::Arc, time::Duration};

use local_ec2::{ACCOUNT, REGION};
use local_step_functions::{Execution, Status, StatusChange};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::spawn_local};

use crate::{
    check::{NAMED, ONE_NAME, unnamed_instance},
    coverage,
    faults::{self, Fate},
    functions::Functions,
    people,
    template::DEPLOYED,
    time,
    world::{Delivery, World, lock},
};

/// How often Lambda makes an asynchronous invocation that fails, and the pauses between.
const PAUSES: [u64; 3] = [60, 120, 0];

/// What the rule for ended runs does with a change of status.
pub(crate) fn status_changed(world: &Arc<World>, change: &StatusChange) {
    world.say(|| format!("{:<14} is {}", crate::trace::short(&change.execution), change.status));
    if let Ok(execution) = world.engine().describe_execution(&change.execution) {
        check_rollback(world, &execution);
        lock(&world.shown).changes(world.clock.now_millis(), execution);
    }
    if change.status == Status::Succeeded {
        people::after_operation(world, &change.execution);
    }
    let matches = change.machine == DEPLOYED.lifecycle_arn
        && DEPLOYED.rolled_back.iter().any(|status| status == change.status.as_str());
    if matches {
        deliver(world, "StartRollbackFunction", change.event.clone(), faults::Delivery::EndOfRun);
    }
}

/// A rollback that fails names the instance that stays stopped, whoever has started it.
fn check_rollback(world: &World, execution: &Execution) {
    if execution.error.as_deref() != Some("LeftoversRemain") {
        return;
    }
    let subject = lock(&world.subject).clone();
    let input: Value = serde_json::from_str(&execution.input).unwrap_or_default();
    if input["operation"] == "rollback" && input["run"] == subject.arn.as_str() {
        let cause = execution.cause.as_deref().unwrap_or_default();
        if let Some(id) = unnamed_instance(&world.ec2, &subject.instance, &subject.arn, cause) {
            world.violation(NAMED, format!("{id} not named by {}: {cause}", execution.name));
        }
    }
}

fn deliver(world: &World, function: &'static str, event: Value, of: faults::Delivery) {
    let fate = lock(&world.troubles).delivery(of);
    if let Some(fate) = fate {
        world.say(|| format!("{of:?} is {fate:?}"));
        lock(&world.coverage).note(coverage::delivery(of), fate.name());
    }
    *lock(&world.under_way) += 1;
    drop(world.deliveries.send(Delivery { function, event, of, fate }));
}

/// Makes deliveries.
pub(crate) async fn serve(
    world: Arc<World>,
    functions: Rc<Functions>,
    mut deliveries: mpsc::UnboundedReceiver<Delivery>,
) {
    while let Some(Delivery { function, event, of, fate }) = deliveries.recv().await {
        let (world, functions) = (Arc::clone(&world), Rc::clone(&functions));
        spawn_local(async move {
            let delays: &[u64] = match fate {
                None => &[0],
                Some(Fate::Lost) => &[],
                Some(Fate::Late(seconds)) => &[seconds],
                Some(Fate::Doubled(seconds)) => &[0, seconds],
            };
            let mut past = 0;
            for delay in delays {
                tokio::time::sleep(Duration::from_secs(delay - past)).await;
                past = *delay;
                world.pause(100..2000).await;
                invoke(&world, &functions, function, &event, of).await;
            }
            *lock(&world.under_way) -= 1;
        });
    }
}

/// An asynchronous invocation, with Lambda's own retries.
async fn invoke(
    world: &Arc<World>,
    functions: &Rc<Functions>,
    function: &'static str,
    event: &Value,
    of: faults::Delivery,
) {
    for pause in PAUSES {
        let (functions, event) = (Rc::clone(functions), event.clone());
        let place = format!("{} invokes", coverage::delivery(of));
        let done = spawn_local(async move { functions.invoke(function, event, place).await }).await;
        match done {
            Ok(Ok(answer)) => {
                if answer.get("orphanedSnapshots").is_some() {
                    lock(&world.sweeps).push(answer);
                }
                return;
            }
            Ok(Err(_)) => tokio::time::sleep(Duration::from_secs(pause)).await,
            Err(panic) => return world.violation(ONE_NAME, format!("{function} has panicked: {panic}")),
        }
    }
    world.say(|| format!("{function} is given up"));
}

/// Tells of the ends of images.
pub(crate) async fn images(world: Arc<World>) {
    loop {
        let due = world.ec2.next_event().map(|due| due.duration_since(time::now()).unwrap_or_default());
        match due {
            Some(due) => drop(tokio::time::timeout(due, world.ec2_changed.notified()).await),
            None => world.ec2_changed.notified().await,
        }
        for event in world.ec2.take_events() {
            let event = json!(event);
            let of_rule = DEPLOYED.waking.iter().any(|state| event["Detail"]["State"] == state.as_str());
            if of_rule {
                deliver(&world, "WakeFunction", image_event(&event), faults::Delivery::EndOfImage);
            }
        }
    }
}

/// An event of EC2 as EventBridge delivers it.
fn image_event(event: &Value) -> Value {
    let time = event["Time"].as_i64().unwrap_or_default();
    json!({
        "version": "0",
        "id": "00000003-0000-4000-8000-000000000000",
        "detail-type": event["DetailType"],
        "source": event["Source"],
        "account": ACCOUNT,
        "time": local_step_functions::iso8601(time * 1000),
        "region": REGION,
        "resources": event["Resources"],
        "detail": event["Detail"],
    })
}

/// Sweeps at the schedule's rate, the first time at any moment of its period.
pub(crate) async fn sweeps(world: Arc<World>) {
    let period = u64::try_from(DEPLOYED.sweep_every.as_millis()).unwrap_or(u64::MAX);
    world.pause(0..period).await;
    loop {
        // The schedule's target gets its input as it is; what the function wants besides is not in it.
        let event: Value = serde_json::from_str(&DEPLOYED.sweep_input).unwrap_or_default();
        deliver(&world, "StartRollbackFunction", event, faults::Delivery::Sweep);
        tokio::time::sleep(DEPLOYED.sweep_every).await;
    }
}
