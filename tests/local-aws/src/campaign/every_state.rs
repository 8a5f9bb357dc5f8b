//! An abort at every state of both machines.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{OPERATIONS, Operation, Plan, Trouble};
use crate::prepare::root;

/// A run of each operation for each state, all of the first operation first.
pub fn plans() -> Result<Vec<Plan>> {
    let mut states = BTreeSet::new();
    for machine in ["lifecycle", "operation"] {
        let text = fs::read_to_string(root().join(format!("state-machine/{machine}.asl.json")))?;
        let machine: Value = serde_json::from_str(&text)?;
        states.extend(machine["States"].as_object().context("a machine has states")?.keys().cloned());
    }
    let all = OPERATIONS.iter().flat_map(|operation| states.iter().map(move |state| (operation, state)));
    let plan = |(number, (operation, state)): (u64, (&Operation, &String))| {
        Plan::with("state", number, *operation, vec![Trouble::AbortedAt(state.clone())])
    };
    Ok((0..).zip(all).map(plan).collect())
}
