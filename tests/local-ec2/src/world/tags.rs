//! The tags of all resources.

use super::World;
use crate::{api_error::ApiError, tags::Tags};

impl World {
    /// The tags of a resource that EC2 shows.
    pub(crate) fn tags_of(&mut self, id: &str) -> Result<&mut Tags, ApiError> {
        let unknown = |id| ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."));
        match id.split_once('-').map(|(prefix, _)| prefix) {
            Some("ami") => self.own_image(id).map(|image| &mut image.tags),
            Some("i") => self.instance(id).map(|instance| &mut instance.tags),
            Some("snap") => self.snapshot(id).map(|snapshot| &mut snapshot.tags),
            Some("vol") => {
                let mut volumes = self.instances.values_mut().flat_map(|instance| &mut instance.volumes);
                volumes.find(|volume| volume.id == id).map(|volume| &mut volume.tags).ok_or_else(|| unknown(id))
            }
            _ => Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid"))),
        }
    }

    /// The type, id and tags of every resource.
    pub(crate) fn tagged_resources(&self) -> Vec<(&'static str, String, Tags)> {
        let images = self.images.values().filter(|image| image.is_registered());
        let images = images.map(|image| ("image", &image.id, &image.tags));
        let instances = self.instances.values().map(|instance| ("instance", &instance.id, &instance.tags));
        let snapshots = self.snapshots.values().map(|snapshot| ("snapshot", &snapshot.id, &snapshot.tags));
        let volumes = self.instances.values().flat_map(|instance| &instance.volumes);
        let volumes = volumes.map(|volume| ("volume", &volume.id, &volume.tags));
        let all = images.chain(instances).chain(snapshots).chain(volumes);
        all.map(|(resource_type, id, tags)| (resource_type, id.clone(), tags.clone())).collect()
    }
}
