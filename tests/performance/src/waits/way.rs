//! The ways of waiting: ours, the ones that were tried and lost, and those of others.

use ami_from_instance::{
    machine,
    operations::create::pace::{self, Asks, Look, Seen},
};
use fastrand::Rng;

use super::shape::Snapshot;

/// The timeout of a create, in seconds: more than any image takes.
pub(super) const TIMEOUT: u64 = 7_200;
/// How often a call of ours is tried before a look counts as throttled.
const ATTEMPTS: u32 = 3;
/// How often all images together are looked at a second, where they are counted.
const LOOKS_A_SECOND: u64 = 10;

/// A way of waiting for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The handlers' own.
    Ours,
    /// The handlers' own, but each look asks for the snapshots, and also for the image when the time passed has
    /// doubled and every five minutes.
    AskingForTheSnapshots,
    /// The same, where besides each wait has a tenth of a second for each image under way.
    CountingTheImages,
    /// The handlers' own, but each look asks for the image and the snapshots.
    AskingForBoth,
    /// The handlers' own, but a call is tried once.
    OneAttempt,
    /// The handlers' own, but each wait is up to a quarter shorter or longer, at random.
    Jitter,
    /// The handlers' own, but the wait after a throttled look is as long as the last one.
    NoBackOff,
    /// A twentieth of the time that has passed.
    Twentieth,
    /// A tenth of the time that has passed.
    Tenth,
    /// Half of what the latest look estimates (the mean over the volumes' sizes), from 5 to 60 seconds.
    HalfOfTheEstimate,
    /// Each look's estimate, followed at once.
    WholeEstimate,
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
    /// DescribeSnapshots, first.
    pub(super) snapshots: bool,
    /// DescribeImages.
    pub(super) image: bool,
}

/// One image's waits.
#[derive(Debug)]
pub(super) struct Pace {
    way: Way,
    looks: u64,
    look: Look,
    /// Seconds waited until the latest look, and until the one before it.
    elapsed: u64,
    before: u64,
    /// The latest wait.
    wait: u64,
    /// Whether an event has ended it.
    is_woken: bool,
}

impl Way {
    /// Those of others.
    pub const PEERS: [Self; 3] = [Self::Terraform, Self::AwsWait, Self::Packer];
    /// Other lengths of the waits that were tried for ours.
    pub const OTHER_WAITS: [Self; 4] = [Self::Tenth, Self::Twentieth, Self::HalfOfTheEstimate, Self::WholeEstimate];
    /// Other answers to EC2's request limits that were tried for ours.
    pub const OTHER_LOADS: [Self; 6] = [
        Self::AskingForTheSnapshots,
        Self::CountingTheImages,
        Self::AskingForBoth,
        Self::OneAttempt,
        Self::Jitter,
        Self::NoBackOff,
    ];

    /// A few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "this project",
            Self::AskingForTheSnapshots => "each look asks for the snapshots",
            Self::CountingTheImages => "the same, and the images under way are counted",
            Self::AskingForBoth => "each look asks for both",
            Self::OneAttempt => "one attempt a call",
            Self::Jitter => "waits a quarter shorter or longer at random",
            Self::NoBackOff => "no longer waits after a throttled look",
            Self::Twentieth => "a 20th of the time passed",
            Self::Tenth => "a 10th of the time passed",
            Self::HalfOfTheEstimate => "half of the estimate",
            Self::WholeEstimate => "the whole estimate",
            Self::Terraform => "Terraform",
            Self::AwsWait => "aws ec2 wait",
            Self::Packer => "Packer",
        }
    }

    /// Whether it runs in our machine.
    pub(super) fn is_ours(self) -> bool {
        !Self::PEERS.contains(&self)
    }

    /// How often a call is tried before its look gives up; none if it never does.
    pub(super) fn attempts(self) -> Option<u32> {
        self.is_ours().then_some(if self == Self::OneAttempt { 1 } else { ATTEMPTS })
    }

    pub(super) fn begin(self) -> Pace {
        Pace { way: self, looks: 0, look: Look::default(), elapsed: 0, before: 0, wait: 0, is_woken: false }
    }
}

