//! What the functions call of Step Functions, and what goes wrong with it on demand; and what the machines call.

use std::{fs::OpenOptions, io::Write, path::Path};

use anyhow::Result;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// `ThrottlingException`; nothing is done.
    Throttled,
    /// `ServiceUnavailable`, HTTP 503; nothing is done.
    Unavailable,
    /// `AccessDeniedException`; nothing is done.
    Refused,
    /// The work is done, and the answer is `InternalFailure`, HTTP 500.
    LostResponse,
}

/// A rule: which calls go wrong, how often, and how. The first rule that a call meets is the one
/// that counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// The function's application id; empty for any.
    pub caller: String,
    /// Such as `DescribeExecution`.
    pub action: String,
    /// What the request contains, such as an execution's name; empty for any.
    pub mentioning: String,
    /// How.
    pub kind: FaultKind,
    /// How many calls go well before.
    pub after: usize,
    /// How many go wrong.
    pub times: usize,
}

/// A call of a function.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    /// The function's application id.
    pub caller: String,
    /// Such as `DescribeExecution`.
    pub action: String,
    /// The request, in JSON.
    pub body: String,
    /// The fault that struck it.
    pub fault: Option<FaultKind>,
}

/// A call of a machine.
#[derive(Clone, Debug, Deserialize)]
pub struct MachineCall {
    /// The machine's ARN.
    pub machine: String,
    /// What the Task calls, such as `arn:aws:states:::lambda:invoke`.
    pub resource: String,
    /// The Task's arguments, without what a function or an execution gets.
    pub arguments: Value,
}

/// Adds a rule of what goes wrong.
pub(crate) fn inject(ministack: &Path, fault: &Fault) -> Result<()> {
    write(ministack, &serde_json::to_string(fault)?)
}

/// Drops all rules.
pub(crate) fn clear_faults(ministack: &Path) -> Result<()> {
    write(ministack, "null")
}

fn write(ministack: &Path, line: &str) -> Result<()> {
    let mut rules = OpenOptions::new().create(true).append(true).open(ministack.join("step-functions-faults"))?;
    // In one piece, as it is read meanwhile.
    Ok(rules.write_all(format!("{line}\n").as_bytes())?)
}

/// All calls of the functions so far.
pub(crate) fn calls(ministack: &Path) -> Result<Vec<Call>> {
    read(&ministack.join("step-functions-calls"))
}

/// All calls of the machines so far.
pub(crate) fn machines_calls(ministack: &Path) -> Result<Vec<MachineCall>> {
    read(&ministack.join("machines-calls"))
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    // It is there with the first call.
    let calls = if file.exists() { std::fs::read_to_string(file)? } else { String::new() };
    calls.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
