//! The proof with an instance: real images of it, in every way that a request can ask for.

pub(crate) mod changes;
mod creates;
mod ends;
mod outside;
mod power;

use std::{path::Path, time::Duration};

use anyhow::Result;

use crate::{
    aws::Aws,
    ec2, probes,
    report::Report,
    scene::{Scene, Stage},
    stack::Stack,
    world::World,
};

/// How long a new instance may take until it runs.
const RUNS_WITHIN: Duration = Duration::from_secs(300);

/// Plays every scenario. Those that do not disturb one another go on side by side; EC2 makes five snapshots of a
/// volume at once.
pub async fn prove(aws: &Aws, stack: &Stack, world: &World, report: &Report<'_>, (recordings, origin): (&Path, &str)) {
    let stage = Stage { depth: "instance", aws, stack, world, report };
    let expected = "EC2 runs an instance with two volumes";
    let run = async |_: &Scene<'_>| -> Result<(String, String)> {
        let instance = world.run_instance(aws, stack).await?;
        ec2::wait_for_instance(aws, &instance, "running", RUNS_WITHIN).await?;
        Ok((instance.clone(), format!("{instance} runs")))
    };
    let Some(instance) = stage.play("source", expected, run).await else { return };
    let instance = instance.as_str();
    let (plain, full, _, _) = tokio::join!(
        creates::without_reboot(&stage, instance),
        creates::with_everything(&stage, instance),
        ends::aborted(&stage, instance),
        ends::too_late(&stage, instance),
    );
    let topic = stack.topic();
    tokio::join!(
        with(plain.as_deref(), async |image| {
            tokio::join!(ends::name_taken(&stage, instance, image), async {
                changes::update(&stage, image).await;
                changes::disable_and_enable(&stage, image).await;
            });
        }),
        with(topic.as_deref(), async |topic| outside::notifications(&stage, topic).await),
        outside::schedule(&stage, instance),
        ends::same_name_twice(&stage, instance),
        ends::sweep(&stage, instance),
        creates::dry_run(&stage, instance),
    );
    tokio::join!(
        with(plain.as_deref(), async |image| changes::replace(&stage, instance, image).await),
        with(full.as_deref(), async |image| changes::replace_by_same_name(&stage, instance, image).await),
        changes::foreign(&stage, instance),
        ends::refused(&stage, instance),
    );
    probes::ask_all(&stage, instance, recordings, origin).await;
    changes::prune(&stage, instance).await;
    power::reboot(&stage, instance).await;
    power::stop_and_start(&stage, instance).await;
    power::stopped(&stage, instance).await;
}

/// Does something with what an earlier scenario gave, if it did.
async fn with(given: Option<&str>, play: impl AsyncFnOnce(&str)) {
    if let Some(given) = given {
        play(given).await;
    }
}
