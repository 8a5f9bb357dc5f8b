//! What one run of a campaign does and suffers, made of the seed and the run's number alone.

use std::time::Duration;

use aws_sdk_ec2::types::ImageState;
use fastrand::Rng;
use local_ec2::FaultKind;
use serde_json::{Value, json};

use crate::step_functions;

/// Longer than the client waits for one attempt.
pub const SLOW: Duration = Duration::from_secs(11);

/// What a run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Make an image.
    Create,
    /// Change an image.
    Update,
    /// Remove an image.
    Delete,
    /// Make an image, and remove another one.
    Replace,
    /// The same, where both have one name.
    ReplaceSameName,
}

/// What happens to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// Some of EC2's next calls of an action go wrong, this run's or another's.
    Call {
        /// EC2's action.
        action: &'static str,
        /// How.
        kind: FaultKind,
        /// How many.
        times: usize,
    },
    /// Calls of this run alone go wrong.
    OwnCall {
        /// EC2's action.
        action: String,
        /// How.
        kind: FaultKind,
        /// How many.
        times: usize,
        /// How many go well before.
        after: usize,
    },
    /// Some of the functions' next calls of Step Functions go wrong, for this run or another.
    StepFunctionsCall {
        /// The function's application id; empty for any.
        caller: String,
        /// Step Functions' action.
        action: String,
        /// How.
        kind: step_functions::FaultKind,
        /// How many.
        times: usize,
    },
    /// The functions' calls of Step Functions for this run go wrong.
    OwnStepFunctionsCall {
        /// The function's application id.
        caller: String,
        /// Step Functions' action.
        action: String,
        /// How.
        kind: step_functions::FaultKind,
        /// How many.
        times: usize,
        /// How many go well before.
        after: usize,
    },
    /// EventBridge is not told of the image's end.
    EventLost,
    /// The image ends in this state.
    ImageFails(ImageState),
    /// A person terminates the instance.
    InstanceTerminated,
    /// A person stops the instance.
    InstanceStopped,
    /// A person locks a snapshot it has made.
    SnapshotLocked,
    /// A function's process dies, whatever it is doing.
    HandlerKilled,
    /// A person stops the run.
    Aborted,
    /// A person stops the run as it enters a state.
    AbortedAt(String),
    /// The same execution is started twice.
    StartedTwice,
    /// Another run wants the same name.
    NameRace,
}

const ACTIONS: &[&str] = &[
    "DescribeInstances",
    "DescribeInstanceStatus",
    "CreateImage",
    "DescribeImages",
    "DescribeImageAttribute",
    "DescribeSnapshots",
    "DescribeTags",
    "DeregisterImage",
    "DeleteSnapshot",
    "CreateTags",
    "DeleteTags",
    "ModifyImageAttribute",
    "EnableImageDeprecation",
];

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What its name begins with.
    pub(super) label: String,
    pub(super) number: u64,
    pub(super) operation: Operation,
    pub(super) troubles: Vec<Trouble>,
    /// Whether the instance is stopped from the start.
    pub(super) stopped: bool,
    pub(super) without_reboot: bool,
    /// The size of the data volume.
    pub(super) gigabytes: u32,
    /// Whether a function was killed, once it has happened.
    pub(super) killed: bool,
    seed: u64,
}

impl Plan {
    /// Whether calls of an action are refused to the run.
    pub(super) fn refuses(&self, name: &str) -> bool {
        let refuses = |trouble: &Trouble| matches!(trouble, Trouble::OwnCall { action, kind: FaultKind::Refused { .. }, .. } if action == name);
        self.troubles.iter().any(refuses)
    }

    /// A run with the troubles given and nothing else at random.
    pub fn with(label: &str, number: u64, operation: Operation, troubles: Vec<Trouble>) -> Self {
        let label = label.to_owned();
        let (stopped, without_reboot, killed) = (false, false, false);
        Self { label, number, operation, troubles, stopped, without_reboot, gigabytes: 20, killed, seed: number }
    }

    /// The same with a data volume of this size, on which it depends how long the image takes.
    pub fn of_gigabytes(self, gigabytes: u32) -> Self {
        Self { gigabytes, ..self }
    }

