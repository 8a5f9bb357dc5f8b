//! How long to wait before the next look at an image.
//!
//! EC2 shows how much of each snapshot is made. Where that grows evenly, two looks tell when the
//! image will be ready, and what is left is to be there shortly after. Often it does not grow
//! evenly: it stays at 0 % until the end, or leaps. So a look's promise is followed boldly only once
//! others have agreed with it. Where the progress tells nothing, the waits grow with the time that has
//! passed: slowly, so that the image is seen late by less than a twentieth of the time it takes, in the
//! mean; and fast where the events of the latest images came ([`crate::trust`]), because the next one
//! will most likely end the wait.
//!
//! Many images under way share what EC2 answers a second: the more there are, the longer the waits.
//!
//! `cargo pace` compares this with other ways, and `tests/pace.rs` holds it to its figures.

use serde::{Deserialize, Serialize};

/// Seconds until the first look at an image that has just been begun.
pub const FIRST_LOOK: u64 = 20;
/// Where the progress tells nothing, a wait has so many seconds …
const SILENT_SHORTEST: u64 = 16;
/// … and this part of the time that has passed.
const SILENT_PART: u64 = 40;
/// Where events come it has this part of the time that has passed, if so much is left until the time
/// limit, and else of what is left: should no event come, the end is not to be missed by the limit.
const TOLD_PART: u64 = 2;
/// How often all images under way together are looked at, a second, at the most: EC2 answers 20 calls
/// of DescribeSnapshots and as many of DescribeImages a second, and others in the account make some.
const LOOKS_A_SECOND: u64 = 10;
/// How many images under way the longest wait suits: for more of them it is not stretched.
pub const CROWD: u64 = LONGEST * LOOKS_A_SECOND;
/// The part of what a single look promises that is waited.
const CAUTIOUS_PART: u64 = 4;
/// How many times the seconds that have passed a wait may have.
const BOLDEST: u64 = 2;
/// The longest wait, in seconds: an image may fail whatever its progress promises.
const LONGEST: u64 = 300;
/// How many looks must agree with an earlier one before they are believed.
const BELIEVED: u8 = 2;
/// Within how many seconds the end must lie for one to be enough.
const NARROW: u64 = 8;
/// By how many seconds two looks may differ and agree: nobody counts the time that a look takes.
const TOLERANCE: u64 = 2;
/// How many more seconds than were counted may have passed since EC2 began: those of CreateImage and
/// of the looks.
const UNCOUNTED: u64 = 3;

/// When the image will be ready if its progress goes on evenly, as the looks so far tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promise {
    /// The slowest snapshot's progress at the latest look.
    percent: u8,
    /// Not before, in seconds after the image was begun.
    earliest_seconds: u64,
    /// Not after, in seconds after the image was begun.
    latest_seconds: u64,
    /// How many looks with a higher progress have agreed with the one before.
    agreed: u8,
}

impl Promise {
    /// What one look tells: EC2 cuts the fraction of a percent off.
    fn of_one_look(elapsed: u64, percent: u8) -> Self {
        let percents = u64::from(percent);
        Self {
            percent,
            earliest_seconds: 100 * elapsed / (percents + 1),
            latest_seconds: (100 * (elapsed + UNCOUNTED)).div_ceil(percents).saturating_sub(UNCOUNTED),
            agreed: 0,
        }
    }

    /// What this look and the ones before it tell, if they agree.
    fn after(self, before: Self, elapsed: u64) -> Option<Self> {
        let moved = self.percent > before.percent;
        let earliest_seconds = self.earliest_seconds.max(before.earliest_seconds);
        let latest_seconds = self.latest_seconds.min(before.latest_seconds);
        let agree = earliest_seconds <= latest_seconds + TOLERANCE && elapsed <= latest_seconds + TOLERANCE;
        (agree && (moved || before.is_believed())).then(|| Self {
            earliest_seconds,
            latest_seconds: latest_seconds.max(earliest_seconds),
            agreed: before.agreed.saturating_add(moved.into()),
            ..self
        })
    }

    fn is_believed(self) -> bool {
        let is_narrow = self.latest_seconds - self.earliest_seconds <= NARROW;
        self.agreed >= BELIEVED || self.agreed > 0 && is_narrow
    }

    /// Seconds to wait for what is promised; `silent` where nothing would be.
    fn wait(self, elapsed: u64, stands_still: bool, silent: u64) -> u64 {
        let bold = elapsed * BOLDEST;
        let from = self.earliest_seconds.max(elapsed);
        if self.is_believed() {
            // The end lies between two moments: the middle of what is left of them finds it in two looks.
            (from + self.latest_seconds).div_ceil(2).saturating_sub(elapsed).min(bold)
        } else if stands_still {
            // What stands still after it has shown itself may leap to its end.
            silent * 2 / 3
        } else {
            ((from - elapsed) / CAUTIOUS_PART).min(bold).max(silent)
        }
    }
}

/// Whether a look asks for the image although its snapshots are still being made, which it cannot
/// be ready before: when the time that has passed doubles, and every [`LONGEST`] seconds, because an
/// image may fail before them.
pub fn asks_for_the_image(before: u64, elapsed: u64) -> bool {
    let has_doubled = before.checked_ilog2().is_some_and(|before| elapsed.ilog2() > before);
    has_doubled || elapsed / LONGEST > before / LONGEST
}

/// What a look has seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Seconds since the image was begun.
    pub elapsed: u64,
    /// The progress of its slowest snapshot.
    pub percent: Option<u8>,
    /// How many images are under way.
    pub under_way: u64,
    /// Seconds until the image must be made.
    pub left: u64,
    /// Whether an event may be counted on to end the wait.
    pub events_come: bool,
}

