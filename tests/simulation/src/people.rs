//! What people and other programs do while a run goes on.

use std::{sync::Arc, time::Duration};

use ami_from_instance::model::run::RUN_TAG;
use local_ec2::{InstanceSpec, Reply, Request};
use local_step_functions::{Engine, Status};

use crate::{
    check::{Ended, ONE_NAME},
    coverage,
    faults::{Deed, Fault, Moment},
    plan::{Operation, create},
    template::DEPLOYED,
    world::{Subject, World, lock},
};

/// The name of a tag that somebody puts on.
const TAG: &str = "Audit";

/// Does something. Whatever is refused here is no matter of the run's.
pub(crate) fn act(world: &World, deed: Deed) {
    world.say(|| format!("a person: {deed:?}"));
    let subject = lock(&world.subject).clone();
    let protect = "EnableImageDeregistrationProtection";
    let has_changed = match deed {
        Deed::Abort => abort(world, &subject),
        Deed::Redrive => world.engine().redrive_execution(&subject.arn).is_ok(),
        Deed::RedriveOperations => redrive_operations(world, &subject),
        Deed::StartAgain => start_again(world, &subject),
        Deed::StartRival => {
            let instance = world.ec2.add_instance(InstanceSpec::default());
            start(world, &format!("{}-rival", subject.name), &subject.image_name, &instance)
        }
        Deed::StartBeside => {
            let name = format!("{}-beside", subject.name);
            start(world, &name, &name, &subject.instance)
        }
        Deed::Deploy => deploy(world),
        Deed::TerminateInstance => call(world, &format!("TerminateInstances&InstanceId.1={}", subject.instance)),
        Deed::StopInstance => call(world, &format!("StopInstances&InstanceId.1={}", subject.instance)),
        Deed::LockSnapshot => {
            let snapshot = snapshots(world, &subject).into_iter().next();
            snapshot.inspect(|id| world.ec2.lock_snapshot(id)).is_some()
        }
        Deed::ProtectImage => with_image(world, image(world, &subject), protect),
        Deed::ProtectOldImage => with_image(world, subject.old, protect),
        Deed::DeregisterImage => with_image(world, image(world, &subject), "DeregisterImage"),
        Deed::DeregisterOldImage => with_image(world, subject.old, "DeregisterImage"),
        Deed::UseImage => name(world, image(world, &subject)),
        Deed::UseOldImage => name(world, subject.old),
        Deed::Tag => tag(world, &subject, &format!("CreateTags&Tag.1.Key={TAG}&Tag.1.Value=yes")),
        Deed::Untag => tag(world, &subject, "DeleteTags&Tag.1.Key=Team"),
    };
    if has_changed {
        lock(&world.subject).done.insert(deed);
    }
    world.ec2_changed.notify_one();
}

/// Lets people do what they do at a time of a kind, counted from now on.
pub(crate) fn later(world: &Arc<World>, of_a_kind: impl Fn(Moment) -> Option<u64>) {
    let faults = lock(&world.troubles).all();
    for fault in faults {
        if let Fault::Person { does, at } = fault
            && let Some(millis) = of_a_kind(at)
        {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                if lock(&world.troubles).comes(&fault) {
                    act(&world, does);
                }
            });
        }
    }
}

/// What people do once an operation of the run has succeeded.
pub(crate) fn after_operation(world: &Arc<World>, execution: &str) {
    let name = lock(&world.subject).name.clone();
    let position = execution.rsplit(':').next().and_then(|child| child.strip_prefix(&name)?.strip_prefix('-'));
    let Some(position) = position.and_then(|position| position.parse::<u8>().ok()) else { return };
    later(world, |at| match at {
        Moment::AfterOperation(after, millis) if after == position => Some(millis),
        _ => None,
    });
}

fn deploy(world: &World) -> bool {
    *lock(&world.deployments) += 1;
    let engine = world.engine();
    DEPLOYED.machines().iter().all(|(arn, one)| engine.update_state_machine(arn, Arc::clone(one)).is_ok())
}

/// People take back what keeps anything from being removed.
pub(crate) fn give_way(world: &World) {
    let subject = lock(&world.subject).clone();
    world.ec2.remove_references();
    world.ec2.grant_key(&subject.instance);
    lock(&world.in_use).clear();
    snapshots(world, &subject).iter().for_each(|id| world.ec2.unlock_snapshot(id));
    for image in [image(world, &subject), subject.old] {
        with_image(world, image, "DisableImageDeregistrationProtection");
    }
}

