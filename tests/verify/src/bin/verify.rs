//! `cargo verify`: proves a deployment in an AWS account.

use std::{
    fs,
    io::{IsTerminal, Write, stderr, stdin},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use verify::{
    command::Command,
    probes,
    proof::{self, Proof},
    recording::Recording,
};

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    match run(&command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &Command) -> Result<bool> {
    if command.assumptions {
        print!("{}", probes::table(&Recording::read_all(&probes::recordings())?));
        return Ok(true);
    }
    let proof = Proof::prepare(command, &say).await?;
    say(&proof.announcement());
    if !command.yes && !agrees()? {
        bail!("nothing was done");
    }
    if command.clean {
        return proof.clean().await;
    }
    let finished = proof.run(interrupted()).await;
    fs::create_dir_all(&command.report)
        .and_then(|()| fs::write(command.report.join("report.json"), format!("{:#}\n", finished.json())))
        .and_then(|()| fs::write(command.report.join("report.md"), finished.markdown()))
        .with_context(|| format!("{} cannot be written", command.report.display()))?;
    say(&proof::closing(&finished, &command.report));
    Ok(finished.all_held())
}

/// Whether the person at the terminal wants it.
fn agrees() -> Result<bool> {
    if !stdin().is_terminal() {
        bail!("nobody can be asked whether to go on: say so with --yes");
    }
    let _ = write!(stderr(), "Go on? [y/N] ");
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Comes back when the user or the system wants it to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// Writes a line for a person, if there still is one.
fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}
