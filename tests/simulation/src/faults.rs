//! What can go wrong, and how it is drawn.

use aws_sdk_ec2::types::ImageState;
use fastrand::Rng;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Calls that functions make, of EC2 or Step Functions.
    Call {
        /// Only calls of this action.
        action: Option<&'static str>,
        /// How many such calls go well before.
        after: u32,
        /// How many go wrong.
        times: u32,
        /// How.
        kind: CallFault,
    },
    /// Calls that the machines make of Step Functions.
    MachineCall {
        /// How many go well before.
        after: u32,
        /// How many go wrong.
        times: u32,
        /// Whether the work is done all the same.
        is_done: bool,
        /// The end of the error's name.
        error: &'static str,
    },
    /// Invocations of functions by the machines.
    Invocation {
        /// How many go well before.
        after: u32,
        /// How many go wrong.
        times: u32,
        /// How.
        kind: InvocationFault,
    },
    /// The machines' events are refused.
    PutEvents {
        /// How many go well before.
        after: u32,
        /// How many go wrong.
        times: u32,
    },
    /// What is not delivered once and soon.
    Delivery {
        /// Which.
        of: Delivery,
        /// What becomes of it.
        fate: Fate,
    },
    /// A person does something.
    Person {
        /// What.
        does: Deed,
        /// When.
        at: Moment,
    },
    /// The image ends in this state.
    ImageFails(ImageState),
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CallFault {
    Throttled,
    ServerError(u16),
    Reset,
    AnswerLost,
    AnswerLostAs(u16),
    Slow,
    Refused,
}

/// How an invocation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationFault {
    /// It is not made.
    Refused(&'static str),
    /// The function ends, and its answer does not arrive.
    AnswerLost,
    /// The function is killed when it waits for the so-manieth time.
    Killed(u32),
}

/// What is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Delivery {
    EndOfRun,
    EndOfImage,
    Sweep,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does not arrive.
    Lost,
    /// It arrives so many seconds later.
    Late(u64),
    /// It arrives again so many seconds later.
    Doubled(u64),
}

/// What a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Deed {
    Abort,
    StartAgain,
    TerminateInstance,
    StopInstance,
    LockSnapshot,
}

/// When a person does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So many milliseconds after the run's start.
    Millis(u64),
    /// At the so-manieth call that a function makes.
    Call(u32),
    /// At the so-manieth call after the run's first snapshot exists.
    CallWithSnapshot(u32),
}

const ACTIONS: [&str; 19] = [
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
    "DescribeExecution",
    "StopExecution",
    "StartExecution",
    "ListExecutions",
    "GetExecutionHistory",
    "SendTaskSuccess",
];

impl Fault {
    /// The kind's name, for the table.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Call { kind, .. } => format!("call: {kind:?}"),
            Self::MachineCall { is_done: false, .. } => "machine's call: refused".to_owned(),
            Self::MachineCall { .. } => "machine's call: answer lost".to_owned(),
            Self::Invocation { kind: InvocationFault::Killed(_), .. } => "function: killed".to_owned(),
            Self::Invocation { kind, .. } => format!("function: {kind:?}"),
            Self::PutEvents { .. } => "machine's event: refused".to_owned(),
            Self::Delivery { of, fate } => {
                let fate = match fate {
                    Fate::Lost => "lost",
                    Fate::Late(_) => "late",
                    Fate::Doubled(_) => "doubled",
                };
                format!("{of:?}: {fate}")
            }
            Self::Person { does, .. } => format!("person: {does:?}"),
            Self::ImageFails(state) => format!("image: {state}"),
        }
    }

    /// One at random.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        match rng.u8(0..40) {
            0..16 => {
                let action = if rng.bool() { rng.choice(ACTIONS) } else { None };
                let after = if action.is_some() { few(rng) } else { rng.u32(0..60) };
                // The client tries three times by itself.
                Self::Call { action, after, times: rng.u32(1..6), kind: call_fault(rng) }
            }
            16..19 => {
                let errors = ["ThrottlingException", "SdkClientException", "Exception"];
                let (after, times, is_done) = (few(rng), rng.u32(1..4), rng.bool());
                Self::MachineCall { after, times, is_done, error: rng.choice(errors).unwrap_or("Exception") }
            }
            19..25 => Self::Invocation { after: rng.u32(0..12), times: rng.u32(1..3), kind: invocation_fault(rng) },
            25 => Self::PutEvents { after: few(rng), times: rng.u32(1..3) },
            26..30 => {
                let of = [Delivery::EndOfRun, Delivery::EndOfImage, Delivery::Sweep];
                let of = rng.choice(of).unwrap_or(Delivery::Sweep);
                let seconds = scale(rng, 3600.0);
                let fates = [Fate::Lost, Fate::Late(seconds), Fate::Doubled(seconds)];
                Self::Delivery { of, fate: rng.choice(fates).unwrap_or(Fate::Lost) }
            }
            30..35 => Self::Person { does: Deed::Abort, at: moment(rng) },
            35 => Self::Person { does: Deed::StartAgain, at: moment(rng) },
            36 => Self::Person { does: Deed::TerminateInstance, at: Moment::CallWithSnapshot(rng.u32(0..10)) },
            37 => Self::Person { does: Deed::StopInstance, at: Moment::CallWithSnapshot(rng.u32(0..10)) },
            38 => Self::Person { does: Deed::LockSnapshot, at: Moment::CallWithSnapshot(rng.u32(0..10)) },
            _ => {
                let states = [ImageState::Failed, ImageState::Error, ImageState::Invalid];
                Self::ImageFails(rng.choice(states).unwrap_or(ImageState::Failed))
            }
        }
    }
}

/// Mostly few.
fn few(rng: &mut Rng) -> u32 {
    let most = rng.u32(1..6);
    rng.u32(0..most)
}

/// From 1 to `most`, short ones as likely as long ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 1 and `most`")]
fn scale(rng: &mut Rng, most: f64) -> u64 {
    most.powf(rng.f64()) as u64
}

fn moment(rng: &mut Rng) -> Moment {
    if rng.bool() { Moment::Call(rng.u32(0..60)) } else { Moment::Millis(scale(rng, 3_600_000.0)) }
}

fn call_fault(rng: &mut Rng) -> CallFault {
    match rng.u8(0..20) {
        0..4 => CallFault::Throttled,
        4..7 => CallFault::ServerError(if rng.bool() { 500 } else { 503 }),
        7..10 => CallFault::Reset,
        10..13 => CallFault::AnswerLost,
        13..15 => CallFault::AnswerLostAs(500),
        15..17 => CallFault::Slow,
        _ => CallFault::Refused,
    }
}

fn invocation_fault(rng: &mut Rng) -> InvocationFault {
    match rng.u8(0..6) {
        0 => InvocationFault::Refused("Lambda.TooManyRequestsException"),
        1 => InvocationFault::Refused("Lambda.ServiceException"),
        2 => InvocationFault::AnswerLost,
        _ => InvocationFault::Killed(rng.u32(0..30)),
    }
}
