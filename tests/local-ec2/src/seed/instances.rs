//! Instances made for a test.

use aws_sdk_ec2::types::InstanceStateName;

use crate::{
    resources::{
        instance::{Instance, NewVolume},
        machine::Machine,
        power::Power,
    },
    seed::images::BASE_IMAGE,
    tags::Tags,
    world::World,
};

/// An instance to be made by [`Ec2::add_instance`](crate::Ec2::add_instance): a running
/// `t3.micro` with an 8 GiB root, unless told otherwise.
#[derive(Clone, Debug)]
pub struct InstanceSpec {
    id: Option<String>,
    image_id: String,
    state: InstanceStateName,
    instance_type: String,
    machine: Machine,
    volumes: Vec<NewVolume>,
    tags: Tags,
    stop_protection: bool,
    ungranted_key: Option<String>,
}

impl Default for InstanceSpec {
    fn default() -> Self {
        Self {
            id: None,
            image_id: BASE_IMAGE.to_owned(),
            state: InstanceStateName::Running,
            instance_type: "t3.micro".to_owned(),
            machine: Machine::default(),
            volumes: Vec::new(),
            tags: Tags::new(),
            stop_protection: false,
            ungranted_key: None,
        }
        .volume("/dev/xvda", 8, "gp3")
    }
}

impl InstanceSpec {
    /// Gives it an id instead of one made up.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Launches it from an image.
    #[must_use]
    pub fn image(mut self, image_id: impl Into<String>) -> Self {
        self.image_id = image_id.into();
        self
    }

    /// Puts it into a state as of now; one that passes, such as `pending`, then passes as usual.
    #[must_use]
    pub fn state(mut self, state: InstanceStateName) -> Self {
        self.state = state;
        self
    }

    /// Sets the instance type.
    #[must_use]
    pub fn instance_type(mut self, instance_type: impl Into<String>) -> Self {
        self.instance_type = instance_type.into();
        self
    }

    /// Attaches a volume, or replaces the one of that device.
    #[must_use]
    pub fn volume(mut self, device: &str, size_gib: u32, kind: &str) -> Self {
        let delete_on_termination = device == self.machine.root_device_name;
        self.volumes.retain(|volume| volume.device != device);
        self.volumes.push(NewVolume {
            device: device.to_owned(),
            size_gib,
            kind: kind.to_owned(),
            delete_on_termination,
        });
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Makes its root device an instance store, from which no image can be made.
    #[must_use]
    pub fn instance_store_root(mut self) -> Self {
        self.machine.root_is_ebs = false;
        self.volumes.retain(|volume| volume.device != self.machine.root_device_name);
        self
    }

    /// Protects it from being stopped.
    #[must_use]
    pub fn stop_protection(mut self) -> Self {
        self.stop_protection = true;
        self
    }

    /// Encrypts its volumes with a customer managed key that nobody may grant it the use of: each start is accepted,
    /// and it stops again.
    #[must_use]
    pub fn ungranted_key(mut self, arn: impl Into<String>) -> Self {
        self.ungranted_key = Some(arn.into());
        self
    }

    /// Puts a watermark, `<account>:<name>`, on the image that it was launched from.
    #[must_use]
    pub fn watermark(mut self, key: impl Into<String>) -> Self {
        self.machine.watermarks.push(key.into());
        self
    }

    /// Has it launched from an image of a marketplace.
    #[must_use]
    pub fn product_code(mut self, code: impl Into<String>) -> Self {
        self.machine.product_codes.push(code.into());
        self
    }

    /// Makes it boot by UEFI with a TPM and a variable store (base64).
    #[must_use]
    pub fn uefi(mut self, data: impl Into<String>) -> Self {
        self.machine.boot_mode = Some("uefi".to_owned());
        self.machine.tpm_support = Some("v2.0".to_owned());
        self.machine.uefi_data = Some(data.into());
        self
    }
}

impl World {
    pub(crate) fn add_instance(&mut self, spec: InstanceSpec) -> String {
        let id = spec.id.unwrap_or_else(|| self.ids.resource("i"));
        let power = Power::in_state(&spec.state, self.now());
        let attached = power.launched(self.now());
        let volumes = spec.volumes.iter().map(|volume| self.attach(volume, attached, &Tags::new())).collect();
        let instance = Instance {
            id: id.clone(),
            reservation_id: self.ids.resource("r"),
            image_id: spec.image_id,
            instance_type: spec.instance_type,
            machine: spec.machine,
            power,
            reboots: Vec::new(),
            volumes,
            tags: spec.tags,
            address: self.next_address(),
            launch_index: 0,
            stop_protection: spec.stop_protection,
            ungranted_key: spec.ungranted_key,
        };
        self.instances.insert(id.clone(), instance);
        id
    }
}
