//! One image, or nothing left behind, under faults of real processes: some runs at random, and samples of a fault
//! at every call and an abort at every state. `cargo local chaos` does more runs, and with `--everywhere` all of
//! the others.

use local_aws::{
    calls::Recorder,
    campaign::{self, AT_ONCE, OPERATIONS, Plan, Trouble, every_call, every_state},
    deployment::Deployment,
};
use local_ec2::FaultKind;

use crate::{BUSY, assert_nothing_is_violated, for_campaigns};

/// The faults that take a process, or the wall's time; the others are drawn in virtual time, too.
const OF_PROCESSES: [&str; 3] = ["handler killed", "slower than the client waits", "slower than the function may take"];

/// Forty runs at random, a fault at every fourteenth call, a slow answer to every change, and an abort at every state.
#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_of_runs_at_random_of_faults_at_calls_and_of_aborts_at_states_violates_nothing() {
    let _busy = BUSY.lock().await;
    let aws = &for_campaigns().await;
    let calls = every_call::calls(aws).await.unwrap();
    let at_calls = every_call::plans(aws, &calls).await.unwrap().into_iter().enumerate();
    // Only a process is slow in the wall's time.
    let at_calls = at_calls.filter(|(number, plan)| number % 14 == 0 || plan.troubles().iter().any(is_slow));
    let at_calls: Vec<_> = at_calls.map(|(_, plan)| plan).collect();
    assert!(at_calls.len() > 20, "{at_calls:?}");
    // Each state once, the operations in turn.
    let at_states = every_state::plans().unwrap();
    let states = at_states.len() / OPERATIONS.len();
    let at_states = (0..states).map(|state| at_states[state % OPERATIONS.len() * states + state].clone());
    let (injected, before) = (at_calls.len(), struck(aws));
    let plans = (0..40).map(|number| Plan::new(1, number)).chain(at_calls).chain(at_states).collect();
    let report = campaign::run_plans(aws, plans, AT_ONCE).await.unwrap();
    assert_nothing_is_violated(&report);
    assert_eq!(OF_PROCESSES.into_iter().filter(|kind| report.times(kind) == 0).collect::<Vec<_>>(), [""; 0]);
    let struck = struck(aws) - before;
    assert!(struck >= injected, "{struck} calls struck by {injected} faults");
    Recorder::new("campaign").record(aws).unwrap();
}

fn is_slow(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::OwnCall { kind: FaultKind::Slow(_), .. })
}

/// How many calls a fault has struck so far.
fn struck(aws: &Deployment) -> usize {
    let ec2 = aws.ec2.calls().iter().filter(|call| call.fault.is_some()).count();
    ec2 + aws.step_functions_calls().unwrap().iter().filter(|call| call.fault.is_some()).count()
}
