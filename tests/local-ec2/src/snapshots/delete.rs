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
    world.delete(&id)?;
    Ok(Xml::done())
}

impl World {
    fn delete(&mut self, id: &str) -> Result<(), ApiError> {
        let now = self.now();
        let held = self.snapshot(id)?.held.clone().filter(|(until, _)| now < *until);
        let user = self.image_that_uses(id).map(str::to_owned).or(held.map(|(_, image)| image));
        if let Some(image) = user {
            let problem = format!("The snapshot {id} is currently in use by {image}");
            return Err(ApiError::new("InvalidSnapshot.InUse", problem));
        }
        if let Some(lock) = self.snapshot(id)?.lock.as_ref().filter(|lock| now < lock.expires) {
            // EC2's own code for this is not documented.
            let problem = format!("The snapshot {id} is locked until {}", timestamp(lock.expires));
            return Err(ApiError::new("SnapshotLocked", problem));
        }
        self.snapshots.remove(id);
        Ok(())
    }

    /// Deletes a snapshot along with its image; answers EC2's return code for it.
    pub(crate) fn delete_associated(&mut self, id: &str) -> &'static str {
        if self.image_that_uses(id).is_some() {
            return "skipped";
        }
        // What a fault forbids the caller to do itself, it forbids here too.
        let parameters = Parameters::from([("SnapshotId".to_owned(), id.to_owned())]);
        match self.faults.strike("DeleteSnapshot", &parameters) {
            Some(FaultKind::Refused { code, .. }) if code == "UnauthorizedOperation" => return "missing-permissions",
            Some(FaultKind::Refused { .. }) => return "client-error",
            Some(FaultKind::Throttle | FaultKind::ServerError(_) | FaultKind::ConnectionReset) => {
                return "internal-error";
            }
            _ => {}
        }
        match self.delete(id) {
            Ok(()) => "success",
            Err(_) => "client-error",
        }
    }
}
