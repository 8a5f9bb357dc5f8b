//! How long to wait before the next look at an image.

/// The shortest wait, in seconds.
const SHORTEST: u64 = 5;
/// The longest wait, in seconds.
const LONGEST: u64 = 60;
/// Without a useful progress, a wait is this part of the time that has passed.
const PART_OF_ELAPSED: u64 = 20;

/// Seconds until the next look, after `elapsed` seconds with the snapshots at `percent`.
///
/// Progress is not linear, so only half of what it promises is waited at once.
pub fn next_look(elapsed: u64, percent: Option<u8>) -> u64 {
    let expected = match percent {
        Some(percent @ 1..=98) => elapsed * (100 - u64::from(percent)) / u64::from(percent) / 2,
        _ => elapsed / PART_OF_ELAPSED,
    };
    expected.clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_shorter_than_five_nor_longer_than_sixty_seconds() {
        for elapsed in [0, 1, 10, 100, 1_000, 10_000, 100_000] {
            for percent in [None, Some(0), Some(1), Some(50), Some(99), Some(100)] {
                assert!((5..=60).contains(&next_look(elapsed, percent)), "{elapsed} {percent:?}");
            }
        }
    }

    #[test]
    fn half_of_what_the_progress_promises_is_waited() {
        assert_eq!(next_look(60, Some(50)), 30);
    }
}
