//! A delete: removes an image by its id, and the snapshots that CreateImage made for it.

pub(crate) mod in_bin;
mod rehearse;

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Image, ImageState};
use serde::{Deserialize, Serialize};

use self::in_bin::Told;
use super::{
    Operation, Rehearsing, in_use, ownership, protection,
    removal::{Progress, Removal, Standing},
};
use crate::{
    app::App,
    aws::ec2,
    error::Error,
    machine::{
        answer,
        call::{self, Step},
    },
    model::ids::{ImageId, InstanceId, SnapshotId},
    settings::Machines,
};

/// Seconds until the next look for the snapshots of an image that has none yet.
const SNAPSHOTS_BEGIN: u64 = 5;

/// Seconds until the Recycle Bin is asked again.
const BIN_LISTS: u64 = 15;
/// With no more left, in seconds, it is not.
const LEAST_FOR_BIN: u64 = 2 * 60;

/// Removes an image.
#[derive(Debug)]
pub struct Delete;

/// Which image goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arguments {
    /// The image.
    pub image_id: ImageId,
    /// What the request says about the snapshots of an image that no run made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manage_ebs_snapshots: Option<bool>,
    /// Whether the deployment lets a request delete such an image.
    #[serde(default)]
    pub allow_unmanaged_images: bool,
    /// Whether the image's deregistration protection is disabled for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disable_protection: bool,
    /// What becomes of an image that something names.
    #[serde(default)]
    pub if_in_use: IfInUse,
    /// The instance that the image was replaced for: it may have been launched from it, and does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_instance_id: Option<InstanceId>,
    /// Which snapshots go.
    pub snapshots: Snapshots,
}

/// What a delete does where something names the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IfInUse {
    /// It fails.
    #[default]
    Fail,
    /// It keeps the image, and says why.
    Keep,
    /// It does not ask.
    Delete,
}

/// What a delete does with the image's snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Snapshots {
    /// They are deleted with it.
    Delete,
    /// They stay.
    Keep,
    /// The image is gone already, and these snapshots follow it. One that cannot be deleted is named in the
    /// result.
    DeleteAfterwards(BTreeSet<SnapshotId>),
}

/// What a delete knows between two calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Whether EC2 has shown the image.
    was_there: bool,
    /// Whether the delete has disabled its protection.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unprotected: bool,
    /// Whether EC2 has deregistered it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deregistered: bool,
    /// The snapshots that are still to go.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    snapshot_ids: BTreeSet<SnapshotId>,
    /// Whether the Recycle Bin has been asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    asked_bin: bool,
    /// Those that are gone.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    gone: BTreeSet<SnapshotId>,
    #[serde(flatten)]
    progress: Progress,
}

/// What a delete gives.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The image, if it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_image_id: Option<ImageId>,
    /// The image, if it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_image_id: Option<ImageId>,
    /// Why it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_because: Option<String>,
    /// Whether EC2 knew the image when the delete began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was_there: Option<bool>,
    /// The snapshots that could not be deleted, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leftovers: Option<String>,
    /// What the Recycle Bin keeps.
    #[serde(flatten)]
    pub in_bin: Told,
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Output>;

impl Operation for Delete {
    const NAME: &'static str = "delete";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Output;

    async fn begin(app: &App, mut call: Call) -> Result<Answer, Error> {
        let machines = app.settings.machines()?;
        let delete = &call.arguments.clone();
        let image = ec2::image(&app.ec2, &delete.image_id).await?;
        let mut snapshots = std::mem::take(&mut call.memory.snapshot_ids);
        snapshots.extend(to_go(app, machines, delete).await?);
        if let Some(image) = &image {
            call.memory.was_there = true;
            // Once begun, it is not checked again: what is deregistered may show for a while without its tags.
            if call.step == Step::Begin {
                ownership::check_delete(image, delete, delete.disable_protection, machines)?;
            }
            let known = snapshots.len();
            if delete.snapshots == Snapshots::Delete {
                snapshots.extend(ec2::snapshot_ids(image).map(SnapshotId::from));
            }
            // Should this call be cut off after the image is gone, nothing but the memory would know of
            // a snapshot that another tool made: it is written down before.
            if call.step == Step::Begin && snapshots.len() > known {
                call.memory.snapshot_ids = snapshots;
                return Ok(Answer::pending(1, "the image's snapshots are noted", call.memory));
            }
        }
        if image.is_some()
            && let Some(reason) = used(app, &call).await?
        {
            return kept(call, reason);
        }
        if let Some(image) = &image
            && let Some((wait, reason)) = protected(app, &mut call, image).await?
        {
            call.memory.snapshot_ids = snapshots;
            return Ok(Answer::pending(wait, reason, call.memory));
        }
        // They may begin minutes after the image, and would stay if the image were gone by then.
        if delete.snapshots == Snapshots::Delete && snapshots.is_empty() && image.as_ref().is_some_and(is_pending) {
            let reason = "EC2 has not begun the image's snapshots yet";
            return Ok(Answer::pending(call.growing(SNAPSHOTS_BEGIN), reason, call.memory));
        }
        let mut removal = Removal::default();
        let image_is_gone = match &image {
            Some(image) => removal.image(&app.ec2, image).await?,
            None => true,
        };
        call.memory.deregistered |= image_is_gone;
        call.memory.snapshot_ids = if image_is_gone {
            remove(app, &mut removal, snapshots, &mut call.memory.gone).await?
        } else {
            removal.found(snapshots.len());
            snapshots
        };
        standing(app, call, removal).await
    }

