//! What the operation machine and the functions say to each other.

pub mod answer;
pub mod call;

/// The wait after a look that AWS throttled, in seconds: twice the one before it.
pub fn after_throttle(last_wait: u64) -> u64 {
    last_wait.max(1) * 2
}

/// A wait that does not reach past the timeout, which is so many seconds away. It takes half of what is left
/// at the most, so that looks come shortly before the timeout.
pub fn within(wait: u64, left: u64) -> u64 {
    wait.min(left / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_look_doubles_the_wait() {
        assert_eq!([0, 17, 34].map(after_throttle), [2, 34, 68]);
    }

    #[test]
    fn near_the_timeout_a_wait_has_half_of_what_is_left_and_a_second_at_least() {
        let (mut left, mut waits) = (300, vec![]);
        while left > 0 {
            waits.push(within(225, left));
            left -= waits[waits.len() - 1];
        }
        assert_eq!(waits, [150, 75, 37, 19, 9, 5, 2, 1, 1, 1]);
    }
}
