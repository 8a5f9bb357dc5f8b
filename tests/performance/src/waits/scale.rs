//! Many images at once, against EC2's request buckets.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::{Duration, SystemTime},
};

use ami_from_instance::pace;
use fastrand::Rng;
use local_ec2::buckets::{Buckets, CHANGING, LOOKING};

use super::{
    A_LOOK_TAKES, AN_EVENT_TAKES, BEGINNING_TAKES, SEED, Shape, Way, durations, mean, shape::Progress, way::Pace,
};
use crate::cost;

/// How many images one answer has room for.
const PAGE: u64 = 1_000;
/// The calls of a function's own attempts; then the machine tries again.
const ATTEMPTS: u32 = 3;
/// What the machine waits before it tries a throttled function again: up to this, doubled each
/// time, and never more than the second.
const RETRY_SECONDS: f64 = 15.0;
const LONGEST_RETRY_SECONDS: f64 = 120.0;

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
    /// Mean seconds from an image's end until it is seen.
    pub lag: f64,
    /// Dollars an image, at our machines' transitions.
    pub dollars: f64,
}

/// What a call describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Tags,
    Snapshots,
    /// All images under way, as far as one answer has room.
    Images,
    Image,
}

impl Call {
    fn action(self) -> &'static str {
        match self {
            Self::Tags => "DescribeTags",
            Self::Snapshots => "DescribeSnapshots",
            Self::Images | Self::Image => "DescribeImages",
        }
    }
}

/// What comes next for an image, and when: an event of its end, or a call. A call of an older number
/// was overtaken by the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Event,
    Call(Call, u32),
}

struct One {
    begun: f64,
    took: f64,
    progress: Progress,
    pace: Pace,
    /// What it had waited before the latest wait, and all that it has.
    before: u64,
    elapsed: u64,
    /// How many images were under way when it last asked.
    under_way: u64,
    told: bool,
    refused: u32,
    number: u32,
    seen: bool,
}

/// Starts so many images as fast as CreateImage allows, and watches them; each one's event is lost
/// with a probability of `lost`, and is counted on unless all are.
pub fn load(way: Way, shape: Shape, lost: f64, images: usize) -> Load {
    let uncounted = |seconds: f64| if way.is_ours() { seconds } else { 0.0 };
    let mut random = Rng::with_seed(SEED + 2);
    let mut buckets = Buckets::default();
    let mut queue = BinaryHeap::new();
    let mut all: Vec<One> = vec![];
    for (at, took) in durations(images).into_iter().enumerate() {
        let begun = (at as f64 - f64::from(CHANGING.capacity)).max(0.0) / f64::from(CHANGING.refill);
        let mut pace = way.begin();
        let elapsed = pace.wait(0, &[], 1, false).unwrap_or_default();
        let due = begun + uncounted(BEGINNING_TAKES) + elapsed as f64;
        queue.push(Reverse((milliseconds(due), at, Next::Call(first_call(way), 0))));
        if way.is_ours() && random.f64() >= lost {
            queue.push(Reverse((milliseconds(begun + took + AN_EVENT_TAKES), at, Next::Event)));
        }
        let progress = shape.progress(took, &mut random);
        let (before, under_way, told, refused, number, seen) = (0, 1, false, 0, 0, false);
        all.push(One { begun, took, progress, pace, before, elapsed, under_way, told, refused, number, seen });
    }
    let pending = Pending::of(&all);
    let (mut looks, mut throttled, mut retries) = (0, 0, 0);
    let mut lags = vec![];
    let mut calls: BTreeMap<(u64, &str), usize> = BTreeMap::new();
    while let Some(Reverse((at, index, next))) = queue.pop() {
        let one = &mut all[index];
        let now = at as f64 / 1_000.0;
        let call = match next {
            Next::Event => {
                (one.told, one.number, one.refused) = (!one.seen, one.number + 1, 0);
                Call::Tags
            }
            Next::Call(call, number) if number == one.number => call,
            _ => continue,
        };
        *calls.entry((at / 10_000, call.action())).or_default() += 1;
        if !buckets.take(call.action(), LOOKING, SystemTime::UNIX_EPOCH + Duration::from_millis(at)) {
            throttled += 1;
            one.refused += 1;
            let (again, pause) = if one.refused.is_multiple_of(ATTEMPTS) {
                retries += 1;
                let doubled = RETRY_SECONDS * f64::from(1 << (one.refused / ATTEMPTS - 1).min(5));
                let first = if one.told || one.seen { call } else { first_call(way) };
                (first, random.f64() * doubled.min(LONGEST_RETRY_SECONDS))
            } else {
                (call, random.f64() * f64::from(one.refused % ATTEMPTS))
            };
            queue.push(Reverse((milliseconds(now + pause), index, Next::Call(again, one.number))));
            continue;
        }
        let age = now - one.begun;
        let ended = age >= one.took;
        let asked = way.calls(one.before, one.elapsed, ended, one.told);
        let under_way = pending.at(now);
        let then = match call {
            Call::Tags if one.seen => continue,
            Call::Tags => Some((Call::Image, now + A_LOOK_TAKES)),
            Call::Snapshots if ended => Some((Call::Image, now)),
            Call::Snapshots if asked.images > 0 => Some((Call::Images, now)),
            Call::Images => {
                one.under_way = if under_way > PAGE { pace::CROWD } else { under_way };
                let is_left_out = random.f64() > PAGE as f64 / under_way as f64;
                is_left_out.then_some((Call::Image, now))
            }
            Call::Snapshots | Call::Image => None,
        };
        if let Some((call, when)) = then {
            queue.push(Reverse((milliseconds(when), index, Next::Call(call, one.number))));
            continue;
        }
        looks += 1;
        if call == Call::Image && ended {
            one.seen = true;
            lags.push(age - one.took);
            continue;
        }
        (one.refused, one.told) = (0, false);
        if let Some(wait) = one.pace.wait(one.elapsed, &one.progress.at(age), one.under_way, lost < 1.0) {
            one.before = one.elapsed;
            one.elapsed += wait;
            let due = milliseconds(now + wait as f64 + uncounted(A_LOOK_TAKES));
            queue.push(Reverse((due, index, Next::Call(first_call(way), one.number))));
        }
    }
    let count = images as f64;
    Load {
        in_flight: pending.most(),
        looks: f64::from(looks) / count,
        peak: calls.values().max().map_or(0.0, |most| *most as f64 / 10.0),
        throttled,
        lag: mean(&lags),
        dollars: cost::dollars_of_looks(f64::from(looks) / count) + f64::from(retries) / count * cost::TRANSITION,
    }
}

fn first_call(way: Way) -> Call {
    if way.asks_for_snapshots() { Call::Snapshots } else { Call::Image }
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
