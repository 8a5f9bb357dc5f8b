//! What the functions call of Step Functions, and what goes wrong with it on demand.

use std::{fs::OpenOptions, io::Write, path::Path};

use anyhow::Result;
use serde::{Deserialize, Serialize};

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

/// All calls so far.
pub(crate) fn calls(ministack: &Path) -> Result<Vec<Call>> {
    let calls = std::fs::read_to_string(ministack.join("step-functions-calls"))?;
    calls.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
