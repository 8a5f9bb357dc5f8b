//! `cargo pace`: the tables of the README's performance section.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ami_from_instance::{run::RUN_TAG, trust::Trust};
use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use local_aws::{
    deployment::{Deployment, Options},
    execution::{Execution, Outcome, states},
};
use local_ec2::{Fate, InstanceSpec, Progress};
use performance::{
    cost,
    waits::{self, Kept, Shape, Way, fewest_looks, figures, scale::load},
};
use serde_json::json;

/// Prints a table of the README's performance section, or every one.
#[derive(Parser)]
#[command(name = "cargo pace", bin_name = "cargo pace")]
struct Cli {
    /// Which one
    table: Option<Table>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Table {
    /// Looks and lag, beside others
    Looks,
    /// What was tried
    Tried,
    /// Many images at once
    Scale,
    /// Dollars, from the histories of executions on the local AWS
    Cost,
}

#[tokio::main]
async fn main() -> Result<()> {
    let wanted = Cli::parse().table;
    for table in Table::value_variants().iter().filter(|table| wanted.is_none_or(|wanted| wanted == **table)) {
        match table {
            Table::Looks => looks(),
            Table::Tried => tried(),
            Table::Scale => scale(),
            Table::Cost => cost().await?,
        }
        println!();
    }
    Ok(())
}

fn heading() {
    println!("| who | progress | events lost | looks | DescribeImages | calls | lag | p95 | of the time | gave up |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
}

fn row(way: Way, shape: Option<Shape>, lost: Option<f64>) {
    let figures = figures(way, shape.unwrap_or(Shape::Linear), lost.unwrap_or(1.0));
    println!(
        "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} s | {:.1} s | {:.1} % | {:.1} % |",
        way.name(),
        shape.map_or("any", Shape::name),
        lost.map_or("–".to_owned(), |lost| format!("{:.0} %", 100.0 * lost)),
        figures.looks,
        figures.images,
        figures.calls,
        figures.lag,
        figures.lag_p95,
        100.0 * figures.lag_share,
        100.0 * figures.given_up,
    );
}

fn looks() {
    println!("{} images", waits::IMAGES);
    println!();
    heading();
    for lost in [0.0, 0.1, 0.5, 1.0] {
        for shape in Shape::ALL {
            row(Way::Ours, Some(shape), Some(lost));
        }
    }
    for way in Way::PEERS {
        row(way, None, None);
    }
    println!();
    println!("Without progress and events, whoever knows the distribution needs at least");
    println!("{:.0} looks for 2.5 s of mean lag,", fewest_looks(Kept::Seconds(2.5)));
    println!("{:.1} looks for a mean lag of 5 % of the time.", fewest_looks(Kept::Share(0.05)));
}

fn tried() {
    heading();
    for way in Way::TRIED {
        for lost in [0.0, 1.0] {
            for shape in Shape::ALL {
                row(way, Some(shape), Some(lost));
            }
        }
    }
}

fn scale() {
    println!(
        "| who | progress | events lost | images | most in flight | looks | peak calls/s | throttled | lag | an image |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let rows = [
        (Way::Ours, Shape::Linear, 0.0),
        (Way::Ours, Shape::Volumes, 0.0),
        (Way::Ours, Shape::Jumping, 0.0),
        (Way::Ours, Shape::Silent, 0.0),
        (Way::Ours, Shape::Linear, 1.0),
        (Way::Ours, Shape::Silent, 1.0),
        (Way::Terraform, Shape::Linear, 1.0),
    ];
    for (way, shape, lost) in rows {
        for images in [1, 10, 100, 1_000, 10_000] {
            let load = load(way, shape, lost, images);
            let is_ours = way == Way::Ours;
            println!(
                "| {} | {} | {} | {images} | {} | {:.1} | {:.1} | {} | {:.1} s | {} |",
                way.name(),
                if is_ours { shape.name() } else { "any" },
                if is_ours { format!("{:.0} %", 100.0 * lost) } else { "–".to_owned() },
                load.in_flight,
                load.looks,
                load.peak,
                load.throttled,
                load.lag,
                if is_ours { format!("${:.5}", load.dollars) } else { "–".to_owned() },
            );
        }
    }
}

/// How many times faster than real the local AWS runs for the costs: slow enough that a function's
/// start counts as a few seconds.
const SPEED: f64 = 5.0;
/// The sizes of the volumes whose snapshots take 2, 10 and 40 minutes on the local EC2, in GiB.
const VOLUMES: [(u64, u32); 3] = [(2, 50), (10, 290), (40, 1_190)];

async fn cost() -> Result<()> {
    let options = Options { speed: SPEED, port: 0, ec2_port: 0, parameters: vec![] };
    let aws = &tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(Deployment::start(&options, &|step| eprintln!("{step}")))
    })?;
    println!("| progress | image | looks | transitions | a run | single machine | its transitions | ratio |");
    println!("|---|---|---|---|---|---|---|---|");
    aws.ec2.set_progress(Progress::AtOnce);
    let doubting = begin(aws, "0 % until the end, before events are trusted").await?;
    for _ in 0..3 {
        // Its end lies amid a wait, so that it is the event that tells of it.
        create(aws, InstanceSpec::default(), Some(Fate::Takes(Duration::from_secs(45)))).await?.wait().await?;
    }
    if !Trust::handed_on(&aws.step_functions(), aws.output("OperationMachineArn")).await.is_enough() {
        bail!("three events in a row have not come");
    }
    let silent = begin(aws, "0 % until the end").await?;
    aws.ec2.set_progress(Progress::Jumping);
    let jumping = begin(aws, "jumping").await?;
    aws.ec2.set_progress(Progress::Linear);
    let linear = begin(aws, "linear").await?;
    for run in [linear, jumping, silent, doubting].into_iter().flatten() {
        println!("{}", run.cost(aws).await?);
    }
    Ok(())
}

