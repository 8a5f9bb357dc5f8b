//! `cargo local`: the application on a local AWS.

use std::{
    fs,
    io::{IsTerminal, stderr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use local_aws::{
    campaign::{self, AT_ONCE, Plan},
    deployment::{Deployment, Options},
    diagram,
    execution::{Entered, Execution, Outcome},
    prepare, release,
};
use tokio::runtime::Handle;

/// Runs ami-from-instance on a local AWS: the deployed template, the machines and the handlers are
/// the real ones, EC2 is a model.
#[derive(Parser)]
#[command(name = "cargo local", bin_name = "cargo local")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts one execution and follows it; its output goes to standard output
    Run {
        /// The execution's input
        #[arg(default_value = "events/requests/create.json")]
        file: PathBuf,
        #[command(flatten)]
        local: Local,
    },
    /// Does many runs at once with troubles of every kind, and checks what is left
    Chaos {
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        local: Local,
    },
    /// Starts the local AWS, prints how to reach it, and stays until Ctrl-C
    Up {
        #[command(flatten)]
        local: Local,
    },
    /// Writes docs/machines.md: the machines as diagrams, from their definitions
    Picture,
    /// Records what the functions are sent and answer in this release, in tests/releases/
    Record {
        #[command(flatten)]
        local: Local,
    },
}

#[derive(Args)]
struct Scope {
    /// How many runs
    #[arg(long, default_value_t = 150)]
    runs: u64,
    /// What everything random is made of
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Do only this run of them all
    #[arg(long)]
    only: Option<u64>,
}

#[derive(Args)]
struct Local {
    /// How many times faster than real its time runs, time limits included
    #[arg(long, default_value_t = 60.0, value_parser = speed)]
    speed: f64,
    /// The port for everything but EC2; 0 for a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The port for EC2; 0 for a free one
    #[arg(long, default_value_t = 0)]
    ec2_port: u16,
    /// A parameter of the template, as Key=Value; may be given more than once
    #[arg(long = "parameter", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (1.0..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 1 to 1000 is allowed".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.len() == 1 {
        arguments.push("run".into());
    }
    let command = Cli::parse_from(arguments).command;
    // Whatever was started ends with what is dropped here.
    let result = tokio::select! {
        result = dispatch(command) => Some(result),
        () = signalled() => None,
    };
    match result {
        Some(Ok(code)) => code,
        Some(Err(error)) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
        // Not a return: the runtime would wait for a preparation that is under way.
        None => std::process::exit(130),
    }
}

async fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run { file, local } => run(file, local).await,
        Command::Chaos { scope, local } => run_campaign(scope, local).await,
        Command::Up { local } => up(local).await,
        Command::Record { local } => {
            start(local, async |options| release::record(options, &say).await).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Picture => {
            fs::write(prepare::root().join(diagram::FILE), diagram::draw()?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Starts the local AWS without blocking the signals.
async fn start<T: Send + 'static>(
    local: Local,
    start: impl AsyncFnOnce(Options) -> Result<T> + Send + 'static,
) -> Result<T> {
    let Local { speed, port, ec2_port, parameters } = local;
    let options = Options { speed, port, ec2_port, parameters };
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(start(options))).await?
}

async fn deploy(options: Options) -> Result<Deployment> {
    Deployment::start(&options, &say).await
}

fn say(step: &str) {
    eprintln!("{step}");
}

async fn run(file: PathBuf, local: Local) -> Result<ExitCode> {
    let input = fs::read_to_string(&file)
        .or_else(|_| fs::read_to_string(prepare::root().join(&file)))
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let deployment = start(local, deploy).await?;
    eprintln!("starting an execution with {}", file.display());
    let machine = deployment.lifecycle_machine_arn();
    let execution = Execution::start(&deployment.step_functions(), machine, None, &input).await?;
    let display = Display::new(&deployment, execution.arn.clone());
    let outcome = execution.follow(deployment.output("OperationMachineArn"), &|entered| display.entered(entered)).await;
    display.bar.finish_and_clear();
    match outcome? {
        Outcome::Succeeded(output) => {
            println!("{}", serde_json::to_string_pretty(&output)?);
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Ended { status, error, cause } => {
            eprintln!("{status} {error}: {cause}");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn run_campaign(scope: Scope, local: Local) -> Result<ExitCode> {
    let Scope { runs, seed, only } = scope;
    let deployment = start(local, async |options| campaign::start(options, &say).await).await?;
    eprintln!("{runs} runs with seed {seed}");
    let numbers = only.map_or(0..runs, |only| only..only + 1);
    let report =
        campaign::run_plans(&deployment, numbers.map(|number| Plan::new(seed, number)).collect(), AT_ONCE).await?;
    print!("{report}");
    let missing = report.missing();
    if only.is_none() && !missing.is_empty() {
        eprintln!("never happened: {}", missing.join(", "));
    }
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn up(local: Local) -> Result<ExitCode> {
    let deployment = start(local, deploy).await?;
    for (name, value) in deployment.environment() {
        println!("export {name}={value}");
    }
    eprintln!("the local AWS is up; Ctrl-C ends it");
    std::future::pending().await
}

/// The states as they are entered, and a bar of the snapshots' progress where a person watches.
struct Display {
    bar: ProgressBar,
    start: SystemTime,
    speed: f64,
}

impl Display {
    fn new(deployment: &Deployment, run: String) -> Arc<Self> {
        let bar = if stderr().is_terminal() { ProgressBar::new(100) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos:>3} % of the snapshots  {elapsed}") {
            bar.set_style(style);
        }
        let display = Arc::new(Self { bar, start: SystemTime::now(), speed: deployment.speed() });
        let (ec2, shown) = (deployment.ec2.clone(), Arc::clone(&display));
        tokio::spawn(async move {
            while !shown.bar.is_finished() {
                let percents: Vec<_> = ec2
                    .snapshots_tagged("ami-from-instance:run", &run)
                    .iter()
                    .map(|one| u64::from(one.percent))
                    .collect();
                if let Some(least) = percents.iter().min() {
                    shown.bar.set_position(*least);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        display
    }

    fn entered(&self, entered: &Entered) {
        let at = SystemTime::try_from(entered.at).unwrap_or(self.start);
        let elapsed = at.duration_since(self.start).unwrap_or_default().as_secs_f64() * self.speed;
        let line = format!("{elapsed:>6.0} s  {:<8}  {}", entered.operation, entered.state);
        self.bar.suspend(|| eprintln!("{line}"));
    }
}
