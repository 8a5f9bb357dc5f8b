//! An update: an image's tags, description and deprecation time become those of the plan.

pub(crate) mod change;

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Image;
use serde::{Deserialize, Serialize};

use self::change::{Change, calls::Rehearsed};
use super::{
    EndedRun, Operation, Rehearsing, Undone,
    attributes::{self, Attributes},
    ownership,
    protection::{self, Protection},
    rehearsal::Changed,
    removal::Removal,
};
use crate::{
    app::App,
    aws::ec2,
    error::{Error, Failure},
    machine::{answer, call},
    model::{deprecation::Deprecation, ids::ImageId, tags::Tags, watermarks::Watermarks},
};

/// Seconds until the next look.
const SHORTLY: u64 = 5;
/// How many looks in a row must find a value changed back before somebody else has changed it: EC2 may
/// show an older value for a while.
const LOOKS_TO_BE_SURE: u8 = 3;

/// Changes an image.
#[derive(Debug)]
pub struct Update;

/// What changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Arguments {
    /// The image; none for the one that the run has made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// Its new description; empty to remove it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its new deprecation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation: Option<Deprecation>,
    /// All the tags it is to have, the reserved ones left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// Its new deregistration protection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistration_protection: Option<Protection>,
    /// All the watermarks it is to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermarks: Option<Watermarks>,
    /// Whether the deployment lets a request change an image that no run made.
    pub allow_unmanaged_images: bool,
}

/// What an update knows between two calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The request's fields that EC2 has shown as the plan wants them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    shown: BTreeSet<String>,
    /// The image that the update is about to protect from deregistration.
    #[serde(skip_serializing_if = "Option::is_none")]
    protects: Option<ImageId>,
    /// How many looks in a row have found one of these changed, and nothing else missing.
    changed_back: u8,
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Attributes>;

impl Operation for Update {
    const NAME: &'static str = "update";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Attributes;

    /// Sends what EC2 has never shown; done once it shows everything. It serves as its own next look.
    async fn begin(app: &App, mut call: Call) -> Result<Answer, Error> {
        let update = &call.arguments;
        let Some(image_id) = update.image_id.clone().or(call.results.id.clone()) else {
            return Err(Error::invalid("imageId", "must be the id of the image, unless the run has made one"));
        };
        let image = ec2::image(&app.ec2, &image_id).await?;
        let image = image.ok_or_else(|| Error::ImageNotFound { image_id: image_id.to_string() })?;
        ownership::check_change(&image, update.allow_unmanaged_images, app.settings.machines()?)?;
        let mut change = Change::missing(app, update, &image).await?;
        let missing = change.fields();
        let shown = change::fields_of(update).into_iter().filter(|field| !missing.contains(field));
        call.memory.shown.extend(shown.map(str::to_owned));
        if missing.is_empty() {
            let attributes = attributes::of(app, &image, call.results.snapshot_without_reboot).await?;
            return Ok(Answer::succeeded(attributes, "EC2 shows the new values", call.memory));
        }
        change.leave_out(&call.memory.shown);
        if change.fields().is_empty() {
            return changed_back(call, &image_id, &missing.join(", "));
        }
        call.memory.changed_back = 0;
        // Should this call be cut off, nothing but the memory would say who has protected the image: it is written
        // down before.
        if change.protects() && call.memory.protects.is_none() {
            call.memory.protects = Some(image_id);
            return Ok(Answer::pending(1, "the protection is noted", call.memory));
        }
        let mut sent = vec![];
        match change.send(&app.ec2, &image_id, &mut sent).await {
            Ok(()) => tracing::info!(?change, "the changes are sent"),
            Err(error) if error.is_to_be_retried() => return Err(error),
            Err(error) => {
                let changed = call.memory.shown.iter().map(String::as_str).chain(sent).collect();
                return Ok(Answer::failed(half_done(error, changed), call.memory));
            }
        }
        let reason = match call.memory.shown.iter().map(String::as_str).collect::<Vec<_>>().join(", ") {
            shown if shown.is_empty() => format!("EC2 does not show the new {} yet", change.fields().join(", ")),
            shown => format!("EC2 shows the new {shown}, and not the new {} yet", change.fields().join(", ")),
        };
        Ok(Answer::pending(call.growing(SHORTLY), reason, call.memory))
    }

    async fn rehearse(app: &App, call: Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        let (update, machines) = (&call.arguments, app.settings.machines()?);
        let Some(image_id) = &update.image_id else {
            let earlier = ec2::image_of_any_run(&app.ec2, &machines.lifecycle).await?;
            let image = earlier.as_ref().and_then(Image::image_id).map_or(Rehearsed::NotMade, Rehearsed::Another);
            return Change::of_a_new_image(update).rehearse(&app.ec2, &image, &mut rehearsing).await;
        };
        let image = ec2::image(&app.ec2, image_id).await?;
        let image = image.ok_or_else(|| Error::ImageNotFound { image_id: image_id.to_string() })?;
        ownership::check_change(&image, update.allow_unmanaged_images, machines)?;
        let change = Change::missing(app, update, &image).await?;
        let fields: Vec<_> = change.fields().into_iter().map(str::to_owned).collect();
        if !fields.is_empty() {
            rehearsing.given().would_change.push(Changed { image_id: image_id.to_string(), fields });
        }
        change.rehearse(&app.ec2, &Rehearsed::Itself(image_id.as_str()), &mut rehearsing).await
    }

    /// Disables the protection that an update has given to the image its run has made: the rest of the rollback
    /// removes that image.
    async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
        let mut removal = Removal::default();
        let now = app.seconds();
        for image_id in run.documents::<Self>().into_iter().filter_map(|update| update.memory.protects) {
            if let Some(image) = ec2::image(&app.ec2, &image_id).await?
                && run.made(&image)
                && protection::of(&image).is_some()
            {
                removal.protection(&app.ec2, &image, now).await?;
            }
        }
        Ok(Undone { removal, ..Undone::default() })
    }
}

/// A refusal, with what the update has changed before it.
fn half_done(error: Error, changed: Vec<&str>) -> Failure {
    let mut failure = Failure::from(error);
    if !changed.is_empty() {
        failure.message = format!("{}; changed before: {}", failure.message, changed.join(", "));
    }
    failure
}

/// Everything has been shown once, and some of it is something else now.
fn changed_back(mut call: Call, image_id: &ImageId, fields: &str) -> Result<Answer, Error> {
    call.memory.changed_back += 1;
    if call.memory.changed_back < LOOKS_TO_BE_SURE {
        let reason = format!("EC2 has shown the new {fields}, and shows something else now");
        return Ok(Answer::pending(SHORTLY, reason, call.memory));
    }
    Err(Error::ImageChangedMeanwhile { image_id: image_id.to_string(), fields: fields.to_owned() })
}
