//! The runner: the application on a local AWS. `cargo local` compiles and starts it.

use std::{
    fs,
    io::{ErrorKind, IsTerminal, Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Error, Result};
use cargo_local::{
    command::{Command, HELP, Local, Scope},
    needs,
};
use indicatif::{ProgressBar, ProgressStyle};
use local_aws::{
    calls,
    campaign::{self, AT_ONCE, Plan, every_call, every_state},
    deployment::{Deployment, Options},
    diagram,
    execution::{Entered, Outcome},
    ministack::{self, MiniStack},
    prepare, release,
};
use local_ec2::{Ec2, Settings};
use serde_json::Value;
use simulation::Told;
use tokio::runtime::Handle;

#[tokio::main]
async fn main() -> ExitCode {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    // Whatever was started ends with what is dropped here.
    let result = tokio::select! {
        result = dispatch(words.collect()) => Some(result),
        () = signalled() => None,
    };
    match result {
        Some(Ok(code)) => code,
        Some(Err(error)) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
        // Not a return: the runtime would wait for a preparation that is under way.
        None => std::process::exit(130),
    }
}

async fn dispatch(words: Vec<String>) -> Result<ExitCode> {
    match Command::parse(words).map_err(Error::msg)? {
        Command::Help => {
            show(HELP)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run { file, local } => run(file, local).await,
        Command::Chaos { scope, everywhere, local } => run_campaign(scope, everywhere, local).await,
        // It makes a runtime for each run, which must not be within this one.
        Command::Simulate { scope, with } => {
            tokio::task::spawn_blocking(move || simulate(&scope, with.as_deref())).await?
        }
        Command::Up { local } => up(local).await,
        Command::Ec2 { local, services } => ec2(local, services).await,
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
    let Local { speed, port, ec2_port, ec2_through, parameters } = local;
    let options = Options { speed, port, ec2_port, ec2_through, parameters };
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(start(options))).await?
}

async fn deploy(options: Options) -> Result<Deployment> {
    Deployment::start(&options, &say).await
}

/// Writes a line for a person, if there still is one.
fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

/// Writes what was asked for. Who has read enough closes the pipe, as `head` does, and the run goes on.
fn show(text: &str) -> Result<()> {
    let mut output = stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("the output could not be written"),
        _ => Ok(()),
    }
}

async fn run(file: PathBuf, local: Local) -> Result<ExitCode> {
    let place = needs::file(&file).map_err(Error::msg)?;
    let input = fs::read_to_string(place).with_context(|| format!("{} cannot be read", file.display()))?;
    // What the execution gets is the text itself.
    let _: Value = serde_json::from_str(&input).with_context(|| format!("{} is no JSON", file.display()))?;
    let deployment = start(local, deploy).await?;
    say(&format!("starting an execution with {}", file.display()));
    let machine = deployment.lifecycle_machine_arn();
    let execution = deployment.start_execution(machine, None, &input).await?;
    let display = Display::new(&deployment, execution.arn.clone());
    let outcome = execution.follow(deployment.output("OperationMachineArn"), &|entered| display.entered(entered)).await;
    display.bar.finish_and_clear();
    match outcome? {
        Outcome::Succeeded(output) => {
            show(&format!("{output:#}\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Ended { status, error, cause } => {
            say(&format!("{status} {error}: {cause}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn run_campaign(scope: Scope, everywhere: bool, local: Local) -> Result<ExitCode> {
    let Scope { runs, seed, only } = scope;
    let deployment = start(local, async |options| campaign::start(options, &say).await).await?;
    let plans = if everywhere {
        let calls = every_call::calls(&deployment).await?;
        [every_call::plans(&deployment, &calls).await?, every_state::plans()?].concat()
    } else {
        let numbers = only.map_or(0..runs, |only| only..only + 1);
        numbers.map(|number| Plan::new(seed, number)).collect()
    };
    let of = if everywhere { String::new() } else { format!(" with seed {seed}") };
    say(&format!("{} runs{of}, {AT_ONCE} at once; 300 take about a minute on two cores", plans.len()));
    let report = campaign::run_plans(&deployment, plans, AT_ONCE).await?;
    show(&report.to_string())?;
    let missing = report.missing();
    if only.is_none() && !everywhere && !missing.is_empty() {
        say(&format!("never happened: {}", missing.join(", ")));
    }
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn simulate(scope: &Scope, with: Option<&str>) -> Result<ExitCode> {
    let Scope { runs, seed, only } = *scope;
    let failures = if let Some(number) = only {
        let finished = simulation::campaign::replay(seed, number);
        show(&Told(&finished).to_string())?;
        finished.violations.len()
    } else {
        let start = Instant::now();
        let report = simulation::campaign::simulate(seed, runs, with, &say).map_err(Error::msg)?;
        show(&report.to_string())?;
        calls::write("simulation", report.calls())?;
        say(&format!("{runs} runs in {:.1} seconds", start.elapsed().as_secs_f64()));
        report.failures()
    };
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn up(local: Local) -> Result<ExitCode> {
    let deployment = start(local, deploy).await?;
    deployment.enforce_iam()?;
    for (name, value) in deployment.environment() {
        show(&format!("export {name}={value}\n"))?;
    }
    say("the local AWS is up; Ctrl-C ends it");
    std::future::pending().await
}

async fn ec2(local: Local, services: bool) -> Result<ExitCode> {
    let Local { speed, port, .. } = local;
    let ec2 = Ec2::start(Settings { speed, port, ..Settings::default() }).await.context("EC2 cannot listen")?;
    let ministack = match services {
        true => Some(MiniStack::start(&prepare::python(&say)?, 0, &ec2.endpoint(), speed)?),
        false => None,
    };
    if let Some(ministack) = &ministack {
        show(&format!("export AWS_ENDPOINT_URL={}\n", ministack.endpoint()))?;
    }
    show(&format!("export AWS_ENDPOINT_URL_EC2={}\n", ec2.endpoint()))?;
    for (name, value) in ministack::credentials() {
        show(&format!("export {name}={value}\n"))?;
    }
    say("the local EC2 is up; Ctrl-C ends it");
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
        self.bar.suspend(|| say(&line));
    }
}
