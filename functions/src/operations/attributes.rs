//! An image's attributes, as an execution gives them out.

mod block_devices;
mod watermarks;

use aws_sdk_ec2::types::{Image, ImageAttributeName};
use serde::Serialize;

use self::{
    block_devices::{EbsBlockDevice, EphemeralBlockDevice, ebs_block_device, ephemeral_block_device},
    watermarks::ImageWatermark,
};
use crate::{
    app::App,
    aws::error_codes,
    error::Error,
    model::tags::{self, Tags},
    settings::Machines,
};

/// The attributes of an image, with those that DescribeImages does not show; `snapshot_without_reboot` is what
/// the request said, where it is known.
pub(crate) async fn of(app: &App, image: &Image, snapshot_without_reboot: Option<bool>) -> Result<Attributes, Error> {
    let mut attributes = Attributes::of(image, app.settings.machines()?, app.settings.default_tags()?);
    attributes.snapshot_without_reboot = snapshot_without_reboot;
    // Only an image that boots by UEFI has a variable store (EC2 User Guide, UEFI variables).
    if attributes.boot_mode.as_deref().is_some_and(|mode| mode.starts_with("uefi")) {
        let request = app.ec2.describe_image_attribute().image_id(image.image_id().unwrap_or_default());
        let answer = request.attribute(ImageAttributeName::UefiData).send().await;
        let answer = answer.map_err(|error| error_codes::unexpected("ec2:DescribeImageAttribute", &error));
        let data = error_codes::optional(answer)?.and_then(|answer| answer.uefi_data);
        attributes.uefi_data = data.and_then(|data| data.value).filter(|value| !value.is_empty());
    }
    Ok(attributes)
}

/// Every attribute of an image. Each field is always there; it is null where EC2 shows no value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attributes {
    /// The image's id.
    pub id: Option<String>,
    /// `arn:<partition>:ec2:<region>::image/<id>`.
    pub arn: Option<String>,
    /// Such as `x86_64`.
    pub architecture: Option<String>,
    /// `legacy-bios`, `uefi` or `uefi-preferred`.
    pub boot_mode: Option<String>,
    /// When EC2 began to make it, in RFC 3339.
    pub creation_date: Option<String>,
    /// When it is deprecated, in RFC 3339.
    pub deprecation_time: Option<String>,
    /// `disabled`, `enabled-without-cooldown` or `enabled-with-cooldown`.
    pub deregistration_protection: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Its EBS volumes.
    pub ebs_block_device: Vec<EbsBlockDevice>,
    /// Whether enhanced networking with ENA is on.
    pub ena_support: Option<bool>,
    /// Its instance store volumes.
    pub ephemeral_block_device: Vec<EphemeralBlockDevice>,
    /// `xen` or `ovm`.
    pub hypervisor: Option<String>,
    /// `<owner>/<name>`.
    pub image_location: Option<String>,
    /// `self`, `amazon` …
    pub image_owner_alias: Option<String>,
    /// `machine`.
    pub image_type: Option<String>,
    /// `v2.0` where the image wants IMDSv2.
    pub imds_support: Option<String>,
    /// Whether the account's Allowed AMIs settings let it be launched, where they are on.
    pub image_allowed: Option<bool>,
    /// The watermarks that it carries; CreateImage hands on those of the image that the instance was launched from.
    pub image_watermarks: Vec<ImageWatermark>,
    /// Its kernel.
    pub kernel_id: Option<String>,
    /// When an instance was last launched from it, in RFC 3339.
    pub last_launched_time: Option<String>,
    /// Whether a delete removes its snapshots: true for every image of a run.
    pub manage_ebs_snapshots: bool,
    /// Its name.
    pub name: Option<String>,
    /// The account that owns it.
    pub owner_id: Option<String>,
    /// `windows`, or null.
    pub platform: Option<String>,
    /// Such as `Linux/UNIX`.
    pub platform_details: Option<String>,
    /// What a marketplace asks for when it is launched.
    pub product_codes: Vec<String>,
    /// Whether every account may launch it.
    pub public: Option<bool>,
    /// Its RAM disk.
    pub ramdisk_id: Option<String>,
    /// Such as `/dev/xvda`.
    pub root_device_name: Option<String>,
    /// The root volume's snapshot.
    pub root_snapshot_id: Option<String>,
    /// The execution ARN of the run that made it.
    pub run: Option<String>,
    /// The images among which it counts.
    pub series: Option<String>,
    /// What the request said; null where no request is known.
    pub snapshot_without_reboot: Option<bool>,
    /// The image that its instance was launched from.
    pub source_image_id: Option<String>,
    /// That image's Region.
    pub source_image_region: Option<String>,
    /// The instance it was made from.
    pub source_instance_id: Option<String>,
    /// `simple`, or null.
    pub sriov_net_support: Option<String>,
    /// EC2's state, such as `available`.
    pub state: Option<String>,
    /// The tags without the deployment's default ones and the reserved ones.
    pub tags: Tags,
    /// Every tag EC2 shows.
    pub tags_all: Tags,
    /// `v2.0`, or null.
    pub tpm_support: Option<String>,
    /// The UEFI variable store, in base64.
    pub uefi_data: Option<String>,
    /// The billing code, such as `RunInstances`.
    pub usage_operation: Option<String>,
    /// `hvm` or `paravirtual`.
    pub virtualization_type: Option<String>,
}

