//! Whether an instance is on.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::types::InstanceStateName;

use crate::clock::between;

const STARTS_IN: Duration = Duration::from_secs(10);
const STOPS_IN: Duration = Duration::from_secs(20);
const TERMINATES_IN: Duration = Duration::from_secs(20);

/// A change of an instance's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Start,
    Stop,
    Terminate,
    /// EC2 accepts to start it, and it stops again.
    StartInVain,
}

/// All the moves of an instance, some perhaps still to come.
#[derive(Clone, Debug)]
pub(crate) struct Power(Vec<(SystemTime, Move)>);

impl Power {
    pub(crate) fn new(at: SystemTime, first: Move) -> Self {
        Self(vec![(at, first)])
    }

    /// The power of an instance that is in `state` from now on.
    pub(crate) fn in_state(state: &InstanceStateName, now: SystemTime) -> Self {
        let long_ago = now - Duration::from_secs(3600);
        match state {
            InstanceStateName::Pending => Self::new(now, Move::Start),
            InstanceStateName::Stopping => Self::new(now, Move::Stop),
            InstanceStateName::Stopped => Self::new(long_ago, Move::Stop),
            InstanceStateName::ShuttingDown => Self::new(now, Move::Terminate),
            InstanceStateName::Terminated => Self::new(now - TERMINATES_IN, Move::Terminate),
            _ => Self::new(long_ago, Move::Start),
        }
    }

    pub(crate) fn make(&mut self, at: SystemTime, power_move: Move) {
        self.0.push((at, power_move));
    }

    fn latest(&self, now: SystemTime) -> (SystemTime, Move) {
        let made = self.0.iter().filter(|(at, _)| *at <= now).max_by_key(|(at, _)| *at);
        made.or(self.0.first()).copied().unwrap_or((now, Move::Start))
    }

    /// Whether it was started last, and stops by itself.
    pub(crate) fn starts_in_vain(&self, now: SystemTime) -> bool {
        self.latest(now).1 == Move::StartInVain
    }

    /// When the latest move was made.
    pub(crate) fn since(&self, now: SystemTime) -> SystemTime {
        self.latest(now).0
    }

    /// When the instance was last started.
    pub(crate) fn launched(&self, now: SystemTime) -> SystemTime {
        let starts = self.0.iter().filter(|(at, power_move)| *at <= now && *power_move == Move::Start);
        starts.map(|(at, _)| *at).max().unwrap_or_else(|| self.0.first().map_or(now, |(at, _)| *at))
    }

    pub(crate) fn state(&self, now: SystemTime) -> InstanceStateName {
        let (at, power_move) = self.latest(now);
        let elapsed = between(at, now);
        match power_move {
            Move::Start | Move::StartInVain if elapsed < STARTS_IN => InstanceStateName::Pending,
            Move::Start => InstanceStateName::Running,
            Move::Stop if elapsed < STOPS_IN => InstanceStateName::Stopping,
            Move::Stop | Move::StartInVain => InstanceStateName::Stopped,
            Move::Terminate if elapsed < TERMINATES_IN => InstanceStateName::ShuttingDown,
            Move::Terminate => InstanceStateName::Terminated,
        }
    }
}
