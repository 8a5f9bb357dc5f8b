//! How what goes wrong is drawn.

use aws_sdk_ec2::types::ImageState;
use fastrand::Rng;

use super::{CallFault, Deed, Delivery, Fate, Fault, InvocationFault, Moment};
use crate::roles;

impl Fault {
    /// One at random.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        match rng.u8(0..102) {
            0..40 => Self::call(rng),
            40..48 => {
                let errors = [
                    "ThrottlingException",
                    "SdkClientException",
                    "Exception",
                    "ExecutionLimitExceededException",
                    "AccessDeniedException",
                ];
                let (after, times, is_done) = (few(rng), some(rng, 12.0), rng.bool());
                Self::MachineCall { after, times, is_done, error: choice(rng, &errors, "Exception") }
            }
            48..62 => {
                let function = rng.bool().then(|| choice(rng, &roles::FUNCTIONS, roles::FUNCTIONS[0]));
                let after = if function.is_some() { few(rng) } else { rng.u32(0..12) };
                Self::Invocation { function, after, times: some(rng, 12.0), kind: invocation_fault(rng) }
            }
            62..64 => Self::PutEvents { after: few(rng), times: some(rng, 5.0) },
            64..72 => {
                let seconds = scale(rng, 3600.0);
                let fates = [Fate::Lost, Fate::Late(seconds), Fate::Doubled(seconds)];
                let of = choice(rng, &Delivery::ALL, Delivery::Sweep);
                Self::Delivery { of, fate: choice(rng, &fates, Fate::Lost) }
            }
            72..82 => Self::Person { does: Deed::Abort, at: moment(rng) },
            82..94 => Self::person(rng),
            94 | 95 => Self::redrive(rng),
            96 | 97 => {
                let seconds = i64::try_from(scale(rng, 600.0)).unwrap_or_default();
                Self::Clock(if rng.bool() { seconds } else { -seconds })
            }
            98 | 99 => Self::KeyNotGranted,
            _ => {
                let states = [ImageState::Failed, ImageState::Error, ImageState::Invalid];
                Self::ImageFails(rng.choice(states).unwrap_or(ImageState::Failed))
            }
        }
    }

    /// A redrive, soon after the run's end or late.
    pub(crate) fn redrive(rng: &mut Rng) -> Self {
        let does = if rng.u8(0..3) == 0 { Deed::RedriveOperations } else { Deed::Redrive };
        Self::Person { does, at: Moment::MillisAfterEnd(scale(rng, 1_500_000.0)) }
    }

    /// Calls of one function of one action, of one function, of one action, or all.
    fn call(rng: &mut Rng) -> Self {
        let (function, action) = choice(rng, roles::calls(), ("", ""));
        let (caller, action) = (rng.bool().then_some(function), rng.bool().then_some(action));
        let after = if action.is_some() { few(rng) } else { rng.u32(0..60) };
        Self::Call { caller, action, after, times: some(rng, 12.0), kind: call_fault(rng) }
    }

    fn person(rng: &mut Rng) -> Self {
        let at_any_time = [
            Deed::StartAgain,
            Deed::StartRival,
            Deed::StartRival,
            Deed::StartBeside,
            Deed::Deploy,
            Deed::ProtectOldImage,
            Deed::DeregisterOldImage,
            Deed::UseOldImage,
            Deed::Tag,
            Deed::Untag,
        ];
        let with_an_image = [
            Deed::TerminateInstance,
            Deed::StopInstance,
            Deed::LockSnapshot,
            Deed::ProtectImage,
            Deed::DeregisterImage,
            Deed::UseImage,
            Deed::Tag,
            Deed::Untag,
        ];
        if rng.bool() {
            Self::Person { does: choice(rng, &at_any_time, Deed::StartAgain), at: moment(rng) }
        } else {
            let at = Moment::CallWithSnapshot(some(rng, 40.0) - 1);
            Self::Person { does: choice(rng, &with_an_image, Deed::LockSnapshot), at }
        }
    }
}

fn choice<T: Copy>(rng: &mut Rng, all: &[T], otherwise: T) -> T {
    rng.choice(all).copied().unwrap_or(otherwise)
}

/// Mostly few.
fn few(rng: &mut Rng) -> u32 {
    let most = rng.u32(1..6);
    rng.u32(0..most)
}

/// From 1 to `most`, few as likely as many.
fn some(rng: &mut Rng, most: f64) -> u32 {
    u32::try_from(scale(rng, most)).unwrap_or(1)
}

/// From 1 to `most`, short ones as likely as long ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 1 and `most`")]
fn scale(rng: &mut Rng, most: f64) -> u64 {
    most.powf(rng.f64()) as u64
}

fn moment(rng: &mut Rng) -> Moment {
    match rng.u8(0..10) {
        0..4 => Moment::Call(some(rng, 80.0) - 1),
        4..8 => Moment::Millis(scale(rng, 3_600_000.0)),
        _ => Moment::AfterOperation(rng.u8(1..4), scale(rng, 2_000.0)),
    }
}

fn call_fault(rng: &mut Rng) -> CallFault {
    match rng.u8(0..20) {
        0..4 => CallFault::Throttled,
        4..7 => CallFault::ServerError(if rng.bool() { 500 } else { 503 }),
        7..10 => CallFault::Reset,
        10..13 => CallFault::AnswerLost,
        13..15 => CallFault::AnswerLostAs(500),
        15..17 => CallFault::Slow(scale(rng, 60.0)),
        _ => CallFault::Refused,
    }
}

fn invocation_fault(rng: &mut Rng) -> InvocationFault {
    match rng.u8(0..8) {
        0 => InvocationFault::Refused("Lambda.TooManyRequestsException"),
        1 => InvocationFault::Refused("Lambda.ServiceException"),
        2 => InvocationFault::AnswerLost,
        3 => InvocationFault::Late(scale(rng, 120.0)),
        _ => InvocationFault::Killed(some(rng, 80.0) - 1),
    }
}
