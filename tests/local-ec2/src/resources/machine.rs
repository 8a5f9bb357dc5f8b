//! What an image and its instances have in common.

use crate::xml::Xml;

/// The kind of machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) architecture: String,
    pub(crate) boot_mode: Option<String>,
    pub(crate) tpm_support: Option<String>,
    pub(crate) uefi_data: Option<String>,
    pub(crate) root_device_name: String,
    pub(crate) root_is_ebs: bool,
    /// The keys of the watermarks on the image that an instance was launched from, and on those made of it.
    pub(crate) watermarks: Vec<String>,
    pub(crate) product_codes: Vec<String>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            architecture: "x86_64".to_owned(),
            boot_mode: Some("uefi-preferred".to_owned()),
            tpm_support: None,
            uefi_data: None,
            root_device_name: "/dev/xvda".to_owned(),
            root_is_ebs: true,
            watermarks: Vec::new(),
            product_codes: Vec::new(),
        }
    }
}

impl Machine {
    pub(crate) fn root_device_type(&self) -> &'static str {
        if self.root_is_ebs { "ebs" } else { "instance-store" }
    }

    /// Writes the members that images and instances show alike.
    pub(crate) fn write(&self, xml: &mut Xml) {
        xml.text("architecture", &self.architecture);
        xml.maybe("bootMode", self.boot_mode.as_ref());
        xml.text("enaSupport", true);
        xml.text("hypervisor", "xen");
        xml.list("productCodes", &self.product_codes, |xml, code| {
            xml.text("productCode", code);
            xml.text("type", "marketplace");
        });
        xml.text("platformDetails", "Linux/UNIX");
        xml.text("rootDeviceName", &self.root_device_name);
        xml.text("rootDeviceType", self.root_device_type());
        xml.maybe("tpmSupport", self.tpm_support.as_ref());
        xml.text("usageOperation", "RunInstances");
        xml.text("virtualizationType", "hvm");
    }
}
