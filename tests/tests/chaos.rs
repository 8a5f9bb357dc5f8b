//! One image, or nothing left behind, proved under faults: a campaign at random, a fault at every
//! call, and an abort at every state.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use local_aws::{
    chaos::{Operation, Plan, Report, Trouble, campaign},
    deployment::{Deployment, Options},
    ec2::FaultKind,
    prepare::root,
};
use serde_json::Value;
use tokio::runtime::Runtime;

const OPERATIONS: [Operation; 5] =
    [Operation::Create, Operation::Update, Operation::Delete, Operation::Replace, Operation::ReplaceSameName];

/// Runs a test on the shared deployment, one at a time: a campaign's faults strike whoever calls next.
fn alone(test: impl AsyncFnOnce(&Arc<Deployment>)) {
    static SHARED: OnceLock<(Runtime, Arc<Deployment>)> = OnceLock::new();
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (runtime, deployment) = SHARED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let parameters = vec!["SweepSchedule=rate(5 minutes)".to_owned()];
        let options = Options { speed: 60.0, port: 0, ec2_port: 0, parameters };
        let deployment = runtime.block_on(Deployment::start(&options, &|step| eprintln!("{step}"))).unwrap();
        (runtime, Arc::new(deployment))
    });
    runtime.block_on(test(deployment));
    drop(one);
}

fn assert_nothing_is_violated(report: &Report) {
    println!("{report}");
    assert!(report.violations.is_empty(), "{report}");
}

#[test]
fn a_campaign_of_150_runs_with_every_kind_of_fault_violates_nothing() {
    alone(async |aws| {
        let report = campaign(aws, (0..150).map(|number| Plan::new(1, number)).collect()).await.unwrap();
        assert_nothing_is_violated(&report);
        assert_eq!(report.missing(), Vec::<&str>::new(), "a kind of fault never happened");
    });
}

#[test]
fn a_fault_at_every_call_of_every_operation_violates_nothing() {
    alone(async |aws| {
        // First the calls that each operation makes when all goes well.
        aws.ec2.forget_calls();
        let well = OPERATIONS.iter().enumerate().map(|(n, operation)| Plan::with("well", n as u64, *operation, vec![]));
        let well: Vec<_> = well.collect();
        let report = campaign(aws, well.clone()).await.unwrap();
        assert_nothing_is_violated(&report);
        let calls = aws.ec2.calls();
        let mut plans = vec![];
        for plan in &well {
            let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
            for call in calls.iter().filter(|call| plan.is_of(call)) {
                *seen.entry(&call.action).or_default() += 1;
            }
            assert!(seen.len() > 1, "{plan:?}: {seen:?}");
            for (action, count) in seen {
                for after in 0..count.min(3) {
                    for (kind, times) in [
                        (FaultKind::LostResponse, 1),
                        // More than the client's own three tries.
                        (FaultKind::LostResponseAs(500), 4),
                        (FaultKind::Refused { code: "UnauthorizedOperation".into(), message: "no".into() }, 1),
                    ] {
                        let trouble = Trouble::OwnCall { action: action.to_owned(), kind, times, after };
                        plans.push(Plan::with("call", plans.len() as u64, plan.operation(), vec![trouble]));
                    }
                }
            }
        }
        let injected = plans.len();
        aws.ec2.forget_calls();
        let report = campaign(aws, plans).await.unwrap();
        assert_nothing_is_violated(&report);
        let struck = aws.ec2.calls().iter().filter(|call| call.fault.is_some()).count();
        assert!(struck >= injected, "{struck} calls struck by {injected} faults");
    });
}

#[test]
fn an_abort_at_every_state_violates_nothing() {
    alone(async |aws| {
        let mut states = BTreeSet::new();
        for machine in ["lifecycle", "operation"] {
            let text = fs::read_to_string(root().join(format!("state-machine/{machine}.asl.json"))).unwrap();
            let machine: Value = serde_json::from_str(&text).unwrap();
            states.extend(machine["States"].as_object().unwrap().keys().cloned());
        }
        let mut plans = vec![];
        for operation in OPERATIONS {
            for state in &states {
                let troubles = vec![Trouble::AbortedAt(state.clone())];
                plans.push(Plan::with("state", plans.len() as u64, operation, troubles));
            }
        }
        assert_nothing_is_violated(&campaign(aws, plans).await.unwrap());
    });
}
