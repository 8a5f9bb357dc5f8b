//! How long to wait before the next look at an image, and what that look asks for.
//!
//! An event ends the wait once the image has ended. The waits are the guarantee, for when none comes.
//!
//! Where the progress of the snapshots says nothing, a wait has 15 seconds and a tenth of the time passed.
//! The looks ask by turns for the snapshots and for the image. So a look makes one call, the calls
//! spread over two of EC2's request buckets, and an image that fails while its snapshots are being
//! made is found. Where the progress grows evenly, two looks estimate the end, and the next ones are
//! there shortly after it. A look that EC2 throttles sees nothing, and the machine waits twice as long
//! ([`crate::machine::after_throttle`]).
//!
//! `cargo pace` compares this with other ways, and `tests/performance/tests/pace.rs` holds it to its figures.

use serde::{Deserialize, Serialize};

/// Seconds until the first look at an image that has just been begun.
pub const FIRST_LOOK: u64 = 20;
/// Seconds until the look after one that an event brought about, if EC2 does not show the end yet.
/// Within so many seconds of the end an estimate is taken for exact.
pub const SHORTLY: u64 = 5;
/// Where the progress says nothing, a wait has so many seconds …
const SHORTEST: u64 = 15;
/// … and this part of the time passed.
const PART: u64 = 10;
/// The part that is waited of what an estimate without confirmation says.
const CAUTIOUS_PART: u64 = 4;
/// How many times the seconds passed a wait may have.
const BOLDEST: u64 = 2;
/// By how many seconds two looks may differ and agree: nobody counts the time that a look takes.
const TOLERANCE: u64 = 2;
/// How many more seconds than were counted may have passed since EC2 began: those of CreateImage and
/// of the looks.
const UNCOUNTED: u64 = 3;

/// Later than any timeout, in seconds.
const NEVER: u64 = 1_000_000_000;

/// What a look asks EC2 for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Asks {
    /// The snapshots, and the image only if none of them is pending: before that it is not available.
    #[default]
    Snapshots,
    /// The image, which may have failed whatever its snapshots show.
    Image,
    /// The snapshots and the image.
    Both,
}

impl Asks {
    /// Whether it asks for the snapshots.
    pub fn for_snapshots(self) -> bool {
        self != Self::Image
    }

    /// Whether it asks for the image too, after the snapshots, if it asks for them.
    pub fn for_image(self, is_any_snapshot_pending: bool) -> bool {
        self != Self::Snapshots || !is_any_snapshot_pending
    }
}

/// A look to come. The first one is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Look {
    /// What it asks for. A look that an event brings about asks for the image, whatever is said here.
    pub asks: Asks,
    /// What the looks before it have found out.
    pub estimate: Option<Estimate>,
}

/// When the image will be ready if its progress goes on evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// The slowest snapshot's progress when it was last asked for.
    percent: u8,
    /// Not before, in seconds after the image was begun.
    earliest_seconds: u64,
    /// Not after, in seconds after the image was begun.
    latest_seconds: u64,
    /// Whether a look with a higher progress has agreed with the one before.
    confirmed: bool,
}

impl Estimate {
    /// What one look shows: EC2 cuts the fraction of a percent off.
    fn of_one_look(elapsed: u64, percent: u8) -> Self {
        let percents = u64::from(percent);
        Self {
            percent,
            earliest_seconds: 100 * elapsed / (percents + 1),
            // At 0 % it may take for ever; but what shows 0 % for long and then leaps is not even.
            latest_seconds: match percents {
                0 => NEVER,
                _ => (100 * (elapsed + UNCOUNTED)).div_ceil(percents).saturating_sub(UNCOUNTED),
            },
            confirmed: false,
        }
    }

    /// What this look and the ones before it show, if they agree.
    fn after(self, before: Self, elapsed: u64) -> Option<Self> {
        let earliest_seconds = self.earliest_seconds.max(before.earliest_seconds);
        let latest_seconds = self.latest_seconds.min(before.latest_seconds);
        let agree = earliest_seconds <= latest_seconds + TOLERANCE && !before.is_over(elapsed);
        (agree && (before.confirmed || self.percent > before.percent)).then(|| Self {
            // The latest moment never moves back, or what stands still at 99 % would be looked at each second.
            earliest_seconds: earliest_seconds.min(latest_seconds),
            latest_seconds,
            confirmed: true,
            ..self
        })
    }

    /// Whether the image should have been ready by now.
    fn is_over(self, elapsed: u64) -> bool {
        elapsed > self.latest_seconds + TOLERANCE
    }

    /// Seconds until the image may be ready.
    fn soonest(self, elapsed: u64) -> u64 {
        self.earliest_seconds.saturating_sub(elapsed)
    }

    /// Seconds until the middle of the time that the end lies in, if both of its ends are near the middle.
    fn middle(self, elapsed: u64) -> Option<u64> {
        let from = self.earliest_seconds.max(elapsed);
        let is_near = self.latest_seconds.saturating_sub(from) <= 2 * SHORTLY;
        is_near.then(|| (from + self.latest_seconds).div_ceil(2).saturating_sub(elapsed))
    }
}

/// What a look at a pending image has seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Seconds since the image was begun.
    pub elapsed: u64,
    /// The progress of its slowest snapshot, 0 if there are none yet; none if the look did not ask for them.
    pub percent: Option<u8>,
}

