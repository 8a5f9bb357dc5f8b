//! The world of a run before it starts.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use ami_from_instance::model::{run::RUN_TAG, tags::SERIES_TAG};
use aws_sdk_ec2::types::{ImageState, InstanceStateName};
use local_ec2::{Ec2, Fate, InstanceSpec, TimeSource};
use local_step_functions::{Engine, Execution};
use tokio::{sync::mpsc, task::spawn_local};

use crate::{
    check::Ended,
    faults::Fault,
    functions::Functions,
    people,
    plan::{Bin, DEPRECATION_SECONDS, Operation, Plan, Retires, SERIES, SKIPPED},
    rules,
    tasks::Outside,
    template::{DEPLOYED, execution_arn},
    time,
    troubles::Troubles,
    world::{Subject, World, lock},
};

/// The watermark of the image that the instance was launched from.
const GOLDEN: &str = "000000000000:golden";

/// The key of volumes that nobody may use.
const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/0f0f0f0f-0000-0000-0000-000000000000";

/// The world of a run, with everything in it that goes on by itself.
pub(crate) fn world(plan: &Plan, with_trace: bool) -> Arc<World> {
    let wrong_by =
        plan.faults.iter().find_map(|fault| if let Fault::Clock(seconds) = fault { Some(*seconds) } else { None });
    let clock = time::start(wrong_by.unwrap_or_default());
    let ec2 = Ec2::new(&local_ec2::Settings {
        time: Some(TimeSource::new(move || time::of(clock))),
        seed: plan.seed,
        progress: plan.progress,
        lags: plan.lags.clone(),
        ..local_ec2::Settings::default()
    });
    let (invocations, invoked) = mpsc::unbounded_channel();
    let (deliveries, delivered) = mpsc::unbounded_channel();
    let troubles = Troubles::new(&plan.faults);
    let world = World::new(clock, ec2, troubles, plan, with_trace, invocations, deliveries);
    let mut settings = local_step_functions::Settings::new(plan.seed, clock);
    settings.step_millis = 5..=60;
    let watcher = Arc::downgrade(&world);
    settings.on_status_change = Some(Arc::new(move |change| {
        if let Some(world) = watcher.upgrade() {
            rules::status_changed(&world, &change);
        }
    }));
    let engine = Engine::new(settings, Arc::new(Outside(Arc::clone(&world))));
    let machines = if plan.begins_with_release_before() { DEPLOYED.machines_before() } else { DEPLOYED.machines() };
    for (arn, definition) in machines {
        if let Err(error) = engine.create_state_machine(arn, Arc::clone(definition)) {
            panic!("a machine is refused: {error}");
        }
    }
    world.set_engine(engine);
    let functions = Functions::new(Arc::clone(&world));
    spawn_local(std::rc::Rc::clone(&functions).serve(invoked));
    spawn_local(rules::serve(Arc::clone(&world), functions, delivered));
    spawn_local(rules::images(Arc::clone(&world)));
    spawn_local(rules::sweeps(Arc::clone(&world)));
    world
}

