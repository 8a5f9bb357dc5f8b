//! DeregisterImage.

use crate::{actions::snapshots::delete::delete_associated, api_error::ApiError, query::Query, world::World, xml::Xml};

/// One snapshot in so many seems to be in use for a while after its image is deregistered.
const UNLUCKY: u64 = 5;

pub(crate) fn deregister_image(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    let with_snapshots = query.flag("DeleteAssociatedSnapshots")?.unwrap_or(false);
    query.finish()?;
    let now = world.now();
    let image = world.own_image(&id)?;
    if image.protection.forbids(now) {
        // The code is EC2's generic one; what it says in this case is not documented.
        let problem = format!("The AMI {id} is protected from deregistration.");
        return Err(ApiError::new("OperationNotPermitted", problem));
    }
    image.deregistered = Some(now);
    let tags = image.tags.clone();
    let snapshots: Vec<_> = image.held_devices(now).iter().map(|device| device.snapshot_id.clone()).collect();
    let kept = world.recycle_bin.take_image(&id, &tags, now).filter(|_| world.recycle_bin.holds_snapshots);
    let mut xml = Xml::done();
    if with_snapshots {
        xml.list("deleteSnapshotResultSet", snapshots, |xml, snapshot_id| {
            let return_code = delete_associated(world, &snapshot_id);
            xml.text("snapshotId", snapshot_id);
            xml.text("returnCode", return_code);
        });
        return Ok(xml);
    }
    let lingers = now + world.lags.snapshot_held;
    let held_until = kept.map_or(lingers, |stay| stay.exits.max(lingers));
    for snapshot_id in snapshots {
        world.snapshots_released += 1;
        if let Some(snapshot) = world.snapshots.get_mut(&snapshot_id)
            && (kept.is_some() || world.snapshots_released.is_multiple_of(UNLUCKY))
        {
            snapshot.held = Some((held_until, id.clone()));
        }
    }
    Ok(xml)
}
