//! A scenario while it goes on: what it starts, and what becomes of it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    aws::{Aws, text},
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

/// What happened did not show whether something holds.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Untold(pub String);

/// How many looks in a row must show nothing: EC2 may show something new or its tags late.
const EMPTY_LOOKS: usize = 3;
/// How long what was removed may still show.
const SHOWS: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_secs(3);
const SHOWS_WITHIN: Duration = Duration::from_secs(60);

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
            match run.course().await {
                Ok(course) => {
                    transitions += course.transitions;
                    waits.extend(&course.waits);
                }
                Err(error) => self.report.say(&format!("the history of {} is not known: {error:#}", run.arn)),
            }
        }
        let (given, verdict, saw) = match played {
            Ok((given, saw)) => (Some(given), Verdict::Passed, saw),
            Err(error) if error.is::<Untold>() => (None, Verdict::Unknown, error.to_string()),
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
        if !request["sourceInstanceId"].is_null() && request["dryRun"] != json!(true) {
            self.stage.world.turn(self.stage.aws).await;
        }
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
        let aws = self.stage.aws;
        let (start, mut empty_at) = (Instant::now(), vec![]);
        loop {
            let images = ec2::images_named(aws, name).await?;
            let images = images.iter().filter(|image| ec2::tags(image).get("ami-from-instance:run") == Some(&run));
            let images: Vec<_> = images.map(|image| text(&image["imageId"]).to_owned()).collect();
            let snapshots = ec2::snapshots_tagged(aws, "ami-from-instance:run", run).await?;
            let snapshots = snapshots.iter().map(|one| text(&one["snapshotId"]).to_owned());
            let left: Vec<_> = images.into_iter().chain(snapshots).collect();
            let elapsed = aws.elapsed(start.elapsed());
            if left.is_empty() {
                empty_at.push(elapsed);
            } else {
                empty_at.clear();
            }
            if empty_at.len() == EMPTY_LOOKS {
                return Ok(empty_at[0].as_secs());
            }
            if elapsed > SHOWS {
                bail!("{} are left of {run} after {} s", left.join(", "), elapsed.as_secs());
            }
            aws.sleep(LOOK_EVERY).await;
        }
    }
}

/// Tries again for a minute what EC2 may show late.
pub async fn shows<T>(aws: &Aws, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match look().await {
            Err(_) if aws.elapsed(start.elapsed()) < SHOWS_WITHIN => aws.sleep(LOOK_EVERY).await,
            told => return told,
        }
    }
}

/// An error unless something holds.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { bail!("{}", otherwise()) }
}
