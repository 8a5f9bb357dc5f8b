//! The ways of waiting: ours, the ones that were tried and lost, and those of others.

use ami_from_instance::pace::{self, Promise, Seen};

use super::shape::Snapshot;

/// The time limit of a create, in seconds: more than any image takes.
const LIMIT: u64 = 7_200;

/// A way of waiting for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The handlers' own.
    Ours,
    /// The handlers' own, as if events never came.
    CountingOnNoEvent,
    /// The handlers' own, as if events always came.
    CountingOnEveryEvent,
    /// A twentieth of the time that has passed.
    Twentieth,
    /// A tenth of the time that has passed.
    Tenth,
    /// Half of what the latest progress promises (the mean over the volumes' sizes), from 5 to 60
    /// seconds.
    HalfOfThePromise,
    /// Each look's promise, followed at once.
    WholePromise,
    /// Terraform's AWS provider: 5 seconds, and then 3 seconds, doubling up to 10
    /// (`retry.StateChangeConf` with a Delay of 5 and a MinTimeout of 3 seconds).
    Terraform,
    /// `aws ec2 wait image-available`: 40 looks 15 seconds apart, the first one at once.
    AwsWait,
    /// Packer's `amazon-ebs` builder: 120 looks 15 seconds apart, the first one at once.
    Packer,
}

/// What a look calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Calls {
    /// DescribeImages.
    pub(super) images: u32,
    /// DescribeSnapshots.
    pub(super) snapshots: u32,
}

/// One image's waits.
#[derive(Debug)]
pub(super) struct Pace {
    way: Way,
    looks: u64,
    promise: Option<Promise>,
}

impl Way {
    /// Those of others.
    pub const PEERS: [Self; 3] = [Self::Terraform, Self::AwsWait, Self::Packer];
    /// Ours, and those that were tried for it.
    pub const TRIED: [Self; 7] = [
        Self::Ours,
        Self::CountingOnNoEvent,
        Self::CountingOnEveryEvent,
        Self::Twentieth,
        Self::Tenth,
        Self::HalfOfThePromise,
        Self::WholePromise,
    ];

    /// A few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "this project",
            Self::CountingOnNoEvent => "counting on no event",
            Self::CountingOnEveryEvent => "counting on every event",
            Self::Twentieth => "a 20th of the time passed",
            Self::Tenth => "a 10th of the time passed",
            Self::HalfOfThePromise => "half of the promise",
            Self::WholePromise => "the whole promise",
            Self::Terraform => "Terraform",
            Self::AwsWait => "aws ec2 wait",
            Self::Packer => "Packer",
        }
    }

    /// Whether it runs in our machine.
    pub(super) fn is_ours(self) -> bool {
        !Self::PEERS.contains(&self)
    }

    /// Whether a look asks for the snapshots too.
    pub(super) fn asks_for_snapshots(self) -> bool {
        self.is_ours() && !matches!(self, Self::Twentieth | Self::Tenth)
    }

    /// What a look calls, with so many seconds waited before the one before it and before it; `ended` says whether
    /// the image has ended, `told` whether an event told so.
    pub(super) fn calls(self, before: u64, elapsed: u64, ended: bool, told: bool) -> Calls {
        if !self.asks_for_snapshots() {
            return Calls { images: 1, snapshots: 0 };
        }
        // While its snapshots are being made, the image cannot be ready.
        let images = u32::from(ended || pace::asks_for_the_image(before, elapsed));
        Calls { images, snapshots: u32::from(!told) }
    }

    pub(super) fn begin(self) -> Pace {
        Pace { way: self, looks: 0, promise: None }
    }
}

impl Pace {
    /// Seconds until the next look, with so many images under way, where events come or do not; none to
    /// give up.
    pub(super) fn wait(
        &mut self,
        elapsed: u64,
        snapshots: &[Snapshot],
        under_way: u64,
        events_come: bool,
    ) -> Option<u64> {
        let looks = self.looks;
        self.looks += 1;
        match self.way {
            Way::Terraform if looks == 0 => return Some(5),
            Way::Terraform => return Some((3 << (looks - 1).min(2)).min(10)),
            Way::AwsWait => return fixed(looks, 40),
            Way::Packer => return fixed(looks, 120),
            _ if looks == 0 => return Some(pace::FIRST_LOOK),
            _ => {}
        }
        let percent = snapshots.iter().map(|snapshot| snapshot.percent).min();
        Some(match self.way {
            Way::Twentieth => (elapsed / 20).max(5),
            Way::Tenth => (elapsed / 10).max(5),
            Way::HalfOfThePromise => half_of_the_promise(elapsed, snapshots),
            Way::WholePromise => match percent {
                Some(percent @ 1..) => (100 * elapsed).div_ceil(u64::from(percent)).saturating_sub(elapsed).max(1),
                _ => (elapsed / 10).max(5),
            },
            _ => {
                let wait;
                let events_come = match self.way {
                    Way::CountingOnNoEvent => false,
                    Way::CountingOnEveryEvent => true,
                    _ => events_come,
                };
                (wait, self.promise) =
                    pace::next_look(Seen { elapsed, percent, under_way, left: LIMIT, events_come }, self.promise);
                wait
            }
        })
    }
}

fn fixed(looks: u64, most: u64) -> Option<u64> {
    match looks {
        0 => Some(0),
        _ if looks < most => Some(15),
        _ => None,
    }
}

fn half_of_the_promise(elapsed: u64, snapshots: &[Snapshot]) -> u64 {
    let all: f64 = snapshots.iter().map(|snapshot| snapshot.size).sum();
    let done: f64 = snapshots.iter().map(|snapshot| snapshot.size * f64::from(snapshot.percent)).sum();
    let expected = match (done / all) as u64 {
        percent @ 1..=98 => elapsed * (100 - percent) / percent / 2,
        _ => elapsed / 20,
    };
    expected.clamp(5, 60)
}
