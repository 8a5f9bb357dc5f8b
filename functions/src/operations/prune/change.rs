//! What a prune does to an image that it does not delete: it disables, deprecates or enables it.

use aws_sdk_ec2::types::{Image, ImageState, Tag};

use super::{Answer, Call, decide::Does, read::QUARANTINED_TAG, report::cut};
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    model::{deprecation::DeprecationTime, ids::ImageId, tags},
    operations::{Rehearsing, availability, in_use, rehearsal::Changed},
};

/// Seconds until the next look.
const SHORTLY: u64 = 5;
/// A tag that is older was put on by an earlier prune, which then did not disable the image, in seconds.
const FRESH: i64 = 600;
/// How many seconds from now an image is deprecated: EC2 takes no time in the past, and rounds to minutes.
const SOON: i64 = 60;

/// Takes what is done to one image a step further; none once that has ended.
pub(super) async fn go_on(app: &App, call: &mut Call, id: ImageId, does: Does) -> Result<Option<Answer>, Error> {
    let waits = match step(app, call, &id, does).await {
        Ok(waits) => waits,
        Err(error) if error.is_to_be_retried() => return Err(error),
        Err(error) => {
            call.memory.failed.insert(id.to_string(), cut(format!("{id}: {error}")));
            return Ok(None);
        }
    };
    if let Some(reason) = waits {
        call.memory.changing = Some((id.clone(), does));
        return Ok(Some(Answer::pending(SHORTLY, format!("{id}: {reason}"), call.memory.clone())));
    }
    if !call.memory.used.contains_key(id.as_str()) {
        match does {
            Does::Disable | Does::Quarantine => call.memory.disabled.push(id.to_string()),
            Does::Deprecate => call.memory.deprecated.push(id.to_string()),
            Does::Enable => call.memory.enabled.push(id.to_string()),
            Does::Delete | Does::Wait(_) => {}
        }
    }
    Ok(None)
}

/// Gives what it waits for; none once it is done, or something uses the image.
async fn step(app: &App, call: &mut Call, id: &ImageId, does: Does) -> Result<Option<&'static str>, Error> {
    let image = ec2::image(&app.ec2, id).await?;
    let image = image.ok_or_else(|| Error::ImageNotFound { image_id: id.to_string() })?;
    let is_to_be_launched_no_more = does != Does::Enable && image.state() == Some(&ImageState::Available);
    if is_to_be_launched_no_more && let Some(why) = in_use::why(app, id, None).await? {
        call.memory.used.insert(id.to_string(), cut(why));
        return Ok(None);
    }
    match does {
        Does::Disable => availability::disable(app, &image).await,
        Does::Quarantine if !is_noted(&image, app.seconds()) => {
            let tag = ec2::tag(QUARANTINED_TAG, &ec2::shown(app.seconds()));
            let answer = app.ec2.create_tags().resources(id.as_str()).tags(tag).send().await;
            answer.map_err(|error| error_codes::unexpected("ec2:CreateTags", &error))?;
            Ok(Some("the beginning of its quarantine is noted in a tag"))
        }
        Does::Quarantine => availability::disable(app, &image).await,
        Does::Deprecate => deprecate(app, &image).await,
        Does::Delete | Does::Wait(_) => Ok(None),
        Does::Enable => match availability::enable(app, &image).await? {
            None if tags::shown_by_ec2(image.tags()).contains_key(QUARANTINED_TAG) => {
                let tag = Tag::builder().key(QUARANTINED_TAG).build();
                let answer = app.ec2.delete_tags().resources(id.as_str()).tags(tag).send().await;
                answer.map_err(|error| error_codes::unexpected("ec2:DeleteTags", &error))?;
                Ok(Some("EC2 still shows the tag of its quarantine"))
            }
            waits => Ok(waits),
        },
    }
}

/// Whether the tag says when this quarantine has begun.
fn is_noted(image: &Image, now: i64) -> bool {
    let tags = tags::shown_by_ec2(image.tags());
    let since = ec2::time(tags.get(QUARANTINED_TAG).map(String::as_str));
    since.is_some_and(|since| now - since.secs() < FRESH)
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
pub(super) async fn rehearse(app: &App, id: &str, does: Does, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
    let image = ec2::image(&app.ec2, &ImageId::from(id)).await?;
    let image = image.ok_or_else(|| Error::ImageNotFound { image_id: id.to_owned() })?;
    match does {
        Does::Deprecate => {
            let (image_id, fields) = (id.to_owned(), vec!["deprecationTime".to_owned()]);
            rehearsing.given().would_change.push(Changed { image_id, fields });
            let at = DeprecationTime::from_seconds(app.seconds() + SOON).to_date_time();
            let request = app.ec2.enable_image_deprecation().image_id(id).deprecate_at(at).dry_run(true);
            rehearsing.ask("ec2:EnableImageDeprecation", &[id], request.send().await)
        }
        Does::Enable => availability::rehearse_enable(app, &image, rehearsing).await,
        Does::Quarantine => {
            let tag = ec2::tag(QUARANTINED_TAG, &ec2::shown(app.seconds()));
            let request = app.ec2.create_tags().resources(id).tags(tag).dry_run(true);
            rehearsing.ask("ec2:CreateTags", &[id], request.send().await)?;
            availability::rehearse_disable(app, &image, rehearsing).await
        }
        Does::Disable => availability::rehearse_disable(app, &image, rehearsing).await,
        Does::Delete | Does::Wait(_) => Ok(()),
    }
}
