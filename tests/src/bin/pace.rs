//! `cargo pace`: the tables of the README's performance section.

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use local_aws::{
    cost,
    deployment::{Deployment, Options},
    ec2::InstanceSpec,
    execution::{Execution, Outcome, states},
    simulation::{
        self, Kept, Shape, Way, fewest_looks, figures,
        scale::{Watcher, load},
    },
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
    /// With an event at the end of each image
    Events,
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
            Table::Events => events(),
            Table::Scale => scale(),
            Table::Cost => cost().await?,
        }
        println!();
    }
    Ok(())
}

fn heading() {
    println!("| who | progress | looks | calls | lag | p95 | of the time | gave up |");
    println!("|---|---|---|---|---|---|---|---|");
}

fn row(name: &str, way: Way, shape: Option<Shape>, lost: f64) {
    let figures = figures(way, shape.unwrap_or(Shape::Linear), lost);
    println!(
        "| {name} | {} | {:.1} | {:.1} | {:.1} s | {:.1} s | {:.1} % | {:.1} % |",
        shape.map_or("any", Shape::name),
        figures.looks,
        figures.calls,
        figures.lag,
        figures.lag_p95,
        100.0 * figures.lag_share,
        100.0 * figures.given_up,
    );
}

fn looks() {
    println!("{} images", simulation::IMAGES);
    println!();
    heading();
    for shape in Shape::ALL {
        row(Way::Ours.name(), Way::Ours, Some(shape), 1.0);
    }
    for way in Way::PEERS {
        row(way.name(), way, None, 1.0);
    }
    println!();
    println!("Without progress and events, whoever knows the distribution needs at least");
    println!("{:.0} looks for 2.5 s of mean lag,", fewest_looks(Kept::Seconds(2.5)));
    println!("{:.1} looks for a mean lag of 5 % of the time.", fewest_looks(Kept::Share(0.05)));
}

fn tried() {
    heading();
    for way in Way::TRIED {
        for shape in Shape::ALL {
            row(way.name(), way, Some(shape), 1.0);
        }
    }
}

fn events() {
    heading();
    for lost in [0.0, 0.1, 1.0] {
        for way in [Way::Ours, Way::OursRelyingOnEvents] {
            for shape in Shape::ALL {
                row(&format!("{}, {:.0} % lost", way.name(), 100.0 * lost), way, Some(shape), lost);
            }
        }
    }
}

fn scale() {
    println!("| who | progress | images | most in flight | looks | peak calls/s | throttled | lag | an image |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let rows = [
        (Way::Ours, Watcher::Each, Shape::Linear),
        (Way::Ours, Watcher::Each, Shape::Jumping),
        (Way::Ours, Watcher::Each, Shape::Silent),
        (Way::Ours, Watcher::Shared, Shape::Linear),
        (Way::Ours, Watcher::Shared, Shape::Silent),
        (Way::Terraform, Watcher::Each, Shape::Linear),
    ];
    for (way, watcher, shape) in rows {
        let name = if watcher == Watcher::Shared { "a shared watcher" } else { way.name() };
        for images in [1, 10, 100, 1_000, 10_000] {
            let load = load(way, watcher, shape, images);
            println!(
                "| {name} | {} | {images} | {} | {:.1} | {:.1} | {} | {:.1} s | {} |",
                shape.name(),
                load.in_flight,
                load.looks,
                load.peak,
                load.throttled,
                load.lag,
                if way == Way::Ours { format!("${:.5}", load.dollars) } else { "–".to_owned() },
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
    println!("| image | looks | transitions | a run | single machine | its transitions | ratio |");
    println!("|---|---|---|---|---|---|---|");
    let [(two, small), (ten, middle), (forty, large)] = VOLUMES;
    let rows = tokio::try_join!(cost_of(aws, two, small), cost_of(aws, ten, middle), cost_of(aws, forty, large))?;
    for row in [rows.0, rows.1, rows.2] {
        println!("{row}");
    }
    Ok(())
}

/// Makes an image that takes so many minutes, and counts the states of its executions.
async fn cost_of(aws: &Deployment, minutes: u64, gib: u32) -> Result<String> {
    let instance = aws.ec2.add_instance(InstanceSpec::default().volume("/dev/sdf", gib, "gp3"));
    let input = json!({
        "name": format!("{minutes} minutes"),
        "sourceInstanceId": instance,
        "snapshotWithoutReboot": true,
        "timeouts": {"create": "2h"},
    });
    let name = format!("minutes-{minutes}");
    let client = aws.step_functions();
    let run = Execution::start(&client, aws.lifecycle_machine_arn(), Some(&name), &input.to_string()).await?;
    let outcome = run.wait().await?;
    if !matches!(outcome, Outcome::Succeeded(_)) {
        bail!("{outcome:?}");
    }
    let operations = aws.output("OperationMachineArn").replace(":stateMachine:", ":execution:");
    let mut entered = states(&client, &run.arn).await?;
    entered.extend(states(&client, &format!("{operations}:{name}-create")).await.context("the child's history")?);
    let count = |states: &[&str]| entered.iter().filter(|one| states.contains(&one.state.as_str())).count();
    let looks = count(&["Look again"]);
    let invocations = count(&["Read the request", "Begin the operation", "Look again"]);
    let ours = cost::dollars(entered.len() as f64, invocations as f64);
    let single = cost::single_machine(minutes as f64 * 60.0);
    Ok(format!(
        "| {minutes} min | {looks} | {} | ${ours:.5} | ${:.5} | {} | {:.0} % |",
        entered.len(),
        single.dollars,
        single.transitions,
        100.0 * ours / single.dollars,
    ))
}
