//! A proof from its beginning to its end.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use chrono::Utc;

use crate::{
    aws::Aws,
    cleanup::{self, Whose},
    command::{Command, Depth},
    image, instance,
    look::{dry_runs, engine, look},
    net, probes,
    report::{About, Check, Finished, Report, Verdict, duration},
    stack::{Caller, Stack},
    world::{PREFIX, TAG, World},
};

const NET: &str = "a schedule removes everything, should this computer be gone; no other proof goes on";

/// After this, what was made is removed, before the net does it.
const LONGEST: Duration = Duration::from_secs(170 * 60);

/// What is to be proved.
pub struct Proof<'a> {
    command: &'a Command,
    aws: Aws,
    stack: Stack,
    world: World,
    /// What is to be said of credentials that may end before the proof.
    credentials: Option<String>,
    say: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Proof<'a> {
    /// Finds the account and the stack, and touches nothing.
    ///
    /// # Errors
    ///
    /// The credentials are of another account, or there is no such stack.
    pub async fn prepare(command: &'a Command, say: &'a (dyn Fn(&str) + Sync)) -> Result<Self> {
        let aws = Aws::connect(command.region.clone(), command.speed).await?;
        let caller = Caller::ask(&aws).await?;
        if caller.account != command.account() {
            bail!("the credentials are of account {}, not of {}: nothing was done", caller.account, command.account());
        }
        let stack = match Stack::ask(&aws, caller.clone(), command.stack()).await {
            // What its proofs have left can be found without it.
            Err(_) if command.clean => Stack::gone(&aws, caller, command.stack()),
            stack => stack?,
        };
        if !command.clean && !stack.resources.contains_key("LifecycleMachine") {
            bail!("{} is no stack of ami-from-instance: it has no LifecycleMachine", command.stack());
        }
        let world = World::new(&stack.name, command.subnet.clone());
        let credentials = match aws.credentials_last().await? {
            _ if command.depth == Depth::Look && !command.clean => None,
            Some(None) => Some("The credentials are temporary and do not say when they end".to_owned()),
            Some(Some(left)) if left < LONGEST => Some(format!("The credentials end in {}", duration(left))),
            _ => None,
        };
        Ok(Self { command, aws, stack, world, credentials, say })
    }

    fn depths(&self) -> impl Iterator<Item = Depth> {
        [Depth::Look, Depth::Image, Depth::Instance].into_iter().filter(|depth| *depth <= self.command.depth)
    }

    /// What it is going to do.
    pub fn announcement(&self) -> String {
        let Stack { name, region, caller, .. } = &self.stack;
        let place = format!("account {}, {region}, as {}", caller.account, caller.arn);
        if self.command.clean {
            return format!(
                "In {place}:\n  everything is removed that proofs of the stack {name} have left.\n\
                 It is found by the tag {TAG} = {name}/*, and by names that begin with {PREFIX}."
            );
        }
        let depth = |depth: Depth| {
            let cost = format!("at most ${}", depth.costs());
            format!("  {:<9} {}; {cost}, about {}", depth.name(), depth.purpose(), duration(depth.takes()))
        };
        let depths: Vec<_> = self.depths().map(depth).collect();
        let mut text = format!("In {place}, the stack {name} is proved:\n{}", depths.join("\n"));
        if self.command.depth > Depth::Look {
            text += &format!(
                "\nSome runs fail on purpose: who gets the stack's notifications, gets theirs.\n\
                 Everything it makes has the tag {} and is removed at the end; {} after the beginning a schedule\n\
                 removes it too, should this computer be gone. Cost and time were not measured on AWS yet.",
                self.world.tag(),
                duration(self.world.expires_after())
            );
        }
        if let Some(credentials) = &self.credentials {
            text += &format!("\n{credentials}: if they end before the proof, it cannot clean up. --clean then does.");
        }
        text
    }

    /// Does it, until it is done or interrupted, and cleans up.
    pub async fn run(&self, interrupted: impl Future<Output = ()>) -> Finished {
        let report = Report::new(self.say);
        let (began, start) = (Utc::now(), Instant::now());
        let has_begun = AtomicBool::new(false);
        let work = async {
            look(&self.aws, &self.stack, &report).await;
            dry_runs::look(&self.aws, &self.stack, &report).await;
            // What stands for AWS has another engine, which nobody asks about.
            if self.aws.is_real() {
                engine::look(&self.aws, &self.stack, &report).await;
            } else {
                report.say("look/engine is not asked: an endpoint is set, so this is not AWS itself");
            }
            if self.command.depth == Depth::Look {
                return;
            }
            // Should its answer be lost, the net is there all the same.
            has_begun.store(true, Ordering::Relaxed);
            let stands = async {
                let id = net::spread(&self.aws, &self.stack, &self.world).await?;
                self.world.has_net(&id);
                net::stands(&self.aws, &id).await
            };
            // Without the net, nothing is made.
            match stands.await {
                Ok(said) => report.add(Check::holds("net", true, NET, said)),
                Err(error) => return report.add(Check::new("net", Verdict::Failed, NET, format!("{error:#}"))),
            }
            image::prove(&self.aws, &self.stack, &self.world, &report).await;
            if self.command.depth == Depth::Image {
                return;
            }
            let (folder, origin) = self.recordings();
            instance::prove(&self.aws, &self.stack, &self.world, &report, (&folder, origin)).await;
        };
        let is_interrupted = tokio::select! {
            () = work => false,
            () = interrupted => true,
            () = self.aws.sleep(LONGEST) => {
                let expected = format!("it is over within {}", duration(LONGEST));
                report.add(Check::new("proof", Verdict::Failed, expected, "it was not"));
                false
            }
        };
        if is_interrupted {
            report.say("interrupted: what was made is removed");
            report.add(Check::new("proof", Verdict::Unknown, "it goes on to its end", "it was interrupted"));
        }
        if has_begun.load(Ordering::Relaxed) {
            report.add(cleanup::remove(&self.world, &self.aws, &self.stack, Whose::Own, self.say).await);
        }
        report.finish(About {
            stack: self.stack.name.clone(),
            account: self.stack.caller.account.clone(),
            region: self.stack.region.clone(),
            depth: self.command.depth.name().to_owned(),
            run: self.world.tag(),
            began: began.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            seconds: self.aws.elapsed(start.elapsed()).as_secs_f64(),
        })
    }

    /// Where answers are written down, and where they come from. Only those of AWS itself belong to the project.
    fn recordings(&self) -> (PathBuf, &'static str) {
        match self.aws.is_real() {
            true => (probes::recordings(), probes::AWS),
            false => (self.command.report.join("recordings"), "local"),
        }
    }

    /// Removes what an earlier proof has left; whether nothing is left now.
    pub async fn clean(&self) -> Result<bool> {
        let check = cleanup::remove(&self.world, &self.aws, &self.stack, Whose::Anyones, self.say).await;
        (self.say)(&check.saw);
        Ok(check.verdict == Verdict::Passed)
    }
}

/// The last lines.
pub fn closing(finished: &Finished, folder: &Path) -> String {
    let others: Vec<_> = finished.others().map(|check| check.id.as_str()).collect();
    let others = if others.is_empty() { String::new() } else { format!("\nnot passed: {}", others.join(", ")) };
    format!("{}{others}\nthe report is in {}", finished.totals(), folder.display())
}
