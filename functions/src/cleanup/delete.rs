//! A delete: removes an image by its id, with every snapshot that CreateImage made for it.

use std::collections::BTreeSet;

use aws_sdk_ec2::{Client, types::Image};

use super::removal::{Removal, protection};
use crate::{
    ec2,
    error::Error,
    ids::{ImageId, SnapshotId},
    request::{Delete, Request},
    run::Run,
    settings::Settings,
    step::{Document, Status, Step},
    tags,
};

pub(super) async fn look(client: &Client, settings: &Settings, mut document: Document) -> Result<Step, Error> {
    let delete = Request::parse(&document.request, None)?.into_delete()?;
    document.image_id = Some(delete.image_id.clone());
    let mut removal = Removal::default();
    let image = ec2::image(client, &delete.image_id).await?;
    let mut snapshots: BTreeSet<SnapshotId> = document.snapshot_ids.iter().cloned().collect();
    snapshots.extend(described(client, settings, &delete.image_id).await?);
    if let Some(image) = &image {
        // Once begun, it is not checked again: what is deregistered may show for a while without its tags.
        if document.waited() == 0 {
            check(image, &delete, settings)?;
        }
        let with_snapshots = delete.manage_ebs_snapshots != Some(false) || is_managed(image, settings);
        let known = snapshots.len();
        snapshots.extend(ec2::snapshot_ids(image).filter(|_| with_snapshots).map(SnapshotId::from));
        // Should this call be cut off after the image is gone, nothing but the document would know of
        // a snapshot that another tool made: it is written down before.
        if document.waited() == 0 && snapshots.len() > known {
            let mut step = document.step(Status::Pending, 1).because("the image's snapshots are noted");
            step.snapshot_ids = Some(snapshots.into_iter().collect());
            return Ok(step);
        }
    }
    let found = usize::from(image.is_some()) + snapshots.len();
    if let Some(image) = &image
        && !removal.image(client, image).await?
    {
        return Ok(removal.step(&document, found));
    }
    let mut left = vec![];
    for id in snapshots {
        if !removal.snapshot(client, id.as_str()).await? {
            left.push(id);
        }
    }
    if image.is_none() && left.is_empty() {
        tracing::info!("nothing of the image is left");
        return Ok(document.step(Status::Gone, 0).because("nothing of the image is left"));
    }
    let mut step = removal.step(&document, found);
    step.snapshot_ids = Some(left);
    Ok(step)
}

fn is_managed(image: &Image, settings: &Settings) -> bool {
    tags::run_of(image.tags()).is_some_and(|run| Run::new(run).is_of(&settings.lifecycle_machine_arn))
}

/// Refuses an image that is protected, or that is not this deployment's to delete.
pub(crate) fn check(image: &Image, delete: &Delete, settings: &Settings) -> Result<(), Error> {
    let image_id = delete.image_id.to_string();
    if let Some(protection) = protection(image) {
        return Err(Error::ImageProtected { image_id, reason: format!("deregistration protection is {protection}") });
    }
    if is_managed(image, settings) {
        return Ok(());
    }
    let remedy = match (delete.manage_ebs_snapshots, settings.allow_unmanaged_images) {
        (Some(_), true) => return Ok(()),
        (Some(_), false) => "the deployment's parameter AllowUnmanagedImages is off",
        (None, _) => "say in manageEbsSnapshots whether its snapshots go with it (true) or stay (false)",
    };
    Err(Error::ImageNotManaged { image_id, remedy: remedy.to_owned() })
}

/// The snapshots of an image that may be gone, as far as a run of this deployment made them.
async fn described(client: &Client, settings: &Settings, image_id: &ImageId) -> Result<Vec<SnapshotId>, Error> {
    let snapshots = ec2::snapshots_described_for(client, image_id).await?;
    let ours = snapshots.iter().filter(|snapshot| {
        tags::run_of(snapshot.tags()).is_some_and(|run| Run::new(run).is_of(&settings.lifecycle_machine_arn))
    });
    Ok(ours.filter_map(|snapshot| snapshot.snapshot_id().map(SnapshotId::from)).collect())
}
