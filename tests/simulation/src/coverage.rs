//! What has gone wrong where, and what has never gone wrong.

use std::{collections::BTreeMap, fmt};

use local_step_functions::Resource;

use crate::{
    faults::{CallFault, Delivery, Fate, InvocationFault},
    roles,
    template::DEPLOYED,
};

/// How often a place has met a fault: a call of a function, a state of a machine, or a delivery.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<(String, &'static str), u64>);

/// A call of Step Functions by a machine.
pub(crate) const REFUSED: &str = "refused";
pub(crate) const ANSWER_LOST: &str = "answer lost";
/// The run, or its operation, is stopped in a state.
pub(crate) const ABORTED: &str = "aborted";

impl Coverage {
    pub(crate) fn note(&mut self, place: String, fault: &'static str) {
        *self.0.entry((place, fault)).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (pair, times) in other.0 {
            *self.0.entry(pair).or_default() += times;
        }
    }

    /// The pairs of a place and a fault that exist and have never happened.
    fn never(&self) -> BTreeMap<String, Vec<&'static str>> {
        let mut never: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, fault) in all() {
            if !self.0.contains_key(&(place.clone(), fault)) {
                never.entry(place).or_default().push(fault);
            }
        }
        never
    }
}

/// A call of an action by a function.
pub(crate) fn call(function: &str, action: &str) -> String {
    format!("{function} calls {action}")
}

/// A state of a machine, by the machine's ARN.
pub(crate) fn state(machine: &str, state: &str) -> String {
    format!("{}: {state}", machine.rsplit('-').next().unwrap_or_default())
}

/// A delivery, or what it invokes.
pub(crate) fn delivery(of: Delivery) -> String {
    format!("{of:?}")
}

/// All pairs that exist: what the roles allow is called, every state is there, and every event is delivered.
fn all() -> Vec<(String, &'static str)> {
    let mut all = vec![];
    let mut pairs =
        |place: String, faults: &[&'static str]| all.extend(faults.iter().map(|fault| (place.clone(), *fault)));
    for (function, action) in roles::calls() {
        pairs(call(function, action), &CallFault::NAMES);
    }
    for (machine, definition) in
        [(&DEPLOYED.lifecycle_arn, &DEPLOYED.lifecycle), (&DEPLOYED.operation_arn, &DEPLOYED.operation)]
    {
        for name in definition.state_names() {
            pairs(state(machine, name), &[ABORTED]);
        }
        for (name, resource) in definition.tasks() {
            let faults: &[_] = match resource {
                Resource::InvokeFunction => &InvocationFault::NAMES,
                Resource::PutEvents | Resource::PutEventsAndWait => &[REFUSED],
                Resource::RunExecution | Resource::DescribeExecution => &[REFUSED, ANSWER_LOST],
            };
            pairs(state(machine, name), faults);
        }
    }
    for of in Delivery::ALL {
        pairs(delivery(of), &Fate::NAMES);
        pairs(format!("{} invokes", delivery(of)), &InvocationFault::NAMES);
    }
    all
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, never) = (all().len(), self.never());
        let missing: usize = never.values().map(Vec::len).sum();
        writeln!(f, "{} of {all} pairs of a place and a fault have happened; never:", all - missing)?;
        never.iter().try_for_each(|(place, faults)| writeln!(f, "  {place}: {}", faults.join(", ")))
    }
}
