//! One image, or nothing left behind, proved under faults: a campaign at random, a fault at every
//! call, and an abort at every state.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aws_sdk_ec2::types::ImageState;
use local_aws::{
    campaign::{self, AT_ONCE, Operation, Plan, Report, SLOW, Trouble},
    deployment::{Deployment, Options},
    execution::{Execution, Outcome},
    permissions::Recorder,
    prepare::root,
    step_functions,
};
use local_ec2::{Fate, FaultKind, InstanceSpec};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const OPERATIONS: [Operation; 5] =
    [Operation::Create, Operation::Update, Operation::Delete, Operation::Replace, Operation::ReplaceSameName];

/// The function that sweeps calls AWS with this application id.
const SWEEP: &str = "ami-from-instance-start-rollback";

/// What goes wrong with a call of Step Functions, and how often: more than the client's own three
/// tries, where it tries again.
const STEP_FUNCTIONS_FAULTS: [(step_functions::FaultKind, usize); 3] = [
    (step_functions::FaultKind::LostResponse, 4),
    (step_functions::FaultKind::Refused, 1),
    (step_functions::FaultKind::Throttled, 4),
];

/// What the functions and machines have called.
static CALLS: Recorder = Recorder::new("campaign");

/// Runs a test on the shared deployment, one at a time: a campaign's faults strike whoever calls next.
fn alone(test: impl AsyncFnOnce(&Arc<Deployment>)) {
    static SHARED: OnceLock<(Runtime, Arc<Deployment>)> = OnceLock::new();
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (runtime, deployment) = SHARED.get_or_init(|| {
        CALLS.begin().unwrap();
        let runtime = Runtime::new().unwrap();
        let options = Options { speed: 60.0, port: 0, ec2_port: 0, ec2_through: None, parameters: vec![] };
        let deployment = runtime.block_on(campaign::start(options, &|step| eprintln!("{step}"))).unwrap();
        (runtime, deployment)
    });
    runtime.block_on(test(deployment));
    CALLS.record(deployment).unwrap();
    drop(one);
}

fn assert_nothing_is_violated(report: &Report) {
    println!("{report}");
    assert!(report.violations.is_empty(), "{report}");
}

#[test]
fn a_campaign_of_150_runs_with_every_kind_of_fault_violates_nothing() {
    alone(async |aws| {
        let report =
            campaign::run_plans(aws, (0..150).map(|number| Plan::new(1, number)).collect(), AT_ONCE).await.unwrap();
        assert_nothing_is_violated(&report);
        assert_eq!(report.missing(), Vec::<&str>::new(), "a kind of fault never happened");
    });
}

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
    assert!(seen.len() > 1, "{plan:?}: {seen:?}");
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

