//! What the Recycle Bin keeps of this account and Region.

use std::collections::BTreeSet;

use aws_sdk_ec2::{Client, primitives::DateTime};

use super::{
    ec2,
    error_codes::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE, SNAPSHOT_NOT_FOUND},
};
use crate::{
    error::Error,
    model::ids::{ImageId, SnapshotId},
};

/// The largest page.
const PAGE: i32 = 1000;

/// An image or a snapshot in the bin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InBin {
    /// Its id.
    pub(crate) id: String,
    /// The image's name.
    pub(crate) name: Option<String>,
    /// When it leaves the bin, and is gone for good.
    pub(crate) exits: DateTime,
}

impl InBin {
    fn of(id: Option<String>, name: Option<String>, exits: Option<DateTime>) -> Option<Self> {
        Some(Self { id: id?, name, exits: exits? })
    }
}

/// The image of an id, if the bin has it.
pub(crate) async fn image(ec2: &Client, image_id: &ImageId) -> Result<Option<InBin>, Error> {
    match ec2.list_images_in_recycle_bin().image_ids(image_id.as_str()).send().await {
        Ok(answer) => {
            let images = answer.images.unwrap_or_default().into_iter();
            Ok(images.filter_map(|one| InBin::of(one.image_id, one.name, one.recycle_bin_exit_time)).next())
        }
        // EC2 does not document what it answers about an image that is not there.
        Err(error) if matches!(error_codes::code(&error), Some(IMAGE_NOT_FOUND | IMAGE_UNAVAILABLE)) => Ok(None),
        Err(error) => Err(error_codes::unexpected("ec2:ListImagesInRecycleBin", &error)),
    }
}

/// Those of the snapshots that the bin has.
pub(crate) async fn snapshots(ec2: &Client, ids: &BTreeSet<SnapshotId>) -> Result<Vec<InBin>, Error> {
    let ids: Vec<_> = ids.iter().map(SnapshotId::to_string).collect();
    let mut found = Vec::new();
    let mut left = if ids.is_empty() { vec![] } else { vec![ids.as_slice()] };
    while let Some(ids) = left.pop() {
        match ec2.list_snapshots_in_recycle_bin().set_snapshot_ids(Some(ids.to_vec())).send().await {
            Ok(answer) => {
                let snapshots = answer.snapshots.unwrap_or_default().into_iter();
                found.extend(snapshots.filter_map(|one| InBin::of(one.snapshot_id, None, one.recycle_bin_exit_time)));
            }
            // EC2 does not document what it answers where one of several is not there.
            Err(error) if error_codes::code(&error) == Some(SNAPSHOT_NOT_FOUND) => {
                left.extend(ids.chunks(1).filter(|_| ids.len() > 1));
            }
            Err(error) => return Err(error_codes::unexpected("ec2:ListSnapshotsInRecycleBin", &error)),
        }
    }
    Ok(found)
}

/// The snapshots in the bin that CreateImage or CopyImage made for the image, known by the description EC2 gives them.
pub(crate) async fn snapshots_described_for(ec2: &Client, image_id: &ImageId) -> Result<Vec<SnapshotId>, Error> {
    let pages = ec2.list_snapshots_in_recycle_bin().max_results(PAGE).into_paginator();
    let snapshots: Result<Vec<_>, _> = pages.items().send().collect().await;
    let snapshots = snapshots.map_err(|error| error_codes::unexpected("ec2:ListSnapshotsInRecycleBin", &error))?;
    let is_of_it = |text: &str| ec2::image_described(text) == Some(image_id.as_str());
    let of_it = snapshots.iter().filter(|one| one.description().is_some_and(is_of_it));
    Ok(of_it.filter_map(|one| one.snapshot_id().map(SnapshotId::from)).collect())
}
