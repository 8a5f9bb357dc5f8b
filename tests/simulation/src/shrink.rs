//! Makes the plan of a run that fails smaller, as long as it fails in the same way.

use crate::{
    faults::Fault,
    plan::Plan,
    run::{Finished, run},
};

/// The same run with the fewest faults that still fail, each as short as can be.
#[must_use]
pub fn shrink(finished: &Finished) -> Finished {
    let Some(first) = finished.violations.first() else { return finished.clone() };
    let fails = |plan: &Plan| {
        let finished = run(plan, false);
        let same = finished.violations.iter().any(|violation| violation.invariant == first.invariant);
        same.then_some(finished)
    };
    let mut smallest = finished.clone();
    let mut at = 0;
    while at < smallest.plan.faults.len() {
        let mut faults = smallest.plan.faults.clone();
        faults.remove(at);
        match fails(&smallest.plan.with_faults(faults)) {
            Some(smaller) => smallest = smaller,
            None => at += 1,
        }
    }
    for at in 0..smallest.plan.faults.len() {
        while let Some(fault) = fewer(&smallest.plan.faults[at]) {
            let mut faults = smallest.plan.faults.clone();
            faults[at] = fault;
            let Some(smaller) = fails(&smallest.plan.with_faults(faults)) else { break };
            smallest = smaller;
        }
    }
    smallest
}

/// The same fault, once less.
fn fewer(fault: &Fault) -> Option<Fault> {
    let mut fault = fault.clone();
    match &mut fault {
        Fault::Call { times, .. }
        | Fault::MachineCall { times, .. }
        | Fault::Invocation { times, .. }
        | Fault::PutEvents { times, .. }
            if *times > 1 =>
        {
            *times -= 1;
            Some(fault)
        }
        _ => None,
    }
}