impl Pace {
    /// Seconds until the first look.
    pub(super) fn first(&mut self) -> u64 {
        self.wait = match self.way {
            Way::Terraform => 5,
            Way::AwsWait | Way::Packer => 0,
            _ => pace::FIRST_LOOK,
        };
        self.wait
    }

    /// A look comes after the latest wait, or `woken` by an event so many seconds after the beginning.
    pub(super) fn look(&mut self, woken: Option<u64>) {
        self.looks += 1;
        self.before = self.elapsed;
        self.elapsed = woken.unwrap_or(self.elapsed + self.wait);
        self.is_woken = woken.is_some();
        if self.is_woken {
            self.look.asks = Asks::Image;
            self.wait = pace::SHORTLY;
        }
    }

    /// What the latest look calls, if the image has `ended` or not.
    pub(super) fn calls(&self, ended: bool) -> Calls {
        match self.way {
            Way::Tenth | Way::Twentieth | Way::Terraform | Way::AwsWait | Way::Packer => {
                Calls { snapshots: false, image: true }
            }
            _ if self.is_woken => Calls { snapshots: false, image: true },
            Way::AskingForBoth => Calls { snapshots: true, image: true },
            Way::AskingForTheSnapshots | Way::CountingTheImages | Way::HalfOfTheEstimate | Way::WholeEstimate => {
                Calls { snapshots: true, image: ended || self.has_doubled() }
            }
            _ => Calls { snapshots: self.look.asks.for_snapshots(), image: self.look.asks.for_image(!ended) },
        }
    }

    fn has_doubled(&self) -> bool {
        let has_doubled = self.before.checked_ilog2().is_some_and(|before| self.elapsed.ilog2() > before);
        has_doubled || self.elapsed / 300 > self.before / 300
    }

    fn left(&self) -> u64 {
        TIMEOUT.saturating_sub(self.elapsed)
    }

    /// Whether the timeout has come.
    pub(super) fn is_over(&self) -> bool {
        self.left() == 0
    }

    /// Seconds until the next look, after one that found the image pending, with so many images
    /// under way; none to give up.
    pub(super) fn next(&mut self, snapshots: &[Snapshot], under_way: u64, random: &mut Rng) -> Option<u64> {
        let percent = snapshots.iter().map(|snapshot| snapshot.percent).min();
        let elapsed = self.elapsed;
        self.wait = match self.way {
            Way::Terraform => (3 << (self.looks - 1).min(2)).min(10),
            Way::AwsWait if self.looks == 40 => return None,
            Way::Packer if self.looks == 120 => return None,
            Way::AwsWait | Way::Packer => 15,
            Way::Twentieth => (elapsed / 20).max(5),
            Way::Tenth => (elapsed / 10).max(5),
            Way::HalfOfTheEstimate => half_of_the_estimate(elapsed, snapshots),
            Way::WholeEstimate => match percent {
                Some(percent @ 1..) => (100 * elapsed).div_ceil(u64::from(percent)).saturating_sub(elapsed).max(1),
                _ => (elapsed / 10).max(5),
            },
            _ => {
                let percent = percent.filter(|_| self.calls(false).snapshots);
                let (wait, look) = pace::next_look(Seen { elapsed, percent }, self.look);
                let wait = machine::within(wait, self.left());
                self.look = look;
                match self.way {
                    Way::CountingTheImages => wait.max(under_way / LOOKS_A_SECOND),
                    Way::Jitter => (wait as f64 * (0.75 + 0.5 * random.f64())) as u64,
                    _ => wait,
                }
            }
        };
        Some(self.wait)
    }

    /// Seconds until the look after one that was throttled.
    pub(super) fn after_throttle(&mut self) -> u64 {
        if self.way != Way::NoBackOff {
            self.wait = machine::within(machine::after_throttle(self.wait), self.left());
        }
        self.wait
    }
}

fn half_of_the_estimate(elapsed: u64, snapshots: &[Snapshot]) -> u64 {
    let all: f64 = snapshots.iter().map(|snapshot| snapshot.size).sum();
    let done: f64 = snapshots.iter().map(|snapshot| snapshot.size * f64::from(snapshot.percent)).sum();
    let expected = match (done / all) as u64 {
        percent @ 1..=98 => elapsed * (100 - percent) / percent / 2,
        _ => elapsed / 20,
    };
    expected.clamp(5, 60)
}