/// Seconds until the look after `this` one, and that look.
pub fn next_look(seen: Seen, this: Look) -> (u64, Look) {
    let Seen { elapsed, percent } = seen;
    let estimate = match percent {
        Some(percent @ 0..100) => {
            let alone = Estimate::of_one_look(elapsed, percent);
            this.estimate.and_then(|before| alone.after(before, elapsed)).or(Some(alone))
        }
        _ => this.estimate,
    };
    let by_turns = if percent.is_some() { Asks::Image } else { Asks::Snapshots };
    let is_first = this.estimate.is_none();
    let growing = SHORTEST + elapsed / PART;
    let (wait, asks) = match estimate {
        Some(estimate) if estimate.confirmed && !estimate.is_over(elapsed) => match estimate.middle(elapsed) {
            Some(middle) => (middle, by_turns),
            // A higher progress shortens the time that the end lies in.
            None => (estimate.soonest(elapsed).max(SHORTLY), Asks::Both),
        },
        Some(estimate) if is_first && estimate.percent > 0 => {
            (growing.max(estimate.soonest(elapsed) / CAUTIOUS_PART), Asks::Both)
        }
        _ => (growing, by_turns),
    };
    (wait.min(elapsed * BOLDEST).max(1), Look { asks, estimate })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(elapsed: u64, percent: Option<u8>) -> Seen {
        Seen { elapsed, percent }
    }

    /// Looks at an image whose progress is `percent` of the seconds passed, until it takes no wait
    /// beyond `until`; gives when it looked, and what each look asked for.
    fn looks(until: u64, percent: impl Fn(u64) -> u8) -> Vec<(u64, Asks)> {
        let (mut elapsed, mut look) = (FIRST_LOOK, Look::default());
        let mut all = vec![(elapsed, look.asks)];
        while elapsed < until {
            let percent = look.asks.for_snapshots().then(|| percent(elapsed));
            let (wait, next) = next_look(seen(elapsed, percent), look);
            (elapsed, look) = (elapsed + wait, next);
            all.push((elapsed, look.asks));
        }
        all
    }

    fn even(takes: u64) -> impl Fn(u64) -> u8 {
        move |elapsed| (elapsed * 100 / takes).min(99) as u8
    }

    #[test]
    fn an_even_progress_is_met_in_a_few_looks_shortly_after_its_end() {
        for takes in [60, 100, 300, 600, 1_000] {
            let looks = looks(takes, even(takes));
            assert!(looks.len() <= 9 && looks.last().unwrap().0 <= takes + 4, "{takes}: {looks:?}");
        }
    }

    #[test]
    fn where_the_progress_says_nothing_a_wait_has_15_seconds_and_a_tenth_of_the_time_passed() {
        for percent in [None, Some(0), Some(100)] {
            for (elapsed, wait) in [(20, 17), (60, 21), (600, 75), (2_000, 215)] {
                assert_eq!(next_look(seen(elapsed, percent), Look::default()).0, wait);
            }
        }
    }

    #[test]
    fn where_the_progress_says_nothing_looks_ask_by_turns_for_the_snapshots_and_the_image() {
        for percent in [0, 100] {
            let asks: Vec<_> = looks(60, |_| percent).into_iter().map(|(_, asks)| asks).collect();
            assert_eq!(asks, [Asks::Snapshots, Asks::Image, Asks::Snapshots, Asks::Image]);
        }
    }

    #[test]
    fn a_progress_that_stands_still_or_leaps_is_not_followed() {
        let still = looks(2_000, |elapsed| if elapsed < 100 { (elapsed / 2) as u8 } else { 50 });
        let leaping = looks(2_000, |elapsed| (elapsed.ilog2() * 9) as u8);
        for looks in [still, leaping] {
            let late: Vec<_> = looks.windows(2).filter(|pair| pair[0].0 > 250).collect();
            assert!(late.len() > 5);
            assert!(late.iter().all(|pair| pair[1].0 - pair[0].0 <= SHORTEST + pair[0].0 / PART), "{looks:?}");
        }
    }

    #[test]
    fn an_image_that_is_not_ready_when_it_should_be_is_looked_at_as_if_the_progress_said_nothing() {
        for takes in 30..2_400 {
            let looks = looks(takes * 2, even(takes));
            let after: Vec<_> = looks.windows(2).filter(|pair| pair[0].0 > takes + takes / 20 + 10).collect();
            assert!(after.iter().all(|pair| pair[1].0 - pair[0].0 >= SHORTEST), "{takes}: {looks:?}");
        }
    }

    #[test]
    fn of_two_looks_in_a_row_one_at_least_asks_for_the_image() {
        let shapes: [fn(u64, u64) -> u8; 3] = [
            |takes, elapsed| even(takes)(elapsed),
            |takes, elapsed| even(takes)(elapsed) / 20 * 20,
            |takes, elapsed| even(takes)(elapsed).isqrt() * 10,
        ];
        for (number, shape) in shapes.iter().enumerate() {
            for takes in 30..2_400 {
                let looks = looks(takes * 2, |elapsed| shape(takes, elapsed));
                let mut pairs = looks.windows(2);
                assert!(
                    pairs.all(|pair| pair.iter().any(|look| look.1.for_image(true))),
                    "{takes} {number}: {looks:?}"
                );
            }
        }
    }

    #[test]
    fn a_wait_is_a_second_at_least_and_trebles_the_time_at_the_most() {
        let percents = [None, Some(0), Some(1), Some(50), Some(99), Some(100)];
        for elapsed in [0, 1, 10, 100, 1_000, 10_000, 86_400] {
            for first in percents {
                let (_, look) = next_look(seen(elapsed, first), Look::default());
                for second in percents {
                    let (wait, _) = next_look(seen(elapsed + 15, second), look);
                    assert!((1..=BOLDEST * (elapsed + 15)).contains(&wait), "{elapsed} {first:?} {second:?}: {wait}");
                }
            }
        }
    }
}
