//! A campaign's table.

use std::{collections::BTreeMap, fmt};

use anyhow::Result;
use local_ec2::{Call, FaultKind};

use super::{
    check::{Ended, INVARIANTS, Violation},
    plan::Trouble,
};
use crate::{deployment::Deployment, execution::Outcome, step_functions};

/// How often each thing was seen.
type Counts = BTreeMap<String, usize>;

/// What a campaign has seen.
#[derive(Debug)]
pub struct Report {
    runs: usize,
    outcomes: Counts,
    faults: Counts,
    /// Why the runs that did not succeed ended.
    pub causes: Vec<String>,
    /// What does not hold.
    pub violations: Vec<Violation>,
}

/// The kinds of fault that a campaign at random must have seen to count.
const KINDS: &[&str] = &[
    "throttled",
    "answered 500 or 503",
    "connection reset",
    "response lost after the work was done",
    "answered 500 after the work was done",
    "slower than the client waits",
    "slower than the function may take",
    "permission refused",
    "Step Functions throttled",
    "Step Functions answered 503",
    "Step Functions' response lost after the work was done",
    "Step Functions refused permission",
    "snapshot in use for a while",
    "event of an image's end lost",
    "image failed, error or invalid",
    "instance terminated meanwhile",
    "instance stopped meanwhile",
    "snapshot locked for ever",
    "handler killed",
    "run aborted",
    "run started twice",
    "two runs for one name",
];

impl Report {
    pub(super) fn new(aws: &Deployment, ended: &[Ended], violations: Vec<Violation>) -> Result<Self> {
        let mut causes = vec![];
        let (mut outcomes, mut faults) =
            (Counts::new(), KINDS.iter().map(|kind| ((*kind).to_owned(), 0)).collect::<Counts>());
        for run in ended {
            let outcome = match &run.outcome {
                Outcome::Succeeded(_) => "SUCCEEDED".to_owned(),
                Outcome::Ended { status, error, .. } if status == "FAILED" => error.clone(),
                Outcome::Ended { status, .. } => status.clone(),
            };
            *outcomes.entry(format!("{:?} {outcome}", run.plan.operation)).or_default() += 1;
            if let Outcome::Ended { cause, .. } = &run.outcome {
                causes.push(format!("{}: {outcome}: {cause}", run.arn));
            }
            let mut count = |kind: &str| *faults.entry(kind.to_owned()).or_default() += 1;
            for trouble in &run.plan.troubles {
                match trouble {
                    Trouble::EventLost => count("event of an image's end lost"),
                    Trouble::ImageFails(_) => count("image failed, error or invalid"),
                    Trouble::InstanceTerminated => count("instance terminated meanwhile"),
                    Trouble::InstanceStopped => count("instance stopped meanwhile"),
                    Trouble::StartedTwice => count("run started twice"),
                    Trouble::NameRace if run.name.ends_with("-raced") => count("two runs for one name"),
                    _ => {}
                }
            }
            if !run.locked.is_empty() {
                count("snapshot locked for ever");
            }
            if run.plan.killed {
                count("handler killed");
            }
            if matches!(&run.outcome, Outcome::Ended { status, .. } if status == "ABORTED") {
                count("run aborted");
            }
        }
        for kind in aws.ec2.calls().iter().filter_map(kind) {
            *faults.entry(kind.to_owned()).or_default() += 1;
        }
        for kind in aws.step_functions_calls()?.iter().filter_map(|call| call.fault).map(step_functions_kind) {
            *faults.entry(kind.to_owned()).or_default() += 1;
        }
        faults.insert("slower than the function may take".to_owned(), aws.functions_timed_out()?);
        Ok(Self { runs: ended.len(), outcomes, faults, causes, violations })
    }

    /// How many runs succeeded.
    pub fn succeeded(&self) -> usize {
        self.outcomes.iter().filter(|(outcome, _)| outcome.ends_with("SUCCEEDED")).map(|(_, count)| count).sum()
    }

    /// How often a kind of fault was seen.
    pub fn times(&self, kind: &str) -> usize {
        self.faults.get(kind).copied().unwrap_or_default()
    }

    /// The kinds of fault that never happened.
    pub fn missing(&self) -> Vec<&str> {
        self.faults.iter().filter(|(_, count)| **count == 0).map(|(kind, _)| kind.as_str()).collect()
    }
}

fn step_functions_kind(fault: step_functions::FaultKind) -> &'static str {
    match fault {
        step_functions::FaultKind::Throttled => "Step Functions throttled",
        step_functions::FaultKind::Unavailable => "Step Functions answered 503",
        step_functions::FaultKind::LostResponse => "Step Functions' response lost after the work was done",
        step_functions::FaultKind::Refused => "Step Functions refused permission",
    }
}

fn kind(call: &Call) -> Option<&'static str> {
    Some(match (&call.fault, call.outcome.as_ref().err().map(String::as_str)) {
        (Some(FaultKind::Throttle), _) | (None, Some("RequestLimitExceeded")) => "throttled",
        (Some(FaultKind::ServerError(_)), _) => "answered 500 or 503",
        (Some(FaultKind::ConnectionReset), _) => "connection reset",
        (Some(FaultKind::LostResponse), _) => "response lost after the work was done",
        (Some(FaultKind::LostResponseAs(_)), _) => "answered 500 after the work was done",
        (Some(FaultKind::Slow(_)), _) => "slower than the client waits",
        (Some(FaultKind::Refused { .. }), _) => "permission refused",
        (None, Some("InvalidAMIID.NotFound")) => "not found just after creation",
        (None, Some("InvalidSnapshot.InUse")) => "snapshot in use for a while",
        // Only what is listed once more is deregistered once more.
        (None, Some("InvalidAMIID.Unavailable")) => "still listed after deregistration",
        _ => return None,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} runs\n", self.runs)?;
        table(f, "operation and outcome", "runs", &self.outcomes)?;
        table(f, "fault", "times", &self.faults)?;
        writeln!(f, "| invariant | violations |\n|---|--:|")?;
        for (position, invariant) in INVARIANTS.iter().enumerate() {
            let count = self.violations.iter().filter(|violation| violation.invariant == position).count();
            writeln!(f, "| {invariant} | {count} |")?;
        }
        for Violation { invariant, run, seen } in &self.violations {
            let whose = match run {
                Some(plan) => format!("--only {} replays it alone: {plan:?}", plan.number),
                None => "what belongs to others".to_owned(),
            };
            writeln!(f, "\n{}\n  {whose}\n  {seen}", INVARIANTS[*invariant])?;
        }
        Ok(())
    }
}

fn table(f: &mut fmt::Formatter<'_>, what: &str, number: &str, counts: &Counts) -> fmt::Result {
    writeln!(f, "| {what} | {number} |\n|---|--:|")?;
    for (what, count) in counts {
        writeln!(f, "| {what} | {count} |")?;
    }
    writeln!(f)
}
