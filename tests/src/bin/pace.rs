//! `cargo pace`: the tables of the README's performance section.

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use local_aws::{
    cost,
    deployment::{Deployment, Options},
    ec2::InstanceSpec,
    execution::{Execution, Outcome, states},
    simulation::{self, Kept, Shape, Way, fewest_looks, figures, scale::load},
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
    println!("{} images", simulation::IMAGES);
    println!();
    heading();
    for lost in [0.0, 0.1, 1.0] {
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
