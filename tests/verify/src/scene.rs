//! A scenario while it goes on: what it starts, and what becomes of it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    aws::Aws,
    ec2,
    report::{Check, Report, Verdict},
    run::{Ended, Run, Waits},
    stack::Stack,
    world::{TAG, World},
};

/// Where scenarios go on.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// The depth, which the names of its checks begin with.
    pub depth: &'static str,
    /// The account.
    pub aws: &'a Aws,
    /// The stack.
    pub stack: &'a Stack,
    /// What is made.
    pub world: &'a World,
    /// Where it is told.
    pub report: &'a Report<'a>,
}

/// A scenario.
pub struct Scene<'a> {
    /// Where.
    pub stage: Stage<'a>,
    id: &'static str,
    runs: Mutex<Vec<Run<'a>>>,
}

/// How long what was removed may still show.
const SHOWS: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_secs(3);

impl<'a> Stage<'a> {
    /// Plays a scenario, and tells how it went. What it gives is of use to later ones.
    pub async fn play<T>(
        &self,
        id: &'static str,
        expected: &str,
        play: impl AsyncFnOnce(&Scene<'a>) -> Result<(T, String)>,
    ) -> Option<T> {
        let scene = Scene { stage: *self, id, runs: Mutex::default() };
        let start = Instant::now();
        let played = play(&scene).await;
        let seconds = self.aws.elapsed(start.elapsed()).as_secs_f64();
        let runs = scene.runs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut transitions, mut waits) = (0, Waits::default());
        for run in &runs {
            let course = run.course().await.unwrap_or_default();
            transitions += course.transitions;
            waits.extend(&course.waits);
        }
        let (given, verdict, saw) = match played {
            Ok((given, saw)) => (Some(given), Verdict::Passed, saw),
            Err(error) => (None, Verdict::Failed, format!("{error:#}")),
        };
        let check = Check::new(format!("{}/{id}", self.depth), verdict, expected, saw);
        self.report.add(Check { seconds, transitions, waits, ..check });
        given
    }
}

impl<'a> Scene<'a> {
    /// A name that nothing else has.
    pub fn name(&self, what: &str) -> String {
        let what = if what.is_empty() { String::new() } else { format!("-{what}") };
        let depth = if self.stage.depth == "instance" { String::new() } else { format!("{}-", self.stage.depth) };
        self.stage.world.name(&format!("{depth}{}{what}", self.id.replace('/', "-")))
    }

    /// The tags of what it makes.
    pub fn tags(&self) -> Value {
        json!({TAG: self.stage.world.value()})
    }

    /// Starts a run.
    pub async fn start(&self, what: &str, request: Value) -> Result<Run<'a>> {
        let run = Run::start(self.stage.aws, self.stage.stack, &self.name(what), request).await?;
        self.counts(&run);
        Ok(run)
    }

    /// Counts a run that somebody else has started.
    pub fn counts(&self, run: &Run<'a>) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).push(run.clone());
    }

    /// Starts a run and waits for its end.
    pub async fn run(&self, what: &str, request: Value) -> Result<Ended> {
        self.start(what, request).await?.end().await
    }

    /// A request to make an image, which takes its name from the scenario.
    pub fn create(&self, instance: &str, what: &str) -> Value {
        json!({
            "name": self.name(what), "sourceInstanceId": instance, "snapshotWithoutReboot": true, "tags": self.tags(),
        })
    }

    /// Waits until nothing of a run is left, and gives the seconds.
    pub async fn nothing_is_left_of(&self, run: &str, name: &str) -> Result<u64> {
        let start = Instant::now();
        loop {
            let images = ec2::images_named(self.stage.aws, name).await?;
            let images = images.iter().filter(|image| ec2::tags(image).get("ami-from-instance:run") == Some(&run));
            let images: Vec<_> = images.map(|image| crate::aws::text(&image["imageId"]).to_owned()).collect();
            let snapshots = ec2::snapshots_tagged(self.stage.aws, "ami-from-instance:run", run).await?;
            let snapshots = snapshots.iter().map(|one| crate::aws::text(&one["snapshotId"]).to_owned());
            let left: Vec<_> = images.into_iter().chain(snapshots).collect();
            let elapsed = self.stage.aws.elapsed(start.elapsed());
            if left.is_empty() {
                return Ok(elapsed.as_secs());
            }
            if elapsed > SHOWS {
                bail!("{} are left of {run} after {} s", left.join(", "), elapsed.as_secs());
            }
            self.stage.aws.sleep(LOOK_EVERY).await;
        }
    }
}

/// An error unless something holds.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { bail!("{}", otherwise()) }
}
