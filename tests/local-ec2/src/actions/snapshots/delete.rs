//! DeleteSnapshot.

use crate::{
    api_error::ApiError,
    clock::timestamp,
    faults::FaultKind,
    query::{Parameters, Query},
    world::World,
    xml::Xml,
};

pub(crate) fn delete_snapshot(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("SnapshotId")?;
    query.finish()?;
    delete(world, &id)?;
    Ok(Xml::done())
}

fn delete(world: &mut World, id: &str) -> Result<(), ApiError> {
    let now = world.now();
    let held = world.snapshot(id)?.held.clone().filter(|(until, _)| now < *until);
    let user = world.image_that_uses(id).map(str::to_owned).or(held.map(|(_, image)| image));
    if let Some(image) = user {
        let problem = format!("The snapshot {id} is currently in use by {image}");
        return Err(ApiError::new("InvalidSnapshot.InUse", problem));
    }
    if let Some(lock) = world.snapshot(id)?.lock.as_ref().filter(|lock| now < lock.expires) {
        // EC2's own code for this is not documented.
        let problem = format!("The snapshot {id} is locked until {}", timestamp(lock.expires));
        return Err(ApiError::new("SnapshotLocked", problem));
    }
    if let Some(snapshot) = world.snapshots.remove(id) {
        world.recycle_bin.take_snapshot(snapshot, now);
    }
    Ok(())
}

/// Deletes a snapshot along with its image; answers EC2's return code for it.
pub(crate) fn delete_associated(world: &mut World, id: &str) -> &'static str {
    if world.image_that_uses(id).is_some() {
        return "skipped";
    }
    // What a fault forbids the caller to do itself, it forbids here too.
    let parameters = Parameters::from([("SnapshotId".to_owned(), id.to_owned())]);
    match world.faults.strike("DeleteSnapshot", &parameters) {
        Some(FaultKind::Refused { code, .. }) if code == "UnauthorizedOperation" => return "missing-permissions",
        Some(FaultKind::Refused { .. }) => return "client-error",
        Some(FaultKind::Throttle | FaultKind::ServerError(_) | FaultKind::ConnectionReset) => {
            return "internal-error";
        }
        _ => {}
    }
    match delete(world, id) {
        Ok(()) => "success",
        Err(_) => "client-error",
    }
}
