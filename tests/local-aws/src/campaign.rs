//! A campaign: many runs at once, each with troubles of its own, and afterwards a look at whether
//! EC2 holds what the runs' ends say.

mod check;
pub mod every_call;
pub mod every_state;
mod plan;
mod report;

use std::{collections::BTreeSet, process::Command, sync::Arc, time::Duration};

use ami_from_instance::model::run::RUN_TAG;
use anyhow::Result;
use aws_sdk_ec2::types::ImageState;
use local_ec2::{Fate, Fault, InstanceSpec};
use serde_json::json;
use tokio::sync::Semaphore;

use self::check::{Ended, Strangers};
pub use self::{
    plan::{Operation, Plan, SLOW, Trouble},
    report::Report,
};
use crate::{
    deployment::{Deployment, Options},
    execution::{Execution, Outcome},
    step_functions,
};

/// All that a run can ask for.
pub const OPERATIONS: [Operation; 5] =
    [Operation::Create, Operation::Update, Operation::Delete, Operation::Replace, Operation::ReplaceSameName];

/// The function that sweeps calls AWS with this application id.
pub const SWEEP: &str = "ami-from-instance-start-rollback";

/// How many runs of a campaign go on at the same time.
pub const AT_ONCE: u32 = 32;
/// For how long, in simulated seconds, the nets may work after the last run has ended.
const NETS_TAKE: f64 = 3600.0;
/// How long a campaign waits before it looks again how a run stands.
const POLL: Duration = Duration::from_millis(50);

/// The functions that may take no longer than [`HURRY`]: their minute would be an hour of the local
/// time.
const HURRIED: [&str; 2] = ["StartCreateFunction", "CleanupFunction"];
/// Less than an answer that is too slow for the client, so that these functions end before it gives up.
const HURRY: u64 = 8;

/// Starts a local AWS for campaigns.
pub async fn start(mut options: Options, say: &dyn Fn(&str)) -> Result<Arc<Deployment>> {
    options.parameters.push("SweepSchedule=rate(20 minutes)".to_owned());
    let aws = Deployment::start(&options, say).await?;
    for function in HURRIED {
        let name = aws.function(function)?;
        let seconds = HURRY.to_string();
        aws.aws_cli(&["lambda", "update-function-configuration", "--function-name", &name, "--timeout", &seconds])?;
    }
    Ok(Arc::new(aws))
}

/// Runs plans on a deployment, so many at once, and checks what is left.
pub async fn run_plans(aws: &Arc<Deployment>, plans: Vec<Plan>, at_once: u32) -> Result<Report> {
    let strangers = Strangers::add(aws);
    let places = Arc::new(Semaphore::new(at_once as usize));
    let mut runs = tokio::task::JoinSet::new();
    for plan in plans {
        let place = Arc::clone(&places).acquire_owned().await?;
        let aws = Arc::clone(aws);
        runs.spawn(async move {
            let ended = run(&aws, plan).await;
            drop(place);
            ended
        });
    }
    let mut ended = vec![];
    while let Some(run) = runs.join_next().await {
        ended.extend(run??);
    }
    ended.sort_by_key(|run| run.plan.number);
    aws.clear_faults()?;
    wait_for_nets(aws, &ended).await?;
    let violations = check::violations(aws, &ended, &strangers);
    Report::new(aws, &ended, violations)
}