fn abort(world: &World, subject: &Subject) -> bool {
    let engine = world.engine();
    for (machine, state) in states(&engine, &subject.name) {
        lock(&world.coverage).note(coverage::state(machine, &state), coverage::ABORTED);
    }
    engine.stop_execution(&subject.arn, None, None).is_ok()
}

fn redrive_operations(world: &World, subject: &Subject) -> bool {
    let engine = world.engine();
    let page = engine.list_executions(&DEPLOYED.operation_arn, None, None, None);
    let operations = page.map(|page| page.items).unwrap_or_default();
    let own = operations.iter().filter(|one| one.name.starts_with(&format!("{}-", subject.name)));
    own.filter(|one| engine.redrive_execution(&one.arn).is_ok()).count() > 0
}

/// The states that a run and its operations are in.
fn states(engine: &Engine, name: &str) -> Vec<(&'static str, String)> {
    let machines = DEPLOYED.machines().map(|(machine, _)| machine);
    let running = machines.into_iter().flat_map(|machine| {
        let page = engine.list_executions(machine, Some(Status::Running), None, None);
        let executions = page.map(|page| page.items).unwrap_or_default();
        executions.into_iter().filter(|execution| execution.name.starts_with(name)).map(move |one| (machine, one.arn))
    });
    running.filter_map(|(machine, arn)| Some((machine, latest_state(engine, &arn)?))).collect()
}

fn latest_state(engine: &Engine, arn: &str) -> Option<String> {
    let page = engine.get_execution_history(arn, true, Some(20), None).ok()?;
    let entered = page.items.into_iter().find(|event| event.event_type.ends_with("StateEntered"));
    entered?.details["name"].as_str().map(str::to_owned)
}

fn start_again(world: &World, subject: &Subject) -> bool {
    let again = world.engine().start_execution(&DEPLOYED.lifecycle_arn, Some(&subject.name), &subject.input);
    if again.as_ref().is_ok_and(|again| again.arn != subject.arn) {
        world.violation(ONE_NAME, format!("a second execution of one name: {again:?}"));
    }
    again.is_ok()
}

/// Starts another run that makes an image.
fn start(world: &World, name: &str, image_name: &str, instance: &str) -> bool {
    let input = create(image_name, instance, true).to_string();
    let Ok(execution) = world.engine().start_execution(&DEPLOYED.lifecycle_arn, Some(name), &input) else {
        return false;
    };
    let mut others = lock(&world.others);
    if others.iter().all(|other| other.execution.arn != execution.arn) {
        others.push(Ended::new(Operation::Create, execution, image_name.to_owned(), instance.to_owned()));
    }
    true
}

/// The run's own image.
fn image(world: &World, subject: &Subject) -> Option<String> {
    world.ec2.images_tagged(RUN_TAG, &subject.arn).into_iter().map(|image| image.id).next()
}

fn snapshots(world: &World, subject: &Subject) -> Vec<String> {
    world.ec2.snapshots_tagged(RUN_TAG, &subject.arn).into_iter().map(|snapshot| snapshot.id).collect()
}

fn tag(world: &World, subject: &Subject, action: &str) -> bool {
    let image = image(world, subject).or_else(|| subject.old.clone());
    let resources = image.into_iter().chain(snapshots(world, subject)).enumerate();
    let resources: String = resources.map(|(at, id)| format!("&ResourceId.{}={id}", at + 1)).collect();
    call(world, &format!("{action}{resources}"))
}

/// Lets a launch template name an image.
fn name(world: &World, image: Option<String>) -> bool {
    let Some(id) = image.filter(|id| world.ec2.image(id).is_some()) else { return false };
    world.ec2.add_launch_template(format!("of-{id}"), &[&id]);
    lock(&world.in_use).named.insert(id);
    true
}

fn with_image(world: &World, image: Option<String>, action: &str) -> bool {
    image.is_some_and(|id| call(world, &format!("{action}&ImageId={id}")))
}

/// Whether EC2 does it.
pub(crate) fn call(world: &World, query: &str) -> bool {
    let reply = world.ec2.answer(Request::read(&format!("Action={query}"), b"", "person"));
    matches!(reply, Reply::Answer { status: 200, .. })
}
