//! The images of a series, by the tags on them, and what is decided about them.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Image, ImageState};

use super::{
    Arguments, Memory,
    decide::{Candidate, Decision, decide},
};
use crate::{
    app::App,
    aws::ec2,
    error::Error,
    model::{
        ids::ImageId,
        tags::{self, Tags},
    },
    operations::{in_use, protection, rehearsal::Kept},
};

/// How many times the images that may go are still asked about.
const FAR_TOO_MANY: usize = 5;
/// Stands for the image that a dry run would make.
const TO_BE_MADE: &str = "";

/// The new image of the run, which counts although it is young.
#[derive(Clone, Copy, Debug)]
pub(super) enum Certain<'a> {
    /// There is none.
    None,
    /// It is made.
    Made(&'a str),
    /// A run that is not dry would have made it.
    ToBeMade,
}

/// What is decided about one or more series.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// About each of them.
    pub(super) decisions: Vec<Decision>,
}

impl Series {
    /// Whether EC2 has listed the image.
    pub(super) fn has(&self, id: &str) -> bool {
        let stays = |one: &Decision| one.stay.iter().any(|(stays, _)| stays == id);
        self.decisions.iter().any(|one| stays(one) || one.go.iter().any(|goes| goes == id))
    }

    /// The ids of those that go.
    pub(super) fn go(&self) -> impl Iterator<Item = &str> {
        self.decisions.iter().flat_map(|one| &one.go).map(String::as_str)
    }

    /// The one that goes next.
    pub(super) fn next(&self) -> Option<&str> {
        self.go().next()
    }

    /// Those that stay, and why.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let kept = |(id, because): &(String, String)| Kept { id: id.clone(), because: because.clone() };
        self.decisions.iter().flat_map(|one| &one.stay).map(kept).collect()
    }
}

/// Reads the series and decides. What would go and is in use stays, and so does what the prune could not delete; what
/// it has deleted may still be in EC2's list.
pub(super) async fn series(
    app: &App,
    prune: &Arguments,
    memory: &Memory,
    certain: Certain<'_>,
) -> Result<Series, Error> {
    let machines = app.settings.machines()?;
    let images = match &prune.series {
        Some(series) => ec2::images_of_series(&app.ec2, series).await?,
        None => ec2::images_of_runs(&app.ec2).await?,
    };
    let mut by_series: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    for image in images.iter().filter(|image| machines.made(image.tags()) && is_own(image, machines.account())) {
        let wanted = |series: &&str| prune.series.as_deref().is_none_or(|wanted| wanted == *series);
        let is_deleted = image.image_id().is_some_and(|id| memory.deleted.iter().any(|deleted| deleted == id));
        if let Some(series) = tags::series_of(image.tags()).filter(wanted)
            && !is_deleted
        {
            by_series.entry(series.to_owned()).or_default().push(candidate(image, app.seconds()));
        }
    }
    let now = app.seconds();
    let certain = match certain {
        Certain::None => None,
        Certain::Made(id) => Some(id),
        Certain::ToBeMade => {
            let series = prune.series.clone().unwrap_or_default();
            by_series.entry(series).or_default().push(Candidate::to_be_made(now));
            Some(TO_BE_MADE)
        }
    };
    let decide = |series| decide(&prune.retain, series, certain, now);
    let mut decisions: Vec<_> = by_series.into_values().map(decide).collect();
    for decision in &mut decisions {
        decision.stay.retain(|(id, _)| id != TO_BE_MADE);
    }
    let mut stays = memory.used.clone();
    stays.extend(memory.failed.keys().map(|id| (id.clone(), "its delete has failed".to_owned())));
    keep(&mut decisions, &mut stays);
    let left: Vec<_> = decisions.iter().flat_map(|one| &one.go).map(|id| ImageId::from(id.as_str())).collect();
    // Each ten of them are a call: what is far too much is refused without.
    if left.len() <= prune.retain.max_per_run * FAR_TOO_MANY {
        keep(&mut decisions, &mut in_use::why_each(app, &left, None).await?);
    }
    Ok(Series { decisions })
}

impl Candidate {
    fn to_be_made(now: i64) -> Self {
        let id = TO_BE_MADE.to_owned();
        let (protection, last_launched, tags) = (None, None, Tags::new());
        Self { id, created: Some(now), is_available: true, protection, last_launched, tags }
    }
}

/// Lets those stay that do so for a reason.
fn keep(decisions: &mut [Decision], because: &mut BTreeMap<String, String>) {
    for decision in decisions {
        for id in std::mem::take(&mut decision.go) {
            match because.remove(&id) {
                Some(why) => decision.stay.push((id, why)),
                None => decision.go.push(id),
            }
        }
    }
}

fn is_own(image: &Image, account: &str) -> bool {
    image.owner_id().is_none_or(|owner| owner == account)
}

fn candidate(image: &Image, now: i64) -> Candidate {
    let seconds = |text| ec2::time(text).map(|time| time.secs());
    Candidate {
        id: image.image_id().unwrap_or_default().to_owned(),
        created: seconds(image.creation_date()),
        is_available: image.state() == Some(&ImageState::Available),
        protection: protection::of(image).map(str::to_owned).or_else(|| {
            let from = protection::deletable_from(image).filter(|from| *from > now)?;
            Some(format!("disabled, and EC2 lets it go from {} on", ec2::shown(from)))
        }),
        last_launched: seconds(image.last_launched_time()),
        tags: tags::shown_by_ec2(image.tags()),
    }
}