fn text(value: Option<&str>) -> Option<String> {
    value.filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Attributes {
    /// What EC2 shows of `image`.
    fn of(image: &Image, machines: &Machines, default_tags: &Tags) -> Self {
        let mappings = image.block_device_mappings();
        let ebs_block_device: Vec<_> = mappings.iter().filter_map(ebs_block_device).collect();
        let root = ebs_block_device.iter().find(|device| device.device_name.as_deref() == image.root_device_name());
        let tags_all = tags::shown_by_ec2(image.tags());
        let mut tags = tags_all.clone();
        tags.retain(|key, value| !tags::is_reserved(key) && default_tags.get(key) != Some(value));
        let run = tags::run_of(image.tags());
        let codes = image.product_codes().iter();
        Self {
            id: text(image.image_id()),
            arn: image.image_id().map(|id| machines.image_arn(id)),
            architecture: text(image.architecture().map(|value| value.as_str())),
            boot_mode: text(image.boot_mode().map(|value| value.as_str())),
            creation_date: text(image.creation_date()),
            deprecation_time: text(image.deprecation_time()),
            deregistration_protection: text(image.deregistration_protection()),
            description: text(image.description()),
            ena_support: image.ena_support(),
            ephemeral_block_device: mappings.iter().filter_map(ephemeral_block_device).collect(),
            hypervisor: text(image.hypervisor().map(|value| value.as_str())),
            image_location: text(image.image_location()),
            image_owner_alias: text(image.image_owner_alias()),
            image_type: text(image.image_type().map(|value| value.as_str())),
            imds_support: text(image.imds_support().map(|value| value.as_str())),
            image_allowed: image.image_allowed(),
            image_watermarks: image.image_watermarks().iter().map(ImageWatermark::of).collect(),
            kernel_id: text(image.kernel_id()),
            last_launched_time: text(image.last_launched_time()),
            manage_ebs_snapshots: machines.made(image.tags()),
            name: text(image.name()),
            owner_id: text(image.owner_id()),
            platform: text(image.platform().map(|value| value.as_str())),
            platform_details: text(image.platform_details()),
            product_codes: codes.filter_map(|code| text(code.product_code_id())).collect(),
            public: image.public(),
            ramdisk_id: text(image.ramdisk_id()),
            root_device_name: text(image.root_device_name()),
            root_snapshot_id: root.and_then(|device| device.snapshot_id.clone()),
            run: text(run),
            series: tags_all.get(tags::SERIES_TAG).cloned(),
            snapshot_without_reboot: None,
            source_image_id: text(image.source_image_id()),
            source_image_region: text(image.source_image_region()),
            source_instance_id: text(image.source_instance_id()),
            sriov_net_support: text(image.sriov_net_support()),
            state: text(image.state().map(|value| value.as_str())),
            tags,
            tags_all,
            tpm_support: text(image.tpm_support().map(|value| value.as_str())),
            uefi_data: None,
            usage_operation: text(image.usage_operation()),
            virtualization_type: text(image.virtualization_type().map(|value| value.as_str())),
            ebs_block_device,
        }
    }
}
