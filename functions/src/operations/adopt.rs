//! An adopt: an image that no run made, and its snapshots, get the tags with which runs count them as their own.

mod eligible;
mod undo;

use std::collections::BTreeSet;

use aws_sdk_ec2::{operation::create_tags::builders::CreateTagsFluentBuilder, types::Image};
use serde::{Deserialize, Serialize};

pub(crate) use self::eligible::check;
use super::{
    EndedRun, Operation, Rehearsing, Undone,
    attributes::{self, Attributes},
    rehearsal::Changed,
};
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    machine::{answer, call},
    model::{
        ids::{ImageId, SnapshotId},
        run::{RUN_TAG, Run},
        tags::{self, SERIES_TAG},
    },
};

/// Seconds until the next look.
const SHORTLY: u64 = 5;
/// For how long EC2 may not show a tag that was put on, in seconds. The role may put it on only where none is.
const TAG_SHOWS_WITHIN: u64 = 120;

/// Takes over an image.
#[derive(Debug)]
pub struct Adopt;

/// Which image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arguments {
    /// The image.
    pub image_id: ImageId,
    /// Among which images it is to count; none where a tag of the image says so already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// When the run started, in RFC 3339.
    pub run_started: String,
}

/// What an adopt knows between two calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The images and snapshots that were tagged.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    tagged: BTreeSet<String>,
    /// What the machine had waited by then, in seconds.
    tagged_after: u64,
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Attributes>;

impl Operation for Adopt {
    const NAME: &'static str = "adopt";
    const TIMEOUT: &'static str = "update";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Attributes;

    async fn begin(app: &App, mut call: Call) -> Result<Answer, Error> {
        let image = image(app, &call.arguments.image_id).await?;
        let untagged = untagged(app, &call.run, &call.arguments, &image).await?;
        if untagged.is_empty() {
            let attributes = attributes::of(app, &image, None).await?;
            return Ok(Answer::succeeded(attributes, "the image counts as one of this stack", call.memory));
        }
        let left: BTreeSet<_> = untagged.difference(&call.memory.tagged).cloned().collect();
        if left.is_empty() && call.waited() - call.memory.tagged_after < TAG_SHOWS_WITHIN {
            return Ok(Answer::pending(SHORTLY, "EC2 does not show all the tags yet", call.memory));
        }
        let left = if left.is_empty() { untagged } else { left };
        let answer = request(app, &call.run, &call.arguments, &left).send().await;
        answer.map_err(|error| error_codes::unexpected("ec2:CreateTags", &error))?;
        call.memory.tagged.extend(left);
        call.memory.tagged_after = call.waited();
        Ok(Answer::pending(SHORTLY, "the image and its snapshots are tagged", call.memory))
    }

    async fn rehearse(app: &App, call: Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        let image = image(app, &call.arguments.image_id).await?;
        let ids = untagged(app, &call.run, &call.arguments, &image).await?;
        if ids.is_empty() {
            return Ok(());
        }
        let (image_id, fields) = (call.arguments.image_id.to_string(), vec!["tags".to_owned()]);
        rehearsing.given().would_change.push(Changed { image_id, fields });
        let answer = request(app, &call.run, &call.arguments, &ids).dry_run(true).send().await;
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        rehearsing.ask("ec2:CreateTags", &ids, answer)
    }

    async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
        undo::undo(app, run).await
    }
}

async fn image(app: &App, image_id: &ImageId) -> Result<Image, Error> {
    let image = ec2::image(&app.ec2, image_id).await?;
    image.ok_or_else(|| Error::ImageNotFound { image_id: image_id.to_string() })
}

/// The image and its snapshots, as far as they have no run's tag; each is checked again before it gets one.
async fn untagged(app: &App, run: &Run, adopt: &Arguments, image: &Image) -> Result<BTreeSet<String>, Error> {
    let machines = app.settings.machines()?;
    let is_done = |shown: &[_]| tags::run_of(shown).is_some_and(|tagged| tagged == run.arn() || machines.made(shown));
    if !is_done(image.tags()) {
        check(app, image, &adopt.run_started).await?;
    }
    let ids: Vec<_> = ec2::snapshot_ids(image).map(SnapshotId::from).collect();
    let snapshots = ec2::snapshots(&app.ec2, &ids).await?;
    let shown = snapshots.iter().map(|one| (one.snapshot_id(), one.tags())).chain([(image.image_id(), image.tags())]);
    Ok(shown.filter(|(_, tags)| !is_done(tags)).filter_map(|(id, _)| id.map(str::to_owned)).collect())
}

fn request(app: &App, run: &Run, adopt: &Arguments, ids: &BTreeSet<String>) -> CreateTagsFluentBuilder {
    let series = adopt.series.as_deref().map(|series| ec2::tag(SERIES_TAG, series));
    let tags = [ec2::tag(RUN_TAG, run.arn())].into_iter().chain(series).collect();
    app.ec2.create_tags().set_resources(Some(ids.iter().cloned().collect())).set_tags(Some(tags))
}
