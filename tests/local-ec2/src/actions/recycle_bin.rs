//! The Recycle Bin: ListImagesInRecycleBin, ListSnapshotsInRecycleBin and the restores.

use std::time::Duration;

use crate::{
    api_error::ApiError,
    clock::timestamp,
    ids,
    pages::Page,
    query::Query,
    resources::{image, recycle_bin::Stay, snapshot::Snapshot},
    world::{World, snapshots},
    xml::Xml,
};

const SMALLEST_PAGE: usize = 1;
const SMALLEST_PAGE_OF_SNAPSHOTS: usize = 5;

fn times(xml: &mut Xml, stay: Stay) {
    xml.text("recycleBinEnterTime", timestamp(stay.entered));
    xml.text("recycleBinExitTime", timestamp(stay.exits));
}

pub(crate) fn list_images(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.list("ImageId");
    let page = Page::take(query, SMALLEST_PAGE)?;
    query.finish()?;
    for id in &ids {
        ids::check(id, "ami", "InvalidAMIID.Malformed")?;
    }
    let images: Vec<_> = world.recycle_bin.images(world.now(), world.lags.bin_lists).into_iter().collect();
    let rest = images.iter().filter(|(id, _)| page.is_to_come(id));
    let (images, next) = page.cut(rest, |(id, _)| id.clone(), |(id, _)| ids.is_empty() || ids.contains(id));
    let mut xml = Xml::default();
    xml.list("imageSet", images, |xml, (id, stay)| {
        let image = world.images.get(id);
        xml.text("imageId", id);
        xml.maybe("name", image.map(|image| image.name.as_str()));
        times(xml, *stay);
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}

pub(crate) fn list_snapshots(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.list("SnapshotId");
    let page = Page::take(query, SMALLEST_PAGE_OF_SNAPSHOTS)?;
    query.finish()?;
    for id in &ids {
        ids::check(id, "snap", "InvalidSnapshotID.Malformed")?;
    }
    let all = world.recycle_bin.snapshots(world.now(), world.lags.bin_lists);
    let admits = |(_, one): &&(Stay, &Snapshot)| ids.is_empty() || ids.contains(&one.id);
    let (listed, next) = page.cut(page.rest(&all), |(_, one)| one.id.clone(), admits);
    let mut xml = Xml::default();
    xml.list("snapshotSet", listed, |xml, (stay, snapshot)| {
        xml.text("snapshotId", &snapshot.id);
        times(xml, *stay);
        xml.text("description", &snapshot.description);
        xml.text("volumeId", &snapshot.volume_id);
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}

/// An image whose snapshots are gone, or are in the bin, cannot be restored (EBS User Guide, Recycle Bin
/// considerations). EC2 does not document the code.
pub(crate) fn restore_image(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    query.finish()?;
    ids::check(&id, "ami", "InvalidAMIID.Malformed")?;
    let now = world.now();
    if !world.recycle_bin.images(now, Duration::ZERO).contains_key(&id) {
        return Err(image::not_found(&[&id]));
    }
    let found = world.images.get(&id).ok_or_else(|| image::not_found(&[&id]))?;
    if let Some(gone) = found.devices.iter().find(|device| !world.snapshots.contains_key(&device.snapshot_id)) {
        return Err(snapshots::not_found(&gone.snapshot_id));
    }
    let name = &found.name;
    if world.images.values().any(|other| other.is_registered() && other.owner == found.owner && other.name == *name) {
        return Err(ApiError::new("InvalidAMIName.Duplicate", format!("AMI name {name} is already in use")));
    }
    world.recycle_bin.restore_image(&id, now);
    if let Some(image) = world.images.get_mut(&id) {
        image.deregistered = None;
        image.restored = Some(now);
    }
    Ok(Xml::done())
}

pub(crate) fn restore_snapshot(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("SnapshotId")?;
    query.finish()?;
    ids::check(&id, "snap", "InvalidSnapshotID.Malformed")?;
    let now = world.now();
    let snapshot = world.recycle_bin.restore_snapshot(&id, now).ok_or_else(|| snapshots::not_found(&id))?;
    let mut xml = Xml::default();
    xml.text("snapshotId", &snapshot.id);
    xml.text("volumeId", &snapshot.volume_id);
    xml.text("status", snapshot.state(now).as_str());
    xml.text("description", &snapshot.description);
    world.snapshots.insert(id, snapshot);
    Ok(xml)
}
