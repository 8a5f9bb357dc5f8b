//! Thousands of images in no time: how often each way of waiting looks at one, and how late it
//! sees that the image is ready. Ours is the handlers' own [`ami_from_instance::operations::create::pace`].

pub mod scale;
mod shape;
mod way;

use fastrand::Rng;

pub use self::{shape::Shape, way::Way};

/// How many images each figure is the mean of.
pub const IMAGES: usize = 5_000;
/// Seconds from a wait's end to its look's answer, which the machine does not count: two
/// transitions and the function.
const A_LOOK_TAKES: f64 = 0.3;
/// Seconds from the image's beginning to the first wait, which it does not count either: the rest of
/// CreateImage, and a transition.
const BEGINNING_TAKES: f64 = 1.5;
/// Seconds from an image's end to the look that its `EC2 AMI State Change` event brings about.
const AN_EVENT_TAKES: f64 = 2.0;

const MEDIAN_SECONDS: f64 = 300.0;
const SIGMA: f64 = 0.8;
const SHORTEST_SECONDS: f64 = 30.0;
const LONGEST_SECONDS: f64 = 2_400.0;
const SEED: u64 = 6;

/// How many seconds it takes to make each of so many images.
pub fn durations(images: usize) -> Vec<f64> {
    let mut random = Rng::with_seed(SEED);
    let draw = |_| (MEDIAN_SECONDS * (SIGMA * normal(&mut random)).exp()).clamp(SHORTEST_SECONDS, LONGEST_SECONDS);
    (0..images).map(draw).collect()
}

/// Normally distributed around 0 with a deviation of 1 (Box and Muller's method).
fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (2.0 * std::f64::consts::PI * random.f64()).cos()
}

/// How one image was watched.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    took: f64,
    looks: u32,
    /// Calls of DescribeImages.
    images: u32,
    calls: u32,
    /// None if the way gave up.
    lag: Option<f64>,
}

/// Watches one image; `event` says whether one of its end comes.
fn watch(way: Way, shape: Shape, took: f64, event: bool, random: &mut Rng) -> Watched {
    let progress = shape.progress(took, random);
    let event = (event && way.is_ours()).then_some(took + AN_EVENT_TAKES);
    let (until_the_wait, until_the_answer) = if way.is_ours() { (BEGINNING_TAKES, A_LOOK_TAKES) } else { (0.0, 0.0) };
    let mut watched = Watched { took, ..Watched::default() };
    let mut pace = way.begin();
    let mut now = until_the_wait;
    let mut wait = Some(pace.first());
    while let Some(seconds) = wait {
        let due = now + seconds as f64;
        let woken = event.filter(|event| (now..due).contains(event));
        now = woken.unwrap_or(due) + until_the_answer;
        pace.look(woken.map(|_| took as u64));
        let calls = pace.calls(now >= took);
        watched.looks += 1;
        watched.images += u32::from(calls.image);
        watched.calls += u32::from(calls.image) + u32::from(calls.snapshots);
        if now >= took {
            // The event's function asks whose image it is, too late or not.
            watched.calls += u32::from(event.is_some());
            watched.lag = Some(now - took);
            break;
        }
        wait = pace.next(&progress.at(now), 1, random);
    }
    watched
}

/// What a way gave over all images.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Looks an image.
    pub looks: f64,
    /// Calls of DescribeImages an image.
    pub images: f64,
    /// EC2 calls an image, of every action.
    pub calls: f64,
    /// Mean seconds from an image's end until it is seen.
    pub lag: f64,
    /// Seconds that 95 % of the lags do not exceed.
    pub lag_p95: f64,
    /// The mean of each lag's share of the time its image took.
    pub lag_share: f64,
    /// The share of images that the way gave up on.
    pub given_up: f64,
}

/// Watches [`IMAGES`] images in one way; each image's event is lost with a probability of `lost`.
pub fn figures(way: Way, shape: Shape, lost: f64) -> Figures {
    let mut random = Rng::with_seed(SEED + 1);
    let watch_one = |took| {
        let event = random.f64() >= lost;
        watch(way, shape, took, event, &mut random)
    };
    let watched: Vec<_> = durations(IMAGES).into_iter().map(watch_one).collect();
    let mut lags: Vec<_> = watched.iter().filter_map(|one| one.lag).collect();
    lags.sort_by(f64::total_cmp);
    let shares: Vec<_> = watched.iter().filter_map(|one| one.lag.map(|lag| lag / one.took)).collect();
    let an_image = |count: fn(&Watched) -> u32| mean(&watched.iter().map(|one| count(one).into()).collect::<Vec<_>>());
    Figures {
        looks: an_image(|one| one.looks),
        images: an_image(|one| one.images),
        calls: an_image(|one| one.calls),
        lag: mean(&lags),
        lag_p95: lags[lags.len() * 95 / 100],
        lag_share: mean(&shares),
        given_up: 1.0 - lags.len() as f64 / watched.len() as f64,
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The fewest looks with which any way at all could keep what it is to keep, knowing the
/// distribution of the durations and nothing of the image.
///
/// With `n(t)` looks a second at the age `t`, an image that ends there is seen `1/(2n)` late, and
/// `∫ n(t) S(t) dt` looks are made, where `f` is the durations' density and `S` the share that takes
/// longer. By the Cauchy-Schwarz inequality the product of the two is no less than what follows.
#[derive(Clone, Copy, Debug)]
pub enum Kept {
    /// This many seconds of mean lag.
    Seconds(f64),
    /// This share of the time that an image takes, in the mean.
    Share(f64),
}

/// The bound for [`Kept`].
pub fn fewest_looks(kept: Kept) -> f64 {
    let step = 0.5;
    let ages = (0..).map(|step_number| SHORTEST_SECONDS + step * f64::from(step_number));
    let mut above = 1.0;
    let mut integral = 0.0;
    for age in ages.take_while(|age| *age < LONGEST_SECONDS) {
        let z = (age / MEDIAN_SECONDS).ln() / SIGMA;
        let density = (-z * z / 2.0).exp() / (age * SIGMA * (2.0 * std::f64::consts::PI).sqrt());
        let weight = if matches!(kept, Kept::Share(_)) { age } else { 1.0 };
        integral += (density * above / weight).sqrt() * step;
        above -= density * step;
    }
    let (Kept::Seconds(lag) | Kept::Share(lag)) = kept;
    integral * integral / (2.0 * lag)
}
