//! A disable and an enable: whether an image can be launched.
//!
//! DisableImage takes away every launch permission for good (EC2 User Guide, disable an AMI). A disable keeps them in
//! a tag of the image, and an enable gives them back.

mod launch_permissions;

use aws_sdk_ec2::operation::{
    delete_tags::builders::DeleteTagsFluentBuilder, modify_image_attribute::builders::ModifyImageAttributeFluentBuilder,
};
use aws_sdk_ec2::types::{Image, ImageAttributeName, ImageState, LaunchPermissionModifications, Tag};
use serde::{Deserialize, Serialize};

use self::launch_permissions::LaunchPermissions;
use super::{
    Operation, Rehearsing,
    attributes::{self, Attributes},
    ownership,
    rehearsal::Changed,
};
use crate::{
    app::App,
    aws::{
        ec2,
        error_codes::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE},
    },
    error::Error,
    machine::{answer, call},
    model::ids::ImageId,
};

/// The tag of an image that a prune has disabled until it deletes it, with the time.
pub(crate) const QUARANTINED_TAG: &str = "ami-from-instance:quarantined-since";
/// Seconds until the next look.
const SHORTLY: u64 = 5;

/// Keeps an image from being launched.
#[derive(Debug)]
pub struct Disable;

/// Lets an image be launched again.
#[derive(Debug)]
pub struct Enable;

/// Which image changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arguments {
    /// The image.
    pub image_id: ImageId,
    /// Whether the deployment lets a request change an image that no run made.
    pub allow_unmanaged_images: bool,
}

/// Nothing: every call finds in EC2 how far it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Memory {}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Attributes>;

impl Operation for Disable {
    const NAME: &'static str = "disable";
    const TIMEOUT: &'static str = "update";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Attributes;

    async fn begin(app: &App, call: Call) -> Result<Answer, Error> {
        let image = image(app, &call).await?;
        match disable(app, &image).await? {
            Some(reason) => Ok(Answer::pending(call.growing(SHORTLY), reason, call.memory)),
            None => done(app, call, &image, "the image is disabled").await,
        }
    }

    async fn rehearse(app: &App, call: Call, rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        rehearse_disable(app, &image(app, &call).await?, rehearsing).await
    }
}

/// Takes a disable a step further; gives what it waits for, and none once EC2 shows the image as disabled.
///
/// # Errors
///
/// `InvalidRequest` if a tag has no room for the launch permissions, and what EC2 refuses.
pub(crate) async fn disable(app: &App, image: &Image) -> Result<Option<&'static str>, Error> {
    if image.state() == Some(&ImageState::Disabled) {
        return Ok(None);
    }
    let id = image.image_id().unwrap_or_default();
    let permissions = permissions(app, id).await?.ok_or_else(|| unknown(id))?;
    // Another attempt's call may have taken them away already, and only the tag has them then.
    if !permissions.is_empty() && kept(image).as_ref() != Some(&permissions) {
        let tag = tag_of(&permissions, id)?;
        let answer = app.ec2.create_tags().resources(id).tags(tag).send().await;
        answer.map_err(|error| error_codes::unexpected("ec2:CreateTags", &error))?;
        return Ok(Some("the image's launch permissions are noted in a tag"));
    }
    let answer = app.ec2.disable_image().image_id(id).send().await;
    answer.map_err(|error| error_codes::unexpected("ec2:DisableImage", &error))?;
    Ok(Some("EC2 does not show the image as disabled yet"))
}

/// Asks whether a disable is allowed.
///
/// # Errors
///
/// As [`disable`].
pub(crate) async fn rehearse_disable(app: &App, image: &Image, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
    if image.state() == Some(&ImageState::Disabled) {
        return Ok(());
    }
    let id = image.image_id().unwrap_or_default();
    changes_state(&mut rehearsing, id);
    let permissions = permissions(app, id).await?.ok_or_else(|| unknown(id))?;
    if !permissions.is_empty() && kept(image).as_ref() != Some(&permissions) {
        let tag = tag_of(&permissions, id)?;
        let answer = app.ec2.create_tags().resources(id).tags(tag).dry_run(true).send().await;
        rehearsing.ask("ec2:CreateTags", &[id], answer)?;
    }
    let answer = app.ec2.disable_image().image_id(id).dry_run(true).send().await;
    rehearsing.ask("ec2:DisableImage", &[id], answer)
}

impl Operation for Enable {
    const NAME: &'static str = "enable";
    const TIMEOUT: &'static str = "update";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Attributes;

    async fn begin(app: &App, call: Call) -> Result<Answer, Error> {
        let image = image(app, &call).await?;
        match enable(app, &image).await? {
            Some(reason) => Ok(Answer::pending(call.growing(SHORTLY), reason, call.memory)),
            None => done(app, call, &image, "the image is enabled").await,
        }
    }

    async fn rehearse(app: &App, call: Call, rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        rehearse_enable(app, &image(app, &call).await?, rehearsing).await
    }
}

/// Takes an enable a step further; gives what it waits for, and none once EC2 shows the image with its launch
/// permissions.
///
/// # Errors
///
/// What EC2 refuses.
pub(crate) async fn enable(app: &App, image: &Image) -> Result<Option<&'static str>, Error> {
    let id = image.image_id().unwrap_or_default();
    if image.state() == Some(&ImageState::Disabled) {
        let answer = app.ec2.enable_image().image_id(id).send().await;
        answer.map_err(|error| error_codes::unexpected("ec2:EnableImage", &error))?;
        return Ok(Some("EC2 still shows the image as disabled"));
    }
    let missing = match kept(image) {
        Some(kept) => kept.without(&permissions(app, id).await?.ok_or_else(|| unknown(id))?),
        None => LaunchPermissions::default(),
    };
    if missing.is_empty() {
        let Some(request) = forgets(app, image) else { return Ok(None) };
        request.send().await.map_err(|error| error_codes::unexpected("ec2:DeleteTags", &error))?;
        return Ok(Some("EC2 still shows the tags that the disable has put on"));
    }
    let answer = gives_back(app, id, &missing).send().await;
    answer.map_err(|error| error_codes::unexpected("ec2:ModifyImageAttribute", &error))?;
    Ok(Some("EC2 does not show the launch permissions yet"))
}

