//! Many images at once, against EC2's request buckets.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use local_ec2::buckets::{Buckets, CHANGING, LOOKING};

use super::{
    A_LOOK_TAKES, AN_EVENT_TAKES, BEGINNING_TAKES, SEED, Shape, Way, durations, mean, shape::Progress, way::Pace,
};
use crate::cost;

/// The longest that the SDK pauses between two attempts of a call, in seconds.
const LONGEST_PAUSE: f64 = 20.0;
/// Seconds after which Lambda invokes the event's function again, if its call was throttled.
const INVOKED_AGAIN: f64 = 60.0;

/// What so many images at once gave.
#[derive(Clone, Debug)]
pub struct Load {
    /// The most images that were pending at the same time.
    pub in_flight: usize,
    /// Looks an image.
    pub looks: f64,
    /// The most calls of one action within ten seconds, a second.
    pub peak: f64,
    /// Calls that EC2 refused.
    pub throttled: usize,
    /// The share of all calls that they are.
    pub throttled_share: f64,
    /// Images whose end was not seen before the timeout.
    pub timed_out: usize,
    /// Mean seconds from an image's end until it is seen.
    pub lag: f64,
    /// Dollars an image, at our machines' transitions.
    pub dollars: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Tags,
    Snapshots,
    Image,
}

impl Call {
    fn action(self) -> &'static str {
        match self {
            Self::Tags => "DescribeTags",
            Self::Snapshots => "DescribeSnapshots",
            Self::Image => "DescribeImages",
        }
    }
}

/// What comes next for an image, and when. A look of an older number was overtaken by the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Event,
    Look(u32),
    /// A call of the look, and how often it was tried before.
    Call(Call, u32, u32),
}

struct One {
    begun: f64,
    took: f64,
    progress: Progress,
    pace: Pace,
    number: u32,
    has_ended: bool,
}

/// Starts so many images as fast as CreateImage allows, and watches them; each one's event is lost
/// with a probability of `lost`.
pub fn load(way: Way, shape: Shape, lost: f64, images: usize) -> Load {
    let uncounted = |seconds: f64| if way.is_ours() { seconds } else { 0.0 };
    let mut random = Rng::with_seed(SEED + 2);
    let mut buckets = Buckets::default();
    let mut queue = BinaryHeap::new();
    let mut all: Vec<One> = vec![];
    for (at, took) in durations(images).into_iter().enumerate() {
        let begun = (at as f64 - f64::from(CHANGING.capacity)).max(0.0) / f64::from(CHANGING.refill);
        let mut pace = way.begin();
        let due = begun + uncounted(BEGINNING_TAKES) + pace.first() as f64;
        queue.push(Reverse((milliseconds(due), at, Next::Look(0))));
        if way.is_ours() && random.f64() >= lost {
            queue.push(Reverse((milliseconds(begun + took + AN_EVENT_TAKES), at, Next::Event)));
        }
        let progress = shape.progress(took, &mut random);
        all.push(One { begun, took, progress, pace, number: 0, has_ended: false });
    }
    let pending = Pending::of(&all);
    let (mut looks, mut throttled, mut timed_out) = (0, 0, 0);
    let mut lags = vec![];
    let mut calls: BTreeMap<(u64, &str), usize> = BTreeMap::new();
    while let Some(Reverse((at, index, next))) = queue.pop() {
        let one = &mut all[index];
        let now = at as f64 / 1_000.0;
        let age = now - one.begun;
        let ended = age >= one.took;
        let (call, tried) = match next {
            _ if one.has_ended => continue,
            Next::Event => (Call::Tags, 0),
            Next::Look(number) if number == one.number => {
                one.pace.look(None);
                (if one.pace.calls(ended).snapshots { Call::Snapshots } else { Call::Image }, 0)
            }
            Next::Call(call, number, tried) if number == one.number => (call, tried),
            Next::Look(_) | Next::Call(..) => continue,
        };
        *calls.entry((at / 10_000, call.action())).or_default() += 1;
        let is_answered = buckets.take(call.action(), LOOKING, SystemTime::UNIX_EPOCH + Duration::from_millis(at));
        throttled += usize::from(!is_answered);
        let (seconds, then) = if call == Call::Tags {
            if !is_answered {
                queue.push(Reverse((milliseconds(now + INVOKED_AGAIN), index, Next::Event)));
                continue;
            }
            one.number += 1;
            one.pace.look(Some(age as u64));
            (uncounted(A_LOOK_TAKES), Next::Call(Call::Image, one.number, 0))
        } else if !is_answered && way.attempts().is_none_or(|attempts| tried + 1 < attempts) {
            let pause = f64::from(1 << tried.min(5)).min(LONGEST_PAUSE);
            (random.f64() * pause, Next::Call(call, one.number, tried + 1))
        } else if is_answered && call == Call::Snapshots && one.pace.calls(ended).image {
            (0.0, Next::Call(Call::Image, one.number, 0))
        } else {
            looks += 1;
            if is_answered && ended {
                one.has_ended = true;
                lags.push(age - one.took);
                continue;
            }
            let wait = if is_answered {
                one.pace.next(&one.progress.at(age), pending.at(now), &mut random)
            } else {
                Some(one.pace.after_throttle())
            };
            match wait {
                Some(wait) if !one.pace.is_over() => (wait as f64 + uncounted(A_LOOK_TAKES), Next::Look(one.number)),
                _ => {
                    one.has_ended = true;
                    timed_out += 1;
                    continue;
                }
            }
        };
        queue.push(Reverse((milliseconds(now + seconds), index, then)));
    }
    let count = images as f64;
    Load {
        in_flight: pending.most(),
        looks: f64::from(looks) / count,
        peak: calls.values().max().map_or(0.0, |most| *most as f64 / 10.0),
        throttled,
        throttled_share: throttled as f64 / calls.values().sum::<usize>() as f64,
        timed_out,
        lag: mean(&lags),
        dollars: cost::dollars_of_looks(f64::from(looks) / count),
    }
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1_000.0) as u64
}

/// How many images are pending from each moment on at which that changes.
struct Pending(Vec<(f64, u64)>);

impl Pending {
    fn of(all: &[One]) -> Self {
        let mut changes: Vec<_> = all.iter().flat_map(|one| [(one.begun, 1), (one.begun + one.took, -1)]).collect();
        changes.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        let mut pending = 0_i64;
        let counted = changes.into_iter().map(|(at, change)| {
            pending += change;
            (at, pending.unsigned_abs())
        });
        Self(counted.collect())
    }

    fn at(&self, now: f64) -> u64 {
        match self.0.partition_point(|(at, _)| *at <= now) {
            0 => 0,
            after => self.0[after - 1].1,
        }
    }

    fn most(&self) -> usize {
        self.0.iter().map(|(_, pending)| *pending as usize).max().unwrap_or_default()
    }
}
