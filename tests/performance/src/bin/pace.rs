//! `cargo pace`: the tables of the README's performance section.

use std::{
    io::{self, ErrorKind, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ami_from_instance::model::run::RUN_TAG;
use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use local_aws::{
    deployment::{Deployment, Options},
    execution::{Execution, Outcome},
};
use local_ec2::{InstanceSpec, Progress};
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
    match print(Cli::parse().table, &mut io::stdout().lock()).await {
        // Whoever reads the tables has seen enough, as `head` has.
        Err(error) if error.downcast_ref().map(io::Error::kind) == Some(ErrorKind::BrokenPipe) => Ok(()),
        result => result,
    }
}

async fn print(wanted: Option<Table>, out: &mut impl Write) -> Result<()> {
    for table in Table::value_variants().iter().filter(|table| wanted.is_none_or(|wanted| wanted == **table)) {
        match table {
            Table::Looks => looks(out)?,
            Table::Tried => tried(out)?,
            Table::Scale => scale(out)?,
            Table::Cost => cost(out).await?,
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The titles of a table's columns.
fn heading(out: &mut impl Write, columns: &[&str]) -> io::Result<()> {
    writeln!(out, "| {} |", columns.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(columns.len()))
}

const LOOKS: [&str; 10] =
    ["who", "progress", "events lost", "looks", "DescribeImages", "calls", "lag", "p95", "of the time", "gave up"];

fn row(out: &mut impl Write, way: Way, shape: Option<Shape>, lost: Option<f64>) -> io::Result<()> {
    let figures = figures(way, shape.unwrap_or(Shape::Linear), lost.unwrap_or(1.0));
    writeln!(
        out,
        "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} s | {:.1} s | {:.1} % | {:.1} % |",
        way.name(),
        shape.map_or("any", Shape::name),
        lost.map_or("–".to_owned(), percent),
        figures.looks,
        figures.images,
        figures.calls,
        figures.lag,
        figures.lag_p95,
        100.0 * figures.lag_share,
        100.0 * figures.given_up,
    )
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn looks(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{} images", waits::IMAGES)?;
    writeln!(out)?;
    heading(out, &LOOKS)?;
    for lost in [0.0, 0.1, 0.5, 1.0] {
        for shape in Shape::ALL {
            row(out, Way::Ours, Some(shape), Some(lost))?;
        }
    }
    for way in Way::PEERS {
        row(out, way, None, None)?;
    }
    writeln!(out)?;
    writeln!(out, "Without progress and events, whoever knows the distribution needs at least")?;
    writeln!(out, "{:.0} looks for 2.5 s of mean lag,", fewest_looks(Kept::Seconds(2.5)))?;
    writeln!(out, "{:.1} looks for a mean lag of 8 % of the time.", fewest_looks(Kept::Share(0.08)))
}

fn tried(out: &mut impl Write) -> io::Result<()> {
    heading(out, &LOOKS)?;
    for way in [Way::Ours].into_iter().chain(Way::OTHER_WAITS) {
        for lost in [0.0, 1.0] {
            for shape in Shape::ALL {
                row(out, way, Some(shape), Some(lost))?;
            }
        }
    }
    writeln!(out)?;
    heading(out, &SCALE)?;
    for way in [Way::Ours].into_iter().chain(Way::OTHER_LOADS) {
        for images in [1_000, 10_000] {
            for lost in [0.0, 1.0] {
                for shape in [Shape::Linear, Shape::Jumping, Shape::Silent] {
                    load_row(out, way, shape, lost, images)?;
                }
            }
        }
    }
    Ok(())
}

const SCALE: [&str; 11] = [
    "who",
    "progress",
    "events lost",
    "images",
    "most in flight",
    "looks",
    "peak calls/s",
    "throttled",
    "timed out",
    "lag",
    "an image",
];

fn load_row(out: &mut impl Write, way: Way, shape: Shape, lost: f64, images: usize) -> io::Result<()> {
    let load = load(way, shape, lost, images);
    let is_ours = !Way::PEERS.contains(&way);
    writeln!(
        out,
        "| {} | {} | {} | {images} | {} | {:.1} | {:.1} | {:.1} % | {} | {:.1} s | {} |",
        way.name(),
        if is_ours { shape.name() } else { "any" },
        if is_ours { percent(lost) } else { "–".to_owned() },
        load.in_flight,
        load.looks,
        load.peak,
        100.0 * load.throttled_share,
        load.timed_out,
        load.lag,
        if is_ours { format!("${:.5}", load.dollars) } else { "–".to_owned() },
    )
}

fn scale(out: &mut impl Write) -> io::Result<()> {
    heading(out, &SCALE)?;
    let ours = [0.0, 1.0].into_iter().flat_map(|lost| Shape::ALL.map(|shape| (Way::Ours, shape, lost)));
    for (way, shape, lost) in ours.chain([(Way::Terraform, Shape::Linear, 1.0)]) {
        for images in [1, 10, 100, 1_000, 10_000] {
            load_row(out, way, shape, lost, images)?;
        }
    }
    Ok(())
}

/// How many times faster than real the local AWS runs for the costs: slow enough that a function's
/// start counts as a few seconds.
const SPEED: f64 = 5.0;
/// The sizes of the volumes whose snapshots take 2, 10 and 40 minutes on the local EC2, in GiB.
const VOLUMES: [(u64, u32); 3] = [(2, 50), (10, 290), (40, 1_190)];

async fn cost(out: &mut impl Write) -> Result<()> {
    let options = Options { speed: SPEED, port: 0, ec2_port: 0, ec2_through: None, parameters: vec![] };
    let aws = &tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(Deployment::start(&options, &|step| eprintln!("{step}")))
    })?;
    let columns = ["progress", "image", "looks", "transitions", "a run", "single machine", "its transitions", "ratio"];
    heading(out, &columns)?;
    let mut runs = vec![];
    for (progress, name) in
        [(Progress::Linear, "linear"), (Progress::Jumping, "jumping"), (Progress::AtOnce, "0 % until the end")]
    {
        aws.ec2.set_progress(progress);
        runs.extend(begin(aws, name).await?);
    }
    for run in runs {
        writeln!(out, "{}", run.cost(aws).await?)?;
    }
    Ok(())
}

/// Starts a run that makes an image.
async fn create(aws: &Deployment, instance: InstanceSpec) -> Result<Execution> {
    let instance = aws.ec2.add_instance(instance);
    let input = json!({
        "name": format!("cost {}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis()),
        "sourceInstanceId": instance,
        "snapshotWithoutReboot": true,
        "timeouts": {"create": "2h"},
    });
    aws.start_execution(aws.lifecycle_machine_arn(), None, &input.to_string()).await
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
        let run = create(aws, InstanceSpec::default().volume("/dev/sdf", gib, "gp3")).await?;
        runs.push(Counted { progress, minutes, run });
    }
    for one in &runs {
        while aws.ec2.images_tagged(RUN_TAG, &one.run.arn).is_empty() {
            if let Some(outcome) = one.run.outcome()? {
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
        let entered = self.run.entered(aws.output("OperationMachineArn"))?;
        let looks = entered.iter().filter(|one| one.state == "Look").count();
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