/// Seconds until the look after this one, and the promise to come back with; `before` is the promise of
/// the looks before.
pub fn next_look(seen: Seen, before: Option<Promise>) -> (u64, Option<Promise>) {
    let Seen { elapsed, percent, under_way, left, events_come } = seen;
    let doubting = SILENT_SHORTEST + elapsed / SILENT_PART;
    // When all is made, the end is near, and may have been told of already.
    let trusting = events_come && percent != Some(100);
    let silent = if trusting { doubting.max(elapsed.min(left) / TOLD_PART) } else { doubting };
    let (wait, promise) = match percent {
        Some(percent @ 1..) => {
            let alone = Promise::of_one_look(elapsed, percent);
            let promise = before.and_then(|before| alone.after(before, elapsed)).unwrap_or(alone);
            let stands_still = before.is_some_and(|before| before.percent == percent);
            (promise.wait(elapsed, stands_still, silent), Some(promise))
        }
        Some(0) | None => (silent, before),
    };
    (wait.max(under_way / LOOKS_A_SECOND).clamp(1, LONGEST), promise)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(elapsed: u64, percent: Option<u8>) -> Seen {
        Seen { elapsed, percent, under_way: 1, left: 86_400, events_come: false }
    }

    /// Looks at an image whose progress is `percent` of the seconds that have passed, until it takes
    /// no wait beyond `until`; gives when it looked.
    fn looks(until: u64, percent: impl Fn(u64) -> u8) -> Vec<u64> {
        let (mut at, mut promise) = (vec![FIRST_LOOK], None);
        while at[at.len() - 1] < until {
            let elapsed = at[at.len() - 1];
            let (wait, next) = next_look(seen(elapsed, Some(percent(elapsed))), promise);
            promise = next;
            at.push(elapsed + wait);
        }
        at
    }

    #[test]
    fn an_even_progress_is_met_in_a_few_looks_shortly_after_its_end() {
        let looks = looks(300, |elapsed| (elapsed * 100 / 300) as u8);
        assert!(looks.len() <= 5 && looks.last() <= Some(&304), "{looks:?}");
    }

    #[test]
    fn a_silent_progress_is_looked_at_more_rarely_the_longer_it_takes() {
        for percent in [None, Some(0), Some(100)] {
            assert_eq!(next_look(seen(30, percent), None).0, 16);
            assert_eq!(next_look(seen(600, percent), None).0, 31);
        }
    }

    #[test]
    fn where_events_come_a_silent_progress_is_looked_at_when_half_of_the_time_has_passed_again() {
        for (elapsed, wait) in [(20, 16), (60, 30), (200, 100), (900, LONGEST)] {
            let silent = Seen { events_come: true, ..seen(elapsed, Some(0)) };
            assert_eq!(next_look(silent, None).0, wait);
            assert_eq!(
                next_look(Seen { percent: Some(100), ..silent }, None),
                next_look(seen(elapsed, Some(100)), None)
            );
        }
    }

    #[test]
    fn near_the_time_limit_no_wait_is_longer_than_where_no_event_comes() {
        let (mut elapsed, mut waits) = (1_600, vec![]);
        while elapsed < 2_400 {
            let silent = Seen { events_come: true, left: 2_400 - elapsed, ..seen(elapsed, Some(0)) };
            waits.push(next_look(silent, None).0);
            elapsed += waits[waits.len() - 1];
        }
        assert_eq!(waits, [300, 250, 125, 72, 74]);
    }

    #[test]
    fn many_images_under_way_are_looked_at_ten_times_a_second_together() {
        let promise = next_look(seen(60, Some(20)), None).1;
        for (percent, before) in [(None, None), (Some(0), None), (Some(99), None), (Some(21), promise)] {
            let (wait, _) = next_look(Seen { under_way: 900, ..seen(62, percent) }, before);
            assert!(wait >= 90, "{percent:?}: {wait}");
        }
    }

    #[test]
    fn the_image_is_asked_for_whenever_the_time_has_doubled_and_every_five_minutes() {
        let looks = [30, 45, 61, 77, 129, 200, 270, 310, 500, 590, 640];
        let asked: Vec<_> =
            looks.windows(2).filter(|pair| asks_for_the_image(pair[0], pair[1])).map(|pair| pair[1]).collect();
        assert_eq!(asked, [45, 77, 129, 270, 310, 590, 640]);
        assert!(!asks_for_the_image(0, 30));
    }

    #[test]
    fn a_progress_that_stands_still_is_not_believed() {
        let looks = looks(2_000, |elapsed| if elapsed < 100 { (elapsed / 2) as u8 } else { 50 });
        let late = looks.windows(2).filter(|pair| pair[0] > 250);
        assert!(late.clone().count() > 5);
        assert!(late.clone().all(|pair| pair[1] - pair[0] <= SILENT_SHORTEST + pair[0] / SILENT_PART), "{looks:?}");
    }

    #[test]
    fn a_wait_is_a_second_at_least_and_five_minutes_at_the_most() {
        let percents = [None, Some(0), Some(1), Some(50), Some(99), Some(100)];
        for elapsed in [0, 1, 10, 100, 1_000, 10_000, 86_400] {
            for first in percents {
                let (_, promise) = next_look(seen(elapsed, first), None);
                for second in percents {
                    let (wait, _) = next_look(seen(elapsed + 15, second), promise);
                    assert!((1..=LONGEST).contains(&wait), "{elapsed} {first:?} {second:?}: {wait}");
                }
            }
        }
    }
}
