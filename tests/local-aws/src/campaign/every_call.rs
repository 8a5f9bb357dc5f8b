//! A fault at every call that an operation makes when all goes well.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Result, ensure};
use aws_sdk_ec2::types::ImageState;
use local_ec2::FaultKind;

use super::{AT_ONCE, OPERATIONS, Operation, Plan, SLOW, SWEEP, Trouble, run_plans};
use crate::{deployment::Deployment, step_functions};

/// What goes wrong with a call of Step Functions, and how often: more than the client's own three
/// tries, where it tries again.
const STEP_FUNCTIONS_FAULTS: [(step_functions::FaultKind, usize); 3] = [
    (step_functions::FaultKind::LostResponse, 4),
    (step_functions::FaultKind::Refused, 1),
    (step_functions::FaultKind::Throttled, 4),
];

/// Each operation, and the two ways to a rollback: by the run itself, and by the rule for runs that
/// were aborted.
fn every_operation() -> Vec<Plan> {
    let plan = |number, operation, troubles| Plan::with("well", number, operation, troubles);
    let mut plans: Vec<_> = (0..).zip(OPERATIONS).map(|(number, operation)| plan(number, operation, vec![])).collect();
    plans.push(plan(100, Operation::Create, vec![Trouble::ImageFails(ImageState::Failed)]));
    plans.push(plan(101, Operation::Create, vec![Trouble::AbortedAt("Look".to_owned())]));
    plans
}

/// Whether a fault at this call would be like one before: the looks after the first ones make the same
/// calls, and so does the event of an image's end when it comes once more.
fn is_like_one_before(caller: &str, before: usize) -> bool {
    before >= if caller == "ami-from-instance-wake" { 1 } else { 4 }
}

/// Every fault at every call of EC2 that a run has made.
fn faults_of_ec2(plan: &Plan, calls: &[local_ec2::Call]) -> Vec<Trouble> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut troubles = vec![];
    for call in calls.iter().filter(|call| plan.is_of(call)) {
        let after = seen.entry(&call.action).or_default();
        let mut fault = |kind, times| {
            troubles.push(Trouble::OwnCall { action: call.action.clone(), kind, times, after: *after });
        };
        if !is_like_one_before(&call.caller, *after) {
            fault(FaultKind::LostResponse, 1);
            // More than the client's own three tries.
            fault(FaultKind::LostResponseAs(500), 4);
            fault(FaultKind::Refused { code: "UnauthorizedOperation".into(), message: "no".into() }, 1);
        }
        if *after == 0 && call.mutating {
            fault(FaultKind::Slow(SLOW), 1);
        }
        *after += 1;
    }
    troubles
}

/// Every fault at every call of Step Functions that the functions have made for a run.
fn faults_of_step_functions(plan: &Plan, calls: &[step_functions::Call]) -> Vec<Trouble> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut troubles = vec![];
    for call in calls.iter().filter(|call| plan.is_about(call)) {
        let after = seen.entry(&call.action).or_default();
        if !is_like_one_before(&call.caller, *after) {
            let fault = |(kind, times)| Trouble::OwnStepFunctionsCall {
                caller: call.caller.clone(),
                action: call.action.clone(),
                kind,
                times,
                after: *after,
            };
            troubles.extend(STEP_FUNCTIONS_FAULTS.map(fault));
        }
        *after += 1;
    }
    troubles
}

/// The calls of each operation when all goes well.
#[derive(Debug)]
pub struct Calls {
    well: Vec<Plan>,
    ec2: Vec<local_ec2::Call>,
    step_functions: Vec<step_functions::Call>,
}

/// Does each operation once, and gives what it called.
pub async fn calls(aws: &Arc<Deployment>) -> Result<Calls> {
    let well = every_operation();
    let before = aws.ec2.calls().len();
    let report = run_plans(aws, well.clone(), AT_ONCE).await?;
    ensure!(report.violations.is_empty(), "without a fault: {report}");
    let ec2 = aws.ec2.calls().split_off(before);
    Ok(Calls { well, ec2, step_functions: aws.step_functions_calls()? })
}

/// A run for each fault at each call.
pub async fn plans(aws: &Deployment, calls: &Calls) -> Result<Vec<Plan>> {
    let mut plans = vec![];
    let mut suffer = |operation, troubles| plans.push(Plan::with("call", plans.len() as u64, operation, troubles));
    for one in &calls.well {
        for fault in [faults_of_ec2(one, &calls.ec2), faults_of_step_functions(one, &calls.step_functions)].concat() {
            suffer(one.operation(), [one.troubles(), &[fault]].concat());
        }
    }
    // The sweep is needed where the rule's rollback cannot be started.
    let unstartable = Trouble::OwnStepFunctionsCall {
        caller: SWEEP.to_owned(),
        action: "StartExecution".to_owned(),
        kind: step_functions::FaultKind::Refused,
        times: 3,
        after: 0,
    };
    for fault in faults_of_the_sweep(aws).await? {
        let at = Trouble::AbortedAt("Look".to_owned());
        suffer(Operation::Create, vec![at, unstartable.clone(), fault]);
    }
    Ok(plans)
}

/// Every fault at the calls of the sweep that are about no run.
async fn faults_of_the_sweep(aws: &Deployment) -> Result<Vec<Trouble>> {
    loop {
        let calls = aws.step_functions_calls()?.into_iter();
        let of_the_sweep = calls.filter(|call| call.caller == SWEEP && !call.body.contains(":execution:"));
        let actions: BTreeSet<_> = of_the_sweep.map(|call| call.action).collect();
        if !actions.is_empty() {
            return Ok(actions.iter().flat_map(|action| faults_of(SWEEP, action)).collect());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Every fault at the next calls of one action by one function.
fn faults_of(caller: &str, action: &str) -> [Trouble; 3] {
    let (caller, action) = (caller.to_owned(), action.to_owned());
    STEP_FUNCTIONS_FAULTS.map(|(kind, times)| Trouble::StepFunctionsCall {
        caller: caller.clone(),
        action: action.clone(),
        kind,
        times,
    })
}