/// Starts a run that makes an image.
async fn create(aws: &Deployment, instance: InstanceSpec, fate: Option<Fate>) -> Result<Execution> {
    let instance = aws.ec2.add_instance(instance);
    if let Some(fate) = fate {
        aws.ec2.next_image(&instance, fate);
    }
    let input = json!({
        "name": format!("cost {}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis()),
        "sourceInstanceId": instance,
        "snapshotWithoutReboot": true,
        "timeouts": {"create": "2h"},
    });
    Execution::start(&aws.step_functions(), aws.lifecycle_machine_arn(), None, &input.to_string()).await
}

/// A create whose cost is counted.
struct Counted {
    progress: &'static str,
    minutes: u64,
    run: Execution,
}

/// Begins an image for each of [`VOLUMES`]; gives the runs once EC2 is at work.
async fn begin(aws: &Deployment, progress: &'static str) -> Result<Vec<Counted>> {
    let mut runs = vec![];
    for (minutes, gib) in VOLUMES {
        let run = create(aws, InstanceSpec::default().volume("/dev/sdf", gib, "gp3"), None).await?;
        runs.push(Counted { progress, minutes, run });
    }
    for one in &runs {
        while aws.ec2.images_tagged(RUN_TAG, &one.run.arn).is_empty() {
            if let Some(outcome) = one.run.outcome().await? {
                bail!("{outcome:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(runs)
}

impl Counted {
    /// Waits for the run's end, and counts the states of its executions.
    async fn cost(self, aws: &Deployment) -> Result<String> {
        let outcome = self.run.wait().await?;
        if !matches!(outcome, Outcome::Succeeded(_)) {
            bail!("{outcome:?}");
        }
        let mut entered = vec![];
        for arn in self.run.with_children(aws.output("OperationMachineArn")).await? {
            entered.extend(states(&aws.step_functions(), &arn).await?);
        }
        let looks = entered.iter().filter(|one| one.state == "Look again").count();
        let ours = cost::dollars(entered.len() as f64, looks as f64);
        let single = cost::single_machine(self.minutes as f64 * 60.0);
        Ok(format!(
            "| {} | {} min | {looks} | {} | ${ours:.5} | ${:.5} | {} | {:.0} % |",
            self.progress,
            self.minutes,
            entered.len(),
            single.dollars,
            single.transitions,
            100.0 * ours / single.dollars,
        ))
    }
}
