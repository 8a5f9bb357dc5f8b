//! What a run's parts share.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ami_from_instance::model::run::RUN_TAG;
use fastrand::Rng;
use local_ec2::Ec2;
use local_step_functions::{Clock, Engine};
use permissions::Lines;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    check::{Ended, Violation},
    coverage::Coverage,
    faults::{Deed, Delivery as Delivered, Fate},
    plan::Plan,
    shown::Shown,
    trace::Trace,
    troubles::Troubles,
};

/// An invocation of a function, to be made where futures need not be sent to other threads.
pub(crate) struct Invocation {
    pub(crate) function: String,
    pub(crate) event: Value,
    /// Who makes it, for the count of what has gone wrong where.
    pub(crate) place: String,
    /// Takes the answer; one who does not wait has none.
    pub(crate) answer: Option<oneshot::Sender<Result<Value, local_step_functions::TaskError>>>,
}

/// One that a rule or a schedule makes, after a while.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) function: &'static str,
    pub(crate) event: Value,
    pub(crate) of: Delivered,
    pub(crate) fate: Option<Fate>,
}

/// The run, as those who do something to it know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) input: String,
    /// The name of the image it makes, changes or deletes.
    pub(crate) image_name: String,
    pub(crate) instance: String,
    /// The image it changes, deletes or replaces.
    pub(crate) old: Option<String>,
    /// What somebody has done about it.
    pub(crate) done: BTreeSet<Deed>,
}

/// Which images are in use, and of which of them a function knows.
#[derive(Debug, Default)]
pub(crate) struct InUse {
    pub(crate) named: BTreeSet<String>,
    known: BTreeSet<String>,
}

impl InUse {
    /// A function has asked what names an image; whether it has got the answer.
    pub(crate) fn asked(&mut self, image: &str, is_answered: bool) {
        self.known.remove(image);
        if is_answered && self.named.contains(image) {
            self.known.insert(image.to_owned());
        }
    }

    /// Whether the last answer said that something names the image.
    pub(crate) fn is_known(&self, image: &str) -> bool {
        self.known.contains(image)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What the parts share.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ec2: Ec2,
    engine: Mutex<Option<Engine>>,
    pub(crate) troubles: Mutex<Troubles>,
    /// None where nobody reads it.
    trace: Option<Mutex<Trace>>,
    pub(crate) coverage: Mutex<Coverage>,
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
    pub(crate) violations: Mutex<Vec<Violation>>,
    /// Runs that others have started.
    pub(crate) others: Mutex<Vec<Ended>>,
    /// How often everything was deployed again.
    pub(crate) deployments: Mutex<u32>,
    pub(crate) in_use: Mutex<InUse>,
    /// What the functions have called, as IAM judges it.
    pub(crate) calls: Mutex<Lines>,
    /// How Step Functions shows executions.
    pub(crate) shown: Mutex<Shown>,
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
        plan: &Plan,
        with_trace: bool,
        invocations: mpsc::UnboundedSender<Invocation>,
        deliveries: mpsc::UnboundedSender<Delivery>,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock,
            ec2,
            engine: Mutex::new(None),
            troubles: Mutex::new(troubles),
            trace: with_trace.then(Mutex::default),
            coverage: Mutex::default(),
            rng: Mutex::new(Rng::with_seed(!plan.seed)),
            subject: Mutex::default(),
            invocations,
            deliveries,
            ec2_changed: Notify::new(),
            under_way: Mutex::new(0),
            sweeps: Mutex::default(),
            violations: Mutex::default(),
            others: Mutex::default(),
            deployments: Mutex::new(0),
            in_use: Mutex::default(),
            calls: Mutex::default(),
            shown: Mutex::new(Shown::after(plan.shows_after_millis)),
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

    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            lock(trace).add(self.clock.now_millis(), line());
        }
    }

    pub(crate) fn trace(&self) -> Option<Trace> {
        self.trace.as_ref().map(|trace| lock(trace).clone())
    }

    /// Notes what never must happen, once.
    pub(crate) fn violation(&self, invariant: usize, seen: String) {
        self.say(|| format!("VIOLATED {seen}"));
        let violation = Violation { invariant, seen };
        let mut violations = lock(&self.violations);
        if !violations.contains(&violation) {
            violations.push(violation);
        }
    }

    /// Waits for some of these milliseconds.
    pub(crate) async fn pause(&self, millis: std::ops::Range<u64>) {
        let millis = lock(&self.rng).u64(millis);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// Whether the deployment may change images that no run made: where the run takes one over.
    pub(crate) fn is_unmanaged_allowed(&self) -> bool {
        lock(&self.subject).input.contains("\"adopt\"")
    }

    /// What people do at this call.
    pub(crate) fn deeds_at_call(&self) -> Vec<Deed> {
        let subject = lock(&self.subject).arn.clone();
        let has_snapshot = || !self.ec2.snapshots_tagged(RUN_TAG, &subject).is_empty();
        lock(&self.troubles).deeds_at_call(has_snapshot)
    }
}
