//! What the Recycle Bin keeps of an image that was deleted, and until when the image can be restored.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Arguments, Memory, Snapshots};
use crate::{
    app::App,
    aws::{
        ec2,
        error_codes::if_known,
        recycle_bin::{self, InBin},
    },
    model::ids::SnapshotId,
};

/// What a delete says about the Recycle Bin: nothing where no rule keeps anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
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

impl Told {
    /// The same at the end of an error.
    pub(super) fn sentence(&self) -> String {
        let stays = self.recycle_bin.iter().map(|one| format!("{} until {}", one.id, one.exit_time));
        let stays: Vec<_> = stays.collect();
        if stays.is_empty() { String::new() } else { format!("; the Recycle Bin keeps {}", stays.join(", ")) }
    }

    /// Until when all of it is in the bin, and what is not, or not for as long as the image.
    fn judge(&mut self, image: &InBin, snapshots: &[InBin], gone: &BTreeSet<SnapshotId>) {
        let advice = "the rules for EBS snapshots must keep what those for images keep, and as long";
        let missing = gone.iter().find(|id| !snapshots.iter().any(|one| one.id == id.as_str()));
        if let Some(missing) = missing {
            self.recycle_bin_problem = Some(format!(
                "{} is in the Recycle Bin and cannot be restored, because its snapshot {missing} is not there; {advice}",
                image.id
            ));
            return;
        }
        let first = snapshots.iter().chain([image]).min_by_key(|one| one.exits.secs()).unwrap_or(image);
        let until = ec2::shown(first.exits.secs());
        if first.exits.secs() < image.exits.secs() {
            self.recycle_bin_problem = Some(format!(
                "{} stays in the Recycle Bin longer than its snapshot {}, and cannot be restored after {until}; {advice}",
                image.id, first.id
            ));
        }
        self.restorable_until = Some(until);
    }
}

/// What the bin has of an image and the snapshots that were deleted with it. A delete does not fail for want of it. The
/// first of two deletes of a replace leaves it to the second.
pub(super) async fn of(app: &App, delete: &Arguments, memory: &Memory) -> Told {
    let mut told = Told::default();
    if delete.snapshots == Snapshots::Keep && delete.source_instance_id.is_some() {
        return told;
    }
    let image = if_known(recycle_bin::image(&app.ec2, &delete.image_id).await);
    let snapshots = if_known(recycle_bin::snapshots(&app.ec2, &memory.gone).await);
    let all = image.iter().flatten().chain(snapshots.iter().flatten());
    let stays = all.map(|one| Stay { id: one.id.clone(), exit_time: ec2::shown(one.exits.secs()) });
    told.recycle_bin = stays.collect();
    // Without all that the image has had, and where another image has its name, nothing is certain.
    if delete.snapshots == Snapshots::Delete
        && memory.was_there
        && !memory.gone.is_empty()
        && let (Some(Some(image)), Some(snapshots)) = (image, snapshots)
    {
        told.judge(&image, &snapshots, &memory.gone);
    }
    told
}
