//! One run, from an empty world to the judgement.

use std::{sync::Arc, time::Duration};

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_ec2::types::{ImageState, InstanceStateName};
use local_ec2::{Ec2, Fate, InstanceSpec, TimeSource};
use local_step_functions::{Engine, Status};
use tokio::{
    sync::mpsc,
    task::{LocalSet, spawn_local},
};

use crate::{
    check::{Ended, Violation},
    faults::{Fault, Moment},
    functions::Functions,
    plan::{Operation, Plan},
    rest, rules,
    strangers::Strangers,
    tasks::Outside,
    template::DEPLOYED,
    time,
    troubles::Troubles,
    world::{Subject, World, lock},
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
    let world = world(plan);
    let arn = format!("{}:{}", DEPLOYED.lifecycle_arn.replacen(":stateMachine:", ":execution:", 1), plan.name());
    let strangers = Strangers::add(&world.ec2, &arn, &plan.name());
    let mut ended = prepare(plan, &world, &arn);
    let input = plan.request(&ended.name, &ended.instance, ended.old.as_deref()).to_string();
    *lock(&world.subject) = Subject {
        name: plan.name(),
        arn: arn.clone(),
        input: input.clone(),
        instance: ended.instance.clone(),
        ..Subject::default()
    };
    world.say(format!("{:?} {input}", plan.operation));
    let engine = world.engine();
    let started = engine.start_execution(&DEPLOYED.lifecycle_arn, Some(&plan.name()), &input);
    let mut violations = vec![];
    let mut violate = |invariant, seen| violations.push(Violation { invariant, seen });
    match started {
        Ok(started) => ended.execution = started,
        Err(error) => violate(4, error.to_string()),
    }
    people(plan, &world);
    match tokio::time::timeout(plan.longest(), engine.wait_for_end(&arn)).await {
        Ok(Ok(execution)) => ended.execution = execution,
        _ => violate(4, format!("it still runs after {:?}", plan.longest())),
    }
    if ended.execution.status != Status::Running {
        violations.extend(ended.unnamed(&world.ec2));
    }
    let unrest = rest::comes(&world).await;
    // Known: a replace that is stopped after it has begun its delete keeps its image, and each sweep asks again.
    let unrest = unrest.filter(|_| ended.execution.status == Status::Succeeded || !ended.is_kept());
    violations.extend(unrest.map(|seen| Violation { invariant: 6, seen }));
    if lock(&world.subject).is_power_changed {
        ended.power = None;
    }
    violations.extend(ended.violations(&world.ec2));
    let changed = strangers.changed(&world.ec2);
    if !changed.is_empty() {
        violations.push(Violation { invariant: 2, seen: format!("{changed:?}") });
    }
    violations.extend(rest::full_histories(&world).into_iter().map(|seen| Violation { invariant: 5, seen }));
    violations.extend(lock(&world.mishaps).iter().cloned().map(|seen| Violation { invariant: 7, seen }));
    let trace = with_trace.then(|| {
        let mut trace = world.trace();
        trace.add_histories(&engine);
        trace.text()
    });
    let struck = lock(&world.troubles).struck().map(Fault::kind).collect();
    let error = ended.execution.error.as_deref().unwrap_or_default();
    let outcome = format!("{} {error}", ended.execution.status).trim_end().to_owned();
    world.end();
    Finished { plan: plan.clone(), outcome, struck, violations, trace }
}

/// The world of a run, with everything in it that goes on by itself.
fn world(plan: &Plan) -> Arc<World> {
    let clock = time::start();
    let ec2 = Ec2::new(&local_ec2::Settings {
        time: Some(TimeSource::new(move || time::of(clock))),
        seed: plan.seed,
        progress: plan.progress,
        lags: plan.lags.clone(),
        ..local_ec2::Settings::default()
    });
    let (invocations, invoked) = mpsc::unbounded_channel();
    let (deliveries, delivered) = mpsc::unbounded_channel();
    let world = World::new(clock, ec2, Troubles::new(&plan.faults), plan.seed, invocations, deliveries);
    let mut settings = local_step_functions::Settings::new(plan.seed, clock);
    settings.step_millis = 5..=60;
    let watcher = Arc::downgrade(&world);
    settings.on_status_change = Some(Arc::new(move |change| {
        if let Some(world) = watcher.upgrade() {
            rules::status_changed(&world, &change);
        }
    }));
    let engine = Engine::new(settings, Arc::new(Outside(Arc::clone(&world))));
    let machines = [(&DEPLOYED.lifecycle_arn, &DEPLOYED.lifecycle), (&DEPLOYED.operation_arn, &DEPLOYED.operation)];
    for (arn, definition) in machines {
        if let Err(error) = engine.create_state_machine(arn, definition.clone()) {
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

/// Adds what the run needs.
fn prepare<'a>(plan: &'a Plan, world: &World, arn: &str) -> Ended<'a> {
    let ec2 = &world.ec2;
    let power = if plan.stopped { InstanceStateName::Stopped } else { InstanceStateName::Running };
    let spec = InstanceSpec::default().volume("/dev/sdf", plan.gigabytes, "gp3").tag("Name", plan.name());
    let instance = ec2.add_instance(spec.state(power.clone()));
    let old = (plan.operation != Operation::Create).then(|| {
        let past = arn.replacen(&plan.name(), "past", 1);
        ec2.add_foreign_image(plan.name(), &[(RUN_TAG, &past), ("Name", &plan.name())])
    });
    let old_snapshots = old.as_deref().and_then(|id| ec2.image(id)).map(|image| image.snapshot_ids);
    for fault in &plan.faults {
        if let Fault::ImageFails(state) = fault {
            ec2.next_image(&instance, fails(state));
            lock(&world.troubles).has_struck(fault);
        }
    }
    let name = if plan.operation == Operation::Replace { format!("{}-fresh", plan.name()) } else { plan.name() };
    let execution = local_step_functions::Execution {
        arn: arn.to_owned(),
        name: plan.name(),
        machine: DEPLOYED.lifecycle_arn.clone(),
        status: Status::Running,
        start_millis: 0,
        stop_millis: None,
        input: String::new(),
        output: None,
        error: None,
        cause: None,
    };
    let old_snapshots = old_snapshots.unwrap_or_default();
    Ended { plan, execution, name, instance, old, old_snapshots, power: Some(power) }
}

fn fails(state: &ImageState) -> Fate {
    Fate::Fail {
        state: state.clone(),
        code: "Client.InternalError".to_owned(),
        message: "it broke".to_owned(),
        after: Duration::from_secs(30),
    }
}

/// Lets people do what they do at a certain time.
fn people(plan: &Plan, world: &Arc<World>) {
    for fault in plan.faults.clone() {
        if let Fault::Person { does, at: Moment::Millis(millis) } = fault {
            let world = Arc::clone(world);
            spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                lock(&world.troubles).has_struck(&fault);
                world.does(does);
            });
        }
    }
}
