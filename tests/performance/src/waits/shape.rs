//! How the progress of an image's snapshots grows.

use fastrand::Rng;

/// A shape of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One snapshot, evenly.
    Linear,
    /// One snapshot, in two to five leaps at any moment, each to what is done by then, give or take
    /// 10 %.
    Jumping,
    /// One snapshot, at 0 % until the end.
    Silent,
    /// Two to four snapshots of volumes from 1 % of the largest one's size on; each grows evenly and
    /// then waits for the others at 99 %.
    Volumes,
}

/// One snapshot of an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot {
    /// Its size, in parts of the largest one's.
    pub(super) size: f64,
    /// Its progress.
    pub(super) percent: u8,
}

/// The progress of one image's snapshots.
#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// When each leap comes, and where it leads to.
    Leaps(Vec<(f64, u8)>),
    /// For each snapshot its size and how long it takes on its own.
    Even(Vec<(f64, f64)>),
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Linear, Self::Jumping, Self::Silent, Self::Volumes];

    /// A few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Jumping => "jumping",
            Self::Silent => "0 % until the end",
            Self::Volumes => "several volumes",
        }
    }

    /// The progress of an image that takes so many seconds.
    pub(super) fn progress(self, took: f64, random: &mut Rng) -> Progress {
        match self {
            Self::Linear => Progress::Even(vec![(1.0, took)]),
            Self::Silent => Progress::Leaps(vec![]),
            Self::Volumes => {
                let others = random.usize(1..=3);
                let sizes = (0..others).map(|_| 10_f64.powf(-2.0 * random.f64()));
                Progress::Even([1.0].into_iter().chain(sizes).map(|size| (size, size * took)).collect())
            }
            Self::Jumping => {
                let leaps = random.usize(2..=5);
                let mut moments: Vec<_> = (0..leaps).map(|_| random.f64()).collect();
                moments.sort_by(f64::total_cmp);
                let mut percent = 0;
                let leap = |share: f64| {
                    let done = (100.0 * (share + 0.2 * random.f64() - 0.1)).clamp(0.0, 99.0) as u8;
                    percent = done.max(percent);
                    (share * took, percent)
                };
                Progress::Leaps(moments.into_iter().map(leap).collect())
            }
        }
    }
}

impl Progress {
    /// What EC2 shows of each snapshot after so many seconds.
    pub(super) fn at(&self, now: f64) -> Vec<Snapshot> {
        match self {
            Self::Leaps(leaps) => {
                let percent = leaps.iter().rfind(|(moment, _)| *moment <= now).map_or(0, |(_, percent)| *percent);
                vec![Snapshot { size: 1.0, percent }]
            }
            Self::Even(snapshots) => snapshots
                .iter()
                .map(|(size, takes)| Snapshot { size: *size, percent: (100.0 * now / takes).min(99.0) as u8 })
                .collect(),
        }
    }
}
