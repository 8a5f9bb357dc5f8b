//! Images that no CreateImage made.

use std::time::Duration;

use crate::{
    account::{ACCOUNT, AMAZON},
    lags::Lagging,
    resources::{
        fate::Making,
        image::{Device, Image},
        machine::Machine,
        protection::Protection,
        snapshot::{Progress, Snapshot},
    },
    tags::Tags,
    world::World,
};

/// The public image that the first instances were launched from; Amazon owns it.
pub const BASE_IMAGE: &str = "ami-0ba5e1a9e00000001";
const AGE: Duration = Duration::from_secs(30 * 24 * 3600);

impl World {
    /// An available image as of a month ago.
    fn add_image(&mut self, id: String, name: String, owner: &'static str, devices: Vec<Device>, tags: Tags) {
        let created = self.now() - AGE;
        let image = Image {
            id: id.clone(),
            name,
            owner,
            created,
            description: Lagging::new(None),
            deprecation: Lagging::new(None),
            source: None,
            machine: Machine::default(),
            devices,
            devices_show_at: created,
            tags,
            making: Making::succeeds(created),
            disabled: false,
            protection: Protection::Off,
            grantees: Vec::new(),
            last_launched: None,
            deregistered: None,
            restored: None,
            is_to_be_told: false,
        };
        self.images.insert(id, image);
    }

    pub(crate) fn add_base_image(&mut self) {
        // Its snapshot is Amazon's, and not to be seen.
        let name = "al2023-ami-2023.6.20241010.0-kernel-6.1-x86_64";
        let root = root_device("snap-0ba5e1a9e00000001".to_owned());
        self.add_image(BASE_IMAGE.to_owned(), name.to_owned(), AMAZON, vec![root], Tags::new());
    }

    /// A snapshot of this account that nothing here made.
    pub(crate) fn add_foreign_snapshot(&mut self, image_id: &str, tags: Tags) -> String {
        let begun = self.now() - AGE;
        let snapshot = Snapshot {
            id: self.ids.resource("snap"),
            volume_id: self.ids.resource("vol"),
            size_gib: 8,
            description: format!("Copied for DestinationAmi {image_id} from SourceAmi {BASE_IMAGE}."),
            tags,
            grantees: Vec::new(),
            begun,
            takes: Duration::ZERO,
            completes: Some(begun),
            progress: Progress::Linear,
            lock: None,
            held: None,
        };
        let id = snapshot.id.clone();
        self.snapshots.insert(id.clone(), snapshot);
        id
    }

    /// An available image of this account that nothing here made, with a root snapshot.
    pub(crate) fn add_foreign_image(&mut self, id: Option<String>, name: String, tags: Tags) -> String {
        let id = id.unwrap_or_else(|| self.ids.resource("ami"));
        let snapshot_id = self.add_foreign_snapshot(&id, tags.clone());
        self.add_image(id.clone(), name, ACCOUNT, vec![root_device(snapshot_id)], tags);
        id
    }

    /// Another image over the snapshots of `image_id`, as RegisterImage makes one.
    pub(crate) fn add_image_sharing(&mut self, image_id: &str, name: String) -> String {
        let id = self.ids.resource("ami");
        let devices = self.images.get(image_id).map(|image| image.devices.clone()).unwrap_or_default();
        self.add_image(id.clone(), name, ACCOUNT, devices, Tags::new());
        id
    }
}

fn root_device(snapshot_id: String) -> Device {
    Device {
        name: "/dev/xvda".to_owned(),
        snapshot_id,
        size_gib: 8,
        kind: "gp3".to_owned(),
        delete_on_termination: true,
    }
}
