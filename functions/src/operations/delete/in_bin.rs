//! What the Recycle Bin keeps of an image that was deleted, and until when the image can be restored.

use std::collections::BTreeSet;

use aws_sdk_ec2::primitives::DateTime;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    aws::{ec2, error_codes, recycle_bin},
    error::Error,
    model::ids::{ImageId, SnapshotId},
};

/// What a delete says about the Recycle Bin: nothing where no rule keeps anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InBin {
    /// The image and the snapshots in the bin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recycle_bin: Vec<Stay>,
    /// Until when a restore brings the image back, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restorable_until: Option<String>,
    /// What keeps the image in the bin from being restored, now or before it leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recycle_bin_problem: Option<String>,
}

/// Something in the bin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stay {
    /// Its id.
    pub id: String,
    /// When it leaves the bin, in RFC 3339.
    pub exit_time: String,
}

impl InBin {
    /// The same at the end of an error.
    pub(super) fn sentence(&self) -> String {
        let stays = self.recycle_bin.iter().map(|one| format!("{} until {}", one.id, one.exit_time));
        let stays: Vec<_> = stays.collect();
        if stays.is_empty() { String::new() } else { format!("; the Recycle Bin keeps {}", stays.join(", ")) }
    }
}

/// What the bin has of an image and the snapshots that were deleted with it. A delete does not fail for want of it.
pub(super) async fn of(app: &App, image_id: &ImageId, gone: &BTreeSet<SnapshotId>) -> Result<InBin, Error> {
    let image = error_codes::optional(recycle_bin::image(&app.ec2, image_id).await)?.flatten();
    let snapshots = error_codes::optional(recycle_bin::snapshots(&app.ec2, gone).await)?.unwrap_or_default();
    let stay = |id: &str, exits: DateTime| Stay { id: id.to_owned(), exit_time: ec2::shown(exits.secs()) };
    let mut told = InBin::default();
    told.recycle_bin.extend(image.iter().chain(&snapshots).map(|one| stay(&one.id, one.exits)));
    let Some(image) = image else { return Ok(told) };
    let missing = gone.iter().find(|id| !snapshots.iter().any(|one| one.id == id.as_str()));
    if let Some(missing) = missing {
        told.recycle_bin_problem = Some(format!(
            "the Recycle Bin keeps {image_id}, but no rule has kept its snapshot {missing}: {image_id} cannot be \
             restored; the rules for EBS snapshots must keep what those for images keep, and as long"
        ));
        return Ok(told);
    }
    let first = snapshots.iter().min_by_key(|one| one.exits.secs());
    let until = first.map_or(image.exits, |first| first.exits).secs().min(image.exits.secs());
    told.restorable_until = Some(ec2::shown(until));
    if let Some(first) = first.filter(|first| first.exits.secs() < image.exits.secs()) {
        told.recycle_bin_problem = Some(format!(
            "the Recycle Bin keeps {image_id} longer than its snapshot {}: after {} the image cannot be restored; the \
             rules for EBS snapshots must keep what those for images keep, and as long",
            first.id,
            ec2::shown(until)
        ));
    }
    Ok(told)
}
