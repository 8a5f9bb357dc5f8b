//! The tags of all resources.

use super::World;
use crate::{api_error::ApiError, clock::between, tags::Tags};

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
            Some("lt") => self.referrers.templates.get_mut(id).map(|template| &mut template.tags).ok_or_else(|| {
                let problem = format!("The specified launch template, with template ID {id}, does not exist.");
                ApiError::new("InvalidLaunchTemplateId.NotFound", problem)
            }),
            _ => Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid"))),
        }
    }

    /// Refuses a change of tags at once with another one of the same resource.
    pub(crate) fn take_tag_access(&mut self, ids: &[String]) -> Result<(), ApiError> {
        let (now, lasts) = (self.now(), self.lags.tag_access);
        let is_held = |id: &&String| self.tagged.get(*id).is_some_and(|at| between(*at, now) < lasts);
        if let Some(id) = ids.iter().find(is_held) {
            let problem = format!("The tags of {id} are being changed by another request.");
            return Err(ApiError::new("ConcurrentTagAccess", problem));
        }
        if !lasts.is_zero() {
            self.tagged.extend(ids.iter().map(|id| (id.clone(), now)));
        }
        Ok(())
    }

    /// The type, id and shown tags of every resource, in the order of their ids.
    pub(crate) fn tagged_resources(&self) -> Vec<(&'static str, &str, &Tags)> {
        let now = self.now();
        let images = self.images.values().filter(|image| image.is_registered());
        let images = images.map(|image| ("image", image.id.as_str(), image.shown_tags(now, &self.lags)));
        let instances = self.instances.values().map(|instance| ("instance", instance.id.as_str(), &instance.tags));
        let snapshots = self.snapshots.values().filter(|snapshot| snapshot.is_listed(now, &self.lags));
        let snapshots =
            snapshots.map(|snapshot| ("snapshot", snapshot.id.as_str(), snapshot.shown_tags(now, &self.lags)));
        let volumes = self.instances.values().flat_map(|instance| &instance.volumes);
        let volumes = volumes.map(|volume| ("volume", volume.id.as_str(), &volume.tags));
        let templates = self.referrers.templates.values();
        let templates = templates.map(|template| ("launch-template", template.id.as_str(), &template.tags));
        let mut all: Vec<_> = images.chain(instances).chain(snapshots).chain(volumes).chain(templates).collect();
        all.sort_by_key(|(_, id, _)| *id);
        all
    }
}
