//! An adopt: an image that no run made, and its snapshots, get the tags with which runs count them as their own.

mod eligible;
mod undo;

use std::collections::BTreeSet;

use aws_sdk_ec2::{operation::create_tags::builders::CreateTagsFluentBuilder, types::Image};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::eligible::untagged;
use super::{
    EndedRun, Operation, Rehearsing, Undone,
    attributes::{self, Attributes},
    rehearsal::Changed,
};
use crate::{
    app::App,
    aws::{ec2, error_codes, step_functions},
    error::Error,
    machine::{answer, call},
    model::{
        ids::ImageId,
        run::{RUN_TAG, Run},
        tags::SERIES_TAG,
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
    /// The image and the snapshots that are about to be tagged.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    noted: BTreeSet<String>,
    /// What the machine had waited by then, in seconds.
    noted_after: u64,
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
        let untagged = untagged(app, &call.run, &image, &call.arguments.run_started).await?;
        if untagged.is_empty() {
            let attributes = attributes::of(app, &image, None).await?;
            return Ok(Answer::succeeded(attributes, "the image counts as one of this stack", call.memory));
        }
        // Should this call be cut off after the tags are on, the memory says which to take off.
        if call.memory.noted.is_empty() {
            call.memory.noted = untagged;
            call.memory.noted_after = call.waited();
            return Ok(Answer::pending(1, "the image and its snapshots are noted", call.memory));
        }
        let answer = request(app, &call.run, &call.arguments, &untagged).send().await;
        match answer.map_err(|error| error_codes::unexpected("ec2:CreateTags", &error)) {
            Ok(_) => Ok(Answer::pending(SHORTLY, "the image and its snapshots are tagged", call.memory)),
            // An earlier attempt's tags may be on, and not shown yet.
            Err(Error::NotAuthorized { .. }) if call.waited() - call.memory.noted_after < TAG_SHOWS_WITHIN => {
                Ok(Answer::pending(SHORTLY, "EC2 does not show all the tags yet, or does not allow them", call.memory))
            }
            Err(error) => Err(error),
        }
    }

    async fn rehearse(app: &App, call: Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        let image = image(app, &call.arguments.image_id).await?;
        let ids = untagged(app, &call.run, &image, &call.arguments.run_started).await?;
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

/// The image that the run's first operation takes over, if it is an adopt: that and its snapshots may be older than the
/// run.
///
/// # Errors
///
/// What Step Functions refuses.
pub(crate) async fn image_of(app: &App, run: &Run) -> Result<Option<ImageId>, Error> {
    #[derive(Deserialize)]
    struct Begun {
        operation: String,
        arguments: Value,
    }
    let first = run.operation(&app.settings.machines()?.operation, 1);
    let execution = step_functions::execution(&app.step_functions, &first).await?;
    let begun: Option<Begun> = execution.and_then(|execution| serde_json::from_str(execution.input()?).ok());
    let adopt = begun.filter(|begun| begun.operation == Adopt::NAME);
    Ok(adopt.and_then(|adopt| serde_json::from_value(adopt.arguments["imageId"].clone()).ok()))
}

fn request(app: &App, run: &Run, adopt: &Arguments, ids: &BTreeSet<String>) -> CreateTagsFluentBuilder {
    let series = adopt.series.as_deref().map(|series| ec2::tag(SERIES_TAG, series));
    let tags = [ec2::tag(RUN_TAG, run.arn())].into_iter().chain(series).collect();
    app.ec2.create_tags().set_resources(Some(ids.iter().cloned().collect())).set_tags(Some(tags))
}