/// Asks whether an enable is allowed.
///
/// # Errors
///
/// As [`enable`].
pub(crate) async fn rehearse_enable(app: &App, image: &Image, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
    let id = image.image_id().unwrap_or_default();
    if image.state() == Some(&ImageState::Disabled) {
        changes_state(&mut rehearsing, id);
        let answer = app.ec2.enable_image().image_id(id).dry_run(true).send().await;
        rehearsing.ask("ec2:EnableImage", &[id], answer)?;
    }
    if let Some(kept) = kept(image) {
        let answer = gives_back(app, id, &kept).dry_run(true).send().await;
        rehearsing.ask("ec2:ModifyImageAttribute", &[id], answer)?;
    }
    let Some(request) = forgets(app, image) else { return Ok(()) };
    rehearsing.ask("ec2:DeleteTags", &[id], request.dry_run(true).send().await)
}

/// Since when a prune has disabled the image until it deletes it, in seconds since 1970.
pub(crate) fn quarantined_since(image: &Image) -> Option<i64> {
    let tag = image.tags().iter().find(|tag| tag.key() == Some(QUARANTINED_TAG))?;
    ec2::time(tag.value()).map(|time| time.secs())
}

/// Why the image must not go, if others may launch it or might before it was disabled; none if nobody may. What EC2 does
/// not know stays.
///
/// # Errors
///
/// What EC2 refuses.
pub(crate) async fn shared(app: &App, image: &Image) -> Result<Option<String>, Error> {
    // EC2 has taken the permissions of a disabled one away, and the tag has them.
    let all = match image.state() {
        Some(ImageState::Disabled) => Some(kept(image).unwrap_or_default()),
        _ => permissions(app, image.image_id().unwrap_or_default()).await?,
    };
    Ok(match all {
        None => Some("whether it is shared is not known: EC2 knows no such image".to_owned()),
        Some(all) => (!all.is_empty()).then(|| format!("it is shared with {all} (exclusions.shared)")),
    })
}

fn gives_back(app: &App, id: &str, permissions: &LaunchPermissions) -> ModifyImageAttributeFluentBuilder {
    let add = LaunchPermissionModifications::builder().set_add(Some(permissions.for_ec2())).build();
    app.ec2.modify_image_attribute().image_id(id).launch_permission(add)
}

/// Takes off what a disable and a quarantine have put on.
fn forgets(app: &App, image: &Image) -> Option<DeleteTagsFluentBuilder> {
    let has = |key: &&str| image.tags().iter().any(|tag| tag.key() == Some(*key));
    let keys: Vec<_> = [launch_permissions::TAG, QUARANTINED_TAG].into_iter().filter(has).collect();
    let tags = keys.iter().map(|key| Tag::builder().key(*key).build()).collect();
    let request = app.ec2.delete_tags().resources(image.image_id().unwrap_or_default());
    (!keys.is_empty()).then(|| request.set_tags(Some(tags)))
}

fn changes_state(rehearsing: &mut Rehearsing<'_>, id: &str) {
    let (image_id, fields) = (id.to_owned(), vec!["state".to_owned()]);
    rehearsing.given().would_change.push(Changed { image_id, fields });
}

async fn image(app: &App, call: &Call) -> Result<Image, Error> {
    let Arguments { image_id, allow_unmanaged_images } = &call.arguments;
    let image = ec2::image(&app.ec2, image_id).await?;
    let image = image.ok_or_else(|| Error::ImageNotFound { image_id: image_id.to_string() })?;
    ownership::check_change(&image, *allow_unmanaged_images, app.settings.machines()?)?;
    Ok(image)
}

async fn done(app: &App, call: Call, image: &Image, reason: &str) -> Result<Answer, Error> {
    Ok(Answer::succeeded(attributes::of(app, image, None).await?, reason, call.memory))
}

/// The tag that keeps the permissions while the image is disabled.
fn tag_of(permissions: &LaunchPermissions, id: &str) -> Result<Tag, Error> {
    let problem = || format!("must have fewer launch permissions: a tag has no room for all of {id}'s");
    permissions.tag().ok_or_else(|| Error::invalid("imageId", problem()))
}

fn unknown(id: &str) -> Error {
    Error::ImageNotFound { image_id: id.to_owned() }
}

/// Who may launch the image; none if EC2 does not know it. What is not known must not be taken for nobody.
async fn permissions(app: &App, id: &str) -> Result<Option<LaunchPermissions>, Error> {
    let request = app.ec2.describe_image_attribute().image_id(id).attribute(ImageAttributeName::LaunchPermission);
    match request.send().await {
        Ok(answer) => Ok(Some(LaunchPermissions::from_ec2(answer.launch_permissions()))),
        Err(error) if matches!(error_codes::code(&error), Some(IMAGE_NOT_FOUND | IMAGE_UNAVAILABLE)) => Ok(None),
        Err(error) => Err(error_codes::unexpected("ec2:DescribeImageAttribute", &error)),
    }
}

/// Who might launch the image before it was disabled, as its tag says.
fn kept(image: &Image) -> Option<LaunchPermissions> {
    let tag = image.tags().iter().find(|tag| tag.key() == Some(launch_permissions::TAG))?;
    tag.value().map(LaunchPermissions::from_tag)
}
