//! The account's request limits: token buckets that refill in simulated time. What simulates many
//! callers draws from them without an EC2.

use std::{collections::HashMap, time::SystemTime};

use crate::clock::between;

/// The size of a bucket, and how many requests a second it regains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many requests a full bucket holds.
    pub capacity: u32,
    /// How many it regains a second.
    pub refill: u32,
}

/// How often DescribeImages may be called, and DescribeSnapshots with a filter.
pub const LOOKING: Rate = Rate::new(100, 20);
/// How often CreateImage may be called.
pub const CHANGING: Rate = Rate::new(50, 5);

impl Rate {
    pub(crate) const fn new(capacity: u32, refill: u32) -> Self {
        Self { capacity, refill }
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    looked_at: SystemTime,
}

/// The buckets, each full until it is first drawn from.
#[derive(Debug, Default)]
pub struct Buckets(HashMap<(&'static str, Rate), Bucket>);

impl Buckets {
    /// Takes one request out of the bucket of an action, if there is one left.
    pub fn take(&mut self, action: &'static str, rate: Rate, now: SystemTime) -> bool {
        let capacity = f64::from(rate.capacity);
        let bucket = self.0.entry((action, rate)).or_insert(Bucket { tokens: capacity, looked_at: now });
        let elapsed = between(bucket.looked_at, now).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * f64::from(rate.refill)).min(capacity);
        bucket.looked_at = now;
        let left = bucket.tokens >= 1.0;
        if left {
            bucket.tokens -= 1.0;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_refills_up_to_its_capacity() {
        let rate = Rate::new(2, 1);
        let start = SystemTime::UNIX_EPOCH;
        let mut buckets = Buckets::default();
        assert!(buckets.take("a", rate, start));
        assert!(buckets.take("a", rate, start));
        assert!(!buckets.take("a", rate, start));
        assert!(buckets.take("b", rate, start), "each has its own");
        assert!(buckets.take("a", rate, start + Duration::from_secs(1)));
        assert!(!buckets.take("a", rate, start + Duration::from_secs(1)));
        let later = start + Duration::from_secs(100);
        assert_eq!((0..5).filter(|_| buckets.take("a", rate, later)).count(), 2);
    }
}
