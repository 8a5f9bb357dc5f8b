//! Finding instances, and what each new one is given.

use std::time::SystemTime;

use super::World;
use crate::{
    api_error::ApiError,
    ids,
    pages::Page,
    resources::instance::{Instance, NewVolume, Volume},
    tags::Tags,
};

impl World {
    /// Refuses ids that are not ids, and those of no listed instance.
    fn check_instance_ids(&self, ids: &[String]) -> Result<(), ApiError> {
        for id in ids {
            ids::check(id, "i", "InvalidInstanceID.Malformed")?;
        }
        let now = self.now();
        let known = |id: &String| self.instances.get(id).is_some_and(|instance| instance.is_listed(now));
        let unknown: Vec<&str> = ids.iter().filter(|id| !known(id)).map(String::as_str).collect();
        match unknown.as_slice() {
            [] => Ok(()),
            [id] => Err(not_found(format!("The instance ID '{id}' does not exist"))),
            ids => Err(not_found(format!("The instance IDs '{}' do not exist", ids.join(", ")))),
        }
    }

    pub(crate) fn instance(&mut self, id: &str) -> Result<&mut Instance, ApiError> {
        self.check_instance_ids(&[id.to_owned()])?;
        self.instances.get_mut(id).ok_or_else(|| not_found(format!("The instance ID '{id}' does not exist")))
    }

    /// The instances of these ids, or all, that follow the page before.
    pub(crate) fn listed_instances(
        &self,
        ids: &[String],
        page: &Page,
    ) -> Result<impl Iterator<Item = &Instance>, ApiError> {
        page.check_ids(ids, "instancesSet")?;
        self.check_instance_ids(ids)?;
        let now = self.now();
        let wanted = |instance: &&Instance| ids.is_empty() || ids.contains(&instance.id);
        Ok(page.rest(&self.instances).filter(move |instance| instance.is_listed(now)).filter(wanted))
    }

    pub(crate) fn attach(&mut self, volume: &NewVolume, attached: SystemTime, tags: &Tags) -> Volume {
        Volume {
            id: self.ids.resource("vol"),
            device: volume.device.clone(),
            size_gib: volume.size_gib,
            kind: volume.kind.clone(),
            delete_on_termination: volume.delete_on_termination,
            attached,
            tags: tags.clone(),
        }
    }

    pub(crate) fn next_address(&self) -> String {
        let number = self.instances.len() + 10;
        format!("172.31.{}.{}", number / 250 % 250, number % 250)
    }
}

fn not_found(message: String) -> ApiError {
    ApiError::new("InvalidInstanceID.NotFound", message)
}