/// Adds what the run needs, and starts it.
///
/// # Errors
///
/// What Step Functions says if it does not start.
pub(crate) async fn start(plan: &Plan, world: &World) -> Result<Ended, String> {
    let ec2 = &world.ec2;
    let arn = execution_arn(&plan.name());
    let power = if plan.stopped { InstanceStateName::Stopped } else { InstanceStateName::Running };
    let spec = InstanceSpec::default().volume("/dev/sdf", plan.gigabytes, "gp3").tag("Name", plan.name());
    let spec = spec.watermark(GOLDEN).state(power.clone());
    let instance =
        ec2.add_instance(if plan.faults.contains(&Fault::KeyNotGranted) { spec.ungranted_key(KEY) } else { spec });
    if let Some(data) = ec2.instance(&instance).and_then(|instance| instance.volume_ids.into_iter().nth(1)) {
        let (key, value) = SKIPPED;
        people::call(world, &format!("CreateTags&ResourceId.1={data}&Tag.1.Key={key}&Tag.1.Value={value}"));
    }
    let old = (plan.operation != Operation::Create).then(|| {
        let past = arn.replacen(&plan.name(), "past", 1);
        let of_a_run: &[(&str, &str)] = &[(RUN_TAG, &past), ("Name", &plan.name())];
        ec2.add_foreign_image(plan.name(), if plan.operation == Operation::Adopt { &of_a_run[1..] } else { of_a_run })
    });
    if let Some(old) = old.as_deref().filter(|_| plan.operation == Operation::Enable) {
        people::call(world, &format!("DisableImage&ImageId={old}"));
    }
    if let Some(old) = &old {
        if plan.marks {
            people::call(world, &format!("AttachImageWatermark&ImageId={old}&WatermarkName=golden"));
        }
        if plan.frees {
            people::call(world, &format!("EnableImageDeregistrationProtection&ImageId={old}"));
        }
        if plan.undeprecates {
            let at = "2027-01-01T00:00:00Z";
            people::call(world, &format!("EnableImageDeprecation&ImageId={old}&DeprecateAt={at}"));
            // Until EC2 shows it.
            tokio::time::sleep(plan.lags.change_shows).await;
        }
    }
    plan.bin.into_iter().flat_map(Bin::rules).for_each(|rule| ec2.add_bin_rule(rule));
    let past = if plan.retains.is_some() { past_images(ec2, &arn, &plan.name()) } else { vec![] };
    if plan.retains == Some(Retires::Quarantine) {
        for at in [0, 2] {
            quarantine(world, &past[at]);
        }
    }
    let before = old.as_deref().and_then(|id| ec2.image(id));
    let mut old_snapshots = before.as_ref().map(|image| image.snapshot_ids.clone()).unwrap_or_default();
    if let Some(image) = before.as_ref().filter(|_| plan.operation == Operation::Restore) {
        people::call(world, &format!("DeregisterImage&ImageId={}", image.id));
        for snapshot in &image.snapshot_ids {
            people::call(world, &format!("DeleteSnapshot&SnapshotId={snapshot}"));
        }
    }
    if plan.operation == Operation::Restore {
        // One in five may still seem to be in use, and is not in the bin then.
        old_snapshots.retain(|id| ec2.snapshot(id).is_none());
    }
    let before = before.filter(|_| plan.operation != Operation::Restore);
    for fault in &plan.faults {
        if let Fault::ImageFails(state) = fault {
            ec2.next_image(&instance, fails(state));
        }
        if matches!(fault, Fault::ImageFails(_) | Fault::Clock(_) | Fault::KeyNotGranted) {
            lock(&world.troubles).has_struck(fault);
        }
    }
    let name = if plan.operation == Operation::Replace { format!("{}-fresh", plan.name()) } else { plan.name() };
    let input = plan.request(&name, &instance, old.as_deref()).to_string();
    world.say(|| format!("{:?} {input}", plan.operation));
    *lock(&world.subject) = Subject {
        name: plan.name(),
        arn,
        input: input.clone(),
        image_name: name.clone(),
        instance: instance.clone(),
        old: old.clone(),
        ..Subject::default()
    };
    let started = world.engine().start_execution(&DEPLOYED.lifecycle_arn, Some(&plan.name()), &input);
    let execution: Execution = started.map_err(|error| error.to_string())?;
    let ended = Ended::new(plan.operation, execution, name, instance);
    let (protection, marks) = (plan.protection(), plan.marks);
    let chooses = plan.chooses;
    let deprecates = plan.deprecates && !plan.undeprecates;
    let deprecation = deprecates.then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(DEPRECATION_SECONDS));
    let ended = Ended { old, old_snapshots, power: Some(power), deprecation, protection, marks, chooses, ..ended };
    Ok(Ended { dry: plan.dry, retires: plan.retains, past, before, ..ended })
}

fn fails(state: &ImageState) -> Fate {
    Fate::Fail {
        state: state.clone(),
        code: "Client.InternalError".to_owned(),
        message: "it broke".to_owned(),
        after: Duration::from_secs(30),
    }
}

/// An earlier prune has disabled the image, which is shared with an account.
fn quarantine(world: &World, id: &str) {
    let shares = "ModifyImageAttribute&Attribute=launchPermission&LaunchPermission.Add.1.UserId=111122223333";
    people::call(world, &format!("{shares}&ImageId={id}"));
    let tag = |number: u8, key: &str, value: &str| {
        format!("&Tag.{number}.Key=ami-from-instance:{key}&Tag.{number}.Value={value}")
    };
    let tags = tag(1, "quarantined-since", "2026-11-21T00:00:00Z") + &tag(2, "launch-permissions", "111122223333");
    people::call(world, &format!("CreateTags&ResourceId.1={id}{tags}"));
    people::call(world, &format!("DisableImage&ImageId={id}"));
}

/// Older images of the series that the run prunes, the newest first.
fn past_images(ec2: &Ec2, run: &str, name: &str) -> Vec<String> {
    let one = |days: u64| {
        let past = run.replacen(name, &format!("past-{days}"), 1);
        let id = ec2.add_foreign_image(format!("{name}-{days}"), &[(RUN_TAG, &past), (SERIES_TAG, SERIES)]);
        ec2.age_image(&id, Duration::from_secs(days * 24 * 3600));
        id
    };
    (1..=3).map(one).collect()
}