/// Waits until the nets have nothing left to do, or should have had.
async fn wait_for_nets(aws: &Deployment, ended: &[Ended]) -> Result<()> {
    let longest = Duration::from_secs_f64(NETS_TAKE / aws.speed());
    let start = std::time::Instant::now();
    while start.elapsed() < longest && ended.iter().any(|run| !check::leftovers(aws, run).is_empty()) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// One run with its troubles, from the instance it needs to its end; and its rival, if it has one.
async fn run(aws: &Deployment, plan: Plan) -> Result<Vec<Ended>> {
    // Everything of the run has its name, so that a call can be told to be the run's.
    let run_name = plan.run_name();
    let instance = InstanceSpec::default().volume("/dev/sdf", plan.gigabytes, "gp3").tag("Name", &run_name);
    let instance = aws.ec2.add_instance(instance);
    if plan.stopped {
        aws.ec2.client().stop_instances().instance_ids(&instance).send().await?;
    }
    let before = aws.ec2.instance(&instance).map(|instance| instance.state);
    let mut name = run_name.clone();
    let old = match plan.operation {
        Operation::Create => None,
        Operation::Update | Operation::Delete | Operation::Replace | Operation::ReplaceSameName => {
            Some(aws.ec2.add_foreign_image(&name, &[(RUN_TAG, &aws.past_run()), ("Name", &run_name)]))
        }
    };
    let mut rival = None;
    for trouble in &plan.troubles {
        match trouble {
            Trouble::Call { action, kind, times } => {
                aws.ec2.inject(Fault::on(*action, kind.clone()).times(*times));
            }
            Trouble::OwnCall { action, kind, times, after } => {
                let fault = Fault::on(action.as_str(), kind.clone()).mentioning(&run_name);
                aws.ec2.inject(fault.after(*after).times(*times));
            }
            Trouble::StepFunctionsCall { caller, action, kind, times } => {
                let (caller, action, mentioning) = (caller.clone(), action.clone(), String::new());
                let (kind, after, times) = (*kind, 0, *times);
                aws.inject(&step_functions::Fault { caller, action, mentioning, kind, after, times })?;
            }
            Trouble::OwnStepFunctionsCall { caller, action, kind, times, after } => {
                let (caller, action, mentioning) = (caller.clone(), action.clone(), run_name.clone());
                let (kind, after, times) = (*kind, *after, *times);
                aws.inject(&step_functions::Fault { caller, action, mentioning, kind, after, times })?;
            }
            Trouble::EventLost => aws.ec2.lose_event(&instance),
            Trouble::ImageFails(state) => aws.ec2.next_image(&instance, fails(state)),
            Trouble::NameRace if plan.operation == Operation::Create && rival.is_none() => {
                name = format!("{name}-raced");
                let plan = Plan::with(&format!("rival-of-{}", plan.label), plan.number, Operation::Create, vec![]);
                let input = plan.input(&name, &instance, None).to_string();
                rival = Some((execute(aws, &plan.run_name(), &input).await?, plan));
            }
            _ => {}
        }
    }
    if plan.operation == Operation::Replace {
        name = format!("{name}-fresh");
    }
    let input = plan.input(&name, &instance, old.as_deref()).to_string();
    let execution = execute(aws, &run_name, &input).await?;
    if plan.has(&Trouble::StartedTwice) {
        // Step Functions either gives the same execution or says that there has been one.
        if let Ok(again) = execute(aws, &run_name, &input).await {
            anyhow::ensure!(again.arn == execution.arn, "{} and {} for one name", again.arn, execution.arn);
        }
    }
    let mut ended = Ended {
        outcome: Outcome::Succeeded(json!(null)),
        arn: execution.arn.clone(),
        locked: BTreeSet::new(),
        old_snapshots: old
            .as_deref()
            .and_then(|id| aws.ec2.image(id))
            .map(|image| image.snapshot_ids)
            .unwrap_or_default(),
        power: before.filter(|_| !plan.has(&Trouble::InstanceTerminated) && !plan.has(&Trouble::InstanceStopped)),
        plan,
        name,
        instance,
        old,
    };
    ended.outcome = attend(aws, &execution, &mut ended).await?;
    let Some((execution, plan)) = rival else { return Ok(vec![ended]) };
    let rival = Ended {
        outcome: execution.wait().await?,
        arn: execution.arn,
        locked: BTreeSet::new(),
        old_snapshots: vec![],
        power: None,
        plan,
        name: ended.name.clone(),
        instance: ended.instance.clone(),
        old: None,
    };
    Ok(vec![ended, rival])
}

async fn execute(aws: &Deployment, name: &str, input: &str) -> Result<Execution> {
    aws.start_execution(aws.lifecycle_machine_arn(), Some(name), input).await
}

fn fails(state: &ImageState) -> Fate {
    Fate::Fail {
        state: state.clone(),
        code: "Client.InternalError".to_owned(),
        message: "it broke".to_owned(),
        after: Duration::from_secs(30),
    }
}

/// Waits for the run's end, and brings on the troubles that need something to exist.
async fn attend(aws: &Deployment, execution: &Execution, ended: &mut Ended) -> Result<Outcome> {
    let mut to_come: Vec<_> = ended.plan.troubles.clone();
    let mut rng = ended.plan.rng();
    let abort_after = Duration::from_secs_f64(rng.f64() * 150.0 / aws.speed());
    let start = std::time::Instant::now();
    loop {
        if let Some(outcome) = execution.outcome()? {
            return Ok(outcome);
        }
        let made = aws.ec2.snapshots_tagged(RUN_TAG, &execution.arn);
        let mut later = vec![];
        for trouble in to_come {
            match &trouble {
                Trouble::Aborted if start.elapsed() >= abort_after => {
                    // It may just have ended by itself.
                    drop(aws.step_functions().stop_execution().execution_arn(&execution.arn).send().await);
                }
                Trouble::AbortedAt(state) => {
                    if has_entered(aws, execution, state)? {
                        drop(aws.step_functions().stop_execution().execution_arn(&execution.arn).send().await);
                    } else {
                        later.push(trouble);
                    }
                }
                Trouble::HandlerKilled => {
                    if let Some(process) = rng.choice(aws.functions()) {
                        Command::new("kill").args(["-9", &process.to_string()]).status()?;
                        ended.plan.killed = true;
                    } else {
                        later.push(trouble);
                    }
                }
                Trouble::SnapshotLocked if !made.is_empty() => {
                    aws.ec2.lock_snapshot(&made[0].id);
                    ended.locked.insert(made[0].id.clone());
                }
                Trouble::InstanceTerminated if !made.is_empty() => {
                    drop(aws.ec2.client().terminate_instances().instance_ids(&ended.instance).send().await);
                }
                Trouble::InstanceStopped if !made.is_empty() => {
                    // It may have been terminated just before.
                    drop(aws.ec2.client().stop_instances().instance_ids(&ended.instance).send().await);
                }
                Trouble::Aborted | Trouble::SnapshotLocked | Trouble::InstanceTerminated | Trouble::InstanceStopped => {
                    later.push(trouble);
                }
                Trouble::Call { .. }
                | Trouble::OwnCall { .. }
                | Trouble::StepFunctionsCall { .. }
                | Trouble::OwnStepFunctionsCall { .. }
                | Trouble::EventLost
                | Trouble::ImageFails(_)
                | Trouble::StartedTwice
                | Trouble::NameRace => {}
            }
        }
        to_come = later;
        tokio::time::sleep(POLL).await;
    }
}

/// Whether a run or an operation of it has entered a state.
fn has_entered(aws: &Deployment, execution: &Execution, state: &str) -> Result<bool> {
    let entered = execution.entered(aws.output("OperationMachineArn"))?;
    Ok(entered.iter().any(|entered| entered.state == state))
}
