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
    let snapshots: Vec<_> = image.held_devices(now).iter().map(|device| device.snapshot_id.clone()).collect();
    let mut xml = Xml::done();
    if with_snapshots {
        xml.list("deleteSnapshotResultSet", snapshots, |xml, snapshot_id| {
            let return_code = delete_associated(world, &snapshot_id);
            xml.text("snapshotId", snapshot_id);
            xml.text("returnCode", return_code);
        });
        return Ok(xml);
    }
    let held_until = now + world.lags.snapshot_held.max(world.recycle_bin);
    let keeps_all = !world.recycle_bin.is_zero();
    for snapshot_id in snapshots {
        world.snapshots_released += 1;
        if let Some(snapshot) = world.snapshots.get_mut(&snapshot_id)
            && (keeps_all || world.snapshots_released.is_multiple_of(UNLUCKY))
        {
            snapshot.held = Some((held_until, id.clone()));
        }
    }
    Ok(xml)
}
