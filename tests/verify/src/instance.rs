//! The proof with an instance: real images of it, in every way that a request can ask for.

mod changes;
mod creates;
mod ends;
mod power;

use std::time::Duration;

use anyhow::Result;

use crate::{aws::Aws, ec2, report::Report, scene::Stage, stack::Stack, world::World};

/// How long a new instance may take until it runs.
const RUNS_WITHIN: Duration = Duration::from_secs(300);

/// Plays every scenario. Those that do not disturb one another go on side by side; EC2 makes five snapshots of a
/// volume at once.
pub async fn prove(aws: &Aws, stack: &Stack, world: &World, report: &Report<'_>) {
    let stage = Stage { aws, stack, world, report };
    let expected = "EC2 runs an instance with two volumes";
    let run = async |_: &crate::scene::Scene<'_>| -> Result<(String, String)> {
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
    creates::dry_run(&stage, instance).await;
    if let Some(image) = &plain {
        tokio::join!(
            ends::name_taken(&stage, instance, image),
            ends::same_name_twice(&stage, instance),
            changes::update(&stage, image),
        );
        changes::disable_and_enable(&stage, image).await;
    }
    ends::sweep(&stage, instance).await;
    changes::foreign(&stage, instance).await;
    tokio::join!(
        async {
            if let Some(image) = &plain {
                changes::replace(&stage, instance, image).await;
            }
        },
        async {
            if let Some(image) = &full {
                changes::replace_by_same_name(&stage, instance, image).await;
            }
        },
    );
    power::reboot(&stage, instance).await;
    power::stop_and_start(&stage, instance).await;
    power::stopped(&stage, instance).await;
    changes::prune(&stage, instance).await;
}
