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
    ec2, probes, recycle_bin,
    report::{Check, Report, Verdict},
    run::Waits,
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
    // They take a while until they hold.
    let expected = "Recycle Bin takes two rules, for one tag of the proof's own";
    let make = async |_: &Scene<'_>| -> Result<(Vec<String>, String)> {
        let rules = recycle_bin::make_rules(aws, world).await?;
        Ok((rules.clone(), rules.join(", ")))
    };
    let rules = stage.play("recycle-bin/rules", expected, make).await;
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
                changes::protect(&stage, image).await;
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
        creates::some_volumes(&stage, instance),
        ends::refused(&stage, instance),
    );
    probes::ask_all(&stage, instance, recordings, origin).await;
    tokio::join!(
        changes::prune(&stage, instance),
        changes::in_use(&stage, instance),
        with(rules.as_deref(), async |rules| changes::restore(&stage, instance, rules).await),
    );
    power::reboot(&stage, instance).await;
    power::stop_and_start(&stage, instance).await;
    power::stopped(&stage, instance).await;
    report.add(waits(&report.checks()));
}

/// Whether EC2's events reach the runs that wait for them.
fn waits(checks: &[Check]) -> Check {
    let mut waits = Waits::default();
    checks.iter().for_each(|check| waits.extend(&check.waits));
    let expected = "EC2's event about an image ends waits of runs early";
    let mean = |seconds: &[f64]| seconds.iter().sum::<f64>() / f64::from(u32::try_from(seconds.len()).unwrap_or(1));
    let (early, whole) = (&waits.ended_by_event, &waits.ended_by_time);
    if early.is_empty() && whole.is_empty() {
        return Check::new("instance/waits", Verdict::Unknown, expected, "no history tells of any wait");
    }
    if early.is_empty() {
        let saw = format!("none of {} waits was ended by an event", whole.len());
        return Check::holds("instance/waits", false, expected, saw);
    }
    let saw = format!(
        "{} waits were ended by an event after {:.0} s on average, {} by their time",
        early.len(),
        mean(early),
        whole.len()
    );
    Check::holds("instance/waits", true, expected, saw)
}

/// Does something with what an earlier scenario gave, if it did.
async fn with<T: ?Sized>(given: Option<&T>, play: impl AsyncFnOnce(&T)) {
    if let Some(given) = given {
        play(given).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_that_no_event_ends_are_a_fault() {
        let check = |ended_by_event: Vec<f64>| {
            let waits = Waits { ended_by_event, ended_by_time: vec![60.0] };
            Check { waits, ..Check::new("instance/create", Verdict::Passed, "", "") }
        };
        assert_eq!(waits(&[]).verdict, Verdict::Unknown);
        assert_eq!(waits(&[check(vec![])]).verdict, Verdict::Failed);
        let told = waits(&[check(vec![]), check(vec![10.0, 20.0])]);
        assert_eq!(told.verdict, Verdict::Passed);
        assert_eq!(told.saw, "2 waits were ended by an event after 15 s on average, 2 by their time");
    }
}