    /// A run made at random.
    pub fn new(seed: u64, number: u64) -> Self {
        let label = format!("chaos-{seed}");
        let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number);
        let mut rng = Rng::with_seed(seed);
        let operation = match rng.u8(0..20) {
            0..10 => Operation::Create,
            10..13 => Operation::Update,
            13..16 => Operation::Delete,
            16..18 => Operation::Replace,
            _ => Operation::ReplaceSameName,
        };
        let troubles = (0..rng.usize(0..4)).map(|_| trouble(&mut rng)).collect();
        Self {
            label,
            number,
            operation,
            troubles,
            stopped: rng.u8(0..5) == 0,
            without_reboot: rng.bool(),
            gigabytes: rng.u32(1..40),
            killed: false,
            seed,
        }
    }

    /// What the run asks for.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The execution's name.
    pub(super) fn run_name(&self) -> String {
        // Of one width, so that none is the beginning of another.
        format!("{}-{:05}", self.label, self.number)
    }

    /// What happens to it.
    pub fn troubles(&self) -> &[Trouble] {
        &self.troubles
    }

    /// Whether a call of EC2 is the run's: it names the run, or its instance, or an image of it.
    pub fn is_of(&self, call: &local_ec2::Call) -> bool {
        call.mentions(&self.run_name())
    }

    /// Whether a call of Step Functions is about the run.
    pub fn is_about(&self, call: &step_functions::Call) -> bool {
        call.body.contains(&self.run_name())
    }

    /// For what is decided while the run goes on.
    pub(super) fn rng(&self) -> Rng {
        Rng::with_seed(!self.seed)
    }

    pub(super) fn has(&self, trouble: &Trouble) -> bool {
        self.troubles.contains(trouble)
    }

    pub(super) fn input(&self, name: &str, instance: &str, old: Option<&str>) -> Value {
        let create = json!({
            "name": name,
            "sourceInstanceId": instance,
            "snapshotWithoutReboot": self.without_reboot,
            "description": "chaos",
            "tags": {"Team": "chaos"},
        });
        let mut input = match self.operation {
            Operation::Create => create,
            Operation::Update => json!({"tags": {"Team": "chaos", "New": ""}, "description": "changed"}),
            Operation::Delete => json!({}),
            Operation::Replace | Operation::ReplaceSameName => create,
        };
        if let Some(old) = old {
            input["action"] = json!(match self.operation {
                Operation::Update => "update",
                Operation::Delete => "delete",
                _ => "replace",
            });
            input["imageId"] = json!(old);
        }
        // How fast this machine is must not decide.
        input["timeouts"] = json!({"create": "4h", "update": "4h", "delete": "4h"});
        input
    }
}

fn trouble(rng: &mut Rng) -> Trouble {
    match rng.u8(0..19) {
        0..8 => call(rng),
        8 => step_functions_call(rng),
        9 => slow(rng),
        10 => {
            let states = [ImageState::Failed, ImageState::Error, ImageState::Invalid];
            Trouble::ImageFails(rng.choice(states).unwrap_or(ImageState::Failed))
        }
        11 => Trouble::InstanceTerminated,
        12 => Trouble::InstanceStopped,
        13 => Trouble::SnapshotLocked,
        14 => Trouble::HandlerKilled,
        15 => Trouble::Aborted,
        16 => Trouble::StartedTwice,
        17 => Trouble::EventLost,
        _ => Trouble::NameRace,
    }
}

fn call(rng: &mut Rng) -> Trouble {
    let action = rng.choice(ACTIONS).copied().unwrap_or("DescribeImages");
    let kind = match rng.u8(0..18) {
        0..4 => FaultKind::Throttle,
        4..7 => FaultKind::ServerError(rng.choice([500, 503]).unwrap_or(500)),
        7..10 => FaultKind::ConnectionReset,
        10..13 => FaultKind::LostResponse,
        13..15 => FaultKind::LostResponseAs(500),
        _ => FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "not for now".to_owned() },
    };
    // The client tries three times by itself.
    Trouble::Call { action, kind, times: rng.usize(1..6) }
}

/// An answer that takes longer than the client waits for one attempt, and than [`super::HURRIED`]
/// functions may take.
fn slow(rng: &mut Rng) -> Trouble {
    let actions = ["CreateImage", "DescribeImages", "DescribeSnapshots", "DeregisterImage", "DeleteSnapshot"];
    let action = rng.choice(actions).unwrap_or("DescribeImages");
    Trouble::Call { action, kind: FaultKind::Slow(SLOW), times: 1 }
}

fn step_functions_call(rng: &mut Rng) -> Trouble {
    use step_functions::FaultKind::{LostResponse, Refused, Throttled, Unavailable};
    let actions = ["DescribeExecution", "StopExecution", "StartExecution", "GetExecutionHistory", "SendTaskSuccess"];
    let action = rng.choice(actions).unwrap_or("DescribeExecution");
    let kind = rng.choice([Throttled, Unavailable, LostResponse, Refused]).unwrap_or(Refused);
    Trouble::StepFunctionsCall { caller: String::new(), action: action.to_owned(), kind, times: rng.usize(1..6) }
}
