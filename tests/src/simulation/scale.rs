//! Many images at once, against EC2's request buckets.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::{Duration, SystemTime},
};

use fastrand::Rng;

use super::{A_LOOK_TAKES, BEGINNING_TAKES, SEED, Shape, Way, durations, mean, shape::Progress, way::Pace};
use crate::{
    cost,
    ec2::{
        actions::{CHANGING, LOOKING},
        buckets::Buckets,
    },
};

/// The calls of a function's own attempts; then the machine tries again.
const ATTEMPTS: u32 = 3;
/// What the machine waits before it tries a throttled function again: up to this, doubled each
/// time, and never more than the second.
const RETRY_SECONDS: f64 = 15.0;
const LONGEST_RETRY_SECONDS: f64 = 120.0;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watcher {
    /// Each image's own machine.
    Each,
    /// One for all, as the README describes it: it looks at what is due, as many images a call as
    /// [`IDS_A_CALL`], every [`TICK_SECONDS`].
    Shared,
}

/// How many images a shared watcher asks for in one call.
const IDS_A_CALL: usize = 200;
/// How often it looks, in seconds.
const TICK_SECONDS: u64 = 3;

/// What so many images at once gave.
#[derive(Clone, Debug)]
pub struct Load {
    /// The most images that were pending at the same time.
    pub in_flight: usize,
    /// Looks an image.
    pub looks: f64,
    /// The most calls of DescribeImages within ten seconds, a second.
    pub peak: f64,
    /// Calls that EC2 refused.
    pub throttled: usize,
    /// Mean seconds from an image's end until it is seen.
    pub lag: f64,
    /// Dollars an image, at our machines' transitions.
    pub dollars: f64,
}

struct One {
    begun: f64,
    took: f64,
    progress: Progress,
    pace: Pace,
    elapsed: u64,
    /// The next call of its look.
    call: Call,
    refused: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Call {
    DescribeImages,
    DescribeSnapshots,
}

/// Starts so many images as fast as CreateImage allows, and watches them.
pub fn load(way: Way, watcher: Watcher, shape: Shape, images: usize) -> Load {
    let due = |seconds: f64| match watcher {
        Watcher::Each => milliseconds(seconds),
        Watcher::Shared => milliseconds(seconds).next_multiple_of(TICK_SECONDS * 1_000),
    };
    let uncounted = |seconds: f64| if way.is_ours() && watcher == Watcher::Each { seconds } else { 0.0 };
    let mut random = Rng::with_seed(SEED + 2);
    let mut buckets = Buckets::default();
    let mut queue = BinaryHeap::new();
    let mut all: Vec<One> = vec![];
    for (number, took) in durations(images).into_iter().enumerate() {
        let begun = (number as f64 - f64::from(CHANGING.capacity)).max(0.0) / f64::from(CHANGING.refill);
        let mut pace = way.begin();
        let elapsed = pace.wait(0, &[]).unwrap_or_default();
        queue.push(Reverse((due(begun + uncounted(BEGINNING_TAKES) + elapsed as f64), number)));
        let progress = shape.progress(took, &mut random);
        all.push(One { begun, took, progress, pace, elapsed, call: Call::DescribeImages, refused: 0 });
    }
    let (mut looks, mut throttled, mut retries) = (0, 0, 0);
    let mut lags = vec![];
    // What the shared watcher has asked for in this tick: the time, and how many of each action.
    let mut tick = (0, [0, 0]);
    let mut calls: BTreeMap<u64, usize> = BTreeMap::new();
    while let Some(Reverse((at, number))) = queue.pop() {
        let one = &mut all[number];
        let now = at as f64 / 1_000.0;
        let action = if one.call == Call::DescribeImages { "DescribeImages" } else { "DescribeSnapshots" };
        let is_carried = watcher == Watcher::Shared && {
            if tick.0 != at {
                tick = (at, [0, 0]);
            }
            let asked = &mut tick.1[one.call as usize];
            *asked += 1;
            *asked % IDS_A_CALL != 1
        };
        if one.call == Call::DescribeImages && !is_carried {
            *calls.entry(at / 10_000).or_default() += 1;
        }
        if !is_carried && !buckets.take(action, LOOKING, SystemTime::UNIX_EPOCH + Duration::from_millis(at)) {
            throttled += 1;
            one.refused += 1;
            let pause = if one.refused.is_multiple_of(ATTEMPTS) {
                retries += 1;
                one.call = Call::DescribeImages;
                let doubled = RETRY_SECONDS * f64::from(1 << (one.refused / ATTEMPTS - 1).min(5));
                random.f64() * doubled.min(LONGEST_RETRY_SECONDS)
            } else {
                random.f64() * f64::from(one.refused % ATTEMPTS)
            };
            queue.push(Reverse((milliseconds(now + pause), number)));
            continue;
        }
        let age = now - one.begun;
        if one.call == Call::DescribeImages {
            looks += 1;
            if age >= one.took {
                lags.push(age - one.took);
                continue;
            }
            if way.asks_for_snapshots() {
                one.call = Call::DescribeSnapshots;
                queue.push(Reverse((at, number)));
                continue;
            }
        }
        (one.call, one.refused) = (Call::DescribeImages, 0);
        if watcher == Watcher::Shared {
            // It goes by the clock, not by the sum of its waits.
            one.elapsed = age as u64;
        }
        if let Some(wait) = one.pace.wait(one.elapsed, &one.progress.at(age)) {
            one.elapsed += wait;
            queue.push(Reverse((due(now + wait as f64 + uncounted(A_LOOK_TAKES)), number)));
        }
    }
    let count = images as f64;
    Load {
        in_flight: most_at_once(&all),
        looks: f64::from(looks) / count,
        peak: calls.values().max().map_or(0.0, |most| *most as f64 / 10.0),
        throttled,
        lag: mean(&lags),
        dollars: match watcher {
            // The machine waits once, for the watcher.
            Watcher::Shared => cost::dollars_of_looks(1.0),
            Watcher::Each => {
                cost::dollars_of_looks(f64::from(looks) / count) + f64::from(retries) / count * cost::TRANSITION
            }
        },
    }
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1_000.0) as u64
}

fn most_at_once(all: &[One]) -> usize {
    let mut changes: Vec<_> = all.iter().flat_map(|one| [(one.begun, 1), (one.begun + one.took, -1)]).collect();
    changes.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let mut pending = 0_isize;
    let most = changes.into_iter().map(|(_, change)| {
        pending += change;
        pending
    });
    most.max().unwrap_or_default().unsigned_abs()
}
