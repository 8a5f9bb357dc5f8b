//! What a run's parts share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ami_from_instance::model::run::RUN_TAG;
use fastrand::Rng;
use local_ec2::{Ec2, Request};
use local_step_functions::{Clock, Engine};
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    faults::{Deed, Fate},
    template::DEPLOYED,
    trace::Trace,
    troubles::Troubles,
};

/// An invocation of a function, to be made where futures need not be sent to other threads.
pub(crate) struct Invocation {
    pub(crate) function: String,
    pub(crate) event: Value,
    /// Takes the answer; one who does not wait has none.
    pub(crate) answer: Option<oneshot::Sender<Result<Value, local_step_functions::TaskError>>>,
}

/// One that a rule or a schedule makes, after a while.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) function: &'static str,
    pub(crate) event: Value,
    pub(crate) fate: Option<Fate>,
}

/// The run, as those who do something to it know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) input: String,
    pub(crate) instance: String,
    /// Snapshots that a person has locked.
    pub(crate) locked: Vec<String>,
    /// Whether a person has changed the instance's power state.
    pub(crate) is_power_changed: bool,
}

/// What the parts share.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ec2: Ec2,
    engine: Mutex<Option<Engine>>,
    pub(crate) troubles: Mutex<Troubles>,
    trace: Mutex<Trace>,
    rng: Mutex<Rng>,
    pub(crate) subject: Mutex<Subject>,
    pub(crate) invocations: mpsc::UnboundedSender<Invocation>,
    pub(crate) deliveries: mpsc::UnboundedSender<Delivery>,
    /// Something has been done to EC2.
    pub(crate) ec2_changed: Notify,
    /// How many deliveries and invocations are under way, and what the last sweep answered.
    pub(crate) under_way: Mutex<usize>,
    pub(crate) sweeps: Mutex<Vec<Value>>,
    /// What never must happen, as it happened.
    pub(crate) mishaps: Mutex<Vec<String>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// A lock whatever happened to those who had it before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(
        clock: Clock,
        ec2: Ec2,
        troubles: Troubles,
        seed: u64,
        invocations: mpsc::UnboundedSender<Invocation>,
        deliveries: mpsc::UnboundedSender<Delivery>,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock,
            ec2,
            engine: Mutex::new(None),
            troubles: Mutex::new(troubles),
            trace: Mutex::default(),
            rng: Mutex::new(Rng::with_seed(!seed)),
            subject: Mutex::default(),
            invocations,
            deliveries,
            ec2_changed: Notify::new(),
            under_way: Mutex::new(0),
            sweeps: Mutex::default(),
            mishaps: Mutex::default(),
        })
    }

    pub(crate) fn set_engine(&self, engine: Engine) {
        *lock(&self.engine) = Some(engine);
    }

    /// The engine, which is there as long as the run is.
    pub(crate) fn engine(&self) -> Engine {
        let engine = lock(&self.engine).clone();
        engine.unwrap_or_else(|| panic!("the run is over"))
    }

    /// Takes the world apart: its parts hold each other.
    pub(crate) fn end(&self) {
        *lock(&self.engine) = None;
    }

    pub(crate) fn say(&self, line: String) {
        lock(&self.trace).add(self.clock.now_millis(), line);
    }

    pub(crate) fn trace(&self) -> Trace {
        lock(&self.trace).clone()
    }

    pub(crate) fn mishap(&self, what: String) {
        self.say(format!("MISHAP {what}"));
        lock(&self.mishaps).push(what);
    }

    /// Waits for some of these milliseconds.
    pub(crate) async fn pause(&self, millis: std::ops::Range<u64>) {
        let millis = lock(&self.rng).u64(millis);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// Does what people do at this call.
    pub(crate) fn at_call(&self) {
        let subject = lock(&self.subject).arn.clone();
        let has_snapshot = || !self.ec2.snapshots_tagged(RUN_TAG, &subject).is_empty();
        let deeds = lock(&self.troubles).deeds_at_call(has_snapshot);
        deeds.into_iter().for_each(|deed| self.does(deed));
    }

    /// A person does something.
    pub(crate) fn does(&self, deed: Deed) {
        self.say(format!("a person: {deed:?}"));
        let subject = lock(&self.subject).clone();
        match deed {
            // Whatever is refused here is no matter of the run's.
            Deed::Abort => drop(self.engine().stop_execution(&subject.arn, None, None)),
            Deed::StartAgain => {
                let again = self.engine().start_execution(&DEPLOYED.lifecycle_arn, Some(&subject.name), &subject.input);
                if again.as_ref().is_ok_and(|again| again.arn != subject.arn) {
                    self.mishap(format!("a second execution of one name: {again:?}"));
                }
            }
            Deed::TerminateInstance => self.of_instance("TerminateInstances", &subject.instance),
            Deed::StopInstance => self.of_instance("StopInstances", &subject.instance),
            Deed::LockSnapshot => {
                if let Some(snapshot) = self.ec2.snapshots_tagged(RUN_TAG, &subject.arn).into_iter().next() {
                    self.ec2.lock_snapshot(&snapshot.id);
                    lock(&self.subject).locked.push(snapshot.id);
                }
            }
        }
        self.ec2_changed.notify_one();
    }

    fn of_instance(&self, action: &str, instance: &str) {
        lock(&self.subject).is_power_changed = true;
        drop(self.ec2.answer(Request::read(&format!("Action={action}&InstanceId.1={instance}"), b"", "person")));
    }
}