    async fn rehearse(app: &App, call: Call, rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        rehearse::rehearse(app, &call, rehearsing).await
    }
}

/// Disables the protection, if the request says so. Gives for how many seconds to wait and why; none if EC2 lets the
/// image go.
async fn protected(app: &App, call: &mut Call, image: &Image) -> Result<Option<(u64, String)>, Error> {
    let now = app.seconds();
    if call.arguments.disable_protection && protection::of(image).is_some() {
        protection::disable(&app.ec2, image, now).await?;
        call.memory.unprotected = true;
        return Ok(Some((1, "the image's protection is disabled".to_owned())));
    }
    let Some(from) = protection::deletable_from(image).filter(|from| *from > now) else { return Ok(None) };
    let reason = format!("its protection was disabled, and EC2 lets it be deregistered from {} on", ec2::shown(from));
    match u64::try_from(from - now) {
        Ok(seconds) if seconds < call.left() => Ok(Some((seconds.min(3600), reason))),
        _ => Err(Error::ImageProtected { image_id: call.arguments.image_id.to_string(), reason }),
    }
}

/// Why the image must not go; none if it may. EC2 goes on showing what it has deregistered for a while.
async fn used(app: &App, call: &Call) -> Result<Option<String>, Error> {
    let delete = &call.arguments;
    let is_gone = call.memory.deregistered || matches!(delete.snapshots, Snapshots::DeleteAfterwards(_));
    if delete.if_in_use == IfInUse::Delete || is_gone {
        return Ok(None);
    }
    in_use::why(app, &delete.image_id, delete.source_instance_id.as_ref()).await
}

fn kept(call: Call, mut reason: String) -> Result<Answer, Error> {
    if call.memory.unprotected {
        reason.push_str("; its deregistration protection was disabled before that");
    }
    let image_id = call.arguments.image_id.clone();
    if call.arguments.if_in_use == IfInUse::Fail {
        return Err(Error::ImageInUse { image_id: image_id.to_string(), reason });
    }
    let output = Output { kept_image_id: Some(image_id), kept_because: Some(reason), ..Output::default() };
    Ok(Answer::succeeded(output, "the image is in use and stays", call.memory))
}

/// Removes the snapshots; gives those that are still to go.
async fn remove(
    app: &App,
    removal: &mut Removal,
    snapshots: BTreeSet<SnapshotId>,
    gone: &mut BTreeSet<SnapshotId>,
) -> Result<BTreeSet<SnapshotId>, Error> {
    let mut left = BTreeSet::new();
    for id in snapshots {
        let is_gone = removal.snapshot(&app.ec2, id.as_str()).await?;
        if is_gone {
            gone.insert(id)
        } else {
            left.insert(id)
        };
    }
    Ok(left)
}

fn is_pending(image: &Image) -> bool {
    image.state() == Some(&ImageState::Pending)
}

async fn standing(app: &App, mut call: Call, removal: Removal) -> Result<Answer, Error> {
    let afterwards = matches!(call.arguments.snapshots, Snapshots::DeleteAfterwards(_));
    let standing = removal.standing(&mut call.memory.progress, call.wait_seconds);
    if let Standing::LookAgain(wait, reason) = standing {
        return Ok(Answer::pending(wait, reason, call.memory));
    }
    let in_bin = in_bin::of(app, &call.arguments, &call.memory).await;
    // What was deleted a moment ago may not be listed yet.
    if in_bin.recycle_bin_problem.is_some() && !call.memory.asked_bin && call.left() > LEAST_FOR_BIN {
        call.memory.asked_bin = true;
        return Ok(Answer::pending(BIN_LISTS, "the Recycle Bin does not list all that was deleted", call.memory));
    }
    let was_there = (!afterwards).then_some(call.memory.was_there);
    let deleted_image_id = Some(call.arguments.image_id.clone());
    let output = Output { deleted_image_id, was_there, in_bin, ..Output::default() };
    Ok(match standing {
        Standing::Stuck(leftovers) if afterwards => {
            let output = Output { leftovers: Some(leftovers), ..output };
            Answer::succeeded(output, "some snapshots cannot be deleted", call.memory)
        }
        Standing::Stuck(mut leftovers) => {
            leftovers.push_str(&output.in_bin.sentence());
            Answer::failed(Error::LeftoversRemain { leftovers }, call.memory)
        }
        _ => Answer::succeeded(output, "nothing of the image is left", call.memory),
    })
}

/// The snapshots that go although the image may be gone: those of the plan, and those that a run of this
/// deployment made for it.
async fn to_go(app: &App, machines: &Machines, delete: &Arguments) -> Result<Vec<SnapshotId>, Error> {
    match &delete.snapshots {
        Snapshots::Keep => Ok(vec![]),
        Snapshots::DeleteAfterwards(ids) => {
            let snapshots = ec2::snapshots(&app.ec2, ids).await?;
            Ok(snapshots.iter().filter_map(|one| one.snapshot_id().map(SnapshotId::from)).collect())
        }
        Snapshots::Delete => {
            let snapshots = ec2::snapshots_described_for(&app.ec2, &delete.image_id).await?;
            let ours = snapshots.iter().filter(|snapshot| machines.made(snapshot.tags()));
            Ok(ours.filter_map(|snapshot| snapshot.snapshot_id().map(SnapshotId::from)).collect())
        }
    }
}
