//! The images of a series, by the tags on them, and what is decided about them.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Image, ImageState};

use super::{
    Arguments, Memory,
    decide::{Candidate, Change, Decision, Does, decide},
};
use crate::{
    app::App,
    aws::ec2,
    error::Error,
    model::{ids::ImageId, tags},
    operations::{availability, in_use, protection, rehearsal::Kept},
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
    /// The sizes of each image's volumes, in GiB.
    sizes: BTreeMap<String, u64>,
}

impl Series {
    /// Whether EC2 has listed the image.
    pub(super) fn has(&self, id: &str) -> bool {
        let stays = |one: &Decision| one.stay.iter().chain(&one.wait).any(|(stays, _)| stays == id);
        self.decisions.iter().any(|one| stays(one) || one.go.iter().any(|(goes, _)| goes == id))
    }

    /// How large the image's volumes are together, in GiB.
    pub(super) fn size(&self, id: &ImageId) -> u64 {
        self.sizes.get(id.as_str()).copied().unwrap_or_default()
    }

    /// What is to be done: first with those that are to stay.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&str, Does)> {
        let back = self.decisions.iter().flat_map(Decision::back).map(|id| (id, Does::Changes(Change::Enable)));
        let go = self.decisions.iter().flat_map(|one| &one.go).map(|(id, does)| (id.as_str(), *does));
        back.chain(go)
    }

    /// Those that stay, and why.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let stay = self.decisions.iter().flat_map(|one| one.stay.iter().chain(&one.wait)).cloned();
        stay.map(|(id, because)| Kept { id, because }).collect()
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
            by_series.entry(series.to_owned()).or_default().push(candidate(image, memory, app.seconds()));
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
    stays.extend(memory.failed.iter().map(|(id, error)| (id.clone(), error.clone())));
    keep(&mut decisions, &mut stays);
    let go = decisions.iter().flat_map(|one| &one.go).map(|(id, _)| id);
    let count = go.clone().count();
    let waiting = decisions.iter().flat_map(|one| &one.wait).map(|(id, _)| id);
    let asked: Vec<_> = go.chain(waiting).map(|id| ImageId::from(id.as_str())).collect();
    // Each ten of them are a call: what is far too much is refused without.
    if count <= prune.retain.max_per_run * FAR_TOO_MANY {
        let mut used = in_use::why_each(app, &asked, None).await?;
        for decision in &mut decisions {
            // What nobody can tell changes nothing.
            decision.quarantined.retain(|id| !used.get(id).is_some_and(|why| in_use::is_unknown(why)));
        }
        keep(&mut decisions, &mut used);
        if prune.retain.exclusions.shared {
            let mut shared = shared(app, memory, &decisions, &images).await?;
            keep(&mut decisions, &mut shared);
        }
    }
    for decision in &mut decisions {
        // What could not be enabled is not tried again.
        decision.quarantined.retain(|id| !memory.failed.contains_key(id));
    }
    let sizes = images.iter().map(|image| (image.image_id().unwrap_or_default().to_owned(), size(image))).collect();
    Ok(Series { decisions, sizes })
}

/// Those that others may launch, of those that would go; once something is done, up to the first that nobody else may.
async fn shared(
    app: &App,
    memory: &Memory,
    decisions: &[Decision],
    images: &[Image],
) -> Result<BTreeMap<String, String>, Error> {
    let mut shared = BTreeMap::new();
    for (id, _) in decisions.iter().flat_map(|one| &one.go) {
        let Some(image) = images.iter().find(|image| image.image_id() == Some(id)) else { continue };
        match availability::shared(app, image).await? {
            Some(why) => drop(shared.insert(id.clone(), why)),
            None if memory.done() > 0 => break,
            None => {}
        }
    }
    Ok(shared)
}

impl Candidate {
    fn to_be_made(now: i64) -> Self {
        Self { id: TO_BE_MADE.to_owned(), created: Some(now), is_available: true, ..Self::default() }
    }
}

/// Lets those stay that do so for a reason.
fn keep(decisions: &mut [Decision], because: &mut BTreeMap<String, String>) {
    for decision in decisions {
        for (id, does) in std::mem::take(&mut decision.go) {
            match because.remove(&id) {
                Some(why) => decision.stay.push((id, why)),
                None => decision.go.push((id, does)),
            }
        }
        for (id, waits) in std::mem::take(&mut decision.wait) {
            match because.remove(&id) {
                Some(why) => decision.stay.push((id, why)),
                None => decision.wait.push((id, waits)),
            }
        }
    }
}

fn size(image: &Image) -> u64 {
    let devices = image.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.volume_size());
    devices.filter_map(|size| u64::try_from(size).ok()).sum()
}

fn is_own(image: &Image, account: &str) -> bool {
    image.owner_id().is_none_or(|owner| owner == account)
}

/// EC2 may not show yet what the prune has done.
fn candidate(image: &Image, memory: &Memory, now: i64) -> Candidate {
    let seconds = |text| ec2::time(text).map(|time| time.secs());
    let id = image.image_id().unwrap_or_default().to_owned();
    let is = |done: &[String]| done.contains(&id);
    let is_disabled = (image.state() == Some(&ImageState::Disabled) || is(&memory.disabled)) && !is(&memory.enabled);
    let tags = tags::shown_by_ec2(image.tags());
    Candidate {
        created: seconds(image.creation_date()),
        is_available: (image.state() == Some(&ImageState::Available) || is(&memory.enabled)) && !is_disabled,
        is_disabled,
        quarantined_since: availability::quarantined_since(image)
            .or_else(|| is(&memory.disabled).then_some(now))
            .filter(|_| !is(&memory.enabled)),
        is_deprecated: seconds(image.deprecation_time()).is_some_and(|time| time <= now) || is(&memory.deprecated),
        protection: protection::of(image).map(str::to_owned).or_else(|| {
            let from = protection::deletable_from(image).filter(|from| *from > now)?;
            Some(format!("disabled, and EC2 lets it go from {} on", ec2::shown(from)))
        }),
        last_launched: seconds(image.last_launched_time()),
        tags,
        id,
    }
}