#[test]
fn a_fault_at_every_call_of_every_operation_violates_nothing() {
    alone(async |aws| {
        // First the calls that each operation makes when all goes well.
        CALLS.record(aws).unwrap();
        aws.ec2.forget_calls();
        let well = every_operation();
        assert_nothing_is_violated(&campaign::run_plans(aws, well.clone(), AT_ONCE).await.unwrap());
        let (ec2, step_functions) = (aws.ec2.calls(), aws.step_functions_calls().unwrap());
        let mut plans = vec![];
        let mut suffer = |operation, troubles| plans.push(Plan::with("call", plans.len() as u64, operation, troubles));
        for one in &well {
            for fault in [faults_of_ec2(one, &ec2), faults_of_step_functions(one, &step_functions)].concat() {
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
        for fault in faults_of_the_sweep(aws).await {
            let at = Trouble::AbortedAt("Look".to_owned());
            suffer(Operation::Create, vec![at, unstartable.clone(), fault]);
        }
        let injected = plans.len();
        let before = struck(aws);
        let report = campaign::run_plans(aws, plans, AT_ONCE).await.unwrap();
        assert_nothing_is_violated(&report);
        // What is deregistered once more was listed once more.
        assert!(report.times("still listed after deregistration") > 0);
        let struck = struck(aws) - before;
        assert!(struck >= injected, "{struck} calls struck by {injected} faults");
    });
}

/// How many calls a fault has struck so far.
fn struck(aws: &Deployment) -> usize {
    let ec2 = aws.ec2.calls().iter().filter(|call| call.fault.is_some()).count();
    ec2 + aws.step_functions_calls().unwrap().iter().filter(|call| call.fault.is_some()).count()
}

/// Every fault at the calls of the sweep that are about no run.
async fn faults_of_the_sweep(aws: &Deployment) -> Vec<Trouble> {
    loop {
        let calls = aws.step_functions_calls().unwrap().into_iter();
        let of_the_sweep = calls.filter(|call| call.caller == SWEEP && !call.body.contains(":execution:"));
        let actions: BTreeSet<_> = of_the_sweep.map(|call| call.action).collect();
        if !actions.is_empty() {
            return actions.iter().flat_map(|action| faults_of(SWEEP, action)).collect();
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
        assert_nothing_is_violated(&campaign::run_plans(aws, plans, AT_ONCE).await.unwrap());
    });
}

/// What each function's role allows of EC2 and Step Functions, by the function's short name.
fn allowed(aws: &Deployment) -> BTreeMap<String, BTreeSet<String>> {
    let details = aws.aws_cli(&["iam", "get-account-authorization-details", "--filter", "Role"]).unwrap();
    let details: Value = serde_json::from_str(&details).unwrap();
    let mut allowed = BTreeMap::new();
    for role in details["RoleDetailList"].as_array().unwrap() {
        let name = role["RoleName"].as_str().unwrap();
        let Some((name, _)) = name.split_once("FunctionRole-") else { continue };
        let name = name.rsplit('-').next().unwrap();
        // StartCreate is start-create.
        let dashed: String =
            name.chars().flat_map(|c| c.is_uppercase().then_some('-').into_iter().chain(c.to_lowercase())).collect();
        let statements = role["RolePolicyList"].as_array().unwrap().iter().flat_map(|policy| {
            policy["PolicyDocument"]["Statement"]
                .as_array()
                .unwrap()
                .iter()
                .map(|statement| statement["Action"].clone())
        });
        let actions = statements.flat_map(|actions| match actions {
            Value::Array(actions) => actions,
            action => vec![action],
        });
        let actions = actions.map(|action| action.as_str().unwrap().to_owned());
        allowed.insert(
            dashed.trim_start_matches('-').to_owned(),
            actions.filter(|action| action.starts_with("ec2:") || action.starts_with("states:")).collect(),
        );
    }
    allowed
}

#[test]
fn each_function_calls_exactly_the_actions_its_role_allows() {
    alone(async |aws| {
        let everything =
            OPERATIONS.iter().enumerate().map(|(n, operation)| Plan::with("roles", n as u64, *operation, vec![]));
        let aborted = Plan::with("roles", 99, Operation::Create, vec![Trouble::AbortedAt("Look".to_owned())]);
        let lost = FaultKind::LostResponse;
        let lost = Trouble::OwnCall { action: "CreateImage".to_owned(), kind: lost, times: 1, after: 0 };
        let lost = Plan::with("roles", 100, Operation::Create, vec![lost]);
        assert_nothing_is_violated(
            &campaign::run_plans(aws, everything.chain([aborted, lost]).collect(), AT_ONCE).await.unwrap(),
        );
        // The seeded instance boots by UEFI.
        for file in ["create-with-everything.json", "update.json", "update-remove.json"] {
            let input = fs::read_to_string(root().join("events/requests").join(file)).unwrap();
            let client = aws.step_functions();
            let run = Execution::start(&client, aws.lifecycle_machine_arn(), None, &input).await.unwrap();
            assert!(matches!(run.wait().await.unwrap(), Outcome::Succeeded(_)), "{file}");
        }
        // An operation goes on after its timeout until it is stopped.
        let instance = aws.ec2.add_instance(InstanceSpec::default());
        aws.ec2.next_image(&instance, Fate::Never);
        let request = json!({"name": "roles-late", "sourceInstanceId": instance, "timeouts": {"create": "1m"}});
        let late = Execution::start(&aws.step_functions(), aws.lifecycle_machine_arn(), None, &request.to_string())
            .await
            .unwrap();
        assert!(matches!(late.wait().await.unwrap(), Outcome::Ended { error, .. } if error == "TimedOut"));
        // Of five images that end at five moments, the event of one at least comes amid a wait.
        let mut runs = vec![];
        for number in 0..5 {
            let (name, takes) = (format!("roles-event-{number}"), Duration::from_secs(300 + 40 * number));
            runs.push(aws.create_without_progress(&name, takes).await.unwrap());
        }
        // The last one's name, while its run goes on: the other run asks whether it is about to be free.
        let name = "roles-event-4";
        let begun = |call: &local_ec2::Call| call.action == "CreateImage" && call.mentions(name);
        while !aws.ec2.calls().iter().any(begun) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let request = json!({"name": name, "sourceInstanceId": instance}).to_string();
        let rival = Execution::start(&aws.step_functions(), aws.lifecycle_machine_arn(), None, &request).await.unwrap();
        assert!(matches!(rival.wait().await.unwrap(), Outcome::Ended { error, .. } if error == "NameTaken"));
        for run in runs {
            assert!(matches!(run.wait().await.unwrap(), Outcome::Succeeded(_)));
        }
        // A sweep comes every twenty seconds.
        let sweeps = || aws.ec2.calls().iter().any(|call| call.caller == SWEEP);
        while !sweeps() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut called: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let ec2 = aws.ec2.calls().into_iter().map(|call| (call.caller, format!("ec2:{}", call.action)));
        let states = aws
            .step_functions_calls()
            .unwrap()
            .into_iter()
            .map(|call| (call.caller, format!("states:{}", call.action)));
        for (caller, action) in ec2.chain(states) {
            if let Some(function) = caller.strip_prefix("ami-from-instance-") {
                called.entry(function.to_owned()).or_default().insert(action);
            }
        }
        // CreateImage puts the tags on by itself, which takes this permission and no call.
        called.entry("start-create".to_owned()).or_default().insert("ec2:CreateTags".to_owned());
        assert_eq!(called, allowed(aws));
    });
}
