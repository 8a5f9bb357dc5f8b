//! Finding snapshots.

use super::World;
use crate::{api_error::ApiError, ids, resources::snapshot::Snapshot};

impl World {
    /// The snapshot of an id, if EC2 shows it.
    pub(crate) fn snapshot(&mut self, id: &str) -> Result<&mut Snapshot, ApiError> {
        ids::check(id, "snap", "InvalidSnapshotID.Malformed")?;
        let now = self.now();
        let shown = self.snapshots.get_mut(id).filter(|snapshot| snapshot.is_listed(now, &self.lags));
        shown.ok_or_else(|| not_found(id))
    }
}

pub(crate) fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."))
}
