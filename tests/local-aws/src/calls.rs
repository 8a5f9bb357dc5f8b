//! The calls of a deployment's functions and machines, written down for `.ci/iam/`.

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;
use permissions::{Deployed, Lines, function, of_ec2, of_machine, of_step_functions};

use crate::{deployment::Deployment, prepare::root};

/// The calls that a test binary has seen, of each kind the first.
#[derive(Debug)]
pub struct Recorder {
    name: &'static str,
    lines: Mutex<Option<Lines>>,
}

impl Recorder {
    /// One that writes to the file of a name in `target/calls/`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, lines: Mutex::new(None) }
    }

    /// Writes down what the functions and machines of a deployment have called.
    pub fn record(&self, aws: &Deployment) -> Result<()> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = lines.get_or_insert_default();
        lines.append(seen(aws)?);
        write(self.name, lines)
    }

    /// Takes away what an earlier run saw.
    pub fn begin(&self) -> Result<()> {
        write(self.name, self.lines.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
    }
}

/// Writes the file of a name in `target/calls/`.
pub fn write(name: &str, lines: &Lines) -> Result<()> {
    let folder = root().join("target/calls");
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name).with_extension("jsonl"), lines.to_string())?)
}

fn seen(aws: &Deployment) -> Result<Lines> {
    let runs = format!("{}:", aws.lifecycle_machine_arn().replace(":stateMachine:", ":execution:"));
    let deployed = Deployed { runs: &runs, is_unmanaged_allowed: aws.has_parameter("AllowUnmanagedImages=true") };
    let mut lines = Lines::default();
    for call in aws.ec2.calls() {
        lines.extend(function(&call.caller).into_iter().flat_map(|function| of_ec2(&function, &call, deployed)));
    }
    for call in aws.step_functions_calls()? {
        let request = serde_json::from_str(&call.body)?;
        lines.extend(function(&call.caller).map(|function| of_step_functions(&function, &call.action, &request)));
    }
    let machines = aws.machines_calls()?;
    lines.extend(machines.iter().filter_map(|call| of_machine(&call.machine, &call.resource, &call.arguments)));
    Ok(lines)
}
