//! How the making of an image ends.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::types::ImageState;

/// What becomes of an image to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It fails. Its snapshots complete none the less, and stay.
    Fail {
        /// `failed`, `error` or `invalid`.
        state: ImageState,
        /// The code of its StateReason, such as `Client.InternalError`.
        code: String,
        /// The message of its StateReason.
        message: String,
        /// How long after CreateImage, in simulated time.
        after: Duration,
    },
    /// It stays pending, and so do its snapshots.
    Never,
    /// It becomes available after this much simulated time, whatever the volumes' sizes.
    Takes(Duration),
    /// It has every volume of its instance, whatever CreateImage was told to leave out.
    TakesEveryVolume,
    /// Its instance is terminated a few seconds later, and so it fails.
    InstanceTerminated,
}

/// Why an image is in its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateReason {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The making of an image: pending until it ends, if it ends.
#[derive(Clone, Debug)]
pub(crate) struct Making(Option<End>);

#[derive(Clone, Debug)]
struct End {
    at: SystemTime,
    state: ImageState,
    reason: Option<StateReason>,
}

impl Making {
    pub(crate) fn succeeds(at: SystemTime) -> Self {
        Self(Some(End { at, state: ImageState::Available, reason: None }))
    }

    pub(crate) fn fails(at: SystemTime, state: ImageState, reason: StateReason) -> Self {
        Self(Some(End { at, state, reason: Some(reason) }))
    }

    pub(crate) fn never_ends() -> Self {
        Self(None)
    }

    pub(crate) fn instance_terminated(at: SystemTime) -> Self {
        let code = "Client.InstanceTerminated".to_owned();
        let message = "Client.InstanceTerminated: Instance was terminated or rebooted while its image was made";
        Self::fails(at, ImageState::Failed, StateReason { code, message: message.to_owned() })
    }

    /// The same, so much earlier.
    pub(crate) fn earlier(&self, by: Duration) -> Self {
        Self(self.0.clone().map(|end| End { at: end.at - by, ..end }))
    }

    fn end(&self, now: SystemTime) -> Option<&End> {
        self.0.as_ref().filter(|end| end.at <= now)
    }

    /// When it ends, or has ended.
    pub(crate) fn ends(&self) -> Option<SystemTime> {
        self.0.as_ref().map(|end| end.at)
    }

    /// When it has ended, if it has.
    pub(crate) fn ended(&self, now: SystemTime) -> Option<SystemTime> {
        self.end(now).map(|end| end.at)
    }

    /// `pending`, `available`, or a state of failure.
    pub(crate) fn state(&self, now: SystemTime) -> ImageState {
        self.end(now).map_or(ImageState::Pending, |end| end.state.clone())
    }

    pub(crate) fn reason(&self, now: SystemTime) -> Option<&StateReason> {
        self.end(now)?.reason.as_ref()
    }
}
