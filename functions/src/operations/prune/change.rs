//! What a prune does to an image that it does not delete: it disables, deprecates or enables it.

use aws_sdk_ec2::{operation::create_tags::builders::CreateTagsFluentBuilder, types::Image};

use super::{Answer, Call, decide::Change, report::cut};
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    model::{deprecation::DeprecationTime, ids::ImageId},
    operations::{
        Rehearsing,
        availability::{self, QUARANTINED_TAG},
        rehearsal::Changed,
    },
};

/// Seconds until the next look.
const SHORTLY: u64 = 5;
/// An older tag is of an earlier quarantine, in seconds.
const FRESH: i64 = 600;
/// How many seconds from now an image is deprecated: EC2 takes no time in the past, and rounds to minutes.
const SOON: i64 = 60;

/// Takes what is done to one image a step further; none once that has ended.
pub(super) async fn go_on(app: &App, call: &mut Call, id: ImageId, change: Change) -> Result<Option<Answer>, Error> {
    // One that is gone is in no list any more.
    let Some(image) = ec2::image(&app.ec2, &id).await? else { return Ok(None) };
    let waits = match step(app, &image, change).await {
        Ok(waits) => waits,
        Err(error) if error.is_to_be_retried() => return Err(error),
        Err(error) => {
            call.memory.failed.insert(id.to_string(), cut(format!("{id}: {error}")));
            return Ok(None);
        }
    };
    if let Some(reason) = waits {
        call.memory.changing = Some((id.clone(), change));
        return Ok(Some(Answer::pending(call.growing(SHORTLY), format!("{id}: {reason}"), call.memory.clone())));
    }
    let done = match change {
        Change::Disable | Change::Quarantine => &mut call.memory.disabled,
        Change::Deprecate => &mut call.memory.deprecated,
        Change::Enable => &mut call.memory.enabled,
    };
    done.push(id.to_string());
    Ok(None)
}

/// Gives what it waits for; none once it is done.
async fn step(app: &App, image: &Image, change: Change) -> Result<Option<&'static str>, Error> {
    match change {
        Change::Quarantine if !is_noted(image, app.seconds()) => {
            let answer = note(app, image.image_id().unwrap_or_default()).send().await;
            answer.map_err(|error| error_codes::unexpected("ec2:CreateTags", &error))?;
            Ok(Some("the beginning of its quarantine is noted in a tag"))
        }
        Change::Disable | Change::Quarantine => availability::disable(app, image).await,
        Change::Deprecate => deprecate(app, image).await,
        Change::Enable => availability::enable(app, image).await,
    }
}

fn note(app: &App, id: &str) -> CreateTagsFluentBuilder {
    app.ec2.create_tags().resources(id).tags(ec2::tag(QUARANTINED_TAG, &ec2::shown(app.seconds())))
}

/// Whether the tag says when this quarantine has begun.
fn is_noted(image: &Image, now: i64) -> bool {
    availability::quarantined_since(image).is_some_and(|since| now - since < FRESH)
}

async fn deprecate(app: &App, image: &Image) -> Result<Option<&'static str>, Error> {
    let soon = app.seconds() + SOON;
    // One that an earlier attempt has set is a minute away at the most.
    if ec2::time(image.deprecation_time()).is_some_and(|time| time.secs() <= soon + SOON) {
        return Ok(None);
    }
    let id = image.image_id().unwrap_or_default();
    let at = DeprecationTime::from_seconds(soon).to_date_time();
    let answer = app.ec2.enable_image_deprecation().image_id(id).deprecate_at(at).send().await;
    answer.map_err(|error| error_codes::unexpected("ec2:EnableImageDeprecation", &error))?;
    Ok(Some("EC2 does not show the deprecation yet"))
}

/// Asks whether what is done to an image is allowed.
pub(super) async fn rehearse(app: &App, id: &str, change: Change, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
    let image = ec2::image(&app.ec2, &ImageId::from(id)).await?;
    let image = image.ok_or_else(|| Error::ImageNotFound { image_id: id.to_owned() })?;
    match change {
        Change::Deprecate => {
            let (image_id, fields) = (id.to_owned(), vec!["deprecationTime".to_owned()]);
            rehearsing.given().would_change.push(Changed { image_id, fields });
            let at = DeprecationTime::from_seconds(app.seconds() + SOON).to_date_time();
            let request = app.ec2.enable_image_deprecation().image_id(id).deprecate_at(at).dry_run(true);
            rehearsing.ask("ec2:EnableImageDeprecation", &[id], request.send().await)
        }
        Change::Enable => availability::rehearse_enable(app, &image, rehearsing).await,
        Change::Quarantine => {
            rehearsing.ask("ec2:CreateTags", &[id], note(app, id).dry_run(true).send().await)?;
            availability::rehearse_disable(app, &image, rehearsing).await
        }
        Change::Disable => availability::rehearse_disable(app, &image, rehearsing).await,
    }
}
